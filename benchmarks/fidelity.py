"""Fidelity: ours and the others against bicubic in float64; rounding alone leaves 58.9 dB."""

from collections.abc import Sequence

import numpy as np

from alexnet.dataset.shards import SIDE
from benchmarks import reference
from benchmarks.table import Row, absent_rows, alone, installed, met
from benchmarks.ways import MAKERS, Way, opened

LEAST = 55.0  # dB, of every photo
# those that keep the same square (OpenCV up to half a pixel off), where the rest rounds to another
OTHERS = (
    "Pillow, resize(box=)",
    "Pillow, draft and resize(box=)",
    "OpenCV, area",
    "OpenCV, linear (its default)",
)


def rows(photos: list[bytes], rounds: int) -> list[Row]:
    """Decibels and the largest difference; nothing here depends on the number of rounds."""
    ways, absent = installed({name: MAKERS[name] for name in ("ours", *OTHERS)})
    found = compared(ways, photos)
    return [_row(name, differences) for name, differences in found.items()] + absent_rows(absent)


def compared(ways: dict[str, Way], photos: Sequence[bytes]) -> dict[str, list[tuple[float, float]]]:
    """For each way and photo: PSNR in dB, largest difference of a value."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for photo in photos:
        exact = reference.centre_square(np.asarray(opened(photo)), SIDE)
        for name, way in ways.items():
            pixels = way(photo)
            found[name].append((reference.psnr(pixels, exact), float(abs(pixels - exact).max())))
    return found


def _row(name: str, found: list[tuple[float, float]]) -> Row:
    decibels, largest = np.array(found).T
    told = f"{np.median(decibels):.1f} dB, least {decibels.min():.1f}, off by ≤ {largest.max():.1f}"
    below = int((decibels < LEAST).sum())
    goal = f"every photo ≥ {LEAST:g} dB: {met(not below)}; " if name == "ours" else ""
    return Row(name, told, goal=f"{goal}{below} of {len(found):,} below {LEAST:g} dB")


if __name__ == "__main__":
    alone(__doc__ or "", rows)
