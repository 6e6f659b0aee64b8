"""Training next to 0, 1 and 2 busy processes, and the CPU time of each command.

Each measurement runs in its own process, in random order. Ratio: rate ÷ that of one thread next to
the same processes.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np

from alexnet.runtime.threads import WAIT_SETTINGS, usable_cores
from benchmarks import CHECKOUT
from benchmarks.clock import cpu_seconds, measure_interleaved
from benchmarks.table import Goal, Row, main, met_or_missed, ratio_row

BUSY_PROCESSES = (0, 1, 2)
WIDTH_DIVISOR, BATCH, CLASSES = 4, 64, 12  # as in model=quick and recipe=quick
WARM_UP, MEASURED = 2.0, 3.0  # seconds; share_cores reacts within one
ONE_THREAD = "one thread"
OURS, SPINNING = "all cores, as in every stage", "all cores, spinning (torch's default)"
WAYS: dict[str, dict[str, str]] = {
    OURS: {},
    SPINNING: {"GOMP_SPINCOUNT": "300000"},  # libgomp's default
    "all cores, OMP_WAIT_POLICY=passive": {"OMP_WAIT_POLICY": "passive"},
    ONE_THREAD: {"OMP_NUM_THREADS": "1"},
}
GOALS = {(0, OURS): Goal(at_least=0.93), (1, OURS): Goal(at_least=0.7)}
COMMANDS = (
    *("--help", "predict --help", "doctor", "compare", "explain top1_error", "verify"),
    *(f"inspect {subject}" for subject in ("index", "shards", "moments", "model")),
)
MAX_SECONDS = 1.0  # CPU time of a command, except verify, which reads all of data/


def rows(photos: list[bytes], rounds: int) -> list[Row]:
    """Return the rates, then the commands. `photos` is not used: pixels are random."""
    rates = [row for busy in BUSY_PROCESSES for row in rate_rows(busy, rounds)]
    return rates + command_rows(rounds)


def rate_rows(busy: int, rounds: int) -> Iterator[Row]:
    """Yield the images per second of each way next to `busy` busy processes."""
    rates = {name: np.zeros(rounds) for name in WAYS}
    with busy_processes(busy):
        for turn in range(rounds):
            for name in np.random.default_rng(turn).permutation(list(WAYS)):
                rates[name][turn] = measure_rate(WAYS[name])
    for name, rate in rates.items():
        base = SPINNING if (busy, name) == (0, OURS) else ONE_THREAD
        label = f"{busy} busy: {name}" + (", ratio to spinning" if base == SPINNING else "")
        cost = f"{np.median(rate):,.0f} images/s ({rate.min():,.0f}–{rate.max():,.0f})"
        yield ratio_row(label, cost, rate / rates[base], GOALS.get((busy, name), Goal()))


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Run `count` processes that each keep a core busy."""
    loop = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(loop) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def measure_rate(settings: dict[str, str]) -> float:
    """Return the images per second of a process with these environment variables."""
    environment = {k: v for k, v in os.environ.items() if k not in WAIT_SETTINGS}
    environment |= {"OMP_NUM_THREADS": str(usable_cores().count)} | settings
    command = [sys.executable, "-m", "benchmarks.busy", "--train"]
    return float(subprocess.check_output(command, env=environment, cwd=CHECKOUT, text=True))


def train() -> float:
    """Return the images per second of training steps in this process."""
    import torch

    from alexnet.runtime.processes import prepare_process
    from benchmarks.step import ours

    prepare_process()
    step = ours(torch.device("cpu"), torch.float32, WIDTH_DIVISOR, CLASSES)
    batch = 60 * torch.randn(BATCH, 3, 224, 224), torch.randint(CLASSES, (BATCH,))
    start = time.perf_counter()
    while time.perf_counter() - start < WARM_UP:
        step(batch)
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < MEASURED:
        step(batch)
        steps += 1
    return steps * BATCH / (time.perf_counter() - start)


def command_rows(rounds: int) -> list[Row]:
    """Return the CPU seconds of each command, on the finished run in this checkout."""
    if not (CHECKOUT / "metrics.json").exists() or not (CHECKOUT / "data/report").exists():
        return [Row("the commands", "not measured: no finished run; fix: make repro")]
    ways = {line: partial(_run_command, line) for line in COMMANDS}
    costs = measure_interleaved(ways, [None], rounds, cpu_seconds)
    return [_command_row(name, float(np.median(seconds))) for name, seconds in costs.items()]


def _run_command(line: str, _: None) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "alexnet", *line.split()]
    subprocess.run(command, env=environment, cwd=CHECKOUT, stdout=subprocess.DEVNULL, check=False)


def _command_row(name: str, seconds: float) -> Row:
    goal = "" if "verify" in name else f"≤ {MAX_SECONDS:g}: {met_or_missed(seconds <= MAX_SECONDS)}"
    return Row(f"alexnet {name}", f"{seconds:.2f} CPU s", goal=goal)


if __name__ == "__main__":
    if sys.argv[1:] == ["--train"]:
        print(train())
    else:
        main(__doc__ or "", rows)
