"""Local response normalisation (section 3.3) within each tower, with an analytic gradient."""

import math
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 2**16  # elements per core: five buffers of this size fit into its own cache


def lrn(x: Tensor, k: float, n: int, alpha: float, beta: float, towers: int = 2) -> Tensor:
    """Return a / (k + alpha · Σ a²)^beta, summed over `n` neighbouring maps.

    Neighbours belong to the same tower. x (N, C, H, W), C divisible by `towers`, any float dtype;
    computed at least in float32. The result is channels-last if x is. `alpha` is the paper's: the
    2012 code and torch divide theirs by n.
    """
    constants = Constants(k, n, alpha, beta, towers)
    if torch.compiler.is_exporting():
        return _exportable_lrn(x, constants)
    kernels = _triton_kernels() if x.is_cuda else None
    if kernels is not None and kernels.supports(x):
        out: Tensor = kernels.lrn(x, constants)
    else:
        out = LrnFunction.apply(x, constants)
    return out


class Constants(NamedTuple):
    """The constants of the formula, and how many towers the maps belong to."""

    k: float
    n: int
    alpha: float
    beta: float
    towers: int

    @property
    def reach(self) -> int:
        """Distance of the farthest neighbour, in maps."""
        return self.n // 2


def _exportable_lrn(x: Tensor, constants: Constants) -> Tensor:
    """Return the same from plain operators; no loop depends on the batch."""
    k, _, alpha, beta, towers = constants
    reach, maps = constants.reach, x.shape[1] // towers
    a = x.reshape(-1, towers, maps, *x.shape[2:])
    squares = F.pad(a.square(), (0, 0, 0, 0, reach, reach))
    shifted = [squares.narrow(2, start, maps) for start in range(2 * reach + 1)]
    return (a / (k + alpha * torch.stack(shifted).sum(dim=0)).pow(beta)).flatten(1, 2)


