"""Work in progress: a folder for each exact piece of work, kept when interrupted."""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

import xxhash

from alexnet.errors import InputError

# whose versions can change a result
PACKAGES = ("cykooz-resizer", "dvc", "lmdb", "numpy", "pillow", "simplejpeg", "torch")
CONFIG = ("alexnet.config", "alexnet.schema")  # of no fingerprint: their effect is in parameters
CHECKOUT = Path(__file__).resolve().parents[2]


def home() -> Path:
    """The main checkout, also from the copy in which DVC runs a queued experiment."""
    return Path(os.environ.get("DVC_ROOT", CHECKOUT))


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


def raw_folder(root: str) -> Path:
    """The folder of a raw data set: IMAGENET_ROOT in the environment, else `root` under home.

    Raises InputError where there is no such folder.
    """
    folder = home() / os.environ.get("IMAGENET_ROOT", root)
    if not folder.is_dir():
        raise InputError(
            f"the raw data set's folder {folder} does not exist",
            "set IMAGENET_ROOT to the folder that holds it",
        )
    return folder


def sources() -> list[Path]:
    """This script and the package's files in use; config's effect comes by parameters."""
    loaded = {name: module for name, module in sys.modules.items() if name.startswith("alexnet.")}
    names = [name for name in sorted(loaded) if name not in CONFIG]
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


def record_run(stage: str, started: float) -> None:
    """Write `.scratch/<stage>/run.json`: what no output may hold, since it differs every time."""
    asked = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    commit = subprocess.run(asked, capture_output=True, text=True, check=False, cwd=CHECKOUT)
    run = {
        "command": sys.argv,
        "commit": commit.stdout.strip(),
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - started, 1),
        "host": platform.node(),
        "python": platform.python_version(),
        "packages": {d.name: d.version for d in distributions() if d.name in PACKAGES},
    }
    path = home() / ".scratch" / stage / "run.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(run, indent=1) + "\n")
