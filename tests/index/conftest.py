"""The parts of the miniature, to be arranged in every layout."""

from pathlib import Path

import pytest

from alexnet.index import completeness, synsets
from alexnet.index.ilsvrc import DEVKIT, TRAIN_TAR, VAL_TAR
from raw_layouts import WNIDS, Content, Files, unpack_tar


@pytest.fixture(scope="session")
def tars(miniature: Path) -> Files:
    """n########.tar → its bytes."""
    return unpack_tar((miniature / TRAIN_TAR).read_bytes())


@pytest.fixture(scope="session")
def train(tars: Files) -> Files:
    """n########/n########_1.JPEG → its bytes."""
    return {f"{n[:9]}/{name}": d for n, tar in tars.items() for name, d in unpack_tar(tar).items()}


@pytest.fixture(scope="session")
def val(miniature: Path) -> Files:
    """ILSVRC2012_val_00000001.JPEG → its bytes."""
    return unpack_tar((miniature / VAL_TAR).read_bytes())


@pytest.fixture(scope="session")
def kit(miniature: Path) -> Files:
    """ILSVRC2012_devkit_t12/data/meta.mat → its bytes."""
    return unpack_tar((miniature / DEVKIT).read_bytes())


@pytest.fixture(scope="session")
def truth(kit: Files) -> list[int]:
    """The label of each validation image, in order."""
    name = next(name for name in kit if name.endswith("ground_truth.txt"))
    return [int(line) - 1 for line in kit[name].split()]


@pytest.fixture(scope="session")
def expected(train: Files, val: Files, truth: list[int]) -> Content:
    """What every layout of the miniature must be read as."""
    of_train = {("train", WNIDS.index(name[:9]), data) for name, data in train.items()}
    of_val = {("val", label, val[name]) for label, name in zip(truth, sorted(val), strict=True)}
    return of_train | of_val


@pytest.fixture
def as_ilsvrc2012(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the miniature's classes were the thousand of ILSVRC-2012, and its images all."""
    monkeypatch.setattr(synsets, "ilsvrc2012_wnids", lambda: WNIDS)
    monkeypatch.setattr(completeness, "TRAIN_IMAGES", 12)
    monkeypatch.setattr(completeness, "VAL_IMAGES", 8)
