"""Disk faults at every call that writes leave the old state or the new, and one error line.

Subjects: a shard, a split that replaces another, an index, a moments folder, a checkpoint, a model
and metrics.json. small_faults.py does the faults, a random part of them by default;
FAULT_POINTS=all pytest -s tests/robustness/test_faults.py
does all of them in some minutes.
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
SOURCES = ["C", *(["Python"] if ALL or not COMPILER else [])]
HERE = Path(__file__).parents[1] / "support"
SUBJECTS = ("shard", "split", "moments", "checkpoint", "model", "index", "metrics")
CRASHES = ("SIGKILL", "I/O errors from then on")  # after which nothing can be cleaned up
CLEANUP = ("unlink", "unlinkat", "rmdir")

Fault = dict[str, Any]


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled library to preload."""
    if not COMPILER:
        pytest.skip("no C compiler (cc): only faults in Python are tested")
    library = tmp_path_factory.mktemp("shim") / "faults.so"
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library]
    subprocess.run([COMPILER, *flags, HERE / "small_faults.c", "-ldl"], check=True)
    return library


@pytest.fixture(scope="module", params=SOURCES)
def faults(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Fault]:
    """The outcome of each fault."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    if request.param == "C":
        environment["LD_PRELOAD"] = str(request.getfixturevalue("shim"))
    folder = tmp_path_factory.mktemp("faults")
    command = [sys.executable, HERE / "small_faults.py", folder, str(int(ALL))]
    ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    outcomes = [json.loads(line) for line in ran.stdout.splitlines()]
    kinds = Counter(f"{fault['kind']}: {fault['state']}" for fault in outcomes if "kind" in fault)
    print(f"\n{kinds.total()} faults in {request.param}: {dict(sorted(kinds.items()))}")
    return outcomes


@pytest.fixture
def tried(faults: list[Fault]) -> list[Fault]:
    return [fault for fault in faults if "kind" in fault]


def test_every_call_that_writes_is_counted(
    faults: list[Fault], request: pytest.FixtureRequest
) -> None:
    clean = {fault["subject"]: fault for fault in faults if "calls" in fault}
    assert tuple(clean) == SUBJECTS
    for name, fault in clean.items():
        assert (fault["error"], fault["states"]) == ("", ["new", "old"]), name
        calls = Counter(fault["calls"])
        assert min(calls["write"], calls["fsync"], calls["rename"] + calls["replace"]) > 0, name
    in_c = Counter(clean["shard"]["calls"])
    if "Python" not in request.node.name:  # LMDB's calls for two transactions
        assert (in_c["pwrite"] + in_c["writev"], in_c["fdatasync"]) == (5, 2)


def test_the_old_state_or_the_new_is_readable(tried: list[Fault]) -> None:
    """At its place; or beside it, complete, after a crash between the two renames."""
    for fault in tried:
        assert fault["state"] in ("old", "new"), fault
        if fault["beside"]:
            assert fault["kind"] in CRASHES, fault
            assert fault["call"] in ("rename", "replace"), fault


def test_a_failure_is_one_line_that_names_the_place(tried: list[Fault]) -> None:
    for fault in tried:
        if fault["error"] == "":
            assert fault["state"] == "new", fault
        elif fault["kind"] == "SIGKILL":
            assert fault["error"] == "signal -9", fault
        else:
            assert re.fullmatch(r"error: .+/folder(/.+)?; fix: .+", fault["error"]), fault


def test_a_failed_write_leaves_no_files_behind(tried: list[Fault]) -> None:
    """Except for the old state, if the disk did not confirm that the new one replaced it."""
    for fault in tried:
        if fault["kind"] not in CRASHES and fault["call"] not in CLEANUP:
            unconfirmed = (fault["state"], fault["call"]) == ("new", "fsync")
            left = [name for name in fault["left"] if not (unconfirmed and ".old/" in name)]
            assert left == [], fault


def test_the_same_command_again_reaches_the_new_state_and_cleans_up(tried: list[Fault]) -> None:
    for fault in tried:
        assert (fault["again"], fault["remains"]) == ("new", []), fault


def test_a_slow_disk_changes_nothing(tried: list[Fault]) -> None:
    """Each call that changes the disk takes 20 ms."""
    slow = [fault for fault in tried if fault["kind"] == "slow"]
    assert len(slow) == len(SUBJECTS)
    for fault in slow:
        assert (fault["error"], fault["state"], fault["left"]) == ("", "new", []), fault


def test_faults_of_every_kind_were_tried(tried: list[Fault]) -> None:
    assert len({fault["kind"] for fault in tried}) == 8
    assert len(tried) > (400 if ALL else 50)


@pytest.mark.parametrize("kind", [ONCE, DEAD, FULL, CUT, KILLED])
def test_simulated_faults_reach_python_writes_in_the_folder_only(tmp_path: Path, kind: int) -> None:
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
