"""Findings of doctor, each with the problem that it is there to find."""

import shutil
from collections import namedtuple
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from alexnet.cli import diagnosis as doctor
from alexnet.cli.diagnosis import Cost, Finding
from alexnet.config.compose import load_config
from alexnet.dataset.index import ROW, Index, Synset, save_index
from alexnet.model.layer_shapes import MAPS
from alexnet.runtime.errors import InputError

HOW = SimpleNamespace(pixels="raw", resample="bicubic", apply_exif=False)
COST = Cost(0.001, 0.002)
Disk = namedtuple("Disk", "total used free")


def problems(found: Iterable[Finding]) -> list[Finding]:
    return [each for each in found if each.fix]


def test_one_that_fails_keeps_none_from_the_next() -> None:
    def look() -> Iterator[Finding]:
        yield Finding("raw data", "there")
        raise InputError("it is cut", "download it")

    def missing() -> Iterator[Finding]:
        yield Finding("disk", (Path("/nowhere") / "at all").read_text())

    found = [*doctor.attempted("raw data", look), *doctor.attempted("disk", missing)]
    assert found[:2] == [
        Finding("raw data", "there"),
        Finding("raw data", "it is cut", "download it"),
    ]
    assert "/nowhere/at all" in found[2].value
    assert found[2].fix


def test_a_gpu_that_torch_cannot_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(doctor, "DEVICES", tmp_path)
    monkeypatch.setattr(doctor, "DRIVER", tmp_path / "version")
    assert problems(doctor.machine()) == []
    (tmp_path / "nvidia0").touch()
    assert problems(doctor.machine()) == []
    (tmp_path / "version").touch()
    (problem,) = problems(doctor.machine())
    assert "cannot use it" in problem.value
    assert "CUDA" in problem.fix


def test_a_gpu_is_asked_for_by_torch_only_where_there_is_a_device_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    card = SimpleNamespace(name="NVIDIA H100", total_memory=int(80e9))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: card)
    monkeypatch.setattr(doctor, "DEVICES", tmp_path)
    monkeypatch.setattr(doctor, "DRIVER", tmp_path / "version")
    assert Finding("GPU", "none: training will use the CPU") in list(doctor.machine())
    (tmp_path / "nvidiactl").touch()
    assert Finding("GPU", "NVIDIA H100") in list(doctor.machine())
    (found,) = doctor.training({}, 128)
    assert found.value.endswith("about 3.0 GB of the GPU's memory")


def test_memory_is_what_the_container_may_have(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "CGROUP", tmp_path / "memory.max")
    whole = doctor.memory()
    (tmp_path / "memory.max").write_text("max\n")
    assert doctor.memory() == whole
    (tmp_path / "memory.max").write_text("1000000\n")
    assert doctor.memory() == 1e6


def test_versions_that_are_not_those_of_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    assert problems(doctor.versions(lock)) == []
    right = f"numpy=={version('numpy')} ; python_full_version < '4' \\\n    --hash=sha256:0\n"
    lock.write_text(f"{right}numpy==0.1 ; python_full_version >= '4' \\\nnot.installed==3\n")
    assert problems(doctor.versions(lock)) == []
    lock.write_text("numpy==0.1 \\\nPyYAML==0.2\n")
    (problem,) = problems(doctor.versions(lock))
    assert problem.value.startswith(f"numpy {version('numpy')}, pyyaml {version('pyyaml')}: not as")


def index(images: int) -> Index:
    rows = {"train": np.zeros(images, ROW), "val": np.zeros(2, ROW)}
    return Index(rows, [("train.tar", 9)], [Synset(1, "n1", "w")])


def test_a_disk_that_is_too_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(0, 0, 1_000_000))
    (problem,) = problems(doctor.needs(index(10), COST, HOW, tmp_path))
    assert problem.name == "free disk"
    (tmp_path / "data/shards").mkdir(parents=True)  # they are written already
    assert problems(doctor.needs(index(10), COST, HOW, tmp_path)) == []


def test_an_epoch_that_memory_cannot_hold_reads_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> str:
        found = doctor.needs(index(36_000), COST, HOW, tmp_path)
        return next(each.value for each in found if each.name == "an epoch")

    monkeypatch.setattr(doctor, "memory", lambda: 8e9)
    assert told().endswith("reads 7.23 GB, which memory can hold")
    monkeypatch.setattr(doctor, "memory", lambda: 7e9)
    assert told().startswith("36 s to read at random")


def test_training_that_memory_cannot_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "GPUS", ())
    monkeypatch.setattr(doctor, "memory", lambda: 4e9)
    (found,) = doctor.training({"maps": MAPS}, 128)
    assert found.value.startswith(
        "60,965,224 parameters for 1,000 classes, batches of 128: about 3.0 GB of"
    )
    assert found.fix == ""
    (found,) = doctor.training({"maps": MAPS}, 512)
    assert "batch_size" in found.fix


def test_archives_that_are_no_longer_those_indexed(tmp_path: Path) -> None:
    assert list(doctor.drift(tmp_path, tmp_path)) == []
    (tmp_path / "index").mkdir()
    save_index(index(3), tmp_path / "index")
    (tmp_path / "train.tar").write_bytes(b"123456789")
    assert problems(doctor.drift(tmp_path, tmp_path)) == []
    (tmp_path / "train.tar").write_bytes(b"12")
    (problem,) = doctor.attempted("data/index", lambda: doctor.drift(tmp_path, tmp_path))
    assert problem.fix == "dvc repro -f index"


def test_this_checkouts_configuration_can_be_trained() -> None:
    """The presets of conf/ go into the estimate as they are."""
    from alexnet.cli import checkups

    (found,) = checkups._training(load_config(["model=original", "recipe=original"]))
    assert found.value.startswith("60,965,224 parameters")
