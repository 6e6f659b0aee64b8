"""Read single images from the raw archives, which are never unpacked."""

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.runtime.errors import InputError

Archives = list[tuple[str, int]]  # of each tar or folder: path relative to the root, size in bytes

REINDEX = "dvc repro -f index"
PPM_HEADER = b"P6\n32 32\n255\n"  # makes an image file of the pixels of a CIFAR-10 record


def check_unchanged(root: Path, archives: Archives) -> None:
    """Raise InputError if an archive is missing or has changed its size."""
    for path, size in archives:
        found = _size(root / path)
        if found != size:
            now = "is missing" if found is None else f"has {found:,} bytes"
            raise InputError(f"{root / path} {now}, but had {size:,} when it was indexed", REINDEX)


def read_image(root: Path, archives: Archives, row: Any) -> bytes:
    """Return the image file of an index row.

    A CIFAR-10 record is returned as a PPM. Raises InputError if the archive does not contain the
    row, or is not listed in `archives`.
    """
    path = locate_file(root, archives, row)
    start, size = int(row["offset"]), int(row["size"])
    try:
        with path.open("rb") as file:
            if not 0 <= start <= start + size <= file.seek(0, os.SEEK_END):
                where = f"offset {start:,}, {size:,} bytes"
                raise InputError(f"{path} does not contain {_name(row)} ({where})", REINDEX)
            file.seek(start)
            data = file.read(size)
        if archives[row["archive"]][0].endswith(".bin") and start:
            return PPM_HEADER + np.frombuffer(data, np.uint8).reshape(3, -1).T.tobytes()
        return data
    except ValueError as error:  # an invalid file name, or a record that is not three planes
        raise InputError(f"{archives[row['archive']][0]}: {error}", REINDEX) from None


def locate_file(root: Path, archives: Archives, row: Any) -> Path:
    """Return the file that holds the image: the archive or its own."""
    if not 0 <= row["archive"] < len(archives):
        where = f"archive {row['archive']}, but lists {len(archives)} archives"
        raise InputError(f"data/index has {_name(row)} in {where}", REINDEX)
    archive: Path = root / archives[row["archive"]][0]
    return archive / os.fsdecode(bytes(row["name"])) if archive.is_dir() else archive


def list_folder(folder: Path) -> dict[str, int]:
    """Return the size of each file in `folder` by name, sorted.

    Hidden files are skipped. Raises InputError if the folder contains anything but files.
    """
    sizes = {}
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith("."):
                continue
            if not entry.is_file():
                what = f"{folder / entry.name} is not a file: class folders contain only images"
                raise InputError(what, "arrange the images as <split>/<class>/<image>")
            sizes[entry.name] = entry.stat().st_size
    return sizes


def _name(row: Any) -> str:
    return bytes(row["name"]).decode(errors="replace")


def _size(path: Path) -> int | None:
    """Return the size of a file or folder, or None if missing."""
    try:
        return sum(list_folder(path).values()) if path.is_dir() else path.stat().st_size
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a null byte in it
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise
