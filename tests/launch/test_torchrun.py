"""The training stage under torchrun: the same script, by the command a user gives."""

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
from alexnet.inference.ten_views import counts_of, predict
from alexnet.launch import torchrun
from alexnet.launch.gpus import pick_device
from alexnet.launch.torchrun import Launch, launched
from alexnet.model.towers import SINGLE_PROCESS
from alexnet.model.weights import load, load_model
from alexnet.moments.pca import save_moments
from alexnet.moments.sums import sums_of
from alexnet.runtime.errors import InputError
from alexnet.runtime.processes import STOPPED
from alexnet.train.checkpoint import NEWEST
from images import Images, write_split

ROOT = Path(__file__).parents[2]
SMALL = ["model.width_divisor=16", "recipe.batch_size=7", "recipe.precision=fp32", "lr=0.0001"]
TWO = ["launcher=torchrun", "launcher.device=cpu"]  # processes, a tower each
CLASSES = 5
PATIENCE = 600  # seconds, on a busy machine


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ({"processes": 3, "towers": 2}, "processes is 3, launcher.towers 2"),
        ({"processes": 0}, "processes is 0"),
        ({"processes": 4, "towers": 4}, "towers is 4"),
        ({"nodes": "2"}, "nodes is 2, without a place to meet"),
        ({"nodes": "two", "rendezvous": "here:1"}, "nodes is two"),
        ({"max_restarts": -1}, "max_restarts is -1"),
    ],
)
def test_contradictions_are_refused(numbers: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Launch(**numbers)


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match=r"processes is 2, and there are 1 GPUs; fix: .*=cpu"):
        torchrun._start(Launch(processes=2))


def test_one_process_is_this_one() -> None:
    seen: list[Any] = []
    launched(Launch(device="cpu"), lambda *place: seen.append(place))
    assert seen == [(SINGLE_PROCESS, pick_device("cpu"))]


def test_deterministic_is_passed_on() -> None:
    seen: list[bool] = []
    try:
        launched(
            Launch(device="cpu", deterministic=True),
            lambda *_: seen.append(torch.are_deterministic_algorithms_enabled()),
        )
    finally:
        torch.use_deterministic_algorithms(False)
    assert seen == [True]


def test_what_torchrun_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "lr=0.02"])
    alone = torchrun._arguments(Launch(processes=2, towers=2, max_restarts=3), "logs")
    assert {"--standalone", "--nproc-per-node=2", "--max-restarts=3"} < set(alone)
    assert alone[-2:] == [sys.modules["__main__"].__file__, "lr=0.02"]
    many = torchrun._arguments(Launch(processes=2, nodes="1:4", rendezvous="first:29400"), "logs")
    assert {"--nnodes=1:4", "--rdzv-endpoint=first:29400"} < set(many)
    assert "--standalone" not in many


LEAVING = """
import atexit, os
from alexnet.launch import torchrun as launching
from alexnet.runtime.errors import InputError

atexit.register(os.abort)
with launching._telling_once():
    print("done so far")
    raise {error}
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
def test_a_rank_leaves_without_taking_down_what_could_abort(error: str, code: int) -> None:
    command = [sys.executable, "-c", LEAVING.format(error=error)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (code, "done so far\n")


class Stage:
    """stages/train.py, or another script, in a checkout of its own."""

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
        """Its exit code, and what it says on stdout and on stderr."""
        process = self.start(*overrides, script=script)
        told, wrong = process.communicate(timeout=PATIENCE)
        return process.returncode, told, wrong

    def checkpoint(self) -> Path:
        """The newest, as soon as there is one."""
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
        return load(self.folder / "data/train/model.safetensors")[0]


@pytest.fixture(scope="module")
def stage(images: Images, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """With 20 images for training, and the same for validation."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("conf", "src", "stages"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "params.yaml", folder)
    data = folder / "data"
    for split in ("train", "val"):
        write_split(data / "shards" / split, images, [n % CLASSES for n in range(20)])
    for name in ("index", "moments"):
        (data / name).mkdir()
    save_moments(data / "moments", sums_of(images))
    synsets = [Synset(n + 1, f"n0000000{n}", "a word") for n in range(CLASSES)]
    rows = np.zeros(20, ROW)
    rows["name"] = [f"{n:02d}.JPEG".encode() for n in range(20)]
    save_index(Index({"train": rows, "val": rows}, [("raw", 0)], synsets), data / "index")
    return Stage(folder)


