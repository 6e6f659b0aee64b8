"""The devkit as an archive or a folder; any damage to it gives an error message."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

from alexnet.index.devkit import read_devkit, read_ground_truth
from alexnet.miniature.devkit import KIT, TRUTH, write_devkit
from alexnet.miniature.shapes_basic import CLASSES
from alexnet.runtime.errors import InputError

NAME = f"{KIT}.tar.gz"
LABELS = [2, 0, 3, 1, 2]


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    write_devkit(tmp_path / NAME, classes=4, train_per_class=3, truth=LABELS)
    return tmp_path / NAME


def test_classes_truth_and_counts(kit: Path) -> None:
    synsets, truth, counts = read_devkit(kit)
    assert [(s.wnid, s.words) for s in synsets] == list(CLASSES[:4])
    assert [s.devkit_id for s in synsets] == [1, 2, 3, 4]
    assert truth == LABELS
    assert counts == [3] * 4


def test_an_unpacked_devkit_is_read_like_the_archive(kit: Path, tmp_path: Path) -> None:
    with tarfile.open(kit) as tar:
        tar.extractall(tmp_path, filter="data")
    assert read_devkit(tmp_path / KIT) == read_devkit(tmp_path / KIT / "data") == read_devkit(kit)


def test_any_damage_to_the_archive_is_reported(kit: Path) -> None:
    """Every byte counts: gzip's checksum is verified before anything is parsed."""
    whole = kit.read_bytes()
    places = np.random.default_rng(0).integers(10, len(whole), 60)
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        kit.write_bytes(damaged)
        with pytest.raises(InputError, match="download the devkit again"):
            read_devkit(kit)
    for length in range(0, len(whole), 97):
        kit.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"download (it|the devkit) again"):
            read_devkit(kit)


def test_a_damaged_or_missing_loose_file_is_reported(kit: Path, tmp_path: Path) -> None:
    with tarfile.open(kit) as tar:
        tar.extractall(tmp_path, filter="data")
    data = tmp_path / KIT / "data"
    for name, damaged in ((TRUTH, b"\xff\xfe"), (TRUTH, b"one\n"), ("meta.mat", b"MATLAB")):
        whole = (data / name).read_bytes()
        (data / name).write_bytes(damaged)
        with pytest.raises(InputError, match=r"cannot be read.*download the devkit again"):
            read_devkit(data)
        (data / name).write_bytes(whole)
    (data / TRUTH).unlink()
    with pytest.raises(InputError, match=r"cannot be read.*download the devkit again"):
        read_devkit(data)


@pytest.mark.parametrize("label", [-1, 4])
def test_an_id_in_the_ground_truth_without_a_class_is_reported(kit: Path, label: int) -> None:
    write_devkit(kit, 4, 3, [0, label])
    message = f"{TRUTH} contains the id {label + 1}, outside 1–4; fix: download the devkit again"
    with pytest.raises(InputError, match=message):
        read_devkit(kit)


def test_an_empty_ground_truth_is_reported(tmp_path: Path) -> None:
    (tmp_path / TRUTH).write_bytes(b"\n")
    with pytest.raises(InputError, match=f"{TRUTH} is empty"):
        read_ground_truth(tmp_path, TRUTH, 4)
