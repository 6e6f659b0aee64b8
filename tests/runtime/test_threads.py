"""How many threads a process uses and why; they do not spin while it waits for cores."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from alexnet.runtime import threads
from alexnet.runtime.threads import Limit, usable_cores, usable_threads

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "core_count", lambda: 8)


def write(system: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (system / name).parent.mkdir(parents=True, exist_ok=True)
        (system / name).write_text(text)
    return system


def test_all_cores_are_used_without_limits(tmp_path: Path) -> None:
    assert usable_threads({}, tmp_path) == Limit(8, "8 cores")


def test_affinity_limits_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    count = "from alexnet.runtime.threads import core_count; print(core_count())"
    first = min(os.sched_getaffinity(0))
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = ["taskset", "-c", str(first), sys.executable, "-c", count]
    assert subprocess.run(command, env=env, capture_output=True, text=True).stdout == "1\n"


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000", Limit(8, "8 cores")),
        ("200000 100000", Limit(2, "cgroup quota of 2 cores")),
        ("350000 100000", Limit(3, "cgroup quota of 3.5 cores")),
        ("50000 100000", Limit(1, "cgroup quota of 0.5 cores")),
        ("damaged", Limit(8, "8 cores")),
    ],
)
def test_cgroup_v2_quota_limits_threads(tmp_path: Path, quota: str, expected: Limit) -> None:
    files = {"proc/self/cgroup": "0::/box/job\n", "sys/fs/cgroup/box/job/cpu.max": f"{quota}\n"}
    assert usable_threads({}, write(tmp_path, files)) == expected


def test_least_quota_of_a_cgroup_and_its_parents_counts(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/box/job\n",
        "sys/fs/cgroup/box/job/cpu.max": "600000 100000\n",
        "sys/fs/cgroup/box/cpu.max": "300000 100000\n",
    }
    assert usable_threads({}, write(tmp_path, files)).count == 3


@pytest.mark.parametrize("path", ["/", "/docker/0123"])
def test_cgroup_v1_quota_limits_threads(tmp_path: Path, path: str) -> None:
    """In a container the cgroup is the mount itself, whatever its path on the host."""
    files = {
        "proc/self/cgroup": f"5:memory:{path}\n4:cpu,cpuacct:{path}\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "400000\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    }
    assert usable_threads({}, write(tmp_path, files)) == Limit(4, "cgroup quota of 4 cores")
    (tmp_path / "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us").write_text("-1\n")
    assert usable_threads({}, tmp_path).count == 8


def test_slurm_limits_threads_and_worker_pools(tmp_path: Path) -> None:
    environment = {"SLURM_CPUS_PER_TASK": "6"}
    assert usable_threads(environment, tmp_path) == Limit(6, "SLURM_CPUS_PER_TASK")
    assert usable_cores(environment, tmp_path).count == 6


def test_omp_num_threads_is_never_overridden(tmp_path: Path) -> None:
    """It does not limit processes: worker pools still use every core."""
    environment = {"OMP_NUM_THREADS": "16,4", "SLURM_CPUS_PER_TASK": "6"}
    assert usable_threads(environment, tmp_path) == Limit(16, "OMP_NUM_THREADS")
    assert usable_cores(environment, tmp_path).count == 6


def test_ranks_on_one_machine_share_its_cores(tmp_path: Path) -> None:
    environment = {"LOCAL_WORLD_SIZE": "3", "OMP_NUM_THREADS": "2"}
    expected = Limit(2, "8 cores, divided between 3 processes")
    assert usable_threads(environment, tmp_path) == expected
    assert usable_threads({"LOCAL_WORLD_SIZE": "20"}, tmp_path).count == 1


SPIN_SCRIPT = """
import os, signal, sys, time
before = dict(os.environ)
import torch
from alexnet.runtime import threads
tensor = torch.ones(1 << 20)

def cpu_seconds():
    start = time.process_time()
    for _ in range(40):
        tensor.add_(1)
        time.sleep(0.005)
    return time.process_time() - start

torch.set_num_threads(2)
spinning = cpu_seconds()
release = threads.hold_threads(threads.find_libgomp(), threads.core_count())
held = cpu_seconds()
release.set()
time.sleep(0.5)
print(spinning, held, cpu_seconds())
assert dict(os.environ) == before
"""


def run(script: str, **environment: str) -> str:
    env = {name: text for name, text in os.environ.items() if name not in threads.WAIT_SETTINGS}
    env |= {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "2"} | environment
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs libgomp")
def test_threads_do_not_spin_while_extra_threads_are_held() -> None:
    """Compares CPU time, on which other processes have little effect."""
    spinning, held, released = map(float, run(SPIN_SCRIPT).split())
    assert held < spinning / 2
    assert held < released / 2


class _End(Exception):
    """Ends the endless loop of watch_contention."""


@pytest.mark.parametrize(
    ("rates", "holding"),
    [
        ([0.0, 0.1], [False, False]),
        ([0.5], [True]),
        ([0.5, 0.1, 0.3], [True, True, True]),
        ([0.5, 0.01, 0.1, 0.2], [True, False, False, True]),
    ],
)
def test_threads_are_held_while_the_process_waits_for_cores(
    monkeypatch: pytest.MonkeyPatch, rates: list[float], holding: list[bool]
) -> None:
    events, held = [], []

    def hold(gomp: object, count: int) -> object:
        events.append(threads.threading.Event())
        return events[-1]

    def waiting_rates() -> object:
        for rate in rates:
            yield rate
            held.append(bool(events) and not events[-1].is_set())
        raise _End

    monkeypatch.setattr(threads, "hold_threads", hold)
    monkeypatch.setattr(threads, "waiting_rates", waiting_rates)
    with pytest.raises(_End):
        threads.watch_contention(None, 2)  # type: ignore[arg-type]
    assert held == holding


def test_waiting_times_measure_time_without_a_core() -> None:
    """Two busy threads on one core: each waits half of the time."""
    script = """
import os, threading, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from alexnet.runtime.threads import waiting_times
import hashlib
def work():
    end = time.monotonic() + 1
    while time.monotonic() < end:
        hashlib.sha256(bytes(1 << 20))  # releases the GIL
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
time.sleep(0.9)
print(sum(waiting_times().values()))
"""
    assert float(run(script)) > 0.5


@pytest.mark.parametrize("name", threads.WAIT_SETTINGS)
def test_a_wait_policy_set_by_the_user_is_kept(name: str) -> None:
    script = """
import threading
from alexnet.runtime.threads import share_cores
print(share_cores().count, [thread.name for thread in threading.enumerate()])
"""
    assert run(script, **{name: "100"}) == "2 ['MainThread']\n"
    assert run(script) == "2 ['MainThread', 'share_cores']\n"