EPOCHS = "recipe.epochs=10"  # of three steps


@pytest.fixture(scope="module")
def straight(stage: Stage) -> Stage:
    """What one process makes of it without a break, in a checkout of its own."""
    copy = Stage(stage.folder.with_name("straight"))
    shutil.copytree(stage.folder, copy.folder)
    code, _, wrong = copy.run("launcher.device=cpu", EPOCHS)
    assert code == 0, wrong
    return copy


def assert_same_model(found: Stage, wanted: Stage) -> None:
    """To what float32 leaves of another order of sums; what is no float, to the byte."""
    weights = found.weights()
    for name, whole in wanted.weights().items():
        assert weights[name].shape == whole.shape, name
        if name.endswith("weight"):  # biases begin at zero
            assert float((weights[name] - whole).norm() / whole.norm()) < 1e-3, name
    assert weights.keys() == wanted.weights().keys()
    first, second = (each.folder / "data/train/model.json" for each in (found, wanted))
    assert first.read_bytes() == second.read_bytes()
    for row, other in zip(found.history(), wanted.history(), strict=True):
        assert row["train_loss"] == pytest.approx(other["train_loss"], rel=1e-3)


@pytest.mark.slow
def test_two_towers_in_two_processes_make_the_model_of_one(stage: Stage, straight: Stage) -> None:
    code, told, wrong = stage.run(*TWO, EPOCHS)
    assert (code, wrong) == (0, "")
    assert told.count("epoch  10/10") == 1
    assert_same_model(stage, straight)
    assert not list(stage.folder.glob(f".scratch/train/*/{NEWEST}"))


@pytest.mark.slow
def test_evaluation_in_two_processes_is_that_of_one(straight: Stage) -> None:
    """A tower in each; one of them tells it, and writes."""
    code, told, wrong = straight.run(*TWO, script="evaluate")
    assert (code, wrong) == (0, "")
    assert told.count("ten views") == 1
    data = straight.folder / "data"
    net, moments, _ = load_model(data / "train")
    alone = predict(net, Shards(data / "shards/val"), torch.from_numpy(moments.mean_image))
    table = torch.from_numpy(np.load(data / "evaluate/probabilities.npy"))
    torch.testing.assert_close(table, alone.probabilities, rtol=1e-3, atol=1e-6)
    result = read_result(straight.folder / "metrics.json")
    assert result == read_result(data / "evaluate/result.json")
    assert result.counts == counts_of(alone)
    assert result.run.dataset == "miniature"
    assert len((data / "evaluate/submission.txt").read_text().splitlines()) == 20


@pytest.mark.slow
def test_a_lost_rank_a_stop_and_another_launcher_end_in_the_same_model(
    stage: Stage, straight: Stage
) -> None:
    """A rank is killed: torchrun goes on from the checkpoint. All are stopped: one process does."""
    process = stage.start(*TWO, EPOCHS, "launcher.checkpoint_steps=1", "launcher.max_restarts=1")
    stage.checkpoint()
    ranks = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(ranks[1]), signal.SIGKILL)
    assert process.stdout
    for line in process.stdout:
        if "going on after" in line:
            process.send_signal(signal.SIGTERM)
    assert process.stderr
    wrong = process.stderr.read()
    assert (process.wait(PATIENCE), wrong) == (STOPPED, "")
    code, told, wrong = stage.run("launcher.device=cpu", EPOCHS)
    assert code == 0, wrong
    assert "train: going on after epoch" in told
    assert_same_model(stage, straight)


@pytest.mark.slow
def test_a_rank_lost_for_good_is_told_in_a_line(stage: Stage) -> None:
    process = stage.start(*TWO, "lr=0.0002", "launcher.max_restarts=0", "recipe.epochs=1000")
    stage.checkpoint()
    ranks = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(ranks[1]), signal.SIGKILL)
    _, wrong = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert wrong.startswith("error: rank 1 was killed by SIGKILL; fix: run again")
    assert wrong.count("\n") == 1


@pytest.mark.slow
def test_bad_input_that_all_ranks_meet_is_told_once_and_not_tried_again(stage: Stage) -> None:
    code, said, wrong = stage.run(*TWO, "lr=1e9", "launcher.max_restarts=3")
    assert (code, said.count("\n")) == (1, 1)
    assert re.fullmatch(r"train: \d+ threads? \(.+\)\n", said)
    assert wrong.startswith("error: the loss is no number any more in epoch 1")
    assert wrong.count("\n") == 1
