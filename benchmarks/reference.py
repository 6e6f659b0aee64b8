"""Bicubic resampling in float64: the exact result that all ways are compared with."""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def cubic(x: Floats) -> Floats:
    """Return the cubic kernel with a = −0.5, which is 0 beyond ±2."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def weights(size: int, start: float, length: float, side: int) -> Floats:
    """Return the weights, (side, size), that resample [start, start + length) to `side` pixels.

    Shrinking widens the kernel by the scale. Pixels outside the interval contribute, as in Pillow's
    resize(box=), pixels outside the line do not; each row is scaled to a sum of 1.
    """
    scale = length / side
    centres = start + (np.arange(side) + 0.5) * scale
    pixels = np.arange(size) + 0.5
    raw = cubic((pixels - centres[:, None]) / max(scale, 1.0))
    scaled: Floats = raw / raw.sum(axis=1, keepdims=True)
    return scaled


def centre_square(picture: npt.NDArray[np.number[Any]], side: int) -> Floats:
    """Resample the centre square of (height, width, 3) to side × side.

    The square may start at half a pixel. Values are clipped to 0–255 but not rounded.
    """
    height, width, _ = picture.shape
    short = min(height, width)
    down = weights(height, (height - short) / 2, short, side)
    across = weights(width, (width - short) / 2, short, side)
    lines = (down @ picture.reshape(height, -1).astype(np.float64)).reshape(side, width, 3)
    return (across @ lines).clip(0, 255)  # (side, width) @ (side, width, 3)


def psnr(pixels: npt.NDArray[np.number[Any]], exact: Floats) -> float:
    """Return the PSNR in dB: 255 over the root mean square of the difference."""
    mean_square = float(np.square(pixels - exact).mean())
    return float("inf") if mean_square == 0 else float(10 * np.log10(255**2 / mean_square))
