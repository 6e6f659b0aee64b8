"""ILSVRC-2012 as downloaded: labels from the devkit, order from the seed, damage reported."""

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from alexnet.dataset.index import Index
from alexnet.index.ilsvrc import DEVKIT, TRAIN_TAR, VAL_TAR
from alexnet.index.layouts import read_index
from alexnet.miniature.shapes_basic import CLASSES
from alexnet.runtime.errors import InputError


@pytest.fixture(scope="module")
def index(miniature: Path) -> Index:
    return read_index(miniature, "archives", 1, 0.5)


def test_labels_are_devkit_ids_minus_one(index: Index) -> None:
    assert [(s.wnid, s.words) for s in index.synsets] == list(CLASSES[:4])
    assert [s.devkit_id for s in index.synsets] == [1, 2, 3, 4]
    wnids = [synset.wnid for synset in index.synsets]
    assert wnids != sorted(wnids)  # so that the devkit's order differs from the alphabet's
    for row in index.splits["train"]:
        assert bytes(row["name"]).decode().startswith(wnids[row["label"]] + "_")


def test_val_labels_are_the_ground_truth(miniature: Path, index: Index) -> None:
    with tarfile.open(miniature / DEVKIT) as kit:
        name = f"{DEVKIT.removesuffix('.tar.gz')}/data/ILSVRC2012_validation_ground_truth.txt"
        truth = kit.extractfile(name).read().split()  # type: ignore[union-attr]
    assert (index.splits["val"]["label"] + 1).tolist() == [int(line) for line in truth]
    numbers = [int(bytes(name)[-13:-5]) for name in index.splits["val"]["name"]]
    assert numbers == list(range(1, 9))


def test_only_the_seed_determines_the_order_of_train(miniature: Path, index: Index) -> None:
    again, other = (read_index(miniature, "archives", seed, 0.5) for seed in (1, 2))
    assert np.array_equal(again.splits["train"], index.splits["train"])
    assert not np.array_equal(other.splits["train"], index.splits["train"])
    assert sorted(other.splits["train"]["offset"]) == sorted(index.splits["train"]["offset"])


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / TRAIN_TAR).unlink(), f"{TRAIN_TAR} is missing; fix: .*IMAGENET_ROOT"),
        (lambda root: truncate(root / TRAIN_TAR), f"{TRAIN_TAR} is (truncated|damaged).*download"),
        (lambda root: truncate(root / VAL_TAR), f"{VAL_TAR} is (truncated|damaged).*download"),
        (lambda root: truncate(root / DEVKIT), f"{DEVKIT}: meta.mat cannot be read.*download"),
        (
            lambda root: (root / TRAIN_TAR).write_bytes(b"x" * 5000),
            f"{TRAIN_TAR} is damaged.*download",
        ),
        (lambda root: shutil.copy(root / VAL_TAR, root / TRAIN_TAR), "holds the unknown class"),
    ],
    ids=["missing", "train truncated", "val truncated", "devkit truncated", "no tar", "swapped"],
)
def test_missing_or_damaged_archives_are_reported(
    miniature: Path, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    copy = tmp_path / "raw"
    shutil.copytree(miniature, copy)
    damage(copy)
    with pytest.raises(InputError, match=message):
        read_index(copy, "archives", 1, 0.5)
