"""Scaling: wall time with one worker and with two, in turns; the ratio is one ÷ two."""

import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from alexnet.dataset.index import Rows
from alexnet.moments.sums import sum_shard
from alexnet.resize.jobs import join_shards, run_jobs
from benchmarks import work
from benchmarks.clock import Costs, interleaved
from benchmarks.table import Goal, Row, alone, ratio_row

SHARDS = 8
ARITHMETIC = 4_000_000
GOAL = Goal(at_least=1.7)
TWO_FREE = 1.8  # times, of bare arithmetic; below it the goal is not judged
FREE = "bare arithmetic: what two cores give now"
Task = Callable[[Executor], object]


def rows(photos: list[bytes], rounds: int) -> list[Row]:
    """Bare arithmetic, which shows how free the cores are, and the stages resize and moments."""
    before = os.getloadavg()[0]
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        again = folder / "again"
        table = work.write_raw(photos, folder, len(photos))
        with ProcessPoolExecutor(1) as pool:
            split = resized(folder / "finished", table, pool)
        tasks: dict[str, Task] = {
            "resize": partial(resized, again, table),
            "moments": partial(summed, split),
            FREE: arithmetic,
        }
        costs = walls(tasks, rounds, after=partial(shutil.rmtree, again, ignore_errors=True))
    load = f"load {before:.1f} before, {os.getloadavg()[0]:.1f} after, of {os.cpu_count()} cores"
    return [*(_row(name, costs) for name in tasks), Row("the machine", load)]


def walls(tasks: dict[str, Task], rounds: int, after: Callable[[], object]) -> Costs:
    """Seconds of each task with one worker and with two, all in turns; the pools are warm."""
    with ProcessPoolExecutor(1) as one, ProcessPoolExecutor(2) as two:
        ways = {
            f"{name}, {workers}": partial(_run, task, pool)
            for name, task in tasks.items()
            for workers, pool in (("one", one), ("two", two))
        }
        return interleaved(ways, [None], rounds, time.perf_counter, after)


def _run(task: Task, pool: Executor, _: None) -> None:
    task(pool)


def arithmetic(pool: Executor) -> None:
    """Work that needs neither memory nor disk."""
    list(pool.map(_sum, [ARITHMETIC] * SHARDS))


def _sum(most: int) -> int:
    return sum(range(most))


def resized(into: Path, table: Rows, pool: Executor) -> Path:
    """All photos to shards, as the stage does; returns their folder."""
    jobs = work.jobs(into.parent, into, len(table), -(-len(table) // SHARDS))
    run_jobs(pool, jobs, lambda _: None)
    split = jobs[0].path.parent
    join_shards(split, table, jobs)
    return split


def summed(split: Path, pool: Executor) -> None:
    """The moments of all shards, as the stage does."""
    list(pool.map(partial(sum_shard, split), range(len(list(split.glob("*.lmdb"))))))


def _row(name: str, costs: Costs) -> Row:
    one, two = costs[f"{name}, one"], costs[f"{name}, two"]
    told = f"{np.median(one):.2f} s, {np.median(two):.2f} s"
    row = ratio_row(name, told, one / two, Goal() if name == FREE else GOAL)
    free = np.median(costs[f"{FREE}, one"] / costs[f"{FREE}, two"]) >= TWO_FREE
    return row if free or name == FREE else row._replace(goal=f"≥ {GOAL.at_least}: cores not free")


if __name__ == "__main__":
    alone(__doc__ or "", rows)
