"""Read figures back: lines of a plot, positions of images in a sheet."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image


def packed(picture: Image.Image | npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return each pixel as one number, 0xRRGGBB, which is faster to search."""
    red, green, blue = np.moveaxis(np.asarray(picture).astype(np.int64), 2, 0)
    codes: npt.NDArray[np.int64] = 65536 * red + 256 * green + blue
    return codes


def places(sheet: npt.NDArray[np.int64], tile: npt.NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Return (x, y) of each exact occurrence of `tile` in a packed image, by rows."""
    wanted, (height, width) = packed(tile), tile.shape[:2]
    return [
        (x, y)
        for y, x in np.argwhere(sheet == wanted[0, 0]).tolist()
        if np.array_equal(sheet[y : y + height, x : x + width], wanted)
    ]


def line(axes: Any, label: str) -> list[Any]:
    (found,) = (drawn for drawn in axes.lines if drawn.get_label() == label)
    return [(x, pytest.approx(y)) for x, y in found.get_xydata().tolist()]
