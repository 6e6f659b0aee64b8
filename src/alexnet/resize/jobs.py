"""Index rows → shards: read, decode, resize and store each image; list the odd files."""

import json
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import xxhash

from alexnet.archives.reader import read_image
from alexnet.dataset.index import Index, Rows, load_index
from alexnet.dataset.manifest import Manifest, OddFile
from alexnet.dataset.shards import SIDE, Pixels
from alexnet.resize.decode import UnreadableImageError, decode_image
from alexnet.resize.resample import resize_and_crop
from alexnet.resize.shard_writer import (
    DISK_BYTES,
    RECORDS_A_SHARD,
    WrittenShard,
    write_manifest,
    write_shard,
)
from alexnet.runtime.errors import InputError
from alexnet.runtime.files import write_atomically
from alexnet.runtime.processes import exit_with_parent

Ledger = list[OddFile]


@dataclass(frozen=True)
class Source:
    """Folders of a split's index and raw data. Workers load the index: jobs stay small."""

    index: Path
    root: Path
    split: str


@dataclass(frozen=True)
class ResizeOptions:
    """The settings of conf/dataset with the same names.

    `resample`: "bicubic" or "area"; `pixels`: "raw" or "jpeg"; `on_error`: "fail" or "skip".
    """

    resample: str
    pixels: str
    apply_exif: bool
    on_error: str


@dataclass(frozen=True)
class Job:
    """One shard to write.

    `path` gets `count` rows of the source, from row `first`. `checksum`: of these rows, since the
    index may be replaced before the job starts.
    """

    path: Path
    source: Source
    options: ResizeOptions
    first: int
    count: int
    checksum: str


def plan_jobs(
    work: Path, rows: Rows, source: Source, options: ResizeOptions, records: int = RECORDS_A_SHARD
) -> list[Job]:
    """Return the jobs that write all rows of a split into `work`/shards/<split>.

    `rows`: all rows of the source's split; `records`: images in each shard.
    """
    folder, jobs = work / "shards" / source.split, []
    for n, first in enumerate(range(0, len(rows), records)):
        chunk = rows[first : first + records]
        path = folder / f"{n:05d}.lmdb"
        jobs.append(Job(path, source, options, first, len(chunk), _checksum(chunk)))
    return jobs


def run_jobs(pool: Executor, jobs: list[Job], advance: Callable[[int], None]) -> None:
    """Run all unfinished jobs in any executor.

    `advance(n)` is called for every n images that are finished. Raises InputError if raw shards
    would not fit on the disk, or if an image is unreadable and `on_error` is "fail".
    """
    jobs[0].path.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(_unfinished(jobs[0]), ignore_errors=True)
    waiting = [job for job in jobs if not (_entry(job).exists() and job.path.exists())]
    _check_disk_space(waiting)
    advance(sum(job.count for job in jobs) - sum(job.count for job in waiting))
    futures = {pool.submit(resize_shard, job): job for job in waiting}
    try:
        for future in as_completed(futures):
            future.result()
            advance(futures[future].count)
    except BaseException:
        for future in futures:
            future.cancel()
        raise


def resize_shard(job: Job) -> None:
    """Write one shard, and its manifest entry when it is finished.

    Both are written under a random name and then renamed: if a run was killed, a worker on another
    machine may still be writing the same shard, and will produce the same bytes.
    """
    exit_with_parent()
    odd: Ledger = []
    part = _unfinished(job) / secrets.token_hex(8)
    part.parent.mkdir(exist_ok=True)
    try:
        rows = range(job.first, job.first + job.count)
        shard = write_shard(part, _read_images(job, odd), job.options.pixels, rows)
        part.replace(job.path)
        shard = replace(shard, entry=replace(shard.entry, file=job.path.name), odd=odd)
        write_atomically(part, json.dumps(shard.to_json()).encode())
        part.replace(_entry(job))
    finally:
        part.unlink(missing_ok=True)


def join_shards(folder: Path, rows: Rows, jobs: list[Job]) -> Manifest:
    """Write and return the manifest of a split's finished shards.

    Skipped rows get the label −1. Raises InputError if no image is readable.
    """
    shards = [WrittenShard.from_json(json.loads(_entry(job).read_text())) for job in jobs]
    odd = [file for shard in shards for file in shard.odd]
    labels = rows["label"].astype(np.int32)
    labels[[file.record for file in odd if file.done == "skipped"]] = -1
    if (labels < 0).all():
        first = f"{odd[0].name}: {odd[0].what}" if odd else "the split is empty"
        fix = "replace the raw images, or set IMAGENET_ROOT to another folder"
        raise InputError(f"no image of {folder.name} is readable: {first}", fix)
    return write_manifest(folder, labels, jobs[0].options.pixels, shards)


def _checksum(rows: Rows) -> str:
    return xxhash.xxh3_64_hexdigest(rows.tobytes())


def _check_disk_space(jobs: list[Job]) -> None:
    """Raise InputError if raw shards will not fit on the disk. JPEG sizes are unknown."""
    needed = sum(job.count * DISK_BYTES["raw"] for job in jobs if job.options.pixels == "raw")
    free = shutil.disk_usage(jobs[0].path.parent).free if jobs else 0
    if needed > free:
        sizes = f"{needed / 1e9:,.2f} GB to write, {free / 1e9:,.2f} GB free"
        fix = "free disk space, or set pixels: jpeg in the conf/dataset file"
        raise InputError(f"{jobs[0].path.parent}: {sizes}", fix)


def _unfinished(job: Job) -> Path:
    """Return the folder of unfinished shards. The split's own is moved to data/."""
    split, _, work = job.path.parents[:3]
    return work / f"{split.name}-unfinished"


def _entry(job: Job) -> Path:
    """Return the path of a finished shard's manifest entry."""
    split, _, work = job.path.parents[:3]
    return work / f"{split.name}-{job.path.stem}.json"


def _read_images(job: Job, odd: Ledger) -> Iterator[tuple[int, Pixels]]:
    """Yield record number and pixels of each readable image; fill `odd`."""
    folder = job.source.index
    index = _load_index(folder, folder.stat().st_ino if folder.exists() else 0)
    rows = index.splits[job.source.split][job.first : job.first + job.count]
    if _checksum(rows) != job.checksum:
        raise InputError(f"{folder} was replaced while being read", "dvc repro")
    for record, row in enumerate(rows, job.first):
        name = bytes(row["name"]).decode(errors="replace")
        archive = index.archives[row["archive"]][0]
        try:
            pixels, notes = _decode(job, read_image(job.source.root, index.archives, row), name)
        except UnreadableImageError as error:
            if job.options.on_error == "fail":
                fix = "replace the file, or set on_error: skip in the conf/dataset file"
                raise InputError(f"{archive}: {name} is unreadable: {error}", fix) from None
            odd.append(OddFile(record, name, archive, str(error), "skipped"))
            continue
        if notes:
            odd.append(OddFile(record, name, archive, "; ".join(notes), "kept"))
        yield record, pixels


@lru_cache(1)
def _load_index(folder: Path, inode: int) -> Index:
    """Load the index once in each worker. For Fall 2011 it takes 0.3 s, a shard 2.1 s."""
    return load_index(folder)


def _decode(job: Job, data: bytes, name: str) -> tuple[Pixels, list[str]]:
    options = job.options
    pixels, notes = decode_image(data, apply_exif=options.apply_exif, suffix=Path(name).suffix)
    return resize_and_crop(pixels, SIDE, options.resample), notes
