"""Leases of GPUs: no process gets a device that another holds."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from alexnet.launch import gpus, torchrun
from alexnet.launch.gpus import leased, leased_device, visible_gpus
from alexnet.launch.torchrun import LaunchSettings

HOLD = """
import sys, time
from pathlib import Path
from alexnet.launch.gpus import leased
with leased(["a", "b"], int(sys.argv[2]), Path(sys.argv[1])) as own:
    print(*own, flush=True)
    time.sleep(float(sys.argv[3]))
"""


def holder(folder: Path, count: int, seconds: float = 60) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", HOLD, str(folder), str(count), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def next_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_runs_lease_different_devices_and_a_killed_run_frees_its_own(tmp_path: Path) -> None:
    first = holder(tmp_path, 1)
    assert next_line(first) == "0"
    with leased(["a", "b"], 1, tmp_path) as own:
        assert own == [1]
        third = holder(tmp_path, 1, 0)
        assert next_line(third) == "waiting for 1 of 2 GPUs, which other runs hold"
        assert third.poll() is None
        first.kill()
        assert next_line(third) == "0"
        assert third.wait() == 0
    with leased(["a", "b"], 2, tmp_path) as own:
        assert own == [0, 1]
    first.wait()


def test_several_devices_are_leased_at_once_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpus, "POLL_SECONDS", 0.05)
    with leased(["a", "b"], 1, tmp_path):
        pair = holder(tmp_path, 2, 0)
        assert next_line(pair).startswith("waiting for 2 of 2")
        with leased(["a", "b"], 1, tmp_path) as own:  # the waiting process holds none
            assert own == [1]
    assert next_line(pair) == "0 1"
    assert pair.wait() == 0


def test_a_name_may_contain_slashes(tmp_path: Path) -> None:
    with leased(["MIG-GPU-5/1/0"], 1, tmp_path) as own:
        assert own == [0]


def test_gpus_have_the_names_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5, GPU-12ab")
    assert visible_gpus() == ["5", "GPU-12ab"]


def test_auto_leases_a_gpu_and_a_named_device_needs_no_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpus, "pick_device", torch.device)
    monkeypatch.setattr(gpus.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(gpus, "visible_gpus", lambda: ["7", "8"])
    auto, named = leased_device("auto"), leased_device("cuda:0")
    with auto as first, leased_device("auto") as second, named as third:
        assert [*map(str, (first, second, third))] == ["cuda:0", "cuda:1", "cuda:0"]


def test_ranks_see_the_devices_that_their_launcher_leases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(gpus.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(torchrun, "visible_gpus", lambda: ["4", "5", "6"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    monkeypatch.setattr(
        torchrun,
        "_run_torchrun",
        lambda _: seen.append(torchrun.os.environ["CUDA_VISIBLE_DEVICES"]),
    )
    with leased(["4", "5", "6"], 1):
        torchrun._start_ranks(LaunchSettings(processes=2, towers=2))
    assert seen == ["5,6"]
