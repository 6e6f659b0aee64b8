"""A training killed or stopped at any moment goes on to the same bytes.

KILLS=100 pytest tests/robustness/test_resume.py kills it fifty times and stops it fifty times.
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

from alexnet.moments.pca import save_moments
from alexnet.moments.sums import sum_images
from alexnet.runtime.processes import STOPPED
from images import Images, write_split

PATIENCE = 600  # seconds, on a busy machine
KILLS = int(os.environ.get("KILLS", "2"))
SCRIPT = Path(__file__).parents[1] / "support/small_train.py"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_split(folder / "train", images, [n % 5 for n in range(20)])
    (folder / "moments").mkdir()
    save_moments(folder / "moments", sum_images(images))
    return folder


def started(data: Path, folder: Path) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    command = [sys.executable, SCRIPT, data, folder]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)


def finished(data: Path, folder: Path) -> bytes:
    """Run to the end; the model's bytes."""
    process = started(data, folder)
    told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, told
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def straight(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, float]:
    """The model of an undisturbed run, and how much of the processor its training took."""
    folder = tmp_path_factory.mktemp("straight")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = started(data, folder)
    assert process.stdout
    process.stdout.readline()
    already = cpu_seconds(process.pid)
    process.communicate(timeout=PATIENCE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (folder / "model.safetensors").read_bytes(), used - already


def cpu_seconds(pid: int) -> float:
    """Of a process that nobody has waited for; user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def ended(data: Path, folder: Path, end: signal.Signals, seconds: float) -> tuple[int, str]:
    """Exit code and errors of a run that gets a signal when its training has used so much CPU."""
    process = started(data, folder)
    assert process.stdout
    process.stdout.readline()
    until = cpu_seconds(process.pid) + seconds
    while process.poll() is None and cpu_seconds(process.pid) < until:
        time.sleep(0.005)
    process.send_signal(end)
    _, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, errors


@pytest.mark.parametrize("number", range(KILLS))
def test_the_same_model_after_any_end(
    data: Path, tmp_path: Path, straight: tuple[bytes, float], number: int
) -> None:
    model, seconds = straight
    chance = random.Random(number)
    end = (signal.SIGKILL, signal.SIGTERM)[number % 2]
    for n in range(10):  # the signal may come too late
        folder = tmp_path / str(n)
        folder.mkdir()
        code, errors = ended(data, folder, end, chance.random() * seconds)
        assert "Traceback" not in errors
        if code:
            break
    assert code in ((-end,) if end == signal.SIGKILL else (-end, STOPPED))
    assert finished(data, folder) == model


def test_sigterm_saves_and_says_so(data: Path, tmp_path: Path) -> None:
    process = started(data, tmp_path)
    assert process.stdout
    for line in process.stdout:
        if line.startswith("epoch   1/"):
            process.terminate()
            break
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == STOPPED == 143
    assert "stopped after step" in said
    assert (tmp_path / "checkpoint.safetensors").exists()
