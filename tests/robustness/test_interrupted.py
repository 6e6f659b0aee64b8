"""Runs that are killed, started at once, damaged: then run again, they end in the same bytes.

KILLS=50 pytest -s tests/robustness/test_interrupted.py
ends `dvc repro` so often, in every stage: a fifth of
the kills fall inside a write of DVC itself.
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
    """Where in DVC's writes to kill: a file, how often it is opened first, bytes still written.

    files: a glob below the checkout, or of absolute paths if it begins with *. size: bytes,
    counted from its end if negative; or a text of the file as it was: all that comes before it.
    emptied: a folder that is emptied first, so that DVC writes the file again.
    """

    files: str
    stage: str
    size: int | str = 0
    opening: int = 1
    emptied: str = ""


LOCK, RWLOCK, RUNS, OBJECTS = "dvc.lock", ".dvc/tmp/rwlock", ".dvc/cache/runs", ".dvc/cache/files"
PLACES = [
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
    """A checkout of its own: whatever a test leaves there, no other test meets."""
    made = checkout.copied(tmp_path / "copy")
    yield made
    shutil.rmtree(made.folder)


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that is preloaded to kill a process inside a write."""
    if not COMPILER:
        pytest.skip("no C compiler, cc")
    made = tmp_path_factory.mktemp("shim") / "kill.so"
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", made]
    subprocess.run([COMPILER, *flags, SOURCE, "-ldl"], check=True)
    return made


@pytest.fixture(scope="module")
def costs() -> dict[str, float]:
    """Of each stage that was measured, how much of the processor `dvc repro` takes from it on."""
    return {}


