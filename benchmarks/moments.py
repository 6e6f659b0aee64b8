"""Moments: CPU time an image on one core, mean image and RGB products of 256×256 pictures."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from alexnet.moments.sums import sum_images
from benchmarks.clock import interleaved
from benchmarks.photos import spread
from benchmarks.table import Goal, Row, alone, cost_rows
from benchmarks.ways import Pixels, ours

PICTURES = 256
CACHED = 4  # pictures that stay in the processor's cache
TIMES = 5  # measured this often in each round: it is short
OURS, COPIED, NAIVE = "ours, exact", "memcpy of the same bytes", "plain numpy, float64"


def copied(pictures: list[Pixels]) -> Pixels:
    """Every byte moved once."""
    into = np.empty_like(pictures[0])
    for picture in pictures:
        np.copyto(into, picture)
    return into


def naive(pictures: list[Pixels]) -> tuple[object, object]:
    """As one writes it down: sums of float64 pixels and of their products."""
    total, products = np.zeros(pictures[0].shape), np.zeros((3, 3))
    for picture in pictures:
        x = picture.astype(np.float64)
        total += x
        flat = x.reshape(-1, 3)
        products += flat.T @ flat
    return total, products


def tutorial(pictures: list[Pixels]) -> tuple[object, object]:
    """The same in float32, pixels divided by 255."""
    total, products = np.zeros(pictures[0].shape, np.float32), np.zeros((3, 3), np.float32)
    for picture in pictures:
        x = picture.astype(np.float32) / np.float32(255)
        total += x
        flat = x.reshape(-1, 3)
        products += flat.T @ flat
    return total, products


WAYS: dict[str, Callable[[list[Pixels]], object]] = {
    OURS: partial(sum_images, use_torch=True),
    COPIED: copied,
    NAIVE: naive,
    "plain numpy, float32 of 0–1 (not exact)": tutorial,
}


def rows(photos: list[bytes], rounds: int) -> list[Row]:
    """All ways in turns, over the same pictures: from memory, and from the cache."""
    prepare = ours()
    pictures = [np.array(prepare(photo)) for photo in spread(photos, PICTURES)]
    few = (pictures[:CACHED] * PICTURES)[: len(pictures)]
    goals = {NAIVE: Goal(at_least=2.0)} | ({COPIED: Goal(at_most=12.0)} if has_vnni() else {})
    found = []
    for place, some in (("from memory", pictures), ("from the cache", few)):
        costs = interleaved(WAYS, [some], rounds * TIMES)
        told = cost_rows(costs, len(some), {"": OURS}, goals)
        found += [row._replace(what=f"{row.what}, {place}") for row in told]
    return found


def has_vnni() -> bool:
    """Whether the processor multiplies bytes into 32-bit sums."""
    processor = Path("/proc/cpuinfo")
    return processor.exists() and "vnni" in processor.read_text()


if __name__ == "__main__":
    alone(__doc__ or "", rows)