class LrnFunction(torch.autograd.Function):
    """Saves only x: computing the denominator again costs no more than writing and reading it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, constants: Constants) -> Tensor:
        x = x if _is_dense(x) else x.contiguous()
        ctx.save_for_backward(x)
        ctx.constants = constants
        out = torch.empty_like(x)
        for buffers, (a, b) in _chunks(constants, x, out):
            torch.div(a, buffers.power(buffers.denominator(a)), out=b)
        return out

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator, unused-ignore]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """Compute da = g d^−β − 2 α β a Σ g a d^(−β−1)."""
        (x,) = ctx.saved_tensors
        constants = ctx.constants
        out = torch.empty_like(x)
        for buffers, (a, g, da) in _chunks(constants, x, _in_format_of(x, grad), out):
            d = buffers.denominator(a)
            power = buffers.power(d)
            scaled = torch.div(g, power, out=power)
            inner = buffers.sum_of_quotients(scaled, a, d)
            factor = -2 * constants.alpha * constants.beta
            torch.addcmul(scaled, inner, a, value=factor, out=da)
        return out, None


class _Buffers:
    """Buffers for one chunk of rows (maps of a tower, positions): (R, C, I).

    Each row is followed by `reach` maps of zeros, and the first is also preceded by as many. A sum
    over neighbours is then a few additions of one long vector to itself, shifted. That is right at
    the borders of a tower too, and uses the processor's full width in either memory format.
    """

    def __init__(self, rows: int, maps: int, positions: int, like: Tensor, constants: Constants):
        self.constants = constants
        shape = rows, maps + constants.reach, positions
        margin, length = constants.reach * positions, math.prod(shape)
        padded = like.new_zeros(length + 2 * margin)
        self.k = like.new_full((), constants.k)
        self.pairs = like.new_empty(length + 2 * positions)
        self.sums, self.powers = (like.new_empty(length) for _ in range(2))
        self.inside, self.sum_rows, self.power_rows = (
            flat[:length].view(shape)[:, :maps]
            for flat in (padded[margin:], self.sums, self.powers)
        )
        starts = range(0, 2 * margin + 1, max(1, positions))
        self.shifted = [padded[start:][:length] for start in starts]
        self.neighbours = padded[: len(self.pairs)], padded[positions:][: len(self.pairs)]
        self.roots, self.later_pairs = self.pairs[:length], self.pairs[2 * positions :]

    def denominator(self, a: Tensor) -> Tensor:
        """Return k + α Σ a², in `sums`."""
        torch.mul(a, a, out=self.inside[: len(a)])
        self._sum_neighbours()
        torch.add(self.k, self.sums, alpha=self.constants.alpha, out=self.sums)
        return self.sum_rows[: len(a)]

    def sum_of_quotients(self, scaled: Tensor, a: Tensor, d: Tensor) -> Tensor:
        """Return Σ scaled · a / d, which overwrites d."""
        torch.mul(scaled, a, out=self.inside[: len(a)]).div_(d)
        self._sum_neighbours()
        return self.sum_rows[: len(a)]

    def power(self, d: Tensor) -> Tensor:
        """Return d^β, in `powers`; two square roots cost a third of a power."""
        if self.constants.beta == 0.75:
            torch.sqrt(self.sums, out=self.powers)
            self.powers.mul_(torch.sqrt(self.powers, out=self.roots))
        else:
            torch.pow(self.sums, self.constants.beta, out=self.powers)
        return self.power_rows[: len(d)]

    def _sum_neighbours(self) -> None:
        """Write into `sums` each element of `inside` plus its neighbours on both sides."""
        if len(self.shifted) < 4:
            self.sums.copy_(self.shifted[0])
            rest = self.shifted[1:]
        else:  # x0 + x1, then (x0 + x1) + (x2 + x3)
            torch.add(*self.neighbours, out=self.pairs)
            torch.add(self.roots, self.later_pairs, out=self.sums)
            rest = self.shifted[4:]
        for shifted in rest:
            self.sums.add_(shifted)


def _chunks(constants: Constants, *tensors: Tensor) -> Iterator[tuple[_Buffers, list[Tensor]]]:
    """Yield rows of all tensors by chunks, at least in float32; the last is written."""
    rows_of = [_in_memory_order(tensor, constants.towers) for tensor in tensors]
    count, maps, positions = rows_of[-1].shape
    rows = _rows_per_chunk(rows_of[-1])
    wide = torch.promote_types(tensors[0].dtype, torch.float32)
    buffers = _Buffers(rows, maps, positions, tensors[0].new_empty(0, dtype=wide), constants)
    copies = tensors[0].new_empty(len(tensors) - 1, rows, maps, positions, dtype=wide)
    for start in range(0, count, rows):
        *read, written = (tensor_rows[start : start + rows] for tensor_rows in rows_of)
        if written.dtype == wide:
            yield buffers, [*read, written]
        else:  # the result overwrites the first copy: fewer buffers, so more of them in the cache
            wide_rows = [c[: len(r)].copy_(r) for c, r in zip(copies, read, strict=True)]
            yield buffers, [*wide_rows, wide_rows[0]]
            written.copy_(wide_rows[0])


def _rows_per_chunk(x: Tensor) -> int:
    count, maps, positions = x.shape
    if x.device.type != "cpu":
        return max(1, count)
    return max(1, min(count, CHUNK * torch.get_num_threads() // max(1, maps * positions)))


def _in_memory_order(x: Tensor, towers: int) -> Tensor:
    """Return a dense x as (rows, maps of a tower, positions).

    Channels-last tensors have one position per row.
    """
    n, maps, height, width = x.shape
    if x.is_contiguous():
        return x.view(n * towers, maps // towers, height * width)
    rows = n * height * width * towers
    return x.permute(0, 2, 3, 1).view(rows, maps // towers, 1)


def _in_format_of(x: Tensor, grad: Tensor) -> Tensor:
    order = torch.contiguous_format if x.is_contiguous() else torch.channels_last
    return grad.contiguous(memory_format=order)


def _is_dense(x: Tensor) -> bool:
    return x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)


@cache
def _triton_kernels() -> ModuleType | None:
    """Return the module of the GPU kernels, or None if Triton is not installed."""
    try:
        from alexnet.model import lrn_triton
    except ImportError:
        return None
    return lrn_triton
