"""JSON files that tell when they were changed: the last entry is a checksum of the others.

Anyone can seal a file again. Whoever reads one looks at what it says before it is believed.
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from alexnet.runtime.files import write_atomically

SEAL = "xxh3"


def write_sealed(path: Path, content: dict[str, Any]) -> None:
    """Write `content` with its seal, or leave the file as it was."""
    write_atomically(path, _sealed(content))


def read_sealed(path: Path) -> dict[str, Any]:
    """What `write_sealed` wrote. Raises OSError, or ValueError where it was changed since."""
    data = path.read_bytes()
    try:
        content = json.loads(data)
        if isinstance(content, dict):
            content.pop(SEAL, None)
            if _sealed(content) == data:  # to the byte: another spelling of it is a change too
                return content
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} was changed after it was written: {error}") from None
    raise ValueError(f"{path.name} was changed after it was written")


def is_count(value: Any) -> bool:
    """Whether it is an integer that can count things, and is not the true or false of JSON."""
    return type(value) is int and 0 <= value < 1 << 63


def load_array(
    path: Path, checksum: Any, shape: tuple[int, ...], dtype: npt.DTypeLike
) -> npt.NDArray[Any]:
    """An array that `np.save` wrote, its checksum kept in a sealed file.

    Raises OSError, or ValueError where it was changed since, or is of another shape or dtype.
    """
    data = path.read_bytes()
    if xxhash.xxh3_64_hexdigest(data) != checksum:
        raise ValueError(f"{path.name} was changed after it was written")
    file = io.BytesIO(data)
    try:
        np.lib.format.read_magic(file)
        found = np.lib.format.read_array_header_1_0(file)
    except Exception as error:  # numpy reads the header as Python's words
        raise ValueError(f"{path.name} is no array: {error!r}") from None
    if found != (shape, False, np.dtype(dtype)):
        raise ValueError(f"{path.name} is no array of {shape} {np.dtype(dtype)}")
    return np.frombuffer(data, dtype, offset=file.tell()).reshape(shape).copy()


def _sealed(content: dict[str, Any]) -> bytes:
    seal = xxhash.xxh3_64_hexdigest(json.dumps(content).encode())
    return json.dumps(content | {SEAL: seal}, indent=1).encode() + b"\n"
