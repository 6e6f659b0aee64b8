"""JSON files that tell when they were changed: the last entry is a checksum of the others."""

import json
from pathlib import Path
from typing import Any

import xxhash

from alexnet.scratch import write_atomically

SEAL = "xxh3"


def write_sealed(path: Path, content: dict[str, Any]) -> None:
    """Write `content` with its seal, or leave the file as it was."""
    write_atomically(path, _sealed(content))


def read_sealed(path: Path) -> dict[str, Any]:
    """What `write_sealed` wrote. Raises OSError, or ValueError where it was changed since."""
    data = path.read_bytes()
    try:
        content = json.loads(data)
    except ValueError as error:
        raise ValueError(f"{path.name} was changed after it was written: {error}") from None
    if isinstance(content, dict):
        content.pop(SEAL, None)
        if _sealed(content) == data:  # to the byte: another spelling of the same is a change too
            return content
    raise ValueError(f"{path.name} was changed after it was written")


def _sealed(content: dict[str, Any]) -> bytes:
    seal = xxhash.xxh3_64_hexdigest(json.dumps(content).encode())
    return json.dumps(content | {SEAL: seal}, indent=1).encode() + b"\n"
