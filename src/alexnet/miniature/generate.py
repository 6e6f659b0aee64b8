"""Write a drawn miniature of ILSVRC-2012: the same archives, devkit and kinds of odd files.

The bytes depend only on the arguments, not on time, owner, host or number of workers.
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

MAX_PENDING = 64  # files drawn but not yet written; limits memory
VAL_INDEX = 1_000_000  # first index of a val drawing, so that train and val share none
# label modulo the number of classes, image number within the class, kind. For any number of classes
# these are different files, and four images per class suffice.
ODD_FILES = (
    (1, 1, "cmyk"),
    (2, 1, "grey"),
    (5, 3, "png"),
    (6, 2, "gzip"),
    (7, 2, "exif"),
    (8, 4, "truncated"),
    (9, 4, "cmyk"),
)


def odd_files(classes: int) -> dict[str, str]:
    """Return file name → kind: cmyk, grey, png, gzip, exif (orientation 6) or truncated."""
    train = {_train_name(label % classes, n): kind for label, n, kind in ODD_FILES}
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
    """Draw the first `classes` classes into `root`, in the layout of the ILSVRC-2012 download.

    Written to a temporary folder that is renamed to `root` at the end. A `root` that has files, or
    that another process finishes first, is kept. `workers`: processes; None: one per core.
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
        if not root.is_dir():  # otherwise another process was faster and wrote the same bytes
            raise


class Job(NamedTuple):
    """A file to write: its name, the arguments of `draw`, and its odd kind, if any."""

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


def _draw_file(job: Job) -> bytes:
    """Return the bytes of one image file."""
    image = Image.fromarray(draw(job.seed, job.label, job.number))
    match job.odd:
        case "cmyk":
            return _jpeg(_to_cmyk(image))
        case "grey":
            return _jpeg(image.convert("L"))
        case "png":
            return _encode(image, format="PNG")
        case "gzip":
            return _compress(_jpeg(image))
        case "exif":
            return _jpeg(image, exif=_orientation(6))
        case "truncated":
            whole = _jpeg(image)
            return whole[: len(whole) * 6 // 10]
    return _jpeg(image)


def _jpeg(image: Image.Image, **options: Any) -> bytes:
    return _encode(image, format="JPEG", quality=90, subsampling="4:2:0", **options)


def _encode(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


def _to_cmyk(image: Image.Image) -> Image.Image:
    """Return CMYK with all grey in K, as for print.

    Pillow saves it inverted, as Photoshop does.
    """
    light = np.asarray(image, dtype=np.float64) / 255
    white = light.max(axis=-1, keepdims=True)
    ink = np.concatenate([1 - light / np.maximum(white, 1 / 255), 1 - white], axis=-1)
    return Image.fromarray((ink * 255).round().astype(np.uint8), mode="CMYK")


def _orientation(tag: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = tag
    return exif


def _compress(data: bytes) -> bytes:
    file = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as archive:
        archive.write(data)
    return file.getvalue()


def _write_images(folder: Path, train: list[Job], val: list[Job], workers: int | None) -> None:
    with ProcessPoolExecutor(workers, initializer=exit_with_parent) as pool:
        drawn = _draw_files(pool, [*train, *val])
        files = track(drawn, len(train) + len(val), "drawing the miniature")
        _write_train(folder / "ILSVRC2012_img_train.tar", itertools.islice(files, len(train)))
        with _tar(folder / "ILSVRC2012_img_val.tar") as tar:
            for job, data in files:
                _add(tar, job.name, io.BytesIO(data), len(data))


def _draw_files(pool: ProcessPoolExecutor, jobs: list[Job]) -> Iterator[tuple[Job, bytes]]:
    """Yield the files in the order of `jobs`, at most MAX_PENDING of them in memory."""
    pending: deque[tuple[Job, Future[bytes]]] = deque()
    for job in jobs:
        pending.append((job, pool.submit(_draw_file, job)))
        if len(pending) == MAX_PENDING:
            first, future = pending.popleft()
            yield first, future.result()
    for job, future in pending:
        yield job, future.result()


def _write_train(path: Path, files: Iterable[tuple[Job, bytes]]) -> None:
    """Write a tar that contains one tar per class, in wnid order."""
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
    member = tarfile.TarInfo(name)  # owner 0, time 0
    member.size = size
    tar.addfile(member, file)
