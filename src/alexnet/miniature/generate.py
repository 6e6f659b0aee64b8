"""An ILSVRC-2012 in small, drawn: the same three archives, odd files and devkit.

The bytes follow from the arguments alone: no time, owner, host or number of workers is in them.
"""

import gzip
import io
import itertools
import secrets
import shutil
import tarfile
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from alexnet.miniature.classes import CLASSES
from alexnet.miniature.devkit import KIT, write_devkit
from alexnet.miniature.render import draw
from alexnet.runtime.errors import InputError
from alexnet.runtime.processes import exit_with_parent
from alexnet.runtime.progress import track
from alexnet.runtime.threads import usable_cores

AHEAD = 64  # files drawn but not yet written: what bounds the memory
VAL_INDEX = 1_000_000  # val drawings are counted from here, so that none is also a train drawing
# label, number in its class, what is odd. The label is taken modulo the number of classes;
# no two then fall on one file, whatever that number, and four images a class hold them all.
ODD_SPOTS = (
    (1, 1, "cmyk"),
    (2, 1, "grey"),
    (5, 3, "png"),
    (6, 2, "gzip"),
    (7, 2, "exif"),
    (8, 4, "truncated"),
    (9, 4, "cmyk"),
)


def odd_files(classes: int) -> dict[str, str]:
    """File name → what is odd about it: cmyk, grey, png, gzip, exif (orientation 6), truncated."""
    train = {_train_name(label % classes, n): kind for label, n, kind in ODD_SPOTS}
    return {**train, _val_name(2): "cmyk"}


def write_miniature(
    root: Path,
    *,
    seed: int,
    train_per_class: int,
    val_per_class: int,
    classes: int = 12,
    workers: int | None = None,
) -> None:
    """Draw the first `classes` of drawn_classes into `root`, laid out as ILSVRC-2012 is downloaded.

    Built beside `root` and moved there when whole; a `root` that already holds files is kept as it
    is, also one that another process finished meanwhile. `workers`: processes, None for one a core.
    Raises InputError for counts that cannot be drawn.
    """
    if not 2 <= classes <= len(CLASSES) or min(train_per_class, val_per_class) < 1 or seed < 0:
        raise InputError(
            f"cannot draw {classes} classes of {train_per_class} + {val_per_class}, seed {seed}",
            f"choose 2 to {len(CLASSES)} classes, at least 1 image and a seed of at least 0",
        )
    if root.is_dir() and any(root.iterdir()):
        return
    partial = root.with_name(f"{root.name}.{secrets.token_hex(4)}.partial")
    partial.mkdir(parents=True)
    try:
        truth = _shuffled_labels(seed, classes, val_per_class)
        write_devkit(partial / f"{KIT}.tar.gz", classes, train_per_class, truth)
        train = list(_train_jobs(seed, classes, train_per_class))
        _write_images(
            partial, train, list(_val_jobs(seed, classes, truth)), workers or usable_cores().count
        )
        _move(partial, root)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _move(partial: Path, root: Path) -> None:
    try:
        partial.rename(root)
    except OSError:
        if not root.is_dir():  # else another process was first: its bytes are the same
            raise


class Job(NamedTuple):
    """One file to be: its name, the arguments of `draw`, and what is odd about it, if anything."""

    name: str
    seed: int
    label: int
    number: int
    odd: str | None


def _train_name(label: int, number: int) -> str:
    return f"{CLASSES[label][0]}_{number}.JPEG"


def _val_name(number: int) -> str:
    return f"ILSVRC2012_val_{number:08d}.JPEG"


def _shuffled_labels(seed: int, classes: int, val_per_class: int) -> list[int]:
    labels = np.repeat(np.arange(classes), val_per_class)
    rng = np.random.Generator(np.random.Philox(seed))
    return [int(label) for label in rng.permutation(labels)]


