"""LRN, forward and backward, on the shapes of both layers, compared with torch's per tower."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from alexnet.launch.gpus import pick_device
from alexnet.model.lrn import lrn
from alexnet.runtime.processes import keep_freed_memory
from benchmarks.clock import measure_interleaved
from benchmarks.step import clock_for, lrn_per_tower, main
from benchmarks.table import Goal, Row, ratio_row

BATCH = 32
SHAPES = {"layer 1": (96, 55, 55), "layer 2": (256, 27, 27)}
PLAIN = "F.local_response_norm, float32, NCHW"
GOAL = Goal(at_least=4.0)
Pair = tuple[Tensor, Tensor]


def ours(x: Tensor) -> Tensor:
    """Return our LRN of x with the paper's constants."""
    return lrn(x, 2.0, 5, 1e-4, 0.75)


def forward_backward(function: Callable[[Tensor], Tensor], pair: Pair) -> Tensor:
    """Return the gradient to x after a forward and backward pass."""
    x, gradient = pair
    return torch.autograd.grad(function(x), x, gradient)[0]


def make_inputs(x: Tensor, gradient: Tensor) -> dict[str, Pair]:
    """Return x and the gradient to the output, in each precision and memory format."""
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
    """Return a row per way and shape, with the ratio torch ÷ this. `photos` is not used."""
    at = pick_device(device)
    keep_freed_memory()  # for all ways
    return [row for layer in SHAPES for row in _layer_rows(layer, rounds, at, size)]


def _layer_rows(layer: str, rounds: int, device: torch.device, size: int) -> list[Row]:
    shape = size, *SHAPES[layer]
    inputs = make_inputs(
        60 * torch.randn(shape, device=device).relu(), torch.randn(shape, device=device)
    )
    ways: dict[str, Callable[[None], object]] = {
        f"ours, {kind}": _way(ours, pair) for kind, pair in inputs.items()
    }
    ways[PLAIN] = _way(lrn_per_tower, inputs["float32, NCHW"])
    costs = measure_interleaved(ways, [None], rounds, clock_for(device))
    rows = []
    for name, seconds in costs.items():
        row = ratio_row(f"{layer}: {name}", "", costs[PLAIN] / seconds, GOAL)
        row = row._replace(cost=f"{1e3 * sorted(seconds)[rounds // 2] / size:.2f} ms per image")
        rows.append(row._replace(ratio="", goal="") if name == PLAIN else row)
    return rows


def _way(function: Callable[[Tensor], Tensor], pair: Pair) -> Callable[[None], Tensor]:
    step = partial(forward_backward, function, pair)
    return lambda _: step()


if __name__ == "__main__":
    main(f"{__doc__} Ratio: {PLAIN} ÷ this.", BATCH, rows)
