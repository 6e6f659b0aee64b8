"""`dvc exp run --queue`, as in the README."""

import csv
import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from alexnet.train.checkpoint import PREVIOUS
from checkout import Checkout

LONG_ENOUGH = ["-S", "conf/recipe/quick.yaml:epochs=20", "evaluate"]  # to kill it in time
COMMAND = ["dvc", "exp", "run", "--queue", "-S", "lr=0.005,0.03"]
COMMAND += ["-S", "conf/dataset/miniature.yaml:pixels=jpeg", *LONG_ENOUGH]

pytestmark = pytest.mark.slow


def test_a_killed_queue_resumes_when_queued_again(checkout: Checkout) -> None:
    """Two simultaneous runs are killed with their workers, as in a power failure.

    They run in DVC's own copies of the checkout, without the git-ignored raw data and scratch.
    JPEG shards make both resize, and so read the raw data of the main checkout.
    """
    killed = queue(checkout)
    start_workers(checkout)
    wait_for(lambda: all(f"{name} Running" in queued(checkout) for name in killed))
    wait_for(lambda: [*checkout.folder.glob(f".scratch/train/*/{PREVIOUS}")])
    for number in (signal.SIGSTOP, signal.SIGKILL):  # so that none reacts to the end of another
        for process in processes_in(checkout.folder):
            with suppress(ProcessLookupError):
                os.kill(process, number)
    status = queued(checkout)
    assert all(f"{name} Running" in status for name in killed), status  # DVC never notices
    checkout.run("dvc", "queue", "kill", "-f", *killed)
    checkout.run("dvc", "queue", "remove", *killed)
    requeued = queue(checkout)
    start_workers(checkout)
    wait_for(lambda: all(f"{name} Success" in queued(checkout) for name in requeued))
    logs = "".join(checkout.run("dvc", "queue", "logs", name) for name in requeued)
    assert "train: resuming after epoch " in logs
    wait_for(lambda: len(finished(checkout)) == 2)  # the queue reports success slightly earlier
    runs = finished(checkout)
    assert {row["lr"] for row in runs} == {"0.005", "0.03"}
    assert all(row["images"] == "6" and row["top1_error"] for row in runs)


def queue(checkout: Checkout) -> list[str]:
    """Queue the runs and return their names."""
    return re.findall(r"Queued experiment '(\S+)'", checkout.run(*COMMAND))


def start_workers(checkout: Checkout) -> None:
    """Start two workers; with a pipe as stdout this would wait until they end."""
    checkout.run("bash", "-c", "dvc queue start -j 2 >start.log 2>&1")


def queued(checkout: Checkout) -> str:
    """Return one line per run: its name and state."""
    rows = (line.split() for line in checkout.run("dvc", "queue", "status").splitlines())
    return "\n".join(f"{row[1]} {row[-1]}" for row in rows if len(row) > 3)


def finished(checkout: Checkout) -> list[dict[str, str]]:
    shown = checkout.run("dvc", "exp", "show", "--no-pager", "--csv").splitlines()
    runs = [row for row in csv.DictReader(shown) if row["rev"] not in ("workspace", "master")]
    return [row for row in runs if row["State"] == "Success"]


def wait_for(condition: Callable[[], object], seconds: float = 1200) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def processes_in(folder: Path) -> list[int]:
    """Return the ids of processes whose working directory is the checkout or a copy in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(int(process.name))
    return found
