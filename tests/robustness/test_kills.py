"""Shards have the same bytes for any number of workers, any executor, and after any kill.

KILLS=50 pytest tests/robustness/test_kills.py
kills fifty times, spread over executors and victims.
"""

import hashlib
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from PIL import Image

from alexnet.dataset.index import save_index
from alexnet.index.layouts import read_index

KILLS = int(os.environ.get("KILLS", "5"))
PATIENCE = 600  # seconds, on a busy machine
SCRIPT = Path(__file__).parents[1] / "support/small_resize.py"
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
IMAGES, SHARDS = 160, 20
TRIES = 10  # of which one kill must hit a run at work
KINDS = [
    ("processes", "parent"),
    ("processes", "worker"),
    ("dask", "parent"),
    ("dask", "worker"),
    ("dask", "scheduler"),
]

pytestmark = pytest.mark.slow


class Cluster:
    """A Dask scheduler and two worker processes, which are restarted after a kill."""

    def __init__(self) -> None:
        with TemporaryDirectory() as folder:  # where the scheduler writes its address
            file = Path(folder) / "scheduler.json"
            command = "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file)
            self.scheduler = self._start("scheduler", *command)
            self.address = self._address(file)
        self.workers = self._start("worker", self.address, "--nworkers", "2", "--nthreads", "1")

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        command = (sys.executable, "-m", "dask", *command, "--no-dashboard")
        return subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL)

    def _address(self, file: Path) -> str:
        while self.scheduler.poll() is None:
            with suppress(OSError, ValueError):  # not written yet, or only in part
                return str(json.loads(file.read_text())["address"])
            time.sleep(0.05)
        raise AssertionError("Dask's scheduler exited")

    def restart_if_killed(self) -> None:
        if self.scheduler.poll() is not None:
            self.stop()
            self.__init__()  # type: ignore[misc]

    def stop(self) -> None:
        for process in (self.workers, self.scheduler):
            process.terminate()
            process.wait()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    pytest.importorskip("distributed")
    cluster = Cluster()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of noise, one of them truncated, and their index."""
    top = tmp_path_factory.mktemp("raw")
    rng = np.random.default_rng(0)
    for n in range(IMAGES + 2):
        folder = top / "photos" / ("val" if n >= IMAGES else "train") / str(n % 2)
        folder.mkdir(parents=True, exist_ok=True)
        file = io.BytesIO()
        noise = Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8))
        noise.resize((480, 360)).save(file, "JPEG")
        (folder / f"{n}.jpg").write_bytes(file.getvalue()[: -2000 if n == 7 else None])
    (top / "index").mkdir()
    save_index(read_index(top / "photos", "folder", seed=3, held_out=0.5), top / "index")
    return top


def start(raw: Path, work: Path, *executor: str) -> subprocess.Popen[str]:
    work.mkdir(exist_ok=True)
    command = [sys.executable, SCRIPT, work, raw / "photos", raw / "index", *executor]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=ENVIRONMENT)


def run_to_the_end(raw: Path, work: Path, *executor: str) -> dict[str, str]:
    """Return the SHA-256 of each file of the split, by name."""
    process = start(raw, work, *executor)
    output = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    files = sorted((work / "shards/train").iterdir())
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def expected(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files that one uninterrupted worker writes."""
    digests = run_to_the_end(raw, tmp_path_factory.mktemp("expected"), "processes", "1")
    assert len(digests) == SHARDS + 3  # manifest.json, labels.npy and records.npy
    return digests


@pytest.mark.parametrize("workers", ["2", "3", "8"])
def test_any_number_of_processes_writes_the_same_bytes(
    raw: Path, tmp_path: Path, expected: dict[str, str], workers: str
) -> None:
    assert run_to_the_end(raw, tmp_path, "processes", workers) == expected


def test_dask_writes_the_same_bytes(
    raw: Path, tmp_path: Path, expected: dict[str, str], cluster: Cluster
) -> None:
    assert run_to_the_end(raw, tmp_path, "dask", cluster.address) == expected


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_run_resumes_to_the_same_bytes(
    raw: Path,
    tmp_path: Path,
    expected: dict[str, str],
    number: int,
    request: pytest.FixtureRequest,
) -> None:
    rng = random.Random(number)
    kind, victim = KINDS[number % len(KINDS)]
    cluster: Cluster | None = request.getfixturevalue("cluster") if kind == "dask" else None
    executor = (kind, cluster.address if cluster else rng.choice("1238"))
    for n in range(TRIES):  # the kill may come too late
        work = tmp_path / str(n)
        process = start(raw, work, *executor)
        assert process.stdout
        for _ in range(rng.randrange(SHARDS) // (n + 1)):  # the shards it may finish first
            process.stdout.readline()
        time.sleep(rng.random() / 50)
        hit = _kill(process, victim, cluster, rng) and len(finished(work)) < SHARDS
        errors = process.communicate(timeout=PATIENCE)[1]
        if cluster:
            cluster.restart_if_killed()
            executor = (kind, cluster.address)
        print(f"\n{number}: {kind}, {victim}: {'hit' if hit else 'too late'}, {process.returncode}")
        if hit and (process.returncode or (kind, victim) == ("dask", "worker")):
            break
        assert process.returncode == 0
    else:
        raise AssertionError(f"all of {TRIES} kills came too late")
    if process.returncode > 0:  # 0: Dask replaced the worker; negative: the parent was killed
        assert re.fullmatch(r"error: .+; fix: .+\n", errors), errors
    else:
        assert errors == ""
    before = finished(work)
    assert run_to_the_end(raw, work, *executor) == expected
    after = finished(work)
    assert {shard: after[shard] for shard in before} == before  # finished shards were kept
    assert cluster or not list(work.glob("train-unfinished/*"))


def finished(work: Path) -> dict[str, int]:
    """Return the modification times of the finished shards, which have an entry."""
    entries = (path.stem.removeprefix("train-") for path in work.glob("train-*.json"))
    shards = (work / f"shards/train/{number}.lmdb" for number in entries)
    return {path.name: path.stat().st_mtime_ns for path in shards if path.exists()}


def _kill(
    process: subprocess.Popen[str], victim: str, cluster: Cluster | None, rng: random.Random
) -> bool:
    """Kill the victim; return whether the run was still going on."""
    is_running = process.poll() is None
    if victim == "parent":
        process.kill()
    elif victim == "scheduler":
        assert cluster
        cluster.scheduler.kill()
        cluster.scheduler.wait()
    else:
        workers = _children(cluster.workers.pid if cluster else process.pid)
        if not workers:
            return False
        os.kill(rng.choice(workers), signal.SIGKILL)
    return is_running


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []
