"""A whole data folder verified, then harmed in each of its parts."""

import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from alexnet.cli.integrity import verify, verify_model
from alexnet.dataset.checksummed import read_sealed, write_sealed
from alexnet.dataset.index import ROW, Index, Synset
from alexnet.dataset.shards import Shards
from alexnet.moments.pca import save_moments
from alexnet.moments.sums import sums_of
from alexnet.resize.shard_writer import write_manifest
from images import Images, write_split
from small_model import small_model


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, images: Images) -> Path:
    data = tmp_path_factory.mktemp("verified") / "data"
    write_split(data / "shards/train", images[:12], [0, 1, 2] * 4, records=5)
    write_split(data / "shards/val", images[12:], [0, 1] * 4)
    (data / "moments").mkdir()
    save_moments(data / "moments", sums_of(images[:12]))
    return data


def index() -> Index:
    splits = {"train": np.zeros(12, ROW), "val": np.zeros(8, ROW)}
    splits["train"]["label"], splits["val"]["label"] = [0, 1, 2] * 4, [0, 1] * 4
    return Index(splits, [], [Synset(0, name, name) for name in "abc"])


def problems(data: Path) -> list[str]:
    return list(verify(ThreadPoolExecutor(1), data, index()))


def test_what_is_whole_has_no_problem(made: Path) -> None:
    assert problems(made) == []


def flipped(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def with_another_label(data: Path) -> None:
    folder = data / "shards/val"
    write_manifest(folder, np.zeros(8, np.int32), "raw", Shards(folder).manifest["shards"], [])


def of_other_images(data: Path) -> None:
    save_moments(data / "moments", sums_of(np.zeros((2, 256, 256, 3), np.uint8)))


def of_another_mean(data: Path) -> None:
    path = data / "moments/moments.json"
    content = read_sealed(path)
    content["channel_means"][0] += 1
    write_sealed(path, content)


HARMS: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "pixel": (
        lambda data: flipped(data / "shards/train/00001.lmdb", 400_000),
        ["train/00001.lmdb: record 6 is damaged", "train/00001.lmdb: fix: find .*resize"],
    ),
    "shard gone": (
        lambda data: (data / "shards/val/00000.lmdb").unlink(),
        ["val/00000.lmdb is missing", "val/00000.lmdb: fix: "],
    ),
    "split gone": (
        lambda data: shutil.rmtree(data / "shards/val"),
        ["val is not a whole split.*fix: dvc repro -f resize"],
    ),
    "labels": (with_another_label, ["val/labels.npy does not agree with data/index"]),
    "mean": (
        lambda data: flipped(data / "moments/mean_image.npy", 5000),
        ["mean_image.npy was changed.*fix: .*dvc repro -f moments"],
    ),
    "moments edited": (of_another_mean, ["moments is not of these shards: moments.json; fix: "]),
    "other moments": (
        of_other_images,
        ["moments is not of these shards: moments.json; fix: .*dvc repro -f moments"],
    ),
}


@pytest.mark.parametrize("harm", HARMS)
def test_harm_is_told_with_its_place_and_mend(made: Path, tmp_path: Path, harm: str) -> None:
    data = tmp_path / "data"
    shutil.copytree(made, data)
    do, says = HARMS[harm]
    do(data)
    told = problems(data)
    assert len(told) == len(says), told
    for line, pattern in zip(told, says, strict=True):
        assert re.search(pattern, line), line


def test_a_model_is_looked_at_too(tmp_path: Path) -> None:
    assert list(verify_model(tmp_path / "train")) == []  # not trained yet
    small_model(tmp_path / "train")
    assert list(verify_model(tmp_path / "train")) == []
    text = tmp_path / "train/model.json"
    whole = text.read_text()
    for other in (whole.replace('"lr": 0.01', '"lr": 0.1'), "{"):
        text.write_text(other)
        (line,) = verify_model(tmp_path / "train")
        assert re.search("model.json .*fix: .*dvc repro -f train", line)
    flipped(tmp_path / "train/model.safetensors", -3000)
    (line,) = verify_model(tmp_path / "train")
    assert "changed after it was written" in line
