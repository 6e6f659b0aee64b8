"""Every fault that a disk has, at every call that writes: the old state or the new, and one line.

Of one shard, a split that takes another's place, an index, a moments folder, a checkpoint, a model
and metrics.json. small_faults.py does it, a part of them by chance; all, some minutes long, with
FAULT_POINTS=all pytest -s tests/robustness/test_faults.py
"""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from alexnet.runtime.files import write_atomically
from small_python_faults import CUT, DEAD, FULL, KILLED, ONCE, PythonFaults

ALL = os.environ.get("FAULT_POINTS") == "all"
COMPILER = shutil.which("cc") if sys.platform == "linux" else None
WAYS = ["of C", *(["of Python"] if ALL or not COMPILER else [])]
HERE = Path(__file__).parents[1] / "support"
SUBJECTS = ("shard", "split", "moments", "checkpoint", "model", "index", "metrics")
CRASHES = ("SIGKILL", "I/O errors from then on")  # after which nobody can tidy up
TIDYING = ("unlink", "unlinkat", "rmdir")

Fault = dict[str, Any]


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is preloaded."""
    if not COMPILER:
        pytest.skip("no C compiler, cc, that makes a library to preload: faults of Python alone")
    made = tmp_path_factory.mktemp("shim") / "faults.so"
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", made]
    subprocess.run([COMPILER, *flags, HERE / "small_faults.c", "-ldl"], check=True)
    return made


@pytest.fixture(scope="module", params=WAYS)
def faults(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Fault]:
    """What became of each."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    if request.param == "of C":
        environment["LD_PRELOAD"] = str(request.getfixturevalue("shim"))
    folder = tmp_path_factory.mktemp("faults")
    command = [sys.executable, HERE / "small_faults.py", folder, str(int(ALL))]
    ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    kinds = Counter(f"{fault['kind']}: {fault['state']}" for fault in told if "kind" in fault)
    print(f"\n{kinds.total()} faults {request.param}: {dict(sorted(kinds.items()))}")
    return told


@pytest.fixture
def tried(faults: list[Fault]) -> list[Fault]:
    return [fault for fault in faults if "kind" in fault]


def test_every_call_that_writes_is_seen(
    faults: list[Fault], request: pytest.FixtureRequest
) -> None:
    clean = {fault["subject"]: fault for fault in faults if "calls" in fault}
    assert tuple(clean) == SUBJECTS
    for name, fault in clean.items():
        assert (fault["told"], fault["states"]) == ("", ["new", "old"]), name
        calls = Counter(fault["calls"])
        assert min(calls["write"], calls["fsync"], calls["rename"] + calls["replace"]) > 0, name
    in_c = Counter(clean["shard"]["calls"])
    if "of Python" not in request.node.name:  # LMDB's, of two transactions
        assert (in_c["pwrite"] + in_c["writev"], in_c["fdatasync"]) == (5, 2)


def test_the_old_state_or_the_new_is_readable(tried: list[Fault]) -> None:
    """At its place; beside it, whole, if the end came just between the two renames."""
    for fault in tried:
        assert fault["state"] in ("old", "new"), fault
        if fault["beside"]:
            assert fault["kind"] in CRASHES, fault
            assert fault["call"] in ("rename", "replace"), fault


def test_a_failure_is_one_line_that_says_where(
    tried: list[Fault],
) -> None:
    for fault in tried:
        if fault["told"] == "":
            assert fault["state"] == "new", fault
        elif fault["kind"] == "SIGKILL":
            assert fault["told"] == "signal -9", fault
        else:
            assert re.fullmatch(r"error: .+/folder(/.+)?; fix: .+", fault["told"]), fault


def test_what_fails_leaves_nothing_behind(tried: list[Fault]) -> None:
    """But, where the disk does not confirm the new state in the old one's place, the old beside."""
    for fault in tried:
        if fault["kind"] not in CRASHES and fault["call"] not in TIDYING:
            unconfirmed = (fault["state"], fault["call"]) == ("new", "fsync")
            left = [name for name in fault["left"] if not (unconfirmed and ".old/" in name)]
            assert left == [], fault


def test_the_same_command_again_ends_in_the_new_state_and_tidies_up(tried: list[Fault]) -> None:
    for fault in tried:
        assert (fault["again"], fault["remains"]) == ("new", []), fault


def test_a_slow_disk_changes_nothing(tried: list[Fault]) -> None:
    """20 ms for each call that changes the disk: the same bytes, later."""
    slow = [fault for fault in tried if fault["kind"] == "slow"]
    assert len(slow) == len(SUBJECTS)
    for fault in slow:
        assert (fault["told"], fault["state"], fault["left"]) == ("", "new", []), fault


def test_a_fault_of_each_kind_of_point_is_among_them(tried: list[Fault]) -> None:
    assert len({fault["kind"] for fault in tried}) == 8
    assert len(tried) > (400 if ALL else 50)


@pytest.mark.parametrize("kind", [ONCE, DEAD, FULL, CUT, KILLED])
def test_the_faults_of_python_where_there_is_no_compiler(tmp_path: Path, kind: int) -> None:
    """They reach what Python writes, and only in the folder that is meant."""
    path, elsewhere = tmp_path / "in/file", tmp_path / "out"
    path.parent.mkdir()
    write_atomically(path, b"old state")
    faults = PythonFaults()
    if not (child := os.fork()):
        faults.faults_begin(os.fsencode(path.parent), kind, 1, errno.EIO)
        try:
            elsewhere.write_bytes(b"written")
            write_atomically(path, b"new state")
        except OSError as error:
            faults.faults_end()
            elsewhere.write_text(f"{error.errno} {faults.names}")
        os._exit(0)
    os.waitpid(child, 0)
    assert path.read_bytes() == b"old state"
    expected = f"{errno.EIO} [b'open', b'write'"
    assert elsewhere.read_text().startswith("written" if kind == KILLED else expected)
