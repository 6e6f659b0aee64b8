"""Training beside 0, 1 and 2 busy processes, and the CPU time that each command takes.

Each measurement is a process of its own, in turns. Ratio: to one thread beside the same processes.
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
from benchmarks.clock import cpu_seconds, interleaved
from benchmarks.table import Goal, Row, alone, met, ratio_row

BUSY = (0, 1, 2)
WIDTH_DIVISOR, BATCH, CLASSES = 4, 64, 12  # as model=quick and recipe=quick
WARM_UP, MEASURED = 2.0, 3.0  # seconds; sharing reacts within one
ONE = "one thread"
OURS, SPINNING = "all cores, as every stage", "all cores, spinning (torch by itself)"
WAYS: dict[str, dict[str, str]] = {
    OURS: {},
    SPINNING: {"GOMP_SPINCOUNT": "300000"},  # libgomp's own number
    "all cores, OMP_WAIT_POLICY=passive": {"OMP_WAIT_POLICY": "passive"},
    ONE: {"OMP_NUM_THREADS": "1"},
}
GOALS = {(0, OURS): Goal(at_least=0.93), (1, OURS): Goal(at_least=0.7)}
COMMANDS = (
    *("--help", "predict --help", "doctor", "compare", "explain top1_error", "verify"),
    *(f"inspect {what}" for what in ("index", "shards", "moments", "model")),
)
MOST = 1.0  # CPU seconds of a command; verify reads all of data/


def rows(photos: list[bytes], rounds: int) -> list[Row]:
    """The photos are not used: pixels are drawn."""
    return [row for busy in BUSY for row in rate_rows(busy, rounds)] + command_rows(rounds)


def rate_rows(busy: int, rounds: int) -> Iterator[Row]:
    """Images a second of each way beside `busy` processes."""
    rates = {name: np.zeros(rounds) for name in WAYS}
    with busy_processes(busy):
        for turn in range(rounds):
            for name in np.random.default_rng(turn).permutation(list(WAYS)):
                rates[name][turn] = train_beside(WAYS[name])
    for name, rate in rates.items():
        base = SPINNING if (busy, name) == (0, OURS) else ONE
        what = f"{busy} busy: {name}" + (", ratio to spinning" if base == SPINNING else "")
        cost = f"{np.median(rate):,.0f} images/s ({rate.min():,.0f}–{rate.max():,.0f})"
        yield ratio_row(what, cost, rate / rates[base], GOALS.get((busy, name), Goal()))


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Keep `count` processes busy beside."""
    loop = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(loop) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def train_beside(own: dict[str, str]) -> float:
    """Images a second in a process with these settings of its own."""
    environment = {k: v for k, v in os.environ.items() if k not in WAIT_SETTINGS}
    environment |= {"OMP_NUM_THREADS": str(usable_cores().count)} | own
    command = [sys.executable, "-m", "benchmarks.busy", "--train"]
    return float(subprocess.check_output(command, env=environment, cwd=CHECKOUT, text=True))


def train_here() -> float:
    """Images a second of training steps in this process."""
    import torch

    from alexnet.runtime.processes import prepare_process
    from benchmarks.step import ours

    prepare_process()
    step = ours(torch.device("cpu"), torch.float32, WIDTH_DIVISOR, CLASSES)
    batch = 60 * torch.randn(BATCH, 3, 224, 224), torch.randint(CLASSES, (BATCH,))
    begun = time.perf_counter()
    while time.perf_counter() - begun < WARM_UP:
        step(batch)
    begun, steps = time.perf_counter(), 0
    while time.perf_counter() - begun < MEASURED:
        step(batch)
        steps += 1
    return steps * BATCH / (time.perf_counter() - begun)


def command_rows(rounds: int) -> list[Row]:
    """CPU seconds of each command, on the run that this checkout holds."""
    if not (CHECKOUT / "metrics.json").exists() or not (CHECKOUT / "data/report").exists():
        return [Row("the commands", "not measured: no run here; make repro")]
    ways = {line: partial(_run_command, line) for line in COMMANDS}
    costs = interleaved(ways, [None], rounds, cpu_seconds)
    return [_command_row(name, float(np.median(seconds))) for name, seconds in costs.items()]


def _run_command(line: str, _: None) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "alexnet", *line.split()]
    subprocess.run(command, env=environment, cwd=CHECKOUT, stdout=subprocess.DEVNULL, check=False)


def _command_row(name: str, seconds: float) -> Row:
    goal = "" if "verify" in name else f"≤ {MOST:g}: {met(seconds <= MOST)}"
    return Row(f"alexnet {name}", f"{seconds:.2f} CPU s", goal=goal)


if __name__ == "__main__":
    if sys.argv[1:] == ["--train"]:
        print(train_here())
    else:
        alone(__doc__ or "", rows)
