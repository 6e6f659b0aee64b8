"""Input for the resize stage: a folder of photos, its index, and the jobs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from alexnet.dataset.index import ROW, Index, Rows, Synset, load_index, save_index
from alexnet.resize.jobs import Job, ResizeOptions, Source, plan_jobs
from alexnet.resize.shard_writer import RECORDS_A_SHARD

SPLIT = "train"


def write_raw(photos: Sequence[bytes], folder: Path, count: int) -> Rows:
    """Write the photos and an index of `count` images that repeats them; return its rows."""
    raw, index = folder / "raw", folder / "index"
    for path in (raw, index):
        path.mkdir(parents=True)
    for n, photo in enumerate(photos):
        (raw / f"{n}.jpeg").write_bytes(photo)
    lines = (
        (0, 0, 0, len(photos[n % len(photos)]), f"{n % len(photos)}.jpeg".encode())
        for n in range(count)
    )
    rows = np.array(list(lines), ROW)
    archives = [("raw", sum(map(len, photos)))]
    save_index(Index({SPLIT: rows, "val": rows[:0]}, archives, [Synset(0, "photo", "")]), index)
    return rows


def jobs(folder: Path, into: Path, count: int, records: int = RECORDS_A_SHARD) -> list[Job]:
    """The jobs of the resize stage that write what `write_raw` left in `folder` to `into`."""
    (into / "shards" / SPLIT).mkdir(parents=True)
    rows = load_index(folder / "index").splits[SPLIT][:count]
    options = ResizeOptions("bicubic", "raw", apply_exif=False, on_error="fail")
    return plan_jobs(into, rows, Source(folder / "index", folder, SPLIT), options, records)
