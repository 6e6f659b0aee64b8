"""conv1 on blocks of 4×4 pixels: 48 channels fill a matrix unit that 3 leave almost empty.

A window of 11×11 pixels is 3×3 blocks.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

STRIDE, KERNEL = 4, 11


def blocked_conv1(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return F.conv2d(x, weight, bias, stride=4), computed as a 3×3 convolution of stride 1.

    x (N, C, H, W), already padded, sides at least 11; weight (M, C, 11, 11). The result is
    channels-last and has autocast's dtype. The sums are the same in another order; a row and a
    column of zeros added to the kernel make it 1.19 times as many products.
    """
    device = x.device.type
    if torch.is_autocast_enabled(device):  # before the copy into blocks: half the bytes
        x = x.to(torch.get_autocast_dtype(device))
    return F.conv2d(_to_blocks(_fit(x)), _to_blocks(F.pad(weight, (0, 1, 0, 1))), bias)


def _fit(x: Tensor) -> Tensor:
    """Crop or pad x, right and bottom, to whole blocks: 227 → 228 = 57 blocks."""
    height, width = (STRIDE * ((side - KERNEL) // STRIDE + 3) for side in x.shape[2:])
    return F.pad(x, (0, width - x.shape[3], 0, height - x.shape[2]))


def _to_blocks(x: Tensor) -> Tensor:
    """Return (N, C, 4h, 4w) as (N, 16C, h, w), channels-last.

    The 4C values of a row of a block stay together; F.pixel_unshuffle's order would take a
    channels-last x apart value by value.
    """
    n, channels, height, width = x.shape
    h, w = height // STRIDE, width // STRIDE
    pixels = x.permute(0, 2, 3, 1).reshape(n, h, STRIDE, w, STRIDE, channels)
    return pixels.transpose(2, 3).reshape(n, h, w, STRIDE**2 * channels).permute(0, 3, 1, 2)
