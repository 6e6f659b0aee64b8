"""Index rows → shards: each image read, made square and stored, with a ledger of the odd files."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.archives import read_image
from alexnet.errors import InputError
from alexnet.images import UnreadableImageError, square
from alexnet.index import Rows
from alexnet.scratch import write_atomically
from alexnet.shards import RECORDS_A_SHARD, SIDE, Pixels, write_manifest, write_shard
from alexnet.workers import follow_parent

Ledger = list[dict[str, Any]]


@dataclass(frozen=True)
class Job:
    """One shard to write: rows `first` … of a split, and how; the settings are conf/dataset's."""

    path: Path
    root: Path
    archives: list[tuple[str, int]]
    first: int
    rows: Rows
    resample: str
    pixels: str
    apply_exif: bool
    on_error: str


def shard_jobs(folder: Path, rows: Rows, records: int = RECORDS_A_SHARD, **how: Any) -> list[Job]:
    """The jobs that write a split's rows into `folder`; `how` are the other fields of Job."""
    starts = range(0, len(rows), records)
    return [
        Job(folder / f"{n:05d}.lmdb", first=first, rows=rows[first : first + records], **how)
        for n, first in enumerate(starts)
    ]


def resize(pool: Executor, jobs: list[Job], done: Callable[[int], None]) -> None:
    """Do the jobs not yet done, in any executor; `done(n)` is told of n images more.

    Raises InputError naming the first unreadable image where `on_error` is "fail".
    """
    waiting = [job for job in jobs if not (_entry(job).exists() and job.path.exists())]
    done(sum(len(job.rows) for job in jobs) - sum(len(job.rows) for job in waiting))
    try:
        for job, _ in zip(waiting, pool.map(resize_shard, waiting), strict=True):
            done(len(job.rows))
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise


def resize_shard(job: Job) -> None:
    """Write one shard; its entry of the manifest, beside the split, says that it is done."""
    follow_parent()
    odd: Ledger = []
    shard = write_shard(job.path, _squares(job, odd), job.pixels)
    entry = shard | {"first": job.first, "odd": odd}
    write_atomically(_entry(job), json.dumps(entry).encode())


def join(folder: Path, rows: Rows, jobs: list[Job]) -> dict[str, Any]:
    """Join the finished shards of a split under one manifest, which is returned.

    Raises InputError where every image was skipped.
    """
    shards = [json.loads(_entry(job).read_text()) for job in jobs]
    odd = [entry for shard in shards for entry in shard.pop("odd")]
    labels = rows["label"].astype(np.int32)
    labels[[entry["record"] for entry in odd if entry["done"] == "skipped"]] = -1
    if (labels < 0).all():
        why = odd[0]["what"] if odd else "there is none"
        raise InputError(f"no image of {folder.name} is readable: {why}", "look at the raw images")
    return write_manifest(folder, labels, jobs[0].pixels, shards, odd)


def _entry(job: Job) -> Path:
    split = job.path.parent
    return split.with_name(f"{split.name}-{job.path.stem}.json")


def _squares(job: Job, odd: Ledger) -> Iterator[tuple[int, Pixels]]:
    """Each readable image of the job with its record number; what was odd goes to `odd`."""
    for record, row in enumerate(job.rows, job.first):
        name = bytes(row["name"]).decode(errors="replace")
        archive = job.archives[row["archive"]][0]
        where = {"record": record, "name": name, "archive": archive}
        try:
            data = read_image(job.root, job.archives, row)
            pixels, notes = square(data, SIDE, resample=job.resample, apply_exif=job.apply_exif)
        except UnreadableImageError as error:
            if job.on_error == "fail":
                mend = "replace the file, or set on_error: skip in the conf/dataset file"
                raise InputError(f"{archive}: {name} is unreadable: {error}", mend) from None
            odd.append(where | {"what": str(error), "done": "skipped"})
            continue
        if notes:
            odd.append(where | {"what": "; ".join(notes), "done": "kept"})
        yield record, pixels
