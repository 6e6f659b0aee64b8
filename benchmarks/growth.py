"""Growth: the resize stage on more and more images, each count in a fresh process."""

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
from benchmarks.table import Row, alone

TIMES = (1, 2, 4)


def rows(photos: list[bytes], rounds: int) -> list[Row]:
    """The photos once, twice, four times: the time an image is to stay the same, memory too."""
    counts = [len(photos) * times for times in TIMES]
    found = [in_a_fresh_process(photos, count) for count in counts]
    return [_row(count, one, found[0]) for count, one in zip(counts, found, strict=True)]


def in_a_fresh_process(photos: list[bytes], count: int) -> dict[str, float]:
    """What `measured` gives for so many images."""
    with TemporaryDirectory() as folder:
        work.write_raw(photos, Path(folder), count)
        command = [sys.executable, "-m", "benchmarks.growth", "--measure", folder, str(count)]
        run = subprocess.run(command, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(run.stdout)
    return found


def measured(folder: Path, count: int) -> dict[str, float]:
    """Wall and CPU seconds, and peak memory in MB, of one worker that does all the jobs."""
    jobs = work.jobs(folder, folder / "work", count)
    wall, cpu = time.perf_counter(), cpu_seconds()
    for job in jobs:
        resize_shard(job)
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    return {"wall": wall, "cpu": cpu, "memory": peak_memory()}


def peak_memory() -> float:
    """MB. Not getrusage's maximum, which a child on Linux takes over from its parent."""
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak[1]) / 1e3 if peak else float("nan")


def _row(count: int, found: dict[str, float], first: dict[str, float]) -> Row:
    told = f"{found['wall']:.2f} s wall, {found['cpu']:.2f} s CPU, {found['memory']:.0f} MB at most"
    time_ratio, memory_ratio = (found[what] / first[what] for what in ("cpu", "memory"))
    return Row(
        f"{count:,} images", told, goal=f"CPU × {time_ratio:.2f}, memory × {memory_ratio:.2f}"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measured(Path(sys.argv[2]), int(sys.argv[3]))))
    else:
        alone(__doc__ or "", rows)
