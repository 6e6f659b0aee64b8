"""Repair of what a killed DVC leaves; test_interrupted.py does the killing."""

import fcntl
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dvc.dvcfile import Lockfile
from dvc.exceptions import DvcException
from dvc.utils import strictyaml
from dvc.utils.serialize import dumps_yaml

from alexnet.cli.diagnosis import check_dvc_files
from alexnet.cli.dvc_repair import BUSY, COMMAND, check, lock_problem, repair
from checkout import AUTHOR, ROOT

CUTS = int(os.environ.get("CUTS", "60"))
TOKEN = "3XA4Kan-q7XKZBfxqXTk_Q" + ".tmp"
NUMBERS = ("409e", "01e4", "0b10", "0123", "9876", "abcd")  # DVC may read a cut one as a number
LAST = "cut short in its last entry"


def entry(path: str, md5: str = "0123456789abcdef" * 2) -> dict[str, Any]:
    found = {"path": path, "hash": "md5", "md5": md5, "size": 1234}
    return found | ({"nfiles": 56} if md5.endswith(".dir") else {})


def stage(outs: str) -> dict[str, Any]:
    return {
        "cmd": "python stages/train.py",
        "deps": [entry(f"src/{n}.py", f"{begin}{n:027}f") for n, begin in enumerate(NUMBERS)],
        "params": {"params.yaml": {"lr": 0.01, "model": "quick"}, "conf/a.yaml": {"maps": [1, 2]}},
        "outs": [entry("metrics.json"), entry(outs, f"{'fedcba9876543210' * 2}.dir")],
    }


def lock(outs: str = "data/train") -> bytes:
    stages = {"index": stage("data/index"), "train": stage(outs)}
    text: str = dumps_yaml({"schema": "2.0", "stages": stages})
    return text.encode()


WHOLE = lock()


