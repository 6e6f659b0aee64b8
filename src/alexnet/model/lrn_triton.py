# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
"""LRN on a GPU: a forward and a backward kernel that read and write each element once.

A dense channels-last tensor is a matrix in memory: a row holds the 48 or 128 maps of one tower at
one position. The sum over neighbours is a product with a band matrix of ones, on the tensor cores.
Squares are split into three bfloat16 parts, which together hold all bits of a float32; the ones are
exact.
"""

import os
from contextlib import nullcontext
from typing import Any

import torch
import triton  # type: ignore[import-untyped, import-not-found, unused-ignore]
import triton.language as tl  # type: ignore[import-untyped, import-not-found, unused-ignore]
from torch import Tensor
from torch.autograd.function import once_differentiable

ROWS = 64  # per block
MAX_WIDTH = 128  # maps per block: their band matrix takes 32 kB of shared memory
# Triton's interpreter multiplies the bits of bfloat16 values as if they were integers
INTERPRETED = tl.constexpr(os.environ.get("TRITON_INTERPRET") == "1")
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def supports(x: Tensor) -> bool:
    """Return whether x is at most float32 and on an Ampere GPU or later."""
    return x.dtype in DTYPES and torch.cuda.get_device_capability(x.device) >= (8, 0)


def lrn(x: Tensor, constants: Any) -> Tensor:
    """Return what alexnet.model.lrn does, for a tensor on a GPU; always channels-last."""
    out: Tensor = _LrnFunction.apply(x, constants)
    return out


class _LrnFunction(torch.autograd.Function):
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
    width = min(MAX_WIDTH, max(16, triton.next_power_of_2(maps)))
    margin = 2 * constants.reach if maps > width else 0  # maps read only for the sums
    grid = triton.cdiv(rows, ROWS), triton.cdiv(maps, width - 2 * margin)
    sizes = {"MAPS": maps, "REACH": constants.reach, "MARGIN": margin, "WIDTH": width, "ROWS": ROWS}
    with torch.cuda.device(x.device) if x.is_cuda else nullcontext():
        kernel[grid](*tensors, rows, k, alpha, BETA=beta, **sizes, num_warps=width // 16)


@triton.jit
def _forward(
    x_pointer,
    y_pointer,
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
    offsets, exists, owned = _block(rows, MAPS, MARGIN, WIDTH, ROWS)
    x = tl.load(x_pointer + offsets, mask=exists, other=0.0).to(tl.float32)
    d = k + alpha * _sum_neighbours(x * x, REACH, WIDTH)
    y = x * _negative_power(d, BETA)
    tl.store(y_pointer + offsets, y.to(y_pointer.dtype.element_ty), mask=owned)


@triton.jit
def _backward(
    x_pointer,
    g_pointer,
    dx_pointer,
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
    offsets, exists, owned = _block(rows, MAPS, MARGIN, WIDTH, ROWS)
    x = tl.load(x_pointer + offsets, mask=exists, other=0.0).to(tl.float32)
    g = tl.load(g_pointer + offsets, mask=exists, other=0.0).to(tl.float32)
    d = k + alpha * _sum_neighbours(x * x, REACH, WIDTH)
    scaled = g * _negative_power(d, BETA)
    dx = scaled - 2 * alpha * BETA * x * _sum_neighbours(scaled * x / d, REACH, WIDTH)
    tl.store(dx_pointer + offsets, dx.to(dx_pointer.dtype.element_ty), mask=owned)


@triton.jit
def _block(rows, MAPS: tl.constexpr, MARGIN: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr):
    """Return offsets of the block's elements, which exist, and which to write."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.arange(0, WIDTH)[None, :]
    maps = tl.program_id(1) * (WIDTH - 2 * MARGIN) - MARGIN + column
    exists = (row < rows) & (maps >= 0) & (maps < MAPS)
    return row * MAPS + maps, exists, exists & (column >= MARGIN) & (column < WIDTH - MARGIN)


@triton.jit
def _sum_neighbours(x, REACH: tl.constexpr, WIDTH: tl.constexpr):
    """Return each element plus its neighbours at most REACH away, summed in float32."""
    i = tl.arange(0, WIDTH)
    distance = i[:, None] - i[None, :]
    band = ((distance <= REACH) & (distance >= -REACH)).to(tl.float32).to(tl.bfloat16)
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
