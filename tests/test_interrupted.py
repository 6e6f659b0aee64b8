"""Runs that are killed, started at once, damaged: then run again, they end in the same bytes.

KILLS=50 pytest -s tests/test_interrupted.py ends `dvc repro` so often, in every stage.
"""

import os
import random
import re
import resource
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from checkout import STAGES, Checkout

KILLS = int(os.environ.get("KILLS", "1"))

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def costs() -> dict[str, float]:
    """Of each stage that was measured, how much of the processor `dvc repro` takes from it on."""
    return {}


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_dvc_repro_ends_in_the_same_bytes_when_run_again(
    checkout: Checkout, number: int, costs: dict[str, float]
) -> None:
    """The stage is killed, or dvc with all that it started, at any moment of a stage or after it.

    The run cache, which would bring the outputs back, is off.
    """
    undisturbed, chance = checkout.outputs(), random.Random(number)
    stage = STAGES[(number + 3) % len(STAGES)]
    victim = "all" if number % 2 == 0 else "stage"
    if stage not in costs:
        costs[stage] = _cost(checkout, stage)
    tries = 0
    while True:
        tries += 1
        process = begun(checkout, stage)
        _work_for(process.pid, chance.uniform(0, costs[stage]))
        hit = _kill(process.pid, victim, stage)
        said = process.communicate(timeout=100)[0]
        assert "Traceback" not in said
        if hit:
            break
        assert process.returncode == 0
        assert tries < 10
    print(f"\n{number}: {stage}, {victim}, at try {tries}: {process.returncode}", flush=True)
    assert process.returncode == -signal.SIGKILL or "failed to reproduce" in said
    checkout.run("dvc", "repro", "--no-run-cache")
    assert checkout.outputs() == undisturbed
    assert checkout.run("git", "status", "--porcelain") == ""


def test_several_dvc_repro_at_once(checkout: Checkout) -> None:
    """One does the work; DVC refuses the others in a line that names the process at work."""
    undisturbed = checkout.outputs()
    first = begun(checkout, "train")
    others = [checkout.start("dvc", "repro", "--force", "--single-item", "train") for _ in range(2)]
    for run in others:
        said = run.communicate(timeout=300)[0]
        assert "Traceback" not in said
        assert run.returncode != 0
        assert "is busy, it is being blocked by" in said
        assert f"(PID {first.pid})" in said
    first.communicate(timeout=300)
    assert first.returncode == 0
    checkout.run("dvc", "repro")
    assert checkout.outputs() == undisturbed


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
    process.communicate(timeout=300)
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


def test_damage_is_mended_by_what_the_message_says(checkout: Checkout) -> None:
    """A flipped bit in a shard is one in DVC's cache, too: both are the same file."""
    shard = checkout.folder / "data/shards/val/00000.lmdb"
    whole = shard.read_bytes()
    shard.chmod(0o644)
    with shard.open("r+b") as file:
        file.seek(len(whole) // 2)
        file.write(bytes([whole[len(whole) // 2] ^ 1]))
    said = checkout.run("python", "stages/evaluate.py", fails=True)
    assert re.search(r"val/00000.lmdb: record \d is damaged; mend: ", said)
    checkout.run("bash", "-c", said.partition("mend: ")[2])
    assert shard.read_bytes() == whole
    assert checkout.run("dvc", "status", "dvc.yaml") == "Data and pipelines are up to date.\n"
