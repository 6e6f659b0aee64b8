"""Work in progress: a folder for each exact piece of work, kept when interrupted."""

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

# not part of a fingerprint: config acts through the parameters, launch decides speed alone
LEFT_OUT = ("alexnet.config", "alexnet.launch")


def fingerprint(*parts: object) -> str:
    """32 hex digits of all that the work depends on: files by their contents, the rest as JSON."""
    digest = xxhash.xxh3_128()
    for part in parts:
        digest.update(_digest_of(part) if isinstance(part, Path) else json.dumps(part).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def _digest_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).digest()


def sources() -> list[Path]:
    """This script and the files of the package in use, except those of LEFT_OUT."""
    loaded = {name: module for name, module in sys.modules.items() if name.startswith("alexnet.")}
    names = [name for name in sorted(loaded) if not name.startswith(LEFT_OUT)]
    script = Path(str(sys.modules["__main__"].__file__))  # absolute, unlike sys.argv[0]
    return [script, *(Path(str(loaded[name].__file__)) for name in names)]


@contextmanager
def scratch(stage: str, mark: str) -> Iterator[Path]:
    """Hold `.scratch/<stage>/<mark>` alone; it is removed on success and kept on any other end."""
    folder = home() / ".scratch" / stage / mark
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_suffix(".lock")):
        folder.mkdir(exist_ok=True)  # whoever held it before has finished and removed it
        if any(folder.iterdir()):
            print(f"{stage}: going on from {folder.relative_to(home())}", flush=True)
        yield folder
        shutil.rmtree(folder)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for the lock file `path`, and say so; freed when this process and its workers end."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another run that holds {path.name}", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
