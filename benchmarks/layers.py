"""Each layer of the full net, forward and backward: time, share of the step, and roofline.

Inputs and gradients have the shapes, precision and memory format (channels-last) that they have in
the net. The roofline is the time that a layer would take at this machine's peak rate of operations
(the better of a matrix product and a 3×3 convolution) or of memory traffic (a copy), whichever is
longer. The traffic is that of inputs, outputs and weights, each moved once per pass.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.launch.gpus import pick_device
from alexnet.model.alexnet import AlexNet, layers_of
from alexnet.model.conv1 import blocked_conv1
from alexnet.model.net_config import NetConfig
from alexnet.runtime.processes import keep_freed_memory
from alexnet.train.optimizer import update
from benchmarks.clock import Costs, measure_interleaved
from benchmarks.lrn import ours as norm
from benchmarks.step import LR, MOMENTUM, WEIGHT_DECAY, autocast, clock_for, main
from benchmarks.table import Row

BATCH = 32
PEAK_SIDE = 1536  # of the square matrices whose product gives the peak
COPY = 2**26  # bytes, more than any cache holds
MATRIX, CONVOLUTION, COPIED = "peak: matrix product", "peak: 3×3 convolution", "peak: copy"
Way = Callable[[None], object]


@dataclass(frozen=True)
class Layer:
    """A layer. `shapes`: input and output of one image; `flop`: one image, both passes."""

    name: str
    forward: Callable[[Tensor], Tensor]
    shapes: tuple[Sequence[int], Sequence[int]]
    weights: Sequence[Tensor] = ()
    flop: float = 0.0
    needs_input_gradient: bool = True

    def bytes_moved(self, size: int, dtype: torch.dtype) -> float:
        """Return the traffic of a batch in bytes, forward and backward.

        Forward: x → y; backward: x and the gradient of y → the gradient of x.
        """
        x, y = (size * float(np.prod(shape)) for shape in self.shapes)
        inputs = (3 if self.needs_input_gradient else 2) * x
        weights = 3 * sum(weight.numel() for weight in self.weights)
        return (inputs + 2 * y + weights) * dtype.itemsize


def layers(net: AlexNet, bf16: bool) -> list[Layer]:
    """Return the layers in order; conv1 as the net computes it in this precision."""
    first = net.conv1
    in_blocks = partial(_conv1_in_blocks, first) if bf16 else first
    pool = partial(F.max_pool2d, kernel_size=3, stride=2)
    c1, c2, c3, c5 = (96, 55, 55), (256, 27, 27), (384, 13, 13), (256, 13, 13)
    p1, p2, p5, hidden = (96, 27, 27), c5, (256, 6, 6), (net.config.layer_neurons,)
    convolutional = {
        "conv2": (p1, c2),
        "conv3": (p2, c3),
        "conv4": (c3, c3),
        "conv5": (c3, c5),
    }
    connected = {
        "fc6": ((9216,), hidden),
        "fc7": (hidden, hidden),
        "fc8": (hidden, (net.config.classes,)),
    }
    weighted = {
        name: _weighted(name, layers_of(net)[name], *shapes)
        for name, shapes in (convolutional | connected).items()
    }
    return [
        _weighted("conv1", first, (3, 227, 227), c1, in_blocks),
        Layer("relu 1", F.relu, (c1, c1)),
        Layer("norm 1", norm, (c1, c1)),
        Layer("pool 1", pool, (c1, p1)),
        weighted["conv2"],
        Layer("relu 2", F.relu, (c2, c2)),
        Layer("norm 2", norm, (c2, c2)),
        Layer("pool 2", pool, (c2, p2)),
        weighted["conv3"],
        Layer("relu 3", F.relu, (c3, c3)),
        weighted["conv4"],
        Layer("relu 4", F.relu, (c3, c3)),
        weighted["conv5"],
        Layer("relu 5", F.relu, (c5, c5)),
        Layer("pool 5", pool, (c5, p5)),
        weighted["fc6"],
        weighted["fc7"],
        weighted["fc8"],
    ]


def _conv1_in_blocks(layer: torch.nn.Conv2d, x: Tensor) -> Tensor:
    return blocked_conv1(x, layer.weight, layer.bias)


def _weighted(
    name: str,
    layer: torch.nn.Module,
    input_shape: Sequence[int],
    output_shape: Sequence[int],
    forward: Callable[[Tensor], Tensor] | None = None,
) -> Layer:
    """Return a layer with weights: two operations per product, forward and per gradient."""
    weight = layer.get_parameter("weight")
    positions = float(np.prod(output_shape[1:]))
    passes = 2 if name == "conv1" else 3  # the gradient to the image is not needed
    flop = 2 * passes * weight.numel() * positions
    weights = list(layer.parameters())
    return Layer(
        name, forward or layer, (input_shape, output_shape), weights, flop, name != "conv1"
    )


def rows(photos: list[bytes], rounds: int, device: str = "cpu", size: int = BATCH) -> list[Row]:
    """Return the rows for float32, then for bfloat16. `photos` is not used."""
    at = pick_device(device)
    keep_freed_memory()
    return [row for bf16 in (False, True) for row in _table(rounds, at, size, bf16)]


def _table(rounds: int, device: torch.device, size: int, bf16: bool) -> list[Row]:
    dtype = torch.bfloat16 if bf16 else torch.float32
    net = AlexNet(NetConfig()).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    parts = layers(net, bf16)
    ways = {part.name: _passes(part, size, dtype, device) for part in parts}
    ways["update"] = _updates(net)
    peaks = _peaks(device, dtype)
    costs = measure_interleaved(
        ways | {name: way for name, (way, _) in peaks.items()}, [None], rounds, clock_for(device)
    )
    rates = {name: amount / float(np.median(costs[name])) for name, (_, amount) in peaks.items()}
    kind = str(dtype).removeprefix("torch.")
    return _rows(kind, parts, costs, rates, size, dtype, net)


def _rows(
    kind: str,
    parts: list[Layer],
    costs: Costs,
    rates: dict[str, float],
    size: int,
    dtype: torch.dtype,
    net: AlexNet,
) -> list[Row]:
    """Return a row per layer, then the update, the sum and the peaks."""
    seconds = {name: float(np.median(costs[name])) for name in costs if name not in rates}
    total = sum(seconds.values())
    products, bytes_ = max(rates[MATRIX], rates[CONVOLUTION]), rates[COPIED]
    rows = []
    for part in parts:
        flop = part.flop * size
        roofline = max(flop / products, part.bytes_moved(size, dtype) / bytes_)
        rows.append(_row(f"{kind}, {part.name}", seconds[part.name], total, flop, roofline))
    weights = sum(weight.numel() for weight in net.parameters())
    roofline = 5 * 4 * weights / bytes_  # float32: w, v and g are read, w and v written
    rows.append(_row(f"{kind}, update", seconds["update"], total, 0, roofline))
    flop = sum(part.flop for part in parts) * size
    rows.append(_row(f"{kind}, all", total, total, flop, flop / products))
    peaks = ", ".join(f"{name.removeprefix('peak: ')} {rates[name] / 1e9:,.0f}" for name in rates)
    return [*rows, Row(f"{kind}, peaks", f"{peaks} (GFLOP/s, GB/s)")]


def _row(name: str, seconds: float, total: float, flop: float, roofline: float) -> Row:
    cost = f"{1e3 * seconds:,.1f} ms, {100 * seconds / total:.1f} %"
    rate = f"{flop / 1e9:,.1f} GFLOP, {flop / seconds / 1e9:,.0f} GFLOP/s" if flop else ""
    return Row(name, cost, rate, f"{100 * roofline / seconds:.0f} % of the roofline")


def _passes(part: Layer, size: int, dtype: torch.dtype, device: torch.device) -> Way:
    """Return a function that runs forward, and backward to input and weights."""
    x, gradient = (_random((size, *shape), dtype, device) for shape in part.shapes)
    x = x.requires_grad_(part.needs_input_gradient)
    targets = [*([x] if part.needs_input_gradient else []), *part.weights]
    return partial(_forward_backward, part.forward, autocast(device, dtype), x, gradient, targets)


def _forward_backward(
    forward: Callable[[Tensor], Tensor],
    precision: AbstractContextManager[object],
    x: Tensor,
    gradient: Tensor,
    targets: list[Tensor],
    _: None,
) -> object:
    with precision:
        y = forward(x)
    return torch.autograd.grad(y, targets, gradient)


def _random(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    x = torch.randn(*shape, device=device).to(dtype)
    return x.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else x


def _updates(net: AlexNet) -> Way:
    weights = [weight.detach() for weight in net.parameters()]
    gradients, velocities = ([torch.zeros_like(w) for w in weights] for _ in range(2))
    rule = partial(update, lr=LR, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    return lambda _: rule(weights, gradients, velocities)


def _peaks(device: torch.device, dtype: torch.dtype) -> dict[str, tuple[Way, float]]:
    """Return operations that reach the machine's peaks, with their FLOP or bytes."""
    a = _random((PEAK_SIDE, PEAK_SIDE), dtype, device)
    x = _random((16, 256, 28, 28), dtype, device)
    weight = _random((256, 256, 3, 3), dtype, device)
    source = torch.ones(COPY // 4, device=device)
    destination = torch.empty_like(source)
    products = 2 * 256 * 256 * 9 * 16 * 28 * 28
    return {
        MATRIX: (lambda _: a @ a, 2 * PEAK_SIDE**3),
        CONVOLUTION: (lambda _: F.conv2d(x, weight, padding=1), products),
        COPIED: (lambda _: destination.copy_(source), 2 * COPY),
    }


if __name__ == "__main__":
    main((__doc__ or "").splitlines()[0], BATCH, rows)
