"""`dvc repro` that is killed, started twice or damaged leads to the same bytes on a rerun.

KILLS=50 pytest -s tests/robustness/test_interrupted.py
kills `dvc repro` fifty times, in every stage; a fifth of the kills fall inside a write of DVC
itself.
"""

import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from checkout import STAGES, Checkout

KILLS = int(os.environ.get("KILLS", "1"))
COMPILER = shutil.which("cc") if sys.platform == "linux" else None
PATIENCE = 600  # seconds, on a busy machine
SOURCE = Path(__file__).parents[1] / "support/kill_in_write.c"

pytestmark = pytest.mark.slow


class KillPoint(NamedTuple):
    """Where in DVC's writes to kill: the file, how often it is opened, bytes still written.

    files: a glob below the checkout, or of absolute paths if it begins with *. size: in bytes,
    counted from the end if negative; or a text of the old file, up to which is written. emptied: a
    folder to empty first, so that DVC writes the file again.
    """

    files: str
    stage: str
    size: int | str = 0
    opening: int = 1
    emptied: str = ""


LOCK, RWLOCK, RUNS, OBJECTS = "dvc.lock", ".dvc/tmp/rwlock", ".dvc/cache/runs", ".dvc/cache/files"
KILL_POINTS = [
    KillPoint(LOCK, "train"),
    KillPoint(RWLOCK, "moments"),
    KillPoint(LOCK, "resize", size=12_000),
    KillPoint(f"{RUNS}/*/*/*", "evaluate", size="- path: metrics.json", emptied=RUNS),
    KillPoint(f"{OBJECTS}/md5/??/*", "retrieve", emptied=OBJECTS),
    KillPoint(LOCK, "report", size=-2),
    KillPoint(RWLOCK, "evaluate", size=40, opening=5),
    KillPoint(".*.tmp", "evaluate", opening=2),
    KillPoint("*/hashes/local/cache.db-wal", "index", size=2_000),
    KillPoint(f"{OBJECTS}/md5/.*.tmp", "train", emptied=OBJECTS),
]


@pytest.fixture
def copy(checkout: Checkout, tmp_path: Path) -> Iterator[Checkout]:
    """A checkout for one test only."""
    copied = checkout.copied(tmp_path / "copy")
    yield copied
    shutil.rmtree(copied.folder)


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library to preload, which kills a process inside a write."""
    if not COMPILER:
        pytest.skip("no C compiler, cc")
    library = tmp_path_factory.mktemp("shim") / "kill.so"
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library]
    subprocess.run([COMPILER, *flags, SOURCE, "-ldl"], check=True)
    return library


@pytest.fixture(scope="module")
def costs() -> dict[str, float]:
    """CPU seconds of `dvc repro` from the start of a stage, for the stages measured so far."""
    return {}


@pytest.mark.parametrize("number", range(KILLS - KILLS // 5))
def test_a_killed_dvc_repro_leads_to_the_same_bytes_on_a_rerun(
    copy: Checkout, number: int, costs: dict[str, float]
) -> None:
    """Kill the stage, or dvc with all its processes, at any moment of a stage or after it.

    The run cache, which would restore the outputs, is off.
    """
    expected, rng = copy.outputs(), random.Random(number)
    stage = STAGES[(number + 3) % len(STAGES)]
    victim = "all" if number % 2 == 0 else "stage"
    if stage not in costs:
        costs[stage] = _cost(copy, stage)
    tries = 0
    while True:
        tries += 1
        process = start_stage(copy, stage)
        _work_for(process.pid, rng.uniform(0, costs[stage]))
        hit = _kill(process.pid, victim, stage)
        output = process.communicate(timeout=PATIENCE)[0]
        assert "Traceback" not in output
        if hit:
            break
        assert process.returncode == 0
        assert tries < 10
    print(f"\n{number}: {stage}, {victim}, at try {tries}: {process.returncode}", flush=True)
    assert process.returncode == -signal.SIGKILL or "failed to reproduce" in output
    repair(copy)
    copy.run("dvc", "repro", "--no-run-cache")
    assert copy.outputs() == expected
    assert copy.run("git", "status", "--porcelain") == ""


@pytest.mark.parametrize("point", KILL_POINTS[: KILLS // 5])
def test_a_kill_inside_a_write_of_dvc_leads_to_the_same_bytes(
    copy: Checkout, shim: Path, point: KillPoint
) -> None:
    """Also from DVC's cache, which may hold a file that was being written."""
    expected = copy.outputs()
    kill_inside_a_write(copy, shim, point)
    repair(copy)
    copy.run("dvc", "repro")
    assert copy.outputs() == expected
    if point.emptied:
        shutil.rmtree(copy.folder / f"data/{point.stage}")
        copy.run("dvc", "repro")
        assert copy.outputs() == expected
    assert copy.run("git", "status", "--porcelain") == ""


