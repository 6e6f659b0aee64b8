"""Local response normalisation (section 3.3) inside each tower, its gradient in closed form."""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def lrn(x: Tensor, k: float, n: int, alpha: float, beta: float, towers: int = 2) -> Tensor:
    """b = a / (k + alpha · Σ a²)^beta, the sum over `n` neighbouring maps of the same tower.

    x (N, C, H, W), float32 or bfloat16 (computed in float32) or float64. `alpha` is the paper's:
    the 2012 code and torch divide theirs by n.
    """
    out: Tensor = _Lrn.apply(x, k, n, alpha, beta, towers)
    return out


class _Lrn(torch.autograd.Function):
    """Memory traffic is the cost: constants go into the band, and work is done in place."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, k: float, n: int, alpha: float, beta: float, towers: int
    ) -> Tensor:
        wide = _wide(x)
        denominator = _band(wide * wide, n, alpha, towers, k)
        ctx.save_for_backward(x, denominator)
        ctx.constants = n, alpha, beta, towers
        return _negative_power(denominator, beta).mul_(wide).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """dx = g d^−β − 2 α β x Σ g x d^(−β−1), the sum over the same neighbours."""
        x, denominator = ctx.saved_tensors
        n, alpha, beta, towers = ctx.constants
        wide = _wide(x)
        scaled = _negative_power(denominator, beta).mul_(_wide(grad))
        inner = _band((scaled * wide).div_(denominator), n, 2 * alpha * beta, towers)
        dx = scaled.sub_(inner.mul_(wide)).to(x.dtype)
        return dx, None, None, None, None, None


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _band(x: Tensor, n: int, factor: float, towers: int, k: float = 0.0) -> Tensor:
    """k + factor · Σ over n neighbouring maps: a 1×1 convolution with a band, a group a tower."""
    weight, bias = _band_weights(x.shape[1], n, factor, towers, k, x.dtype, x.device)
    with torch.autocast(x.device.type, enabled=False):
        return F.conv2d(x, weight, bias, groups=towers)


@cache
def _band_weights(
    maps: int,
    n: int,
    factor: float,
    towers: int,
    k: float,
    dtype: torch.dtype,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    ones = torch.full((maps // towers,) * 2, factor, dtype=dtype, device=device)
    band = ones.tril(n // 2).triu(-(n // 2)).repeat(towers, 1)[:, :, None, None]
    return band, torch.full((maps,), k, dtype=dtype, device=device)


def _negative_power(d: Tensor, beta: float) -> Tensor:
    if beta != 0.75:
        return d.pow(-beta)
    r = d.rsqrt()  # d^−¾ = r√r: several times faster than a power
    return r.sqrt().mul_(r)
