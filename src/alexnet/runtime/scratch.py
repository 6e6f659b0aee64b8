"""Scratch folders: unfinished work, found again by a fingerprint of all that it depends on."""

import fcntl
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import xxhash

from alexnet.runtime.paths import home

# config acts only through the parameters, launch only on speed
EXCLUDED_SOURCES = ("alexnet.config", "alexnet.launch")


def fingerprint(*parts: object) -> str:
    """Return 32 hex digits that identify the parts: files by content, others as JSON."""
    digest = xxhash.xxh3_128()
    for part in parts:
        digest.update(_hash_file(part) if isinstance(part, Path) else json.dumps(part).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def _hash_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).digest()


def sources() -> list[Path]:
    """Return the running script and all imported alexnet files but EXCLUDED_SOURCES."""
    loaded = {name: module for name, module in sys.modules.items() if name.startswith("alexnet.")}
    names = [name for name in sorted(loaded) if not name.startswith(EXCLUDED_SOURCES)]
    script = Path(str(sys.modules["__main__"].__file__))  # absolute, unlike sys.argv[0]
    return [script, *(Path(str(loaded[name].__file__)) for name in names)]


@contextmanager
def scratch_folder(stage: str, key: str) -> Iterator[Path]:
    """Yield `.scratch/<stage>/<key>`, locked; deleted on success, kept otherwise."""
    folder = home() / ".scratch" / stage / key
    folder.mkdir(parents=True, exist_ok=True)
    with hold_lock(folder.with_suffix(".lock")):
        folder.mkdir(exist_ok=True)  # the previous holder of the lock may have deleted it
        if any(folder.iterdir()):
            print(f"{stage}: resuming from {folder.relative_to(home())}", flush=True)
        yield folder
        shutil.rmtree(folder)


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, waiting if necessary, with a message.

    The lock is released when this process and all its workers have ended.
    """
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another run that holds {path.name}", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
