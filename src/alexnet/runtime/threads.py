"""Threads: as many as this process may use, and none that spins while another waits for a core.

At a barrier, libgomp's waiting threads spin for milliseconds. On a quiet machine that makes
training up to twice as fast. Beside another busy process it stalls training: the thread that the
others wait for has no core. libgomp spins only briefly in a process with more OpenMP threads than
cores, so `share_cores` keeps one more of them asleep while this process has to wait for cores.
"""

import ctypes
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

OWN_SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")  # a user's choice of how threads wait
SECONDS_A_LOOK = 0.5
CONTENDED, QUIET = 0.15, 0.05  # seconds that threads wait for a core, in a second


@dataclass(frozen=True)
class Limit:
    """How many cores or threads a process may use, and what decides it."""

    count: int
    reason: str

    def __str__(self) -> str:
        return f"{self.count} {'thread' if self.count == 1 else 'threads'} ({self.reason})"


def usable_threads(environment: Mapping[str, str] = os.environ, system: Path = Path("/")) -> Limit:
    """OMP_NUM_THREADS, else `usable_cores`, divided between the ranks on this machine."""
    limit = usable_cores(environment, system)
    ranks = _number(environment.get("LOCAL_WORLD_SIZE", ""))
    if ranks > 1:
        shared = f"{limit.reason}, divided between {ranks} processes"
        limit = Limit(max(limit.count // ranks, 1), shared)
    own = _number(environment.get("OMP_NUM_THREADS", "").partition(",")[0])
    return Limit(own, "OMP_NUM_THREADS") if own and own != limit.count else limit


def usable_cores(environment: Mapping[str, str] = os.environ, system: Path = Path("/")) -> Limit:
    """The fewest of affinity, cgroup quota (rounded down) and SLURM_CPUS_PER_TASK.

    system: the folder that holds proc/ and sys/.
    """
    cores = core_count()
    limits = [Limit(cores, f"{cores} {'core' if cores == 1 else 'cores'}")]
    for quota in _quotas(system):
        limits.append(Limit(max(int(quota), 1), f"cgroup quota of {quota:g} cores"))
    if slurm := _number(environment.get("SLURM_CPUS_PER_TASK", "")):
        limits.append(Limit(slurm, "SLURM_CPUS_PER_TASK"))
    return min(limits, key=lambda limit: limit.count)


def core_count() -> int:
    """The cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _quotas(system: Path) -> Iterator[float]:
    """In cores, of each control group that this process is in, of version 1 or 2."""
    try:
        lines = (system / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        mount = system / "sys/fs/cgroup" / controllers  # version 2 has no names of controllers
        for folder in (mount, *(mount.joinpath(*parts) for parts in _ancestry(path))):
            with suppress(OSError, ValueError):
                yield _quota(folder)


def _ancestry(path: str) -> Iterator[list[str]]:
    """A group and those above it: a container may see its own group at the mount itself."""
    parts = path.strip("/").split("/")
    return (parts[:depth] for depth in range(1, len(parts) + 1))


def _quota(folder: Path) -> float:
    """Raises OSError or ValueError where there is none."""
    if (folder / "cpu.max").exists():
        quota, period = (folder / "cpu.max").read_text().split()  # "max" is no float
    else:
        quota = (folder / "cpu.cfs_quota_us").read_text()  # -1: no limit
        period = (folder / "cpu.cfs_period_us").read_text()
    if float(quota) <= 0:
        raise ValueError(quota)
    return float(quota) / float(period)


@cache
def share_cores() -> Limit:
    """Have torch use `usable_threads` in this process, and let its threads sleep under contention.

    Changes nothing where the user set it (OMP_NUM_THREADS; OMP_WAIT_POLICY or GOMP_SPINCOUNT). The
    number of threads stays the same while the process runs: sums, and so trained weights, depend
    on it in their last digits.
    """
    import torch

    threads = usable_threads()
    torch.set_num_threads(threads.count)
    gomp = find_libgomp()
    if gomp and threads.count > 1 and os.environ.keys().isdisjoint(OWN_SETTINGS):
        extra = max(core_count() - threads.count, 0) + 2  # a team's first thread does not count
        threading.Thread(target=_watch, args=(gomp, extra), name="sharing", daemon=True).start()
    return threads


def find_libgomp() -> ctypes.CDLL | None:
    """The library that torch's threads are from, where it is GNU's, on Linux."""
    with suppress(OSError):
        lines = Path("/proc/self/maps").read_text().splitlines()
        mapped = {Path(f"/{line.partition('/')[2]}") for line in lines}
        found = [path for path in mapped if path.name.startswith("libgomp")]
        if found:  # another package may have brought one of its own
            return ctypes.CDLL(str(max(found, key=lambda path: "torch" in path.parts)))
    return None


def _watch(gomp: ctypes.CDLL, extra: int) -> None:
    """Keep `extra` OpenMP threads asleep for as long as this process waits for cores."""
    release: threading.Event | None = None
    for rate in _waiting_rates():
        if release is None and rate > CONTENDED:
            release = hold_threads(gomp, extra)
        elif release is not None and rate < QUIET:
            release.set()
            release = None


def _waiting_rates() -> Iterator[float]:
    """How long this process's threads waited for a core, in seconds a second, every half second."""
    waits, then = waiting_times(), time.monotonic()
    while True:
        time.sleep(SECONDS_A_LOOK)
        waits_before, before = waits, then
        waits, then = waiting_times(), time.monotonic()
        waited = sum(wait - waits_before.get(thread, 0.0) for thread, wait in waits.items())
        yield waited / (then - before)


def waiting_times() -> dict[str, float]:
    """Seconds that each thread of this process was ready to run and had no core."""
    waits = {}
    for path in Path("/proc/self/task").glob("*/schedstat"):
        with suppress(OSError):  # of a thread that has ended
            waits[path.parent.name] = int(path.read_text().split()[1]) * 1e-9
    return waits


def hold_threads(gomp: ctypes.CDLL, count: int) -> threading.Event:
    """Start an OpenMP team of `count` threads that sleeps until the event returned is set."""
    release, started = threading.Event(), threading.Event()

    def hold() -> None:
        nothing = ctypes.cast(ctypes.CDLL(None).free, ctypes.c_void_p)  # free(NULL), in each thread
        gomp.GOMP_parallel(nothing, None, ctypes.c_uint(count), ctypes.c_uint(0))
        started.set()
        release.wait()

    threading.Thread(target=hold, name="held", daemon=True).start()
    started.wait()
    return release
