"""Growth: time and memory of the resize stage on 1×, 2× and 4× the photos."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from alexnet.resize.jobs import resize_shard
from benchmarks import CHECKOUT, work
from benchmarks.clock import cpu_seconds
from benchmarks.table import Row, main

FACTORS = (1, 2, 4)


def rows(photos: list[bytes], rounds: int) -> list[Row]:
    """Measure each count in a fresh process; time per image and memory should not grow."""
    counts = [len(photos) * factor for factor in FACTORS]
    costs = [measure_in_fresh_process(photos, count) for count in counts]
    return [_row(count, cost, costs[0]) for count, cost in zip(counts, costs, strict=True)]


def measure_in_fresh_process(photos: list[bytes], count: int) -> dict[str, float]:
    """Return the result of `measure` for `count` images."""
    with TemporaryDirectory() as folder:
        work.write_raw(photos, Path(folder), count)
        command = [sys.executable, "-m", "benchmarks.growth", "--measure", folder, str(count)]
        run = subprocess.run(command, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE)
    costs: dict[str, float] = json.loads(run.stdout)
    return costs


def measure(folder: Path, count: int) -> dict[str, float]:
    """Return wall and CPU seconds, and peak memory in MB, of one worker doing all jobs."""
    jobs = work.jobs(folder, folder / "work", count)
    wall, cpu = time.perf_counter(), cpu_seconds()
    for job in jobs:
        resize_shard(job)
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    return {"wall": wall, "cpu": cpu, "memory": peak_memory()}


def peak_memory() -> float:
    """Return this process's peak memory in MB.

    On Linux a child inherits getrusage's maximum from its parent, so that cannot be used.
    """
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak[1]) / 1e3 if peak else float("nan")


def _row(count: int, costs: dict[str, float], first: dict[str, float]) -> Row:
    cost = f"{costs['wall']:.2f} s wall, {costs['cpu']:.2f} s CPU, peak {costs['memory']:.0f} MB"
    time_ratio, memory_ratio = (costs[key] / first[key] for key in ("cpu", "memory"))
    return Row(
        f"{count:,} images", cost, goal=f"CPU × {time_ratio:.2f}, memory × {memory_ratio:.2f}"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(Path(sys.argv[2]), int(sys.argv[3]))))
    else:
        main(__doc__ or "", rows)
