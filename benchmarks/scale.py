"""Scale: what ImageNet's counts cost, each part in a fresh process, on files made for it.

python -m benchmarks.scale                              all parts, about 9 GB on disk at most
python -m benchmarks.scale --parts fall2011 --share 1   the whole 14 M rows: 15 GB
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from alexnet.dataset.index import save_index
from alexnet.index.layouts import read_index
from benchmarks import CHECKOUT, growth, photos, scale_dvc, scale_epoch, scale_tars
from benchmarks.clock import cpu_seconds
from benchmarks.table import Row, show

JPEG_BYTES = 110_000  # of an ImageNet photo, at the median
TINY = 512
SHARED = 500  # photos, again and again
IMAGES = (5_000, 20_000)
TRAIN_2012, FALL_2011 = 1_281_167, 14_197_122
Told = dict[str, float]


class Part(NamedTuple):
    """`make` its files in a folder, from a share of the whole; `measure` in a process of its own.

    What `measure` returns is told beside its time and memory: name, with the unit → number.
    """

    about: str
    make: Callable[[Path, float], object]
    measure: Callable[[Path], Told]


def index(folder: Path) -> Told:
    """The stage index, without Hydra: headers read, rows shuffled, held out and saved."""
    into = folder / "index"
    into.mkdir()
    found = read_index(folder / "raw", "auto", 2012, 0.5)
    save_index(found, into)
    written = sum(path.stat().st_size for path in into.iterdir())
    return {"rows": sum(map(len, found.splits.values())), "MB written": written / 1e6}


def ilsvrc2012(folder: Path, share: float) -> None:
    """All of it, whatever the share: with fewer images it would be refused."""
    scale_tars.write_ilsvrc2012(raw(folder), JPEG_BYTES)
    forget(folder)


def fall2011(folder: Path, share: float) -> None:
    scale_tars.write_fall2011(raw(folder), TINY, share)
    forget(folder)


def raw(folder: Path) -> Path:
    (folder / "raw").mkdir()
    return folder / "raw"


def forget(folder: Path) -> None:
    """Have the system drop what it holds of the files: they are read from the disk."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


PARTS = {
    "ilsvrc2012": Part("index of a tar of tars, headers 110 kB apart", ilsvrc2012, index),
    "fall2011": Part("index of a tar a synset", fall2011, index),
    "opened": Part("1,301 shards opened", scale_epoch.make_shards, scale_epoch.opened),
    "order2012": Part(
        "an epoch of ILSVRC-2012, to its first batch",
        lambda folder, share: scale_epoch.make_epoch(folder, TRAIN_2012),
        scale_epoch.begun,
    ),
    "order2011": Part(
        "an epoch of Fall 2011, to its first batch",
        lambda folder, share: scale_epoch.make_epoch(folder, round(share * FALL_2011)),
        scale_epoch.begun,
    ),
    "dvc": Part("DVC with 1,301 shards", scale_dvc.make_tiny, scale_dvc.timed),
    "dvc_bytes": Part("DVC with 20 whole shards", scale_dvc.make_whole, scale_dvc.timed),
}
NAMES = (*PARTS, "shards")


def row(name: str, share: float, folder: Path) -> Row:
    """A part, measured in this folder."""
    PARTS[name].make(folder, share)
    measure = ["--measure", str(folder), "--parts", name]
    command = [sys.executable, "-m", "benchmarks.scale", *measure]
    run = subprocess.run(command, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE)
    found: Told = json.loads(run.stdout.splitlines()[-1])
    return Row(PARTS[name].about, told(found))


def told(found: Told) -> str:
    """Numbers with their names."""
    return ", ".join(
        f"{number:,.0f} {name}" if number >= 100 else f"{number:.3g} {name}"
        for name, number in found.items()
    )


def measured(name: str, folder: Path) -> Told:
    """Seconds and peak MB of a part, beside what it tells itself."""
    before = growth.peak_memory()
    wall, cpu = time.perf_counter(), cpu_seconds()
    found = PARTS[name].measure(folder)
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    memory = {"MB at most": growth.peak_memory(), "MB before": before}
    return {"s wall": wall, "s CPU": cpu, **memory, **found}


def shard_rows() -> list[Row]:
    """The stage resize on more and more images, in one worker: see growth.py."""
    some = photos.load(SHARED).files
    found = [growth.in_a_fresh_process(some, count) for count in IMAGES]
    return [
        Row(
            f"resize, {count:,} images",
            f"{one['wall']:,.0f} s wall, {one['cpu']:,.0f} s CPU, "
            f"{one['cpu'] / count * 1e6:,.0f} µs an image, {one['memory']:.0f} MB at most",
        )
        for count, one in zip(IMAGES, found, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--share", type=float, default=0.5, help="of Fall 2011's synsets, images")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(measured(asked.parts[0], asked.measure)))
        return
    for name in asked.parts:
        with TemporaryDirectory(prefix="alexnet-scale-") as folder:  # shown before it is deleted
            show(name, shard_rows() if name == "shards" else [row(name, asked.share, Path(folder))])


if __name__ == "__main__":
    main()
