"""Read one image from the raw archives, which are never unpacked."""

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.runtime.errors import InputError

FIX = "dvc repro -f index"
PPM = b"P6\n32 32\n255\n"  # the head of an image file made of a record of CIFAR-10


def check_unchanged(root: Path, archives: list[tuple[str, int]]) -> None:
    """Raise InputError where an archive is missing or no longer of the size indexed."""
    for path, size in archives:
        if _size(root / path) != size:
            raise InputError(
                f"{root / path} is not what was indexed ({size:,} bytes then)",
                FIX,
            )


def read_image(root: Path, archives: list[tuple[str, int]], row: Any) -> bytes:
    """The bytes of the image file that an index row stands for; CIFAR-10's planes as a PPM.

    Raises InputError where the archive ends before the image does, or the row is of none of them.
    """
    path = file_of(root, archives, row)
    start, size = int(row["offset"]), int(row["size"])
    try:
        with path.open("rb") as file:
            is_there = 0 <= start <= start + size <= file.seek(0, os.SEEK_END)
            file.seek(start if is_there else 0)
            data = file.read(size if is_there else 0)
    except ValueError as error:  # a name that no file can have
        raise InputError(f"{archives[row['archive']][0]}: {error}", FIX) from None
    if not is_there:
        raise InputError(f"{path} ends inside {bytes(row['name'])!r}", FIX)
    if archives[row["archive"]][0].endswith(".bin") and start:
        return PPM + np.frombuffer(data, np.uint8).reshape(3, -1).T.tobytes()
    return data


def file_of(root: Path, archives: list[tuple[str, int]], row: Any) -> Path:
    """The file that holds the image: the tar, or in a folder the image's own file."""
    if not 0 <= row["archive"] < len(archives):
        raise InputError(f"data/index names archive {row['archive']} of {len(archives)}", FIX)
    archive: Path = root / archives[row["archive"]][0]
    return archive / os.fsdecode(bytes(row["name"])) if archive.is_dir() else archive


def files_in(folder: Path) -> dict[str, int]:
    """The size of each file in `folder`, in order of the names; hidden ones are left out.

    Raises InputError where it holds anything else.
    """
    sizes = {}
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith("."):
                continue
            if not entry.is_file():
                fix = "keep to <split>/<class>/<image>"
                raise InputError(f"{folder / entry.name} is not an image", fix)
            sizes[entry.name] = entry.stat().st_size
    return sizes


def _size(path: Path) -> int:
    """Of a file, or of all in a folder; −1 where there is neither, nor can be by that name."""
    try:
        return sum(files_in(path).values()) if path.is_dir() else path.stat().st_size
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return -1
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return -1
        raise