def _train_jobs(seed: int, classes: int, train_per_class: int) -> Iterator[Job]:
    odd = odd_files(classes)
    for label in sorted(range(classes), key=lambda label: CLASSES[label][0]):
        for number in range(1, train_per_class + 1):
            name = _train_name(label, number)
            yield Job(name, seed, label, number, odd.get(name))


def _val_jobs(seed: int, classes: int, truth: list[int]) -> Iterator[Job]:
    odd = odd_files(classes)
    for number, label in enumerate(truth, start=1):
        name = _val_name(number)
        yield Job(name, seed, label, VAL_INDEX + number, odd.get(name))


def _drawn_file(job: Job) -> bytes:
    picture = Image.fromarray(draw(job.seed, job.label, job.number))
    match job.odd:
        case "cmyk":
            return _jpeg(_separated(picture))
        case "grey":
            return _jpeg(picture.convert("L"))
        case "png":
            return _saved(picture, format="PNG")
        case "gzip":
            return _zipped(_jpeg(picture))
        case "exif":
            return _jpeg(picture, exif=_orientation(6))
        case "truncated":
            whole = _jpeg(picture)
            return whole[: len(whole) * 6 // 10]
    return _jpeg(picture)


def _jpeg(picture: Image.Image, **options: Any) -> bytes:
    return _saved(picture, format="JPEG", quality=90, subsampling="4:2:0", **options)


def _saved(picture: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, **options)
    return file.getvalue()


def _separated(picture: Image.Image) -> Image.Image:
    """RGB → CMYK with all grey in K, as for print; Pillow saves it inverted, as Photoshop does."""
    light = np.asarray(picture, dtype=np.float64) / 255
    white = light.max(axis=-1, keepdims=True)
    inks = np.concatenate([1 - light / np.maximum(white, 1 / 255), 1 - white], axis=-1)
    return Image.fromarray((inks * 255).round().astype(np.uint8), mode="CMYK")


def _orientation(tag: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = tag
    return exif


def _zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as zipped:
        zipped.write(data)
    return file.getvalue()


def _write_images(folder: Path, train: list[Job], val: list[Job], workers: int | None) -> None:
    with ProcessPoolExecutor(workers, initializer=exit_with_parent) as pool:
        drawn = _drawn_files(pool, [*train, *val])
        files = track(drawn, len(train) + len(val), "drawing the miniature")
        _write_train(folder / "ILSVRC2012_img_train.tar", itertools.islice(files, len(train)))
        with _tar(folder / "ILSVRC2012_img_val.tar") as tar:
            for job, data in files:
                _add(tar, job.name, io.BytesIO(data), len(data))


def _drawn_files(pool: ProcessPoolExecutor, jobs: list[Job]) -> Iterator[tuple[Job, bytes]]:
    """The files in the order of `jobs`, at most AHEAD of them in memory."""
    waiting: deque[tuple[Job, Future[bytes]]] = deque()
    for job in jobs:
        waiting.append((job, pool.submit(_drawn_file, job)))
        if len(waiting) == AHEAD:
            first, future = waiting.popleft()
            yield first, future.result()
    for job, future in waiting:
        yield job, future.result()


def _write_train(path: Path, files: Iterable[tuple[Job, bytes]]) -> None:
    """A tar of one tar a class, in the order of the wnids."""
    with _tar(path) as outer:
        for label, members in itertools.groupby(files, key=lambda file: file[0].label):
            inner = path.with_name(f"{CLASSES[label][0]}.tar")
            with _tar(inner) as tar:
                for job, data in members:
                    _add(tar, job.name, io.BytesIO(data), len(data))
            with inner.open("rb") as file:
                _add(outer, inner.name, file, inner.stat().st_size)
            inner.unlink()


def _tar(path: Path) -> tarfile.TarFile:
    return tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)


def _add(tar: tarfile.TarFile, name: str, file: BinaryIO, size: int) -> None:
    member = tarfile.TarInfo(name)  # owned by 0, written at 0
    member.size = size
    tar.addfile(member, file)
