"""Scaling: wall time with one worker and with two, interleaved; ratio: one ÷ two."""

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
from benchmarks.clock import Costs, measure_interleaved
from benchmarks.table import Goal, Row, main, ratio_row

SHARDS = 8
ARITHMETIC = 4_000_000
GOAL = Goal(at_least=1.7)
MIN_SPEED_UP = 1.8  # of pure arithmetic; below it the cores are not free and no goal applies
FREE = "pure arithmetic: speed-up that two cores give now"
Task = Callable[[Executor], object]


def rows(photos: list[bytes], rounds: int) -> list[Row]:
    """Measure resize, moments, and pure arithmetic, which shows whether the cores are free."""
    before = os.getloadavg()[0]
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        output = folder / "output"
        table = work.write_raw(photos, folder, len(photos))
        with ProcessPoolExecutor(1) as pool:
            split = run_resize(folder / "finished", table, pool)
        tasks: dict[str, Task] = {
            "resize": partial(run_resize, output, table),
            "moments": partial(run_moments, split),
            FREE: run_arithmetic,
        }
        costs = measure_walls(
            tasks, rounds, after=partial(shutil.rmtree, output, ignore_errors=True)
        )
    load = f"load {before:.1f} before, {os.getloadavg()[0]:.1f} after, of {os.cpu_count()} cores"
    return [*(_row(name, costs) for name in tasks), Row("the machine", load)]


def measure_walls(tasks: dict[str, Task], rounds: int, after: Callable[[], object]) -> Costs:
    """Return the seconds of each task with one worker and with two, in warm pools."""
    with ProcessPoolExecutor(1) as one, ProcessPoolExecutor(2) as two:
        ways = {
            f"{name}, {workers}": partial(_run, task, pool)
            for name, task in tasks.items()
            for workers, pool in (("one", one), ("two", two))
        }
        return measure_interleaved(ways, [None], rounds, time.perf_counter, after)


def _run(task: Task, pool: Executor, _: None) -> None:
    task(pool)


def run_arithmetic(pool: Executor) -> None:
    """Do work that needs neither memory nor disk."""
    list(pool.map(_sum, [ARITHMETIC] * SHARDS))


def _sum(limit: int) -> int:
    return sum(range(limit))


def run_resize(output: Path, table: Rows, pool: Executor) -> Path:
    """Write all photos to shards, as the resize stage does; return their folder."""
    jobs = work.jobs(output.parent, output, len(table), -(-len(table) // SHARDS))
    run_jobs(pool, jobs, lambda _: None)
    split = jobs[0].path.parent
    join_shards(split, table, jobs)
    return split


def run_moments(split: Path, pool: Executor) -> None:
    """Compute the moments of all shards, as the stage does."""
    list(pool.map(partial(sum_shard, split), range(len(list(split.glob("*.lmdb"))))))


def _row(name: str, costs: Costs) -> Row:
    one, two = costs[f"{name}, one"], costs[f"{name}, two"]
    cost = f"{np.median(one):.2f} s, {np.median(two):.2f} s"
    row = ratio_row(name, cost, one / two, Goal() if name == FREE else GOAL)
    free = np.median(costs[f"{FREE}, one"] / costs[f"{FREE}, two"]) >= MIN_SPEED_UP
    return row if free or name == FREE else row._replace(goal=f"≥ {GOAL.at_least}: cores not free")


if __name__ == "__main__":
    main(__doc__ or "", rows)
