"""Repair of files that a killed DVC leaves half-written.

`make repro` runs this before each `dvc repro`, so it imports nothing slower than PyYAML.
"""

import fcntl
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from alexnet.runtime.files import write_atomically
from alexnet.runtime.paths import CHECKOUT

COMMAND = "alexnet doctor --repair"
LOCKS = ("dvc.lock", "experiments/*/dvc.lock")
RWLOCK = ".dvc/tmp/rwlock"
REPOSITORY_LOCK = ".dvc/tmp/lock"  # every DVC command holds it by flock, except while a stage runs
# Places of DVC's temporary files. In the run cache DVC would read a temporary file as an entry.
BESIDE_OUTPUTS = (".*.tmp", "data/.*.tmp", "experiments/*/.*.tmp", "experiments/*/*/.*.tmp")
TEMPORARY = (*BESIDE_OUTPUTS, ".dvc/cache/files/md5/.*.tmp", ".dvc/cache/runs/*/*/*.tmp")
TOKEN = re.compile(r"\.[\w-]{22}\.tmp$", re.ASCII)  # dvc_objects.fs.utils.tmp_fname
CONFLICT = re.compile(rb"^(<{7}|>{7}) ", re.MULTILINE)  # of a merge that the user is resolving
MD5 = r"[0-9a-f]{32}(\.dir)?"
FIELDS = {  # of an entry, as text. A truncated md5 may parse as a number, which DVC rejects
    "path": r".+",
    "hash": r".+",
    "md5": rf"{MD5}|(?!(..?|0*\d\d?|\d+e\d+|0b[01]{{1,7}})$).*",
    "size": r"\d+",
    "nfiles": r"\d+",
    "isexec": r"true|false",
}
LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # every scalar is text
BUSY = "another DVC command is running: nothing was checked or repaired"


@dataclass(frozen=True)
class Damage:
    """A file that a killed DVC left, and its problem ("" if none)."""

    path: Path
    problem: str

    def describe(self, checkout: Path) -> str:
        """Return `path: problem`, the path relative to the checkout."""
        return f"{self.path.relative_to(checkout)}: {self.problem}"


def main() -> int:
    """Repair this checkout and print a line for each repair."""
    for line in repair(CHECKOUT):
        print(line, flush=True)
    return 0


def check(checkout: Path) -> list[str]:
    """Return a line for each damaged file; change nothing.

    Return no lines while a DVC command runs: it may be writing these files.
    """
    if not find_damage(checkout):
        return []
    with _repository_lock(checkout) as acquired:
        return [d.describe(checkout) for d in find_damage(checkout)] if acquired else []


def repair(checkout: Path) -> list[str]:
    """Repair each damaged file; return a line with problem and repair.

    While a DVC command runs, change nothing and return only BUSY.
    """
    if not find_damage(checkout):
        return []
    with _repository_lock(checkout) as acquired:
        if not acquired:
            return [BUSY]
        return [f"{d.describe(checkout)}; {_repair(d.path)}" for d in find_damage(checkout)]


def find_damage(checkout: Path) -> list[Damage]:
    """Return damaged locks, an unreadable rwlock and leftover temporary files."""
    locks = [path for pattern in LOCKS for path in sorted(checkout.glob(pattern))]
    found = [Damage(path, lock_problem(path.read_bytes())) for path in locks]
    found += [Damage(path, _rwlock_problem(path)) for path in checkout.glob(RWLOCK)]
    found += [Damage(path, "temporary file of a killed DVC") for path in _leftovers(checkout)]
    return [damage for damage in found if damage.problem]


def lock_problem(data: bytes) -> str:
    """Return why a dvc.lock is unusable; "" if usable or in conflict."""
    if CONFLICT.search(data):
        return ""
    if not data.strip():
        return "empty"
    try:
        lock = _parse(data)
    except yaml.YAMLError:
        return "invalid YAML"
    if not _is_lock(lock):
        return "not a valid DVC lock file"
    return "" if _ends_whole(lock, data) else "cut short in its last entry"


def _parse(data: bytes) -> Any:
    """Raises yaml.YAMLError."""
    loader = LOADER(data)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _is_lock(lock: Any) -> bool:
    """Return whether DVC's schema survived a possible truncation."""
    if not isinstance(lock, dict) or lock.get("schema") != "2.0":
        return False
    stages = lock.get("stages", {})
    return isinstance(stages, dict) and all(map(_is_stage, stages.values()))


def _is_stage(stage: Any) -> bool:
    if not isinstance(stage, dict) or not stage.get("cmd"):
        return False
    params = stage.get("params", {})
    files = [stage.get(kind, []) for kind in ("deps", "outs")]
    return (
        isinstance(params, dict)
        and all(isinstance(values, dict) for values in params.values())
        and all(isinstance(entries, list) for entries in files)
        and all(_is_entry(entry) for entries in files for entry in entries)
    )


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and "path" in entry
        and all(re.fullmatch(FIELDS.get(key, ".*"), str(text)) for key, text in entry.items())
    )


def _ends_whole(lock: Any, data: bytes) -> bool:
    """Return whether the last output has its size.

    If only the size is cut off, DVC considers the stage finished and keeps the entry.
    """
    *_, stage = lock.get("stages", {}).values() or [{}]
    *_, last = stage.get("outs") or [{}]
    md5 = last.get("md5", "")
    if not re.fullmatch(MD5, md5):
        return True
    needed = {"size", "nfiles"} if md5.endswith(".dir") else {"size"}
    return data.endswith(b"\n") and needed <= last.keys()


def _rwlock_problem(path: Path) -> str:
    try:
        valid = isinstance(json.loads(path.read_bytes()), dict)
    except ValueError:
        valid = False
    return "" if valid else "invalid JSON"


def _leftovers(checkout: Path) -> list[Path]:
    paths = (path for pattern in TEMPORARY for path in checkout.glob(pattern))
    temporary = [path for path in paths if TOKEN.search(path.name)]
    opened = _open_files() if temporary else set()
    return [path for path in temporary if str(path) not in opened]  # a queued run shares the cache


def _open_files() -> set[str]:
    """Return every path that a process of this user has open."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            found.add(str(link.readlink()))
        except OSError:  # closed since
            continue
    return found


@contextmanager
def _repository_lock(checkout: Path) -> Iterator[bool]:
    """Hold DVC's own lock; yield False if a DVC command holds it."""
    path = checkout / REPOSITORY_LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _repair(path: Path) -> str:
    """Repair one file; return what was done."""
    if path.name == "dvc.lock" and (committed := _committed(path)):
        write_atomically(path, committed)
        return "restored the committed version"
    path.unlink()
    return "removed" + (", dvc repro writes it again" if path.name == "dvc.lock" else "")


def _committed(path: Path) -> bytes:
    """Return the file in HEAD; empty if missing or damaged there."""
    command = ["git", "show", f"HEAD:./{path.name}"]
    try:
        data = subprocess.run(command, cwd=path.parent, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return b""
    return b"" if lock_problem(data) else data
