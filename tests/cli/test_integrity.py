"""A data folder is checked, then damaged in each of its parts."""

import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from alexnet.cli.integrity import check_model, check_splits
from alexnet.dataset.checksummed import read_checksummed_json, write_checksummed_json
from alexnet.dataset.index import ROW, Index, Synset
from alexnet.moments.sums import sum_images
from images import Images, relabel, save_moments_of, write_split
from small_model import small_model


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory, images: Images) -> Path:
    data = tmp_path_factory.mktemp("verified") / "data"
    write_split(data / "shards/train", images[:12], [0, 1, 2] * 4, records=5)
    write_split(data / "shards/val", images[12:], [0, 1] * 4)
    (data / "moments").mkdir()
    save_moments_of(data / "moments", sum_images(images[:12]))
    return data


def index() -> Index:
    splits = {"train": np.zeros(12, ROW), "val": np.zeros(8, ROW)}
    splits["train"]["label"], splits["val"]["label"] = [0, 1, 2] * 4, [0, 1] * 4
    return Index(splits, [], [Synset(0, name, name) for name in "abc"])


def problems(data: Path) -> list[str]:
    return list(check_splits(ThreadPoolExecutor(1), data, index()))


def test_intact_data_has_no_problems(intact: Path) -> None:
    assert problems(intact) == []


def flip_bit(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def change_a_label(data: Path) -> None:
    folder = data / "shards/val"
    relabel(folder, np.zeros(8, np.int32))


def save_other_moments(data: Path) -> None:
    save_moments_of(data / "moments", sum_images(np.zeros((2, 256, 256, 3), np.uint8)))


def change_a_mean(data: Path) -> None:
    path = data / "moments/moments.json"
    content = read_checksummed_json(path)
    content["channel_means"][0] += 1
    write_checksummed_json(path, content)


DAMAGE: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "pixel": (
        lambda data: flip_bit(data / "shards/train/00001.lmdb", 400_000),
        ["train/00001.lmdb: record 6 is damaged", "train/00001.lmdb: fix: find .*resize"],
    ),
    "missing shard": (
        lambda data: (data / "shards/val/00000.lmdb").unlink(),
        ["val/00000.lmdb is missing", "val/00000.lmdb: fix: "],
    ),
    "missing split": (
        lambda data: shutil.rmtree(data / "shards/val"),
        ["val is not a valid split of shards.*fix: dvc repro -f resize"],
    ),
    "extra shard": (
        lambda data: (data / "shards/val/00001.lmdb").touch(),
        ["val/00001.lmdb is not in manifest.json; fix: rm "],
    ),
    "labels": (change_a_label, ["val/labels.npy differs from the labels in data/index"]),
    "mean": (
        lambda data: flip_bit(data / "moments/mean_image.npy", 5000),
        ["mean_image.npy was changed.*fix: .*dvc repro -f moments"],
    ),
    "moments edited": (
        change_a_mean,
        ["moments was not computed from these shards: moments.json differs; fix: "],
    ),
    "other moments": (
        save_other_moments,
        ["moments was not computed .* moments.json differs; fix: .*dvc repro -f moments"],
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_reported_with_place_and_fix(intact: Path, tmp_path: Path, damage: str) -> None:
    data = tmp_path / "data"
    shutil.copytree(intact, data)
    apply, patterns = DAMAGE[damage]
    apply(data)
    lines = problems(data)
    assert len(lines) == len(patterns), lines
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.search(pattern, line), line


def test_a_damaged_model_is_reported(tmp_path: Path) -> None:
    assert list(check_model(tmp_path / "train")) == []  # not trained yet
    small_model(tmp_path / "train")
    assert list(check_model(tmp_path / "train")) == []
    text = tmp_path / "train/model.json"
    intact = text.read_text()
    for other in (intact.replace('"lr": 0.01', '"lr": 0.1'), "{"):
        text.write_text(other)
        (line,) = check_model(tmp_path / "train")
        assert re.search("model.json .*fix: .*dvc repro -f train", line)
    flip_bit(tmp_path / "train/model.safetensors", -3000)
    (line,) = check_model(tmp_path / "train")
    assert "contents do not match its checksum" in line
