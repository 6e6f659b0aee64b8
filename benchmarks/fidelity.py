"""Fidelity: PSNR against bicubic in float64; the limit, from rounding, is 58.9 dB."""

from collections.abc import Sequence

import numpy as np

from alexnet.dataset.shards import SIDE
from benchmarks import reference
from benchmarks.table import Row, main, make_installed, met_or_missed, missing_rows
from benchmarks.ways import MAKERS, Way, open_rgb

MIN_DB = 55.0  # of every photo
# ways that keep the same square (OpenCV: within half a pixel); all others round to another one
OTHERS = (
    "Pillow, resize(box=)",
    "Pillow, draft and resize(box=)",
    "OpenCV, area",
    "OpenCV, linear (its default)",
)


def rows(photos: list[bytes], rounds: int) -> list[Row]:
    """Return PSNR and largest difference of each way; `rounds` is not used."""
    ways, missing = make_installed({name: MAKERS[name] for name in ("ours", *OTHERS)})
    differences = compare(ways, photos)
    return [_row(name, pairs) for name, pairs in differences.items()] + missing_rows(missing)


def compare(ways: dict[str, Way], photos: Sequence[bytes]) -> dict[str, list[tuple[float, float]]]:
    """Return, for each way and photo, the PSNR in dB and the largest difference of a value."""
    differences: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for photo in photos:
        exact = reference.centre_square(np.asarray(open_rgb(photo)), SIDE)
        for name, way in ways.items():
            pixels = way(photo)
            largest = float(abs(pixels - exact).max())
            differences[name].append((reference.psnr(pixels, exact), largest))
    return differences


def _row(name: str, pairs: list[tuple[float, float]]) -> Row:
    decibels, largest = np.array(pairs).T
    cost = f"{np.median(decibels):.1f} dB, min. {decibels.min():.1f}, off by ≤ {largest.max():.1f}"
    below = int((decibels < MIN_DB).sum())
    goal = f"every photo ≥ {MIN_DB:g} dB: {met_or_missed(not below)}; " if name == "ours" else ""
    return Row(name, cost, goal=f"{goal}{below} of {len(pairs):,} below {MIN_DB:g} dB")


if __name__ == "__main__":
    main(__doc__ or "", rows)
