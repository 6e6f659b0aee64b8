"""conv1 on blocks of 4×4 pixels: 48 channels suit a matrix unit, which 3 leave nearly empty."""

import torch
import torch.nn.functional as F
from torch import Tensor

STRIDE, KERNEL = 4, 11


def conv1(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """F.conv2d(x, weight, bias, stride=4) of an 11×11 kernel, as a 3×3 convolution of stride 1.

    x (N, C, H, W), already padded, each side at least 11; weight (M, C, 11, 11). The result is
    channels-last, and has autocast's dtype. The same sums in another order, with a row and a column
    of zeros added to the kernel: 1.19 times as many products.
    """
    device = x.device.type
    if torch.is_autocast_enabled(device):  # before the blocks are copied: half the bytes
        x = x.to(torch.get_autocast_dtype(device))
    return F.conv2d(_blocks(_whole(x)), _blocks(F.pad(weight, (0, 1, 0, 1))), bias)


def _whole(x: Tensor) -> Tensor:
    """Cut or padded on the right and at the bottom: 227 → 228 = 57 blocks, of which 3 see each."""
    height, width = (STRIDE * ((side - KERNEL) // STRIDE + 3) for side in x.shape[2:])
    return F.pad(x, (0, width - x.shape[3], 0, height - x.shape[2]))


def _blocks(x: Tensor) -> Tensor:
    """(N, C, 4h, 4w) → (N, 16C, h, w), channels-last: the 4C values of a row of a block together.

    Not F.pixel_unshuffle's order, which takes a channels-last x apart value by value.
    """
    n, channels, height, width = x.shape
    h, w = height // STRIDE, width // STRIDE
    pixels = x.permute(0, 2, 3, 1).reshape(n, h, STRIDE, w, STRIDE, channels)
    return pixels.transpose(2, 3).reshape(n, h, w, STRIDE**2 * channels).permute(0, 3, 1, 2)
