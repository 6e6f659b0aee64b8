"""Moments: CPU time per 256×256 image on one core, sums of pixels and of RGB products."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from alexnet.moments.sums import sum_images
from benchmarks.clock import measure_interleaved
from benchmarks.photos import pick_evenly
from benchmarks.table import Goal, Row, cost_rows, main
from benchmarks.ways import Pixels, ours

PICTURES = 256
CACHED = 4  # pictures that fit into the processor's cache
REPEATS = 5  # per round, because one measurement is short
OURS, COPY, NAIVE = "ours, exact", "memcpy of the same bytes", "plain numpy, float64"


def copy(pictures: list[Pixels]) -> Pixels:
    """Copy every byte once."""
    destination = np.empty_like(pictures[0])
    for picture in pictures:
        np.copyto(destination, picture)
    return destination


def naive(pictures: list[Pixels]) -> tuple[object, object]:
    """Return the sums of float64 pixels and of their products, written directly."""
    total, products = np.zeros(pictures[0].shape), np.zeros((3, 3))
    for picture in pictures:
        x = picture.astype(np.float64)
        total += x
        flat = x.reshape(-1, 3)
        products += flat.T @ flat
    return total, products


def tutorial(pictures: list[Pixels]) -> tuple[object, object]:
    """Return the same in float32, with pixels divided by 255."""
    total, products = np.zeros(pictures[0].shape, np.float32), np.zeros((3, 3), np.float32)
    for picture in pictures:
        x = picture.astype(np.float32) / np.float32(255)
        total += x
        flat = x.reshape(-1, 3)
        products += flat.T @ flat
    return total, products


WAYS: dict[str, Callable[[list[Pixels]], object]] = {
    OURS: partial(sum_images, use_torch=True),
    COPY: copy,
    NAIVE: naive,
    "plain numpy, float32 of 0–1 (not exact)": tutorial,
}


def rows(photos: list[bytes], rounds: int) -> list[Row]:
    """Measure all ways on the same pictures, from memory and from the cache."""
    prepare = ours()
    pictures = [np.array(prepare(photo)) for photo in pick_evenly(photos, PICTURES)]
    cached = (pictures[:CACHED] * PICTURES)[: len(pictures)]
    goals = {NAIVE: Goal(at_least=2.0)} | ({COPY: Goal(at_most=12.0)} if has_vnni() else {})
    rows = []
    for place, batch in (("from memory", pictures), ("from the cache", cached)):
        costs = measure_interleaved(WAYS, [batch], rounds * REPEATS)
        measured = cost_rows(costs, len(batch), {"": OURS}, goals)
        rows += [row._replace(name=f"{row.name}, {place}") for row in measured]
    return rows


def has_vnni() -> bool:
    """Return whether the processor multiplies bytes into 32-bit sums."""
    processor = Path("/proc/cpuinfo")
    return processor.exists() and "vnni" in processor.read_text()


if __name__ == "__main__":
    main(__doc__ or "", rows)
