# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
"""LRN on a GPU: one kernel forward, one backward, each element read and written once.

A dense channels-last tensor is a matrix in memory: a row is one tower at one position, 48 or 128
maps. The sum over neighbours is a product with a band of ones on the tensor cores. Squares go in as
three bfloat16 parts, which together hold all bits of a float32; ones are exact.
"""

import os
from contextlib import nullcontext
from typing import Any

import torch
import triton  # type: ignore[import-untyped, import-not-found, unused-ignore]
import triton.language as tl  # type: ignore[import-untyped, import-not-found, unused-ignore]
from torch import Tensor
from torch.autograd.function import once_differentiable

ROWS = 64  # of a block
WIDEST = 128  # maps of a block: its band takes 32 kB of shared memory
# the interpreter multiplies the bits of bfloat16 as if they were integers
INTERPRETED = tl.constexpr(os.environ.get("TRITON_INTERPRET") == "1")
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def usable(x: Tensor) -> bool:
    """Whether the kernels compute x: on an Ampere GPU or later, at most float32."""
    return x.dtype in DTYPES and torch.cuda.get_device_capability(x.device) >= (8, 0)


def lrn(x: Tensor, constants: Any) -> Tensor:
    """As alexnet.lrn, of a tensor on a GPU; the output is channels-last, whatever x is."""
    out: Tensor = _Lrn.apply(x, constants)
    return out


class _Lrn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, constants: Any) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        ctx.save_for_backward(x)
        ctx.constants = constants
        out = torch.empty_like(x, memory_format=torch.channels_last)
        _launch(_forward, constants, x, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        out = torch.empty_like(x, memory_format=torch.channels_last)
        _launch(_backward, ctx.constants, x, grad, out)
        return out, None


def _launch(kernel: Any, constants: Any, *tensors: Tensor) -> None:
    k, _, alpha, beta, towers = constants
    x = tensors[0]
    maps = x.shape[1] // towers
    rows = x.numel() // max(1, maps)
    if not rows:
        return
    width = min(WIDEST, max(16, triton.next_power_of_2(maps)))
    margin = 2 * constants.reach if maps > width else 0  # maps that a block reads for its sums only
    grid = triton.cdiv(rows, ROWS), triton.cdiv(maps, width - 2 * margin)
    sizes = {"MAPS": maps, "REACH": constants.reach, "MARGIN": margin, "WIDTH": width, "ROWS": ROWS}
    with torch.cuda.device(x.device) if x.is_cuda else nullcontext():
        kernel[grid](*tensors, rows, k, alpha, BETA=beta, **sizes, num_warps=width // 16)


@triton.jit
def _forward(
    x_at,
    y_at,
    rows,
    k,
    alpha,
    BETA: tl.constexpr,
    MAPS: tl.constexpr,
    REACH: tl.constexpr,
    MARGIN: tl.constexpr,
    WIDTH: tl.constexpr,
    ROWS: tl.constexpr,
):
    at, here, mine = _block(rows, MAPS, MARGIN, WIDTH, ROWS)
    x = tl.load(x_at + at, mask=here, other=0.0).to(tl.float32)
    d = k + alpha * _box(x * x, REACH, WIDTH)
    y = x * _negative_power(d, BETA)
    tl.store(y_at + at, y.to(y_at.dtype.element_ty), mask=mine)


@triton.jit
def _backward(
    x_at,
    g_at,
    dx_at,
    rows,
    k,
    alpha,
    BETA: tl.constexpr,
    MAPS: tl.constexpr,
    REACH: tl.constexpr,
    MARGIN: tl.constexpr,
    WIDTH: tl.constexpr,
    ROWS: tl.constexpr,
):
    at, here, mine = _block(rows, MAPS, MARGIN, WIDTH, ROWS)
    x = tl.load(x_at + at, mask=here, other=0.0).to(tl.float32)
    g = tl.load(g_at + at, mask=here, other=0.0).to(tl.float32)
    d = k + alpha * _box(x * x, REACH, WIDTH)
    scaled = g * _negative_power(d, BETA)
    dx = scaled - 2 * alpha * BETA * x * _box(scaled * x / d, REACH, WIDTH)
    tl.store(dx_at + at, dx.to(dx_at.dtype.element_ty), mask=mine)


@triton.jit
def _block(rows, MAPS: tl.constexpr, MARGIN: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr):
    """Where the block's elements are, which of them exist, and which are its own to write."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.arange(0, WIDTH)[None, :]
    map = tl.program_id(1) * (WIDTH - 2 * MARGIN) - MARGIN + column
    here = (row < rows) & (map >= 0) & (map < MAPS)
    return row * MAPS + map, here, here & (column >= MARGIN) & (column < WIDTH - MARGIN)


@triton.jit
def _box(x, REACH: tl.constexpr, WIDTH: tl.constexpr):
    """Each element and its neighbours at most REACH away, summed in float32."""
    i = tl.arange(0, WIDTH)
    apart = i[:, None] - i[None, :]
    band = ((apart <= REACH) & (apart >= -REACH)).to(tl.float32).to(tl.bfloat16)
    high = x.to(tl.bfloat16)
    rest = x - high.to(tl.float32)
    middle = rest.to(tl.bfloat16)
    low = (rest - middle.to(tl.float32)).to(tl.bfloat16)
    return _product(low, band) + _product(middle, band) + _product(high, band)


@triton.jit
def _product(x, band):
    if INTERPRETED:
        return tl.dot(x.to(tl.float32), band.to(tl.float32))
    else:
        return tl.dot(x, band)


@triton.jit
def _negative_power(d, BETA: tl.constexpr):
    if BETA == 0.75:
        r = tl.rsqrt(d)
        return r * tl.sqrt(r)
    else:
        return tl.exp2(-BETA * tl.log2(d))
