"""Replace a file or a folder whole, or leave it as it was."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Have an error of the disk say where: of a failed write Python tells only what."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, or leave it as it was; on disk when this returns."""
    beside = path.with_name(f".{path.name}.part")
    try:
        with _naming(path), beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    _sync(path.parent)


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """A new folder to fill: whole, it takes the place of `folder`; until then that stays.

    Outputs are links into DVC's cache and never written in place.
    """
    new, old = _beside(folder)
    if old.exists() and not folder.exists():  # killed between two renames
        old.replace(folder)
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        with _naming(folder):
            yield new
        take_place(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def take_place(new: Path, folder: Path) -> None:
    """Make the folder `new`, finished, the folder `folder`, or leave both as they were."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside, old = _beside(folder)
    if new.stat().st_dev != folder.parent.stat().st_dev:  # another disk: nothing to rename
        shutil.rmtree(beside, ignore_errors=True)
        new = shutil.copytree(new, beside)
    for path in (*new.rglob("*"), new):
        _sync(path)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.replace(old)
    try:
        new.replace(folder)
    except OSError:
        if old.exists():
            old.replace(folder)
        raise
    _sync(folder.parent)  # where this fails both stay: neither is known to be on the disk
    shutil.rmtree(old, ignore_errors=True)


def _beside(folder: Path) -> tuple[Path, Path]:
    return folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")


def _sync(path: Path) -> None:
    """Have the disk hold what was written to a file, or which files a folder has."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with _naming(path):
            os.fsync(handle)
    finally:
        os.close(handle)
