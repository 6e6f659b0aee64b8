"""Bicubic resampling in float64: the exact result that every way is compared with."""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def cubic(x: Floats) -> Floats:
    """The cubic kernel with a = −0.5; it reaches 2 to either side."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def weights(size: int, start: float, length: float, side: int) -> Floats:
    """(side, size): what each pixel of a line gives to each of `side` over [start, start + length).

    Shrinking widens the kernel by the scale. Pixels beyond the stretch contribute, as they do in
    Pillow's resize(box=); those beyond the line do not, and the rest is scaled to a sum of 1.
    """
    scale = length / side
    centres = start + (np.arange(side) + 0.5) * scale
    pixels = np.arange(size) + 0.5
    raw = cubic((pixels - centres[:, None]) / max(scale, 1.0))
    scaled: Floats = raw / raw.sum(axis=1, keepdims=True)
    return scaled


def centre_square(picture: npt.NDArray[np.number[Any]], side: int) -> Floats:
    """The centre square of (height, width, 3), offsets may be half pixels, to side × side.

    Values are cut to 0 … 255 and not rounded.
    """
    height, width, _ = picture.shape
    short = min(height, width)
    down = weights(height, (height - short) / 2, short, side)
    across = weights(width, (width - short) / 2, short, side)
    lines = (down @ picture.reshape(height, -1).astype(np.float64)).reshape(side, width, 3)
    return (across @ lines).clip(0, 255)  # (side, width) @ (side, width, 3)


def psnr(pixels: npt.NDArray[np.number[Any]], exact: Floats) -> float:
    """Decibels of 255 over the root mean square of the difference."""
    mean_square = float(np.square(pixels - exact).mean())
    return float("inf") if mean_square == 0 else float(10 * np.log10(255**2 / mean_square))
