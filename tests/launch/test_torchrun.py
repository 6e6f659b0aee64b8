"""Stages under torchrun, started with the command a user types."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from alexnet.dataset.index import ROW, Index, Synset, save_index
from alexnet.dataset.shards import Shards
from alexnet.evaluate.result import read_result
from alexnet.inference.predict import count_errors, predict
from alexnet.launch import torchrun
from alexnet.launch.gpus import pick_device
from alexnet.launch.torchrun import LaunchSettings, launch
from alexnet.model.tensor_file import load_tensors
from alexnet.model.towers import SINGLE_PROCESS
from alexnet.model.weights import load_model
from alexnet.moments.sums import sum_images
from alexnet.runtime.errors import InputError
from alexnet.runtime.processes import STOPPED
from alexnet.train.checkpoint import NEWEST
from images import Images, save_moments_of, write_split

ROOT = Path(__file__).parents[2]
SMALL = ["model.width_divisor=16", "recipe.batch_size=7", "recipe.precision=fp32", "lr=0.0001"]
TWO = ["launcher=torchrun", "launcher.device=cpu"]  # processes, a tower each
CLASSES = 5
PATIENCE = 600  # seconds, on a busy machine


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"processes": 3, "towers": 2}, "processes is 3, launcher.towers 2"),
        ({"processes": 0}, "processes is 0"),
        ({"processes": 4, "towers": 4}, "towers is 4"),
        ({"nodes": "2"}, "nodes is 2, without a rendezvous"),
        ({"nodes": "two", "rendezvous": "here:1"}, "nodes is two"),
        ({"max_restarts": -1}, "max_restarts is -1"),
    ],
)
def test_contradictory_settings_are_rejected(numbers: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LaunchSettings(**numbers)


def test_more_processes_than_gpus_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match=r"processes is 2, but there are 1 GPUs; fix: .*=cpu"):
        torchrun._start_ranks(LaunchSettings(processes=2))


def test_a_single_process_does_the_work_itself() -> None:
    seen: list[Any] = []
    launch(LaunchSettings(device="cpu"), lambda *place: seen.append(place))
    assert seen == [(SINGLE_PROCESS, pick_device("cpu"))]


def test_deterministic_is_passed_on() -> None:
    seen: list[bool] = []
    try:
        launch(
            LaunchSettings(device="cpu", deterministic=True),
            lambda *_: seen.append(torch.are_deterministic_algorithms_enabled()),
        )
    finally:
        torch.use_deterministic_algorithms(False)
    assert seen == [True]


def test_the_arguments_of_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "lr=0.02"])
    alone = torchrun._arguments(LaunchSettings(processes=2, towers=2, max_restarts=3), "logs")
    assert {"--standalone", "--nproc-per-node=2", "--max-restarts=3"} < set(alone)
    assert alone[-2:] == [sys.modules["__main__"].__file__, "lr=0.02"]
    many = torchrun._arguments(
        LaunchSettings(processes=2, nodes="1:4", rendezvous="first:29400"), "logs"
    )
    assert {"--nnodes=1:4", "--rdzv-endpoint=first:29400"} < set(many)
    assert "--standalone" not in many


LEAVING = """
import atexit, os
from alexnet.launch import torchrun
from alexnet.runtime.errors import InputError

def work(settings, work):
    print("done so far")
    raise {error}

