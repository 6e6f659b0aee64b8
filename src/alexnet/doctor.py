"""What a run would do, before it does it: what is there, what it needs, what it will take."""

import os
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from alexnet.archives import check_unchanged, file_of, read_image
from alexnet.images import UnreadableImageError, square
from alexnet.index import Index
from alexnet.scratch import PACKAGES
from alexnet.sharding import RECORD_BYTES
from alexnet.shards import SIDE

TRIED = 64  # images, spread over the set
GIGA = 1e9


class Cost(NamedTuple):
    """Of one image: seconds to read it where it was not cached, CPU seconds to make it square."""

    read: float
    square: float


def machine() -> Iterator[tuple[str, str]]:
    """What there is to work with."""
    yield "cores", f"{_cores()}"
    yield "memory", f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / GIGA:,.0f} GB"
    gpus = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    yield "GPU", ", ".join(gpus) or "none: training will use the CPU"
    yield "versions", ", ".join(f"{name} {version(name)}" for name in PACKAGES)


def raw(index: Index) -> Iterator[tuple[str, str]]:
    """What the raw data set holds."""
    yield "classes", f"{len(index.synsets):,}"
    for split, rows in index.splits.items():
        yield f"{split} images", f"{len(rows):,}, {rows['size'].sum() / GIGA:,.2f} GB"


def needs(index: Index, cost: Cost, how: Any, checkout: Path) -> Iterator[tuple[str, str]]:
    """What the stages index, resize and moments will write and take; `how`: conf/dataset's."""
    images = sum(len(rows) for rows in index.splits.values())
    written = images * RECORD_BYTES[how.pixels]
    free = shutil.disk_usage(checkout).free
    enough = "" if free > written else ": NOT ENOUGH"
    yield "to be written", f"{written / GIGA:,.2f} GB as {how.pixels} shards"
    yield "free disk", f"{free / GIGA:,.1f} GB in {checkout}{enough}"
    yield "resize", f"about {_hours(images * (cost.square + cost.read) / _cores())}"
    yield (
        "a raw image",
        f"{1e3 * cost.read:.1f} ms to read at random, {1e3 * cost.square:.1f} ms CPU",
    )
    epoch = len(index.splits["train"]) * cost.read
    yield "an epoch", f"{_hours(epoch)} to read at random from this disk, if memory holds nothing"


def tried(root: Path, index: Index, how: Any) -> Cost:
    """What some images cost, read from the disk itself and made square.

    Raises InputError where the raw data is no longer what was indexed.
    """
    check_unchanged(root, index.archives)
    rows = index.splits["train"]
    chosen = rows[np.linspace(0, len(rows) - 1, min(TRIED, len(rows))).astype(int)]
    costs = [_cost(root, index, row, how) for row in chosen]
    return Cost(*(statistics.mean(each) for each in zip(*costs, strict=True)))


def _cost(root: Path, index: Index, row: Any, how: Any) -> Cost:
    _forget(file_of(root, index.archives, row))
    begun = time.perf_counter()
    data = read_image(root, index.archives, row)
    read = time.perf_counter() - begun
    begun = time.process_time()
    with suppress(UnreadableImageError):
        square(data, SIDE, resample=how.resample, apply_exif=how.apply_exif)
    return Cost(read, time.process_time() - begun)


def _forget(path: Path) -> None:
    """Have the system drop what it holds of a file, so that reading it asks the disk."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _hours(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
