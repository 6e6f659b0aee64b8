"""Normalisation over neighbouring positions of one map, as in the 2012 code before pool 2."""

import torch
import torch.nn.functional as F
from torch import Tensor


def spatial_norm(x: Tensor, k: float, size: int, alpha: float, beta: float) -> Tensor:
    """Return a / (k + alpha · Σ a²)^beta, summed over `size` × `size` positions.

    The positions belong to the same map; those beyond its edge count as zero. x (N, C, H, W),
    computed at least in float32.
    """
    with torch.autocast(x.device.type, enabled=False):
        wide = x if x.dtype == torch.float64 else x.float()
        if torch.compiler.is_exporting():  # the ONNX exporter ignores divisor_override silently
            squares = size**2 * F.avg_pool2d(wide.square(), size, 1, size // 2)
        else:
            squares = F.avg_pool2d(wide.square(), size, 1, size // 2, divisor_override=1)
        return (wide * (k + alpha * squares).pow(-beta)).to(x.dtype)
