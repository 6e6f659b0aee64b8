"""JSON files and arrays whose checksums reveal any change after they were written.

A checksum protects against damage, not forgery: anyone can write a file with a valid one. Readers
validate the content as well.
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from alexnet.runtime.files import write_atomically

CHECKSUM = "xxh3"  # the last key of a file: XXH3-64 of the other entries


def write_checksummed_json(path: Path, content: dict[str, Any]) -> None:
    """Write `content` and its checksum atomically."""
    write_atomically(path, _with_checksum(content))


def read_checksummed_json(path: Path) -> dict[str, Any]:
    """Return the content of a file that `write_checksummed_json` wrote.

    Raises OSError, or ValueError if the file was changed.
    """
    data = path.read_bytes()
    try:
        content = json.loads(data)
        if isinstance(content, dict):
            content.pop(CHECKSUM, None)
            if _with_checksum(content) == data:  # byte for byte: reformatting is a change too
                return content
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} was changed after it was written: {error}") from None
    raise ValueError(f"{path.name} was changed after it was written")


def is_count(value: Any) -> bool:
    """Return whether `value` is an int (not a bool) from 0 to 2⁶³ − 1."""
    return type(value) is int and 0 <= value < 1 << 63


def save_array(path: Path, array: npt.NDArray[Any]) -> str:
    """Write a .npy file atomically and return its XXH3-64 checksum, in hexadecimal."""
    file = io.BytesIO()
    np.save(file, array)
    data = file.getvalue()
    write_atomically(path, data)
    return xxhash.xxh3_64_hexdigest(data)


def load_array(
    path: Path, checksum: str, shape: tuple[int, ...], dtype: npt.DTypeLike
) -> npt.NDArray[Any]:
    """Return an array that `save_array` wrote.

    Raises OSError, or ValueError if the checksum, shape or dtype differs.
    """
    data = path.read_bytes()
    if xxhash.xxh3_64_hexdigest(data) != checksum:
        raise ValueError(f"{path.name} was changed after it was written")
    file = io.BytesIO(data)
    try:
        np.lib.format.read_magic(file)
        found = np.lib.format.read_array_header_1_0(file)
    except Exception as error:  # numpy evaluates the header as a Python literal: any error
        raise ValueError(f"{path.name} is not an array: {error!r}") from None
    if found != (shape, False, np.dtype(dtype)):
        raise ValueError(f"{path.name} is not an array of shape {shape} and {np.dtype(dtype)}")
    return np.frombuffer(data, dtype, offset=file.tell()).reshape(shape).copy()


def _with_checksum(content: dict[str, Any]) -> bytes:
    checksum = xxhash.xxh3_64_hexdigest(json.dumps(content).encode())
    return json.dumps(content | {CHECKSUM: checksum}, indent=1).encode() + b"\n"
