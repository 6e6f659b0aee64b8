"""Findings of doctor, each with the problem that it has to report."""

import shutil
from collections import namedtuple
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from alexnet.cli import diagnosis
from alexnet.cli.diagnosis import Cost, Finding
from alexnet.config.compose import load_config
from alexnet.dataset.index import ROW, Index, Synset, save_index
from alexnet.model.net_config import NetConfig
from alexnet.runtime.errors import InputError

DATASET = SimpleNamespace(pixels="raw", resample="bicubic", apply_exif=False)
COST = Cost(0.001, 0.002)
Disk = namedtuple("Disk", "total used free")


def problems(found: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.fix]


def test_a_failed_check_becomes_a_problem() -> None:
    def truncated() -> Iterator[Finding]:
        yield Finding("raw data", "found")
        raise InputError("train.tar is truncated", "download it")

    def missing() -> Iterator[Finding]:
        yield Finding("disk", (Path("/nowhere") / "at all").read_text())

    found = [*diagnosis.run_check("raw data", truncated), *diagnosis.run_check("disk", missing)]
    assert found[:2] == [
        Finding("raw data", "found"),
        Finding("raw data", "train.tar is truncated", "download it"),
    ]
    assert "/nowhere/at all" in found[2].value
    assert found[2].fix


def test_a_gpu_that_torch_cannot_use_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(diagnosis, "DEVICES", tmp_path)
    monkeypatch.setattr(diagnosis, "DRIVER", tmp_path / "version")
    assert problems(diagnosis.check_machine()) == []
    (tmp_path / "nvidia0").touch()
    assert problems(diagnosis.check_machine()) == []
    (tmp_path / "version").touch()
    (problem,) = problems(diagnosis.check_machine())
    assert "cannot use it" in problem.value
    assert "CUDA" in problem.fix


def test_torch_looks_for_gpus_only_if_there_is_a_device_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    card = SimpleNamespace(name="NVIDIA H100", total_memory=int(80e9))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: card)
    monkeypatch.setattr(diagnosis, "DEVICES", tmp_path)
    monkeypatch.setattr(diagnosis, "DRIVER", tmp_path / "version")
    assert Finding("GPU", "none: training will use the CPU") in list(diagnosis.check_machine())
    (tmp_path / "nvidiactl").touch()
    assert Finding("GPU", "NVIDIA H100") in list(diagnosis.check_machine())
    (found,) = diagnosis.check_training_memory(NetConfig(), 128)
    assert found.value.endswith("about 3.0 GB of GPU memory")


def test_memory_is_limited_by_the_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(diagnosis, "CGROUP", tmp_path / "memory.max")
    physical = diagnosis.memory()
    (tmp_path / "memory.max").write_text("max\n")
    assert diagnosis.memory() == physical
    (tmp_path / "memory.max").write_text("1000000\n")
    assert diagnosis.memory() == 1e6


def test_versions_that_differ_from_the_lock_are_a_problem(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    assert problems(diagnosis.check_versions(lock)) == []
    locked = f"numpy=={version('numpy')} ; python_full_version < '4' \\\n    --hash=sha256:0\n"
    lock.write_text(f"{locked}numpy==0.1 ; python_full_version >= '4' \\\nnot.installed==3\n")
    assert problems(diagnosis.check_versions(lock)) == []
    lock.write_text("numpy==0.1 \\\nPyYAML==0.2\n")
    (problem,) = problems(diagnosis.check_versions(lock))
    assert problem.value.startswith(
        f"numpy {version('numpy')}, pyyaml {version('pyyaml')}: not the"
    )


def index(images: int) -> Index:
    rows = {"train": np.zeros(images, ROW), "val": np.zeros(2, ROW)}
    return Index(rows, [("train.tar", 9)], [Synset(1, "n1", "w")])


def test_a_full_disk_is_a_problem_until_shards_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(0, 0, 1_000_000))
    (problem,) = problems(diagnosis.check_resources(index(10), COST, DATASET, tmp_path))
    assert problem.name == "free disk"
    (tmp_path / "data/shards").mkdir(parents=True)
    assert problems(diagnosis.check_resources(index(10), COST, DATASET, tmp_path)) == []


def test_an_epoch_larger_than_memory_reads_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def epoch() -> str:
        found = diagnosis.check_resources(index(36_000), COST, DATASET, tmp_path)
        return next(finding.value for finding in found if finding.name == "per epoch")

    monkeypatch.setattr(diagnosis, "memory", lambda: 8e9)
    assert epoch() == "reads 7.23 GB, which fits in memory"
    monkeypatch.setattr(diagnosis, "memory", lambda: 7e9)
    assert epoch().startswith("36 s of random reads")


def test_training_larger_than_memory_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "GPUS", ())
    monkeypatch.setattr(diagnosis, "memory", lambda: 4e9)
    (found,) = diagnosis.check_training_memory(NetConfig(), 128)
    assert found.value.startswith(
        "60,965,224 parameters for 1,000 classes, batches of 128: about 3.0 GB of"
    )
    assert found.fix == ""
    (found,) = diagnosis.check_training_memory(NetConfig(), 512)
    assert "batch_size" in found.fix


def test_archives_that_differ_from_the_index_are_a_problem(tmp_path: Path) -> None:
    assert list(diagnosis.check_index(tmp_path, tmp_path)) == []
    (tmp_path / "index").mkdir()
    save_index(index(3), tmp_path / "index")
    (tmp_path / "train.tar").write_bytes(b"123456789")
    assert problems(diagnosis.check_index(tmp_path, tmp_path)) == []
    (tmp_path / "train.tar").write_bytes(b"12")
    (problem,) = diagnosis.run_check(
        "data/index", lambda: diagnosis.check_index(tmp_path, tmp_path)
    )
    assert problem.fix == "dvc repro -f index"


def test_memory_is_estimated_for_the_presets() -> None:
    (found,) = diagnosis.check_training(load_config(["model=original", "recipe=original"]))
    assert found.value.startswith("60,965,224 parameters")