@pytest.mark.parametrize("number", range(KILLS - KILLS // 5))
def test_a_killed_dvc_repro_ends_in_the_same_bytes_when_run_again(
    copy: Checkout, number: int, costs: dict[str, float]
) -> None:
    """The stage is killed, or dvc with all that it started, at any moment of a stage or after it.

    The run cache, which would bring the outputs back, is off.
    """
    undisturbed, chance = copy.outputs(), random.Random(number)
    stage = STAGES[(number + 3) % len(STAGES)]
    victim = "all" if number % 2 == 0 else "stage"
    if stage not in costs:
        costs[stage] = _cost(copy, stage)
    tries = 0
    while True:
        tries += 1
        process = begun(copy, stage)
        _work_for(process.pid, chance.uniform(0, costs[stage]))
        hit = _kill(process.pid, victim, stage)
        said = process.communicate(timeout=PATIENCE)[0]
        assert "Traceback" not in said
        if hit:
            break
        assert process.returncode == 0
        assert tries < 10
    print(f"\n{number}: {stage}, {victim}, at try {tries}: {process.returncode}", flush=True)
    assert process.returncode == -signal.SIGKILL or "failed to reproduce" in said
    repair(copy)
    copy.run("dvc", "repro", "--no-run-cache")
    assert copy.outputs() == undisturbed
    assert copy.run("git", "status", "--porcelain") == ""


@pytest.mark.parametrize("place", PLACES[: KILLS // 5])
def test_a_kill_inside_a_write_of_dvc(copy: Checkout, shim: Path, place: KillPoint) -> None:
    """The same bytes; also from DVC's cache, which may hold what was being written."""
    undisturbed = copy.outputs()
    kill_inside_a_write(copy, shim, place)
    repair(copy)
    copy.run("dvc", "repro")
    assert copy.outputs() == undisturbed
    if place.emptied:
        shutil.rmtree(copy.folder / f"data/{place.stage}")
        copy.run("dvc", "repro")
        assert copy.outputs() == undisturbed
    assert copy.run("git", "status", "--porcelain") == ""


def test_a_lock_lost_in_a_kill_costs_no_stage_that_was_finished(copy: Checkout, shim: Path) -> None:
    """The lock held a finished train that git has not: the run cache brings it back."""
    copy.set("params.yaml", "lr", 0.02)
    assert copy.stages_run(copy.run("dvc", "repro", "evaluate")) == ["train", "evaluate"]
    undisturbed = copy.outputs()
    kill_inside_a_write(copy, shim, KillPoint(LOCK, "evaluate"))
    assert "dvc.lock" in copy.run("dvc", "repro", "evaluate", fails=True)
    assert copy.alexnet("doctor", fails=True).count("fix: alexnet doctor --repair") == 1
    assert repair(copy) == "dvc.lock: empty; restored the committed version\n"
    assert copy.stages_run(copy.run("dvc", "repro", "evaluate")) == []
    assert copy.outputs() == undisturbed
    assert copy.run("git", "status", "--porcelain").split() == [
        "M", "dvc.lock", "M", "metrics.json", "M", "params.yaml"
    ]  # fmt: skip


def repair(checkout: Checkout) -> str:
    """As the README says to do after `dvc repro` itself was killed; it repairs all at once."""
    said = checkout.alexnet("doctor", "--repair")
    print(said, end="", flush=True)
    assert checkout.alexnet("doctor", "--repair") == ""
    return said


def kill_inside_a_write(checkout: Checkout, shim: Path, place: KillPoint) -> None:
    """Kill `dvc repro` of a stage as soon as it has written so much of a file."""
    size = _bytes_to_write(checkout, place)
    if place.emptied:
        shutil.rmtree(checkout.folder / place.emptied)
    absolute = place.files.startswith("*")
    command = "dvc", "repro", "--force", "--single-item", place.stage
    process = checkout.start(
        *command,
        LD_PRELOAD=str(shim),
        KILL_FILE=place.files if absolute else f"{checkout.folder}/{place.files}",
        KILL_OPENING=str(place.opening),
        KILL_BYTES=str(size),
    )
    said = process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == -signal.SIGKILL, said


def _bytes_to_write(checkout: Checkout, place: KillPoint) -> int:
    if isinstance(place.size, str):  # in the stage's entry in the run cache
        texts = (path.read_text() for path in checkout.folder.glob(place.files))
        return next(t for t in texts if f"stages/{place.stage}" in t[:40]).index(place.size)
    if place.size < 0:
        return (checkout.folder / place.files).stat().st_size + place.size
    return place.size


def test_several_dvc_repro_at_once(copy: Checkout) -> None:
    """One does the work; DVC refuses the others in a line that names the process at work."""
    undisturbed = copy.outputs()
    first = begun(copy, "train")
    first.send_signal(signal.SIGSTOP)  # it is at work until all others have asked
    others = [copy.start("dvc", "repro", "--force", "--single-item", "train") for _ in range(2)]
    for run in others:
        said = run.communicate(timeout=PATIENCE)[0]
        assert "Traceback" not in said
        assert run.returncode != 0
        assert "is busy, it is being blocked by" in said
        assert f"(PID {first.pid})" in said
    first.send_signal(signal.SIGCONT)
    first.communicate(timeout=PATIENCE)
    assert first.returncode == 0
    copy.run("dvc", "repro")
    assert copy.outputs() == undisturbed


def begun(checkout: Checkout, stage: str) -> subprocess.Popen[str]:
    """`dvc repro` of this stage, from where it has begun it."""
    process = checkout.start("dvc", "repro", "--force", "--single-item", stage)
    assert process.stdout
    assert any(line.startswith(f"Running stage '{stage}'") for line in process.stdout)
    return process


def _cost(checkout: Checkout, stage: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = begun(checkout, stage)
    already = _used(process.pid) / os.sysconf("SC_CLK_TCK")
    process.communicate(timeout=PATIENCE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime - already


def _work_for(session: int, seconds: float) -> None:
    """Let the processes of a session use so much of the processor: as far on a busy machine."""
    until = _used(session) + seconds * os.sysconf("SC_CLK_TCK")
    while 0 < _used(session) < until:
        time.sleep(0.01)


def _used(session: int) -> int:
    """Ticks of the living, and of the dead that they waited for."""
    return sum(sum(map(int, fields[11:15])) for fields in _processes(session).values())


def _processes(session: int) -> dict[int, list[str]]:
    """The living of a session, each with what /proc tells behind its name."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            fields = path.read_text().rpartition(") ")[2].split()
            if fields[3] == str(session) and fields[0] != "Z":
                found[int(path.parent.name)] = fields
    return found


def _kill(session: int, victim: str, stage: str) -> bool:
    """Whether there was anything to kill."""
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


def test_damage_is_mended_by_what_the_message_says(copy: Checkout) -> None:
    """A flipped bit in a shard is one in DVC's cache, too: both are the same file."""
    shard = copy.folder / "data/shards/val/00000.lmdb"
    whole = shard.read_bytes()
    shard.chmod(0o644)
    with shard.open("r+b") as file:
        file.seek(len(whole) // 2)
        file.write(bytes([whole[len(whole) // 2] ^ 1]))
    said = copy.run("python", "stages/evaluate.py", fails=True)
    assert re.search(r"val/00000.lmdb: record \d is damaged; fix: ", said)
    copy.run("bash", "-c", said.partition("fix: ")[2])
    assert shard.read_bytes() == whole
    assert copy.run("dvc", "status", "dvc.yaml") == "Data and pipelines are up to date.\n"
