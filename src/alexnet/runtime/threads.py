"""How many threads to use, and how to keep them from spinning on a busy machine.

At a barrier, libgomp's waiting threads spin for milliseconds. On an idle machine this makes
training up to twice as fast. Next to another busy process it stalls training: the thread that the
others wait for has no core. libgomp spins only briefly in a process with more OpenMP threads than
cores, so `share_cores` keeps extra threads asleep while this process has to wait for cores.
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

WAIT_SETTINGS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")  # if set, the user chose how threads wait
POLL_SECONDS = 0.5
BUSY, IDLE = 0.15, 0.05  # seconds per second that threads wait for a core


@dataclass(frozen=True)
class Limit:
    """A number of cores or threads, and the setting it comes from."""

    count: int
    reason: str

    def __str__(self) -> str:
        return f"{self.count} {'thread' if self.count == 1 else 'threads'} ({self.reason})"


def usable_threads(environment: Mapping[str, str] = os.environ, system: Path = Path("/")) -> Limit:
    """Return OMP_NUM_THREADS, or this rank's share of `usable_cores`."""
    limit = usable_cores(environment, system)
    ranks = _parse_count(environment.get("LOCAL_WORLD_SIZE", ""))
    if ranks > 1:
        reason = f"{limit.reason}, divided between {ranks} processes"
        limit = Limit(max(limit.count // ranks, 1), reason)
    chosen = _parse_count(environment.get("OMP_NUM_THREADS", "").partition(",")[0])
    return Limit(chosen, "OMP_NUM_THREADS") if chosen not in (0, limit.count) else limit


def usable_cores(environment: Mapping[str, str] = os.environ, system: Path = Path("/")) -> Limit:
    """Return the least of affinity, cgroup quotas (rounded down) and SLURM_CPUS_PER_TASK.

    system: the folder that contains proc/ and sys/.
    """
    cores = core_count()
    limits = [Limit(cores, f"{cores} {'core' if cores == 1 else 'cores'}")]
    for quota in _quotas(system):
        limits.append(Limit(max(int(quota), 1), f"cgroup quota of {quota:g} cores"))
    if slurm := _parse_count(environment.get("SLURM_CPUS_PER_TASK", "")):
        limits.append(Limit(slurm, "SLURM_CPUS_PER_TASK"))
    return min(limits, key=lambda limit: limit.count)


def core_count() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _parse_count(text: str) -> int:
    """Return a decimal number, or 0 if `text` is not one."""
    return int(text) if text.isdecimal() else 0


def _quotas(system: Path) -> Iterator[float]:
    """Yield the CPU quota, in cores, of each cgroup (v1 or v2) around this process."""
    try:
        lines = (system / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        mount = system / "sys/fs/cgroup" / controllers  # v2 names no controllers
        for folder in (mount, *(mount.joinpath(*parts) for parts in _ancestry(path))):
            with suppress(OSError, ValueError):
                yield _quota(folder)


def _ancestry(path: str) -> Iterator[list[str]]:
    """Return the path parts of a cgroup and all its parents.

    Inside a container, its own cgroup may be mounted as the root.
    """
    parts = path.strip("/").split("/")
    return (parts[:depth] for depth in range(1, len(parts) + 1))


def _quota(folder: Path) -> float:
    """Return a cgroup's quota in cores. Raises OSError or ValueError if it has none."""
    if (folder / "cpu.max").exists():
        quota, period = (folder / "cpu.max").read_text().split()  # "max" raises ValueError
    else:
        quota = (folder / "cpu.cfs_quota_us").read_text()  # -1: no limit
        period = (folder / "cpu.cfs_period_us").read_text()
    if float(quota) <= 0:
        raise ValueError(quota)
    return float(quota) / float(period)


@cache
def share_cores() -> Limit:
    """Set torch to `usable_threads`, and stop them from spinning while the machine is busy.

    The user's settings take precedence (OMP_NUM_THREADS; OMP_WAIT_POLICY or GOMP_SPINCOUNT). The
    number of threads never changes while the process runs: the last digits of sums, and so of
    trained weights, depend on it.
    """
    import torch

    threads = usable_threads()
    torch.set_num_threads(threads.count)
    gomp = find_libgomp()
    if gomp and threads.count > 1 and os.environ.keys().isdisjoint(WAIT_SETTINGS):
        extra = max(core_count() - threads.count, 0) + 2  # a team's first thread is its caller
        threading.Thread(
            target=watch_contention, args=(gomp, extra), name="share_cores", daemon=True
        ).start()
    return threads


def find_libgomp() -> ctypes.CDLL | None:
    """Return the GNU OpenMP library that torch loaded, if any (Linux only)."""
    with suppress(OSError):
        lines = Path("/proc/self/maps").read_text().splitlines()
        mapped = {Path(f"/{line.partition('/')[2]}") for line in lines}
        libraries = [path for path in mapped if path.name.startswith("libgomp")]
        if libraries:  # other packages may bring their own copy
            return ctypes.CDLL(str(max(libraries, key=lambda path: "torch" in path.parts)))
    return None


def watch_contention(gomp: ctypes.CDLL, extra: int) -> None:
    """Keep `extra` OpenMP threads asleep while this process has to wait for cores."""
    release: threading.Event | None = None
    for rate in waiting_rates():
        if release is None and rate > BUSY:
            release = hold_threads(gomp, extra)
        elif release is not None and rate < IDLE:
            release.set()
            release = None


def waiting_rates() -> Iterator[float]:
    """Yield, every POLL_SECONDS, how long threads waited for a core, in seconds per second."""
    waits, now = waiting_times(), time.monotonic()
    while True:
        time.sleep(POLL_SECONDS)
        previous_waits, previous = waits, now
        waits, now = waiting_times(), time.monotonic()
        waited = sum(wait - previous_waits.get(thread, 0.0) for thread, wait in waits.items())
        yield waited / (now - previous)


def waiting_times() -> dict[str, float]:
    """Return, by thread, the seconds it was ready to run but had no core."""
    waits = {}
    for path in Path("/proc/self/task").glob("*/schedstat"):
        with suppress(OSError):  # the thread has ended
            waits[path.parent.name] = int(path.read_text().split()[1]) * 1e-9
    return waits


def hold_threads(gomp: ctypes.CDLL, count: int) -> threading.Event:
    """Start an OpenMP team of `count` threads that sleep until the returned event is set."""
    release, started = threading.Event(), threading.Event()

    def hold() -> None:
        no_op = ctypes.cast(ctypes.CDLL(None).free, ctypes.c_void_p)  # each thread: free(NULL)
        gomp.GOMP_parallel(no_op, None, ctypes.c_uint(count), ctypes.c_uint(0))
        started.set()
        release.wait()

    threading.Thread(target=hold, name="hold_threads", daemon=True).start()
    started.wait()
    return release