def git(folder: Path, *command: str) -> None:
    subprocess.run(["git", *command], cwd=folder, check=True, env=os.environ | AUTHOR)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Create a checkout with a committed lock, and another lock in experiments."""
    for folder in (".dvc/tmp", "data", "experiments/lrn"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "dvc.lock").write_bytes(WHOLE)
    (tmp_path / "experiments/lrn/dvc.lock").write_bytes(WHOLE)
    (tmp_path / ".gitignore").write_text(".dvc\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "-qm", "locks")
    return tmp_path


def is_read_by_dvc(path: Path, data: bytes) -> bool:
    path.write_bytes(data)
    try:
        strictyaml.load(str(path), Lockfile.SCHEMA)
    except DvcException:
        return False
    return True


def test_a_lock_is_damaged_if_dvc_cannot_read_it_or_its_end_is_lost(tmp_path: Path) -> None:
    """CUTS=2000 tries every place to cut it. DVC would accept a lock without its last lines."""
    end = WHOLE.rindex(b".dir") - 32
    places = random.Random(0).sample(range(end), min(CUTS, end))
    numbers = [WHOLE.index(begin.encode()) + n for begin in NUMBERS for n in range(1, 9)]
    last = range(end + 36, len(WHOLE), 1 if CUTS > 60 else 7)
    for size in {*places, *last, *numbers, 0, len(WHOLE) - 1}:
        problem = lock_problem(WHOLE[:size])
        if problem == LAST:
            assert WHOLE[:size].rpartition(b"md5: ")[2].strip()[:32].isalnum()
        else:
            assert bool(problem) is not is_read_by_dvc(tmp_path / "dvc.lock", WHOLE[:size]), size
        assert problem or size < end + 36
    assert lock_problem(WHOLE) == ""


def test_the_locks_of_this_project_are_valid() -> None:
    for path in (ROOT / "dvc.lock", *ROOT.glob("experiments/*/dvc.lock")):
        assert lock_problem(path.read_bytes()) == "", path


@pytest.mark.parametrize("left", [b"", b"\n", b"\0" * 9, b"\xff", b"[]", b"1", WHOLE[:-4]])
@pytest.mark.parametrize("name", ["dvc.lock", "experiments/lrn/dvc.lock"])
def test_a_damaged_lock_is_restored_from_git(root: Path, name: str, left: bytes) -> None:
    (root / name).write_bytes(left)
    (problem,) = check(root)
    assert (root / name).read_bytes() == left
    assert repair(root) == [f"{problem}; restored the committed version"]
    assert (root / name).read_bytes() == WHOLE
    assert (check(root), repair(root)) == ([], [])


def test_a_damaged_lock_without_a_valid_commit_is_removed(root: Path) -> None:
    expected = ["dvc.lock: empty; removed, dvc repro writes it again"]
    (root / "dvc.lock").write_bytes(b"")
    git(root, "commit", "-qam", "damaged")
    assert repair(root) == expected
    assert not (root / "dvc.lock").exists()
    git(root, "commit", "-qam", "none")
    (root / "dvc.lock").write_bytes(b"")
    assert repair(root) == expected
    assert not (root / "dvc.lock").exists()
    assert repair(root) == []


def test_a_valid_or_conflicting_lock_is_left_alone(root: Path) -> None:
    """Even if it differs from the committed one; a merge conflict is left to the user."""
    conflict = b"<<<<<<< HEAD\n" + WHOLE + b"=======\n>>>>>>> other\n"
    for data in (lock("data/other"), b"schema: '2.0'\n", conflict):
        (root / "dvc.lock").write_bytes(data)
        assert (check(root), repair(root)) == ([], [])
        assert (root / "dvc.lock").read_bytes() == data


def test_an_unreadable_rwlock_is_removed(root: Path) -> None:
    path = root / ".dvc/tmp/rwlock"
    held = json.dumps({"write": {"data/train": {"pid": 1, "cmd": "dvc repro"}}})
    for text in ("{}", held):
        path.write_text(text)
        assert repair(root) == []
        assert path.read_text() == text
    for text in ("", held[:20]):
        path.write_text(text)
        assert repair(root) == [".dvc/tmp/rwlock: invalid JSON; removed"]
        assert not path.exists()


def test_temporary_files_are_removed_unless_open(root: Path) -> None:
    entry = ".dvc/cache/runs/ab/abc"
    names = [f".{TOKEN}", f"data/.{TOKEN}", f"{entry}/.{TOKEN}", f"{entry}/def.{TOKEN}"]
    (root / entry).mkdir(parents=True)
    kept = [root / name for name in (".a.tmp", "data/.notes.tmp", f"{entry}/def")]
    for path in (*kept, *(root / name for name in names)):
        path.touch()
    with (root / names[2]).open():
        assert len(repair(root)) == 3
        assert (root / names[2]).exists()
    assert repair(root) == [f"{names[2]}: temporary file of a killed DVC; removed"]
    assert not any((root / name).exists() for name in names)
    assert all(path.exists() for path in kept)


def test_nothing_is_changed_while_dvc_runs(root: Path) -> None:
    (root / "dvc.lock").write_bytes(b"")
    with (root / ".dvc/tmp/lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert repair(root) == [BUSY]
        assert check(root) == []
    assert (root / "dvc.lock").read_bytes() == b""
    assert len(repair(root)) == 1


def test_doctor_names_the_repair_command(root: Path) -> None:
    assert list(check_dvc_files(root)) == []
    (root / "dvc.lock").write_bytes(b"")
    (found,) = check_dvc_files(root)
    assert (found.value, found.fix) == ("dvc.lock: empty", COMMAND)


def test_the_repair_command_has_no_slow_imports(root: Path) -> None:
    """`make repro` runs it each time."""
    code = (
        "import sys; from pathlib import Path; from alexnet.cli import dvc_repair, main;"
        "dvc_repair.CHECKOUT = Path(sys.argv.pop());"
        "import atexit; atexit.register(lambda: print(*sys.modules));"
        "main.main(['doctor', '--repair'])"
    )
    (root / "dvc.lock").write_bytes(b"")
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", code, root]
    lines = subprocess.check_output(command, env=env, text=True).splitlines()
    assert lines[:-1] == ["dvc.lock: empty; restored the committed version"]
    assert not {"torch", "hydra", "dvc", "numpy", "rich"} & set(lines[-1].split())
