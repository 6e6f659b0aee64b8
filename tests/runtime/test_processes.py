"""Workers exit when their parent is killed, and release its lock."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alexnet.runtime.scratch import hold_lock

SCRIPT = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from alexnet.runtime.scratch import hold_lock
from alexnet.runtime.processes import exit_with_parent

def job(n):
    if not initializer:
        exit_with_parent()
    os.write(1, b"working\\n")  # one write call: lines of two workers cannot mix
    time.sleep(600)

initializer = exit_with_parent if sys.argv[2] == "initializer" else None
if __name__ == "__main__":
    with hold_lock(Path(sys.argv[1])), ProcessPoolExecutor(2, initializer=initializer) as pool:
        list(pool.map(job, range(2)))
"""


@pytest.mark.parametrize("called_by", ["initializer", "job"])
def test_workers_end_with_a_killed_parent(tmp_path: Path, called_by: str) -> None:
    path = Path(__file__).parents[2] / "src"
    run = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "lock"), called_by],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(path)},
    )
    assert run.stdout is not None
    assert [run.stdout.readline() for _ in range(2)] == [b"working\n"] * 2
    started = time.monotonic()
    run.send_signal(signal.SIGKILL)
    run.wait()
    with hold_lock(tmp_path / "lock"):
        assert time.monotonic() - started < 300  # the jobs sleep for 600
    run.stdout.close()
