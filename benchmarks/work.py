"""Input for the resize stage: a folder of photos, its index, and the jobs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from alexnet.dataset.index import ROW, Index, Rows, Synset, load_index, save_index
from alexnet.resize.jobs import Job, shard_jobs
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


def jobs(folder: Path, output: Path, count: int, records: int = RECORDS_A_SHARD) -> list[Job]:
    """Return the resize jobs that read what `write_raw` wrote to `folder`, for `output`."""
    (output / "shards" / SPLIT).mkdir(parents=True)
    return shard_jobs(
        output,
        load_index(folder / "index").splits[SPLIT][:count],
        records,
        index=folder / "index",
        root=folder,
        split=SPLIT,
        resample="bicubic",
        pixels="raw",
        apply_exif=False,
        on_error="fail",
    )
