"""Atomic writes: a file or folder is replaced completely, or stays as it was."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def _add_path_to_errors(path: Path) -> Iterator[None]:
    """Add `path` to OSErrors that name no file, as those of a failed write or fsync."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the file `path` by `data`, synced to disk; on failure it is unchanged."""
    part = path.with_name(f".{path.name}.part")
    try:
        with _add_path_to_errors(path), part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    _sync(path.parent)


@contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """Yield a new folder to fill; it replaces `folder` if the block succeeds.

    Outputs are links into DVC's cache, so they must never be written in place.
    """
    new, old = _temporary_names(folder)
    if old.exists() and not folder.exists():  # an earlier run was killed between two renames
        old.replace(folder)
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        with _add_path_to_errors(folder):
            yield new
        move_into_place(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def move_into_place(finished: Path, folder: Path) -> None:
    """Move the folder `finished` to `folder`, replacing it; on failure both are unchanged."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new, old = _temporary_names(folder)
    if finished.stat().st_dev != folder.parent.stat().st_dev:  # a rename cannot cross disks
        shutil.rmtree(new, ignore_errors=True)
        finished = shutil.copytree(finished, new)
    for path in (*finished.rglob("*"), finished):
        _sync(path)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.replace(old)
    try:
        finished.replace(folder)
    except OSError:
        if old.exists():
            old.replace(folder)
        raise
    _sync(folder.parent)  # on failure keep both: neither is known to be on disk
    shutil.rmtree(old, ignore_errors=True)


def _temporary_names(folder: Path) -> tuple[Path, Path]:
    return folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")


def _sync(path: Path) -> None:
    """Flush a file's data, or a folder's entries, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with _add_path_to_errors(path):
            os.fsync(handle)
    finally:
        os.close(handle)
