"""Scale: cost at ImageNet's size, each part in a fresh process, on synthetic files.

python -m benchmarks.scale                              all parts, up to 9 GB on disk
python -m benchmarks.scale --parts fall2011 --share 1   all 14 M rows: 15 GB
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

JPEG_BYTES = 110_000  # median of ImageNet's photos
TINY = 512  # bytes of a synthetic image
PHOTOS = 500  # repeated as often as needed
IMAGES = (5_000, 20_000)
TRAIN_2012, FALL_2011 = 1_281_167, 14_197_122
Numbers = dict[str, float]  # name, with unit → number


class Part(NamedTuple):
    """A measurement: `make` writes a share of its files, `measure` runs in a fresh process.

    The numbers that `measure` returns are printed after its time and memory.
    """

    title: str
    make: Callable[[Path, float], object]
    measure: Callable[[Path], Numbers]


def build_index(folder: Path) -> Numbers:
    """Run the index stage without Hydra: read headers, shuffle, split off val, save."""
    output = folder / "index"
    output.mkdir()
    index = read_index(folder / "raw", "auto", 2012, 0.5)
    save_index(index, output)
    written = sum(path.stat().st_size for path in output.iterdir())
    return {"rows": sum(map(len, index.splits.values())), "MB written": written / 1e6}


def ilsvrc2012(folder: Path, share: float) -> None:
    """Write all of ILSVRC-2012 whatever the share: fewer images would be rejected."""
    scale_tars.write_ilsvrc2012(make_raw_folder(folder), JPEG_BYTES)
    drop_caches(folder)


def fall2011(folder: Path, share: float) -> None:
    scale_tars.write_fall2011(make_raw_folder(folder), TINY, share)
    drop_caches(folder)


def make_raw_folder(folder: Path) -> Path:
    (folder / "raw").mkdir()
    return folder / "raw"


def drop_caches(folder: Path) -> None:
    """Drop the files from the page cache, so that they are read from disk."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


PARTS = {
    "ilsvrc2012": Part("index of a tar of tars, headers 110 kB apart", ilsvrc2012, build_index),
    "fall2011": Part("index of one tar per synset", fall2011, build_index),
    "opened": Part("opening 1,301 shards", scale_epoch.make_shards, scale_epoch.open_shards),
    "order2012": Part(
        "start of an epoch of ILSVRC-2012",
        lambda folder, share: scale_epoch.make_epoch(folder, TRAIN_2012),
        scale_epoch.start_epoch,
    ),
    "order2011": Part(
        "start of an epoch of Fall 2011",
        lambda folder, share: scale_epoch.make_epoch(folder, round(share * FALL_2011)),
        scale_epoch.start_epoch,
    ),
    "dvc": Part("DVC with 1,301 shards", scale_dvc.make_tiny, scale_dvc.time_dvc),
    "dvc_bytes": Part("DVC with 21 full shards", scale_dvc.make_full, scale_dvc.time_dvc),
}
NAMES = (*PARTS, "shards")


def row(name: str, share: float, folder: Path) -> Row:
    """Make and measure a part in this folder."""
    PARTS[name].make(folder, share)
    command = [sys.executable, "-m", "benchmarks.scale", "--measure", str(folder), "--parts", name]
    run = subprocess.run(command, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE)
    numbers: Numbers = json.loads(run.stdout.splitlines()[-1])
    return Row(PARTS[name].title, format_numbers(numbers))


def format_numbers(numbers: Numbers) -> str:
    """Return the numbers with their names, as text."""
    return ", ".join(
        f"{number:,.0f} {name}" if number >= 100 else f"{number:.3g} {name}"
        for name, number in numbers.items()
    )


def measure(name: str, folder: Path) -> Numbers:
    """Return the seconds and peak MB of a part, and its own numbers."""
    before = growth.peak_memory()
    wall, cpu = time.perf_counter(), cpu_seconds()
    numbers = PARTS[name].measure(folder)
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    memory = {"MB peak": growth.peak_memory(), "MB before": before}
    return {"s wall": wall, "s CPU": cpu, **memory, **numbers}


def shard_rows() -> list[Row]:
    """Return the cost of the resize stage, one worker, at two sizes (see growth.py)."""
    files = photos.load(PHOTOS).files
    costs = [growth.measure_in_fresh_process(files, count) for count in IMAGES]
    return [
        Row(
            f"resize, {count:,} images",
            f"{cost['wall']:,.0f} s wall, {cost['cpu']:,.0f} s CPU, "
            f"{cost['cpu'] / count * 1e6:,.0f} µs per image, peak {cost['memory']:.0f} MB",
        )
        for count, cost in zip(IMAGES, costs, strict=True)
    ]


def main() -> None:
    """Run the parts named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument(
        "--share", type=float, default=0.5, help="share of Fall 2011's synsets (default 0.5)"
    )
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.parts[0], args.measure)))
        return
    for name in args.parts:
        with TemporaryDirectory(prefix="alexnet-scale-") as folder:  # printed before it is deleted
            show(name, shard_rows() if name == "shards" else [row(name, args.share, Path(folder))])


if __name__ == "__main__":
    main()