def test_a_lock_file_lost_in_a_kill_does_not_rerun_finished_stages(
    copy: Checkout, shim: Path
) -> None:
    """The lost lock listed a finished train not yet in git; the run cache restores it."""
    copy.set("params.yaml", "lr", 0.02)
    assert copy.stages_run(copy.run("dvc", "repro", "evaluate")) == ["train", "evaluate"]
    expected = copy.outputs()
    kill_inside_a_write(copy, shim, KillPoint(LOCK, "evaluate"))
    assert "dvc.lock" in copy.run("dvc", "repro", "evaluate", fails=True)
    assert copy.alexnet("doctor", fails=True).count("fix: alexnet doctor --repair") == 1
    assert repair(copy) == "dvc.lock: empty; restored the committed version\n"
    assert copy.stages_run(copy.run("dvc", "repro", "evaluate")) == []
    assert copy.outputs() == expected
    assert copy.run("git", "status", "--porcelain").split() == [
        "M", "dvc.lock", "M", "metrics.json", "M", "params.yaml"
    ]  # fmt: skip


def repair(checkout: Checkout) -> str:
    """Run the repair that the README gives for a killed `dvc repro`; once is enough."""
    output = checkout.alexnet("doctor", "--repair")
    print(output, end="", flush=True)
    assert checkout.alexnet("doctor", "--repair") == ""
    return output


def kill_inside_a_write(checkout: Checkout, shim: Path, point: KillPoint) -> None:
    """Run `dvc repro` of a stage, which is killed at `point`."""
    size = _bytes_to_write(checkout, point)
    if point.emptied:
        shutil.rmtree(checkout.folder / point.emptied)
    absolute = point.files.startswith("*")
    command = "dvc", "repro", "--force", "--single-item", point.stage
    process = checkout.start(
        *command,
        LD_PRELOAD=str(shim),
        KILL_FILE=point.files if absolute else f"{checkout.folder}/{point.files}",
        KILL_OPENING=str(point.opening),
        KILL_BYTES=str(size),
    )
    output = process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == -signal.SIGKILL, output


def _bytes_to_write(checkout: Checkout, point: KillPoint) -> int:
    if isinstance(point.size, str):  # in the stage's entry in the run cache
        texts = (path.read_text() for path in checkout.folder.glob(point.files))
        return next(t for t in texts if f"stages/{point.stage}" in t[:40]).index(point.size)
    if point.size < 0:
        return (checkout.folder / point.files).stat().st_size + point.size
    return point.size


def test_a_second_dvc_repro_is_rejected_while_one_runs(copy: Checkout) -> None:
    """DVC rejects it with a line that names the running process."""
    expected = copy.outputs()
    first = start_stage(copy, "train")
    first.send_signal(signal.SIGSTOP)  # so that it still runs when the others start
    others = [copy.start("dvc", "repro", "--force", "--single-item", "train") for _ in range(2)]
    for run in others:
        output = run.communicate(timeout=PATIENCE)[0]
        assert "Traceback" not in output
        assert run.returncode != 0
        assert "is busy, it is being blocked by" in output
        assert f"(PID {first.pid})" in output
    first.send_signal(signal.SIGCONT)
    first.communicate(timeout=PATIENCE)
    assert first.returncode == 0
    copy.run("dvc", "repro")
    assert copy.outputs() == expected


def start_stage(checkout: Checkout, stage: str) -> subprocess.Popen[str]:
    """Run `dvc repro` of this stage; return when the stage has started."""
    process = checkout.start("dvc", "repro", "--force", "--single-item", stage)
    assert process.stdout
    assert any(line.startswith(f"Running stage '{stage}'") for line in process.stdout)
    return process


def _cost(checkout: Checkout, stage: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = start_stage(checkout, stage)
    already = _used(process.pid) / os.sysconf("SC_CLK_TCK")
    process.communicate(timeout=PATIENCE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime - already


def _work_for(session: int, seconds: float) -> None:
    """Wait until the processes of a session have used `seconds` of CPU time, or ended."""
    until = _used(session) + seconds * os.sysconf("SC_CLK_TCK")
    while 0 < _used(session) < until:
        time.sleep(0.01)


def _used(session: int) -> int:
    """Return the clock ticks of live processes and of the children they waited for."""
    return sum(sum(map(int, fields[11:15])) for fields in _processes(session).values())


def _processes(session: int) -> dict[int, list[str]]:
    """Return the live processes of a session with the fields of /proc/PID/stat after the name."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            fields = path.read_text().rpartition(") ")[2].split()
            if fields[3] == str(session) and fields[0] != "Z":
                found[int(path.parent.name)] = fields
    return found


def _kill(session: int, victim: str, stage: str) -> bool:
    """Kill the victims; return whether there were any."""
    victims = [pid for pid in sorted(_processes(session)) if victim == "all" or _runs(pid, stage)]
    for pid in victims:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(victims)


def _runs(pid: int, stage: str) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return False
    return command[1:2] == [f"stages/{stage}.py"]


def test_the_command_of_the_message_fixes_the_damage(copy: Checkout) -> None:
    """A flipped bit in a shard is in DVC's cache too: both are the same file."""
    shard = copy.folder / "data/shards/val/00000.lmdb"
    data = shard.read_bytes()
    shard.chmod(0o644)
    with shard.open("r+b") as file:
        file.seek(len(data) // 2)
        file.write(bytes([data[len(data) // 2] ^ 1]))
    output = copy.run("python", "stages/evaluate.py", fails=True)
    assert re.search(r"val/00000.lmdb: record \d is damaged; fix: ", output)
    copy.run("bash", "-c", output.partition("fix: ")[2])
    assert shard.read_bytes() == data
    assert copy.run("dvc", "status", "dvc.yaml") == "Data and pipelines are up to date.\n"
