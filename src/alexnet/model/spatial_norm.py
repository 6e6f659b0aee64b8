"""Normalisation over neighbouring places of one map: in the 2012 code alone, before its pool 2."""

import torch
import torch.nn.functional as F
from torch import Tensor


def spatial_norm(x: Tensor, k: float, size: int, alpha: float, beta: float) -> Tensor:
    """a / (k + alpha · Σ a²)^beta, the sum over `size` × `size` places of the same map.

    x (N, C, H, W), computed in float32 at least. Places beyond the edge count as zero.
    """
    with torch.autocast(x.device.type, enabled=False):
        wide = x if x.dtype == torch.float64 else x.float()
        if torch.compiler.is_exporting():  # to ONNX a divisor is lost on the way, without a word
            squares = size**2 * F.avg_pool2d(wide.square(), size, 1, size // 2)
        else:
            squares = F.avg_pool2d(wide.square(), size, 1, size // 2, divisor_override=1)
        return (wide * (k + alpha * squares).pow(-beta)).to(x.dtype)