atexit.register(os.abort)
torchrun._work_as_rank = work
torchrun._run_rank(None, None)
"""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("SystemExit(143)", STOPPED),
        ("KeyboardInterrupt", 130),
        ("InputError('bad')", 1),
        ("RuntimeError('gloo: the other is gone')", 1),
        ("ValueError", 1),
    ],
)
def test_a_rank_exits_without_running_exit_handlers_that_could_abort(error: str, code: int) -> None:
    command = [sys.executable, "-c", LEAVING.format(error=error)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (code, "done so far\n")


class Stage:
    """stages/train.py, or another script, in its own checkout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, *overrides: str, script: str = "train") -> subprocess.Popen[str]:
        command = [sys.executable, f"stages/{script}.py", *SMALL, *overrides]
        env = {k: v for k, v in os.environ.items() if k != "DVC_ROOT"} | {"OMP_NUM_THREADS": "1"}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=self.folder, stdout=pipe, stderr=pipe, text=True, env=env
        )

    def run(self, *overrides: str, script: str = "train") -> tuple[int, str, str]:
        """Return its exit code, stdout and stderr."""
        process = self.start(*overrides, script=script)
        out, error = process.communicate(timeout=PATIENCE)
        return process.returncode, out, error

    def checkpoint(self) -> Path:
        """Wait for a checkpoint and return its path."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for path in self.folder.glob(f".scratch/train/*/{NEWEST}"):
                return path
            time.sleep(0.01)
        raise AssertionError("no checkpoint")

    def history(self) -> list[dict[str, float]]:
        with (self.folder / "data/train/history.csv").open() as file:
            return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]

    def weights(self) -> dict[str, torch.Tensor]:
        return load_tensors(self.folder / "data/train/model.safetensors")[0]


@pytest.fixture(scope="module")
def stage(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A checkout with 20 images for training, and the same for validation."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("conf", "src", "stages"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "params.yaml", folder)
    data = folder / "data"
    for split in ("train", "val"):
        write_split(data / "shards" / split, images, [n % CLASSES for n in range(20)])
    for name in ("index", "moments"):
        (data / name).mkdir()
    save_moments_of(data / "moments", sum_images(images))
    synsets = [Synset(n + 1, f"n0000000{n}", "a word") for n in range(CLASSES)]
    rows = np.zeros(20, ROW)
    rows["name"] = [f"{n:02d}.JPEG".encode() for n in range(20)]
    save_index(Index({"train": rows, "val": rows}, [("raw", 0)], synsets), data / "index")
    return Stage(folder)


EPOCHS = "recipe.epochs=10"  # of three steps


@pytest.fixture(scope="module")
def straight(stage: Stage) -> Stage:
    """An uninterrupted run of one process, in its own checkout."""
    copy = Stage(stage.folder.with_name("straight"))
    shutil.copytree(stage.folder, copy.folder)
    code, _, error = copy.run("launcher.device=cpu", EPOCHS)
    assert code == 0, error
    return copy


def assert_same_model(found: Stage, expected: Stage) -> None:
    """Equal weights up to the order of float32 sums; all other files byte for byte."""
    weights = found.weights()
    for name, whole in expected.weights().items():
        assert weights[name].shape == whole.shape, name
        if name.endswith("weight"):  # biases begin at zero
            assert float((weights[name] - whole).norm() / whole.norm()) < 1e-3, name
    assert weights.keys() == expected.weights().keys()
    first, second = (each.folder / "data/train/model.json" for each in (found, expected))
    assert first.read_bytes() == second.read_bytes()
    for row, other in zip(found.history(), expected.history(), strict=True):
        assert row["train_loss"] == pytest.approx(other["train_loss"], rel=1e-3)


@pytest.mark.slow
def test_two_towers_in_two_processes_train_the_same_model_as_one(
    stage: Stage, straight: Stage
) -> None:
    code, out, error = stage.run(*TWO, EPOCHS)
    assert (code, error) == (0, "")
    assert out.count("epoch  10/10") == 1
    assert_same_model(stage, straight)
    assert not list(stage.folder.glob(f".scratch/train/*/{NEWEST}"))


@pytest.mark.slow
def test_evaluation_in_two_processes_equals_that_in_one(straight: Stage) -> None:
    """One tower in each process; only the main rank prints and writes."""
    code, out, error = straight.run(*TWO, script="evaluate")
    assert (code, error) == (0, "")
    assert out.count("ten views") == 1
    data = straight.folder / "data"
    net, moments, _ = load_model(data / "train")
    alone = predict(net, Shards(data / "shards/val"), torch.from_numpy(moments.mean_image))
    table = torch.from_numpy(np.load(data / "evaluate/probabilities.npy"))
    torch.testing.assert_close(table, alone.probabilities, rtol=1e-3, atol=1e-6)
    result = read_result(straight.folder / "metrics.json")
    assert result == read_result(data / "evaluate/result.json")
    assert result.counts == count_errors(alone)
    assert result.run.dataset == "miniature"
    assert len((data / "evaluate/submission.txt").read_text().splitlines()) == 20


@pytest.mark.slow
def test_a_lost_rank_a_stop_and_another_launcher_lead_to_the_same_model(
    stage: Stage, straight: Stage
) -> None:
    """After a killed rank torchrun resumes; after a stop, a single process does."""
    process = stage.start(*TWO, EPOCHS, "launcher.checkpoint_steps=1", "launcher.max_restarts=1")
    stage.checkpoint()
    ranks = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(ranks[1]), signal.SIGKILL)
    assert process.stdout
    for line in process.stdout:
        if "resuming after" in line:
            process.send_signal(signal.SIGTERM)
    assert process.stderr
    error = process.stderr.read()
    assert (process.wait(PATIENCE), error) == (STOPPED, "")
    code, out, error = stage.run("launcher.device=cpu", EPOCHS)
    assert code == 0, error
    assert "train: resuming after epoch" in out
    assert_same_model(stage, straight)


@pytest.mark.slow
def test_a_rank_lost_for_good_is_reported_in_one_line(stage: Stage) -> None:
    process = stage.start(*TWO, "lr=0.0002", "launcher.max_restarts=0", "recipe.epochs=1000")
    stage.checkpoint()
    ranks = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(ranks[1]), signal.SIGKILL)
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert error.startswith("error: rank 1 was killed by SIGKILL; fix: rerun")
    assert error.count("\n") == 1


@pytest.mark.slow
def test_invalid_input_is_reported_once_and_not_retried(stage: Stage) -> None:
    code, out, error = stage.run(*TWO, "lr=1e9", "launcher.max_restarts=3")
    assert (code, out.count("\n")) == (1, 1)
    assert re.fullmatch(r"train: \d+ threads? \(.+\)\n", out)
    assert error.startswith("error: the loss became NaN or infinite in epoch 1")
    assert error.count("\n") == 1
