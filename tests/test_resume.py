"""A training killed or stopped at any moment goes on to the same bytes.

KILLS=100 pytest tests/test_resume.py kills it fifty times and stops it fifty times.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alexnet.moments import save_moments, sums_of
from alexnet.resume import STOPPED
from conftest import Images, write_split

KILLS = int(os.environ.get("KILLS", "2"))
SCRIPT = Path(__file__).with_name("small_train.py")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_split(folder / "train", images, [n % 5 for n in range(20)])
    (folder / "moments").mkdir()
    save_moments(folder / "moments", sums_of(images))
    return folder


def started(data: Path, folder: Path) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    command = [sys.executable, SCRIPT, data, folder]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)


def finished(data: Path, folder: Path) -> bytes:
    """Run to the end; the model's bytes."""
    process = started(data, folder)
    told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def straight(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, float]:
    """The model of an undisturbed run, and how long it trained."""
    folder = tmp_path_factory.mktemp("straight")
    process = started(data, folder)
    assert process.stdout
    process.stdout.readline()
    begun = time.monotonic()
    process.communicate(timeout=120)
    return (folder / "model.safetensors").read_bytes(), time.monotonic() - begun


@pytest.mark.parametrize("number", range(KILLS))
def test_the_same_model_after_any_end(
    data: Path, tmp_path: Path, straight: tuple[bytes, float], number: int
) -> None:
    model, seconds = straight
    process = started(data, tmp_path)
    assert process.stdout
    process.stdout.readline()
    time.sleep(random.Random(number).random() * seconds)
    end = (signal.SIGKILL, signal.SIGTERM)[number % 2]
    process.send_signal(end)
    _, errors = process.communicate(timeout=120)
    assert process.returncode in ((0, -end) if end == signal.SIGKILL else (0, -end, STOPPED))
    assert "Traceback" not in errors
    assert finished(data, tmp_path) == model


def test_sigterm_saves_and_says_so(data: Path, tmp_path: Path) -> None:
    process = started(data, tmp_path)
    assert process.stdout
    for line in process.stdout:
        if line.startswith("epoch   1/"):
            process.terminate()
            break
    said, _ = process.communicate(timeout=120)
    assert process.returncode == STOPPED == 143
    assert "stopped after step" in said
    assert (tmp_path / "checkpoint.safetensors").exists()
