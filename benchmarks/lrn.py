"""LRN forward and backward on both layers' shapes: ours beside torch's, folded by tower."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from alexnet.launch.gpus import pick_device
from alexnet.model.lrn import lrn
from alexnet.runtime.processes import keep_freed_memory
from benchmarks.clock import interleaved
from benchmarks.step import alone, by_tower, clock_of
from benchmarks.table import Goal, Row, ratio_row

BATCH = 32
SHAPES = {"layer 1": (96, 55, 55), "layer 2": (256, 27, 27)}
PLAIN = "F.local_response_norm, float32, NCHW"
GOAL = Goal(at_least=4.0)
Pair = tuple[Tensor, Tensor]


def ours(x: Tensor) -> Tensor:
    """With the paper's constants."""
    return lrn(x, 2.0, 5, 1e-4, 0.75)


def both_ways(function: Callable[[Tensor], Tensor], pair: Pair) -> Tensor:
    """The gradient to x, after the result."""
    x, gradient = pair
    return torch.autograd.grad(function(x), x, gradient)[0]


def pairs(x: Tensor, gradient: Tensor) -> dict[str, Pair]:
    """x and the gradient to the result, in each precision and memory format."""
    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    orders = {"NCHW": torch.contiguous_format, "channels-last": torch.channels_last}
    return {
        f"{kind}, {order}": (
            x.to(kinds[kind]).contiguous(memory_format=orders[order]).requires_grad_(),
            gradient.to(kinds[kind]).contiguous(memory_format=orders[order]),
        )
        for kind in kinds
        for order in orders
    }


def rows(photos: list[bytes], rounds: int, device: str = "cpu", size: int = BATCH) -> list[Row]:
    """A row for each way on each shape: how many times as long torch's takes. No photos needed."""
    at = pick_device(device)
    keep_freed_memory()  # for all alike
    return [row for layer in SHAPES for row in _of_layer(layer, rounds, at, size)]


def _of_layer(layer: str, rounds: int, device: torch.device, size: int) -> list[Row]:
    shape = size, *SHAPES[layer]
    given = pairs(60 * torch.randn(shape, device=device).relu(), torch.randn(shape, device=device))
    ways: dict[str, Callable[[None], object]] = {
        f"ours, {kind}": _way(ours, pair) for kind, pair in given.items()
    }
    ways[PLAIN] = _way(by_tower, given["float32, NCHW"])
    costs = interleaved(ways, [None], rounds, clock_of(device))
    found = []
    for name, seconds in costs.items():
        row = ratio_row(f"{layer}: {name}", "", costs[PLAIN] / seconds, GOAL)
        row = row._replace(cost=f"{1e3 * sorted(seconds)[rounds // 2] / size:.2f} ms an image")
        found.append(row._replace(ratio="", goal="") if name == PLAIN else row)
    return found


def _way(function: Callable[[Tensor], Tensor], pair: Pair) -> Callable[[None], Tensor]:
    step = partial(both_ways, function, pair)
    return lambda _: step()


if __name__ == "__main__":
    alone(f"{__doc__} Ratio: {PLAIN} ÷ this.", BATCH, rows)
