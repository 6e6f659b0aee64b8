"""JSON files that tell when they were changed: the last entry is a checksum of the others."""

import json
from pathlib import Path
from typing import Any

import xxhash

from alexnet.scratch import write_atomically

SEAL = "xxh3"


def write_sealed(path: Path, content: dict[str, Any]) -> None:
    """Write `content` with its seal, or leave the file as it was."""
    sealed = content | {SEAL: _seal(content)}
    write_atomically(path, json.dumps(sealed, indent=1).encode() + b"\n")


def read_sealed(path: Path) -> dict[str, Any]:
    """What `write_sealed` wrote. Raises OSError, or ValueError where it was changed since."""
    content = json.loads(path.read_bytes())
    if not isinstance(content, dict) or content.pop(SEAL, None) != _seal(content):
        raise ValueError(f"{path.name} was changed after it was written")
    return content


def _seal(content: dict[str, Any]) -> str:
    return xxhash.xxh3_64_hexdigest(json.dumps(content).encode())
