"""`dvc exp run --queue`, as the README tells it."""

import csv
import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from checkout import Checkout

LONG_ENOUGH = ["-S", "conf/recipe/quick.yaml:epochs=20", "evaluate"]  # to be killed
LINE = ["dvc", "exp", "run", "--queue", "-S", "lr=0.005,0.03"]
LINE += ["-S", "conf/dataset/miniature.yaml:pixels=jpeg", *LONG_ENOUGH]

pytestmark = pytest.mark.slow


def test_a_queue_that_was_killed_goes_on_when_queued_again(checkout: Checkout) -> None:
    """Two runs at once, killed with their workers, as when the machine went down.

    They are in DVC's own copies of the checkout, which lack the git-ignored raw data and scratch;
    JPEG shards make both read the raw data, which they find in the main checkout, and resize.
    """
    killed = queue(checkout)
    begin(checkout)
    wait_for(lambda: all(f"{name} Running" in queued(checkout) for name in killed))
    wait_for(lambda: [*checkout.folder.glob(".scratch/train/*/previous.safetensors")])
    for number in (signal.SIGSTOP, signal.SIGKILL):  # none lives to see another's end
        for process in processes_in(checkout.folder):
            with suppress(ProcessLookupError):
                os.kill(process, number)
    said = queued(checkout)
    assert all(f"{name} Running" in said for name in killed), said  # for ever, says DVC
    checkout.run("dvc", "queue", "kill", "-f", *killed)
    checkout.run("dvc", "queue", "remove", *killed)
    again = queue(checkout)
    begin(checkout)
    wait_for(lambda: all(f"{name} Success" in queued(checkout) for name in again))
    logs = "".join(checkout.run("dvc", "queue", "logs", name) for name in again)
    assert "train: resuming after epoch " in logs
    wait_for(lambda: len(finished(checkout)) == 2)  # a moment later than the queue says so
    runs = finished(checkout)
    assert {row["lr"] for row in runs} == {"0.005", "0.03"}
    assert all(row["images"] == "6" and row["top1_error"] for row in runs)


def queue(checkout: Checkout) -> list[str]:
    """The names of the runs."""
    return re.findall(r"Queued experiment '(\S+)'", checkout.run(*LINE))


def begin(checkout: Checkout) -> None:
    """Workers hold what they are given to write to: a pipe would be open until they end."""
    checkout.run("bash", "-c", "dvc queue start -j 2 >start.log 2>&1")


def queued(checkout: Checkout) -> str:
    """Each run's name and state, of a table of number, name, date and state."""
    rows = (line.split() for line in checkout.run("dvc", "queue", "status").splitlines())
    return "\n".join(f"{row[1]} {row[-1]}" for row in rows if len(row) > 3)


def finished(checkout: Checkout) -> list[dict[str, str]]:
    shown = checkout.run("dvc", "exp", "show", "--no-pager", "--csv").splitlines()
    runs = [row for row in csv.DictReader(shown) if row["rev"] not in ("workspace", "master")]
    return [row for row in runs if row["State"] == "Success"]


def wait_for(what: Callable[[], object], seconds: float = 1200) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def processes_in(folder: Path) -> list[int]:
    """All whose working directory is the checkout, or a copy in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(int(process.name))
    return found
