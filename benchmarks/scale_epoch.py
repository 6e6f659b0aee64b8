"""As many shards as ImageNet has, with only the records that are read; a long epoch's plan."""

import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from alexnet.dataset.manifest import RECORD, ShardEntry
from alexnet.dataset.shards import SIDE, Pixels, Shards
from alexnet.input.augment import AugmentSettings, plan_epoch
from alexnet.input.epoch import split_batches
from alexnet.input.loader import load_crops
from alexnet.resize.shard_writer import RECORDS_A_SHARD, WrittenShard, write_manifest, write_shard
from benchmarks.growth import peak_memory

SHARDS = 1301  # ILSVRC-2012's, train and val
RECORDS = 2  # per shard, if all are opened
BATCH = 128
BATCHES = 4  # more than are prefetched


def make_shards(folder: Path, share: float) -> None:
    """Write SHARDS shards of two records, and a full one."""
    write_split(folder / "many", {n: range(n * RECORDS, (n + 1) * RECORDS) for n in range(SHARDS)})
    write_split(folder / "full", {0: range(RECORDS_A_SHARD)})


def open_shards(folder: Path) -> dict[str, float]:
    """Open every shard by reading its first record."""
    start = time.perf_counter()
    many = Shards(folder / "many")
    read = time.perf_counter()
    for first in range(0, SHARDS * RECORDS, RECORDS):
        many.read(first)
    visited = time.perf_counter()
    Shards(folder / "full").read(0)
    full = time.perf_counter() - visited
    bytes_full = (folder / "full/manifest.json").stat().st_size
    return {
        "ms to read the manifest": 1e3 * (read - start),
        "s to open all shards": visited - read,
        "ms to open a full shard": 1e3 * full,
        "open files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
        "kB of manifest if all were full": SHARDS * bytes_full / 1e3,
    }


def make_epoch(folder: Path, images: int) -> None:
    """Write a split of `images` images of which only the first batches exist."""
    order = plan_epoch(0, 0, images, AugmentSettings()).order[: BATCHES * BATCH].numpy()
    wanted: dict[int, list[int]] = {n: [] for n in range(-(-images // RECORDS_A_SHARD))}
    for record in sorted(order.tolist()):
        wanted[record // RECORDS_A_SHARD].append(record)
    write_split(folder / "train", wanted, images)
    (folder / "images").write_text(json.dumps(images))


def start_epoch(folder: Path) -> dict[str, float]:
    """Measure what an epoch does before its first step."""
    images = json.loads((folder / "images").read_text())
    marks = [time.perf_counter()]
    shards = Shards(folder / "train")
    marks.append(time.perf_counter())
    choices = plan_epoch(0, 0, images, AugmentSettings())
    marks.append(time.perf_counter())
    peak = peak_memory()
    batches = load_crops(
        shards, choices, split_batches(images, BATCH), AugmentSettings().crop, pin=False
    )
    next(batches)
    marks.append(time.perf_counter())
    opening, order, first = np.diff(marks)
    return {
        "images": images,
        "s to open": opening,
        "s to plan the epoch": order,
        "s to the first batch": first,
        "MB with the plan": peak,
    }


def write_split(folder: Path, records: Mapping[int, Iterable[int]], rows: int = 0) -> None:
    """Write shards by number with these records.

    With `rows` each shard has RECORDS_A_SHARD rows, the last the rest; else a row per record. A
    shard without records gets an entry, but no file.
    """
    folder.mkdir()
    picture: Pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    shards: list[WrittenShard] = []
    first = 0
    for n, wanted in records.items():
        listed = list(wanted)
        size = min(RECORDS_A_SHARD, rows - first) if rows else len(listed)
        span = range(first, first + size)
        path = folder / f"{n:05d}.lmdb"
        if listed:
            shards.append(write_shard(path, ((record, picture) for record in listed), "raw", span))
        else:
            entry = ShardEntry(path.name, 0, 1, "0" * 64, first)
            shards.append(WrittenShard(entry, np.zeros(size, RECORD)))
        first += size
    write_manifest(folder, np.zeros(first, np.int32), "raw", shards)
