"""Training that is killed or stopped at any moment resumes to the same bytes.

KILLS=100 pytest tests/robustness/test_resume.py
kills it fifty times and stops it fifty times.
"""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alexnet.moments.sums import sum_images
from alexnet.runtime.processes import STOPPED
from images import Images, save_moments_of, write_split

PATIENCE = 600  # seconds, on a busy machine
KILLS = int(os.environ.get("KILLS", "2"))
SCRIPT = Path(__file__).parents[1] / "support/small_train.py"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_split(folder / "train", images, [n % 5 for n in range(20)])
    (folder / "moments").mkdir()
    save_moments_of(folder / "moments", sum_images(images))
    return folder


def start(data: Path, folder: Path) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    command = [sys.executable, SCRIPT, data, folder]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)


def run_to_the_end(data: Path, folder: Path) -> bytes:
    """Return the bytes of the model."""
    process = start(data, folder)
    output = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def uninterrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, float]:
    """The model of an uninterrupted run, and the CPU seconds of its training."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = start(data, folder)
    assert process.stdout
    process.stdout.readline()
    already = cpu_seconds(process.pid)
    process.communicate(timeout=PATIENCE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (folder / "model.safetensors").read_bytes(), used - already


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of a process that was not waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def interrupt(data: Path, folder: Path, number: signal.Signals, seconds: float) -> tuple[int, str]:
    """Signal a run after `seconds` of CPU time in training; return its exit code and stderr."""
    process = start(data, folder)
    assert process.stdout
    process.stdout.readline()
    until = cpu_seconds(process.pid) + seconds
    while process.poll() is None and cpu_seconds(process.pid) < until:
        time.sleep(0.005)
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, errors


@pytest.mark.parametrize("number", range(KILLS))
def test_an_interrupted_training_resumes_to_the_same_model(
    data: Path, tmp_path: Path, uninterrupted: tuple[bytes, float], number: int
) -> None:
    model, seconds = uninterrupted
    rng = random.Random(number)
    sent = (signal.SIGKILL, signal.SIGTERM)[number % 2]
    for n in range(10):  # the signal may come too late
        folder = tmp_path / str(n)
        folder.mkdir()
        code, errors = interrupt(data, folder, sent, rng.random() * seconds)
        assert "Traceback" not in errors
        if code:
            break
    assert code in ((-sent,) if sent == signal.SIGKILL else (-sent, STOPPED))
    assert run_to_the_end(data, folder) == model


def test_sigterm_saves_a_checkpoint_and_prints_a_line(data: Path, tmp_path: Path) -> None:
    process = start(data, tmp_path)
    assert process.stdout
    for line in process.stdout:
        if line.startswith("epoch   1/"):
            process.terminate()
            break
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == STOPPED == 143
    assert "stopped after step" in output
    assert (tmp_path / "checkpoint.safetensors").exists()
