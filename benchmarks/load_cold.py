"""Load, cold: wall time per image for random crops of records that are not cached."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import lmdb
import numpy as np
import numpy.typing as npt
import torch

from alexnet.dataset.shards import SIDE, Shards
from alexnet.input.augment import AugmentSettings, EpochPlan, plan_epoch
from alexnet.input.epoch import split_batches
from alexnet.input.loader import load_crops
from alexnet.resize.shard_writer import RECORDS_A_SHARD, WrittenShard, write_manifest, write_shard
from benchmarks import CHECKOUT, ways
from benchmarks.clock import Costs
from benchmarks.photos import pick_evenly
from benchmarks.table import Goal, Row, cost_rows, main

FACTOR = 20  # records on disk per photo, and per record read: the others lie in between
BATCH = 128
CROP = 224
OURS = "ours: no readahead, 32 records prefetched, checksums"
DEFAULT = "LMDB, default mode"
Mode = Callable[[Path, EpochPlan], None]


def ours(folder: Path, choices: EpochPlan) -> None:
    """Training's iterator in its first epoch."""
    shards = Shards(folder)
    for _ in load_crops(shards, choices, split_batches(len(choices.order), BATCH), CROP, pin=False):
        pass


def lmdb_default(folder: Path, choices: EpochPlan) -> None:
    """One lookup and one copy per record; the kernel reads ahead."""
    _lmdb(folder, choices, readahead=True)


def lmdb_without_readahead(folder: Path, choices: EpochPlan) -> None:
    """One lookup and one copy per record, without readahead."""
    _lmdb(folder, choices, readahead=False)


def _lmdb(folder: Path, choices: EpochPlan, readahead: bool) -> None:
    files = sorted(folder.glob("*.lmdb"))
    options = {"subdir": False, "readonly": True, "lock": False, "readahead": readahead}
    readers = [lmdb.open(str(file), **options).begin(buffers=True) for file in files]
    batch = np.zeros((BATCH, CROP, CROP, 3), np.uint8)
    order, tops, lefts = (
        column.tolist() for column in (choices.order, choices.tops, choices.lefts)
    )
    for n, (record, top, left) in enumerate(zip(order, tops, lefts, strict=True)):
        value = readers[record // RECORDS_A_SHARD].get(record.to_bytes(8, "big"))
        pixels = np.frombuffer(value, np.uint8).reshape(SIDE, SIDE, 3)
        batch[n % BATCH] = pixels[top : top + CROP, left : left + CROP]


def in_order(folder: Path, choices: EpochPlan) -> None:
    """Read as many bytes sequentially: the best the disk can do."""
    left = len(choices.order) * SIDE * SIDE * 3
    for path in sorted(folder.glob("*.lmdb")):
        with path.open("rb", buffering=0) as file:
            while left > 0 and (block := file.read(min(left, 1 << 20))):
                left -= len(block)


MODES: dict[str, Mode] = {
    OURS: ours,
    DEFAULT: lmdb_default,
    "LMDB, readahead=False": lmdb_without_readahead,
    "the same bytes in order": in_order,
}
GOALS = {DEFAULT: Goal(at_least=5)}


def rows(photos: list[bytes], rounds: int) -> list[Row]:
    """Measure each mode in its own process, on different records each round."""
    costs: Costs = {name: np.zeros(rounds) for name in MODES}
    read = dict.fromkeys(MODES, 0)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(folder, photos, FACTOR * len(photos))
        for turn in range(rounds):
            for name in random.Random(turn).sample(list(MODES), len(MODES)):
                costs[name][turn], bytes_read = _measure_in_process(name, folder, len(photos), turn)
                read[name] += bytes_read
    requested = rounds * len(photos) * SIDE * SIDE * 3
    return [
        _add_speed(row, read[row.name] / requested, costs[row.name], len(photos))
        for row in cost_rows(costs, len(photos), {"": OURS}, GOALS)
    ]


def _add_speed(row: Row, share: float, seconds: npt.NDArray[np.float64], images: int) -> Row:
    """Add the speed, and the bytes read per byte requested, which is small if cached."""
    megabytes = images * SIDE * SIDE * 3 / float(np.median(seconds)) / 1e6
    note = f"read {share:.1f} ×" if share > 0.5 else "not cold: the files are cached"
    return row._replace(cost=f"{row.cost}, {megabytes:,.0f} MB/s, {note}")


def write(folder: Path, photos: list[bytes], count: int) -> None:
    """Write shards of `count` records, which repeat the photos, and sync them to disk."""
    pictures = [ways.ours()(photo) for photo in pick_evenly(photos, 100)]
    shards: list[WrittenShard] = []
    for first in range(0, count, RECORDS_A_SHARD):
        rows = range(first, min(first + RECORDS_A_SHARD, count))
        images = ((n, pictures[n % len(pictures)]) for n in rows)
        shards.append(write_shard(folder / f"{len(shards):05d}.lmdb", images, "raw", rows))
    write_manifest(folder, np.zeros(count, np.int32), "raw", shards)
    os.sync()


def _measure_in_process(name: str, folder: Path, images: int, turn: int) -> tuple[float, int]:
    arguments = [name, str(folder), str(images), str(turn)]
    command = [sys.executable, "-m", "benchmarks.load_cold", *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, text=True)
    seconds, read = json.loads(done.stdout)
    return float(seconds), int(read)


def _measure(name: str, folder: Path, images: int, turn: int) -> None:
    """In the process of a mode: print its seconds and the bytes it read from disk."""
    for path in folder.glob("*.lmdb"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    count = len(np.load(folder / "labels.npy"))
    whole = plan_epoch(turn, 0, count, AugmentSettings(crop=CROP))
    fields = ("order", "tops", "lefts", "mirrored", "alphas")
    choices = EpochPlan(*(getattr(whole, field)[:images] for field in fields))
    before, start = _bytes_read(), time.perf_counter()
    MODES[name](folder, choices)
    print(json.dumps([time.perf_counter() - start, _bytes_read() - before]))


def _bytes_read() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["read_bytes"])


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in MODES:
        torch.set_num_threads(1)
        _measure(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        main(__doc__ or "", rows)
