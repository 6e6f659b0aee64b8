"""CIFAR-10: records become index rows and PPM images; damaged files are rejected."""

from pathlib import Path

import numpy as np
import pytest

from alexnet.archives.reader import read_image
from alexnet.index import cifar10
from alexnet.index.layouts import find_layout, read_index
from alexnet.runtime.errors import InputError
from raw_layouts import write_files


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Write six files of 20 records to where the archive unpacks; return them, (20, 3073)."""
    monkeypatch.setattr(cifar10, "RECORDS", 20)
    rng = np.random.default_rng(0)
    made = {
        name: rng.integers(0, 256, (20, 3073), np.uint8) for name in [*cifar10.TRAIN, cifar10.VAL]
    }
    for table in made.values():
        table[:, 0] %= 10
    files = {f"{cifar10.FOLDER}/{name}": table.tobytes() for name, table in made.items()}
    write_files(tmp_path / "raw", files)
    return made


@pytest.mark.parametrize("folder", ["", cifar10.FOLDER])
def test_records_are_read_as_images(
    tmp_path: Path, records: dict[str, np.ndarray], folder: str
) -> None:
    root = tmp_path / "raw" / folder
    assert find_layout(root) == "cifar10"
    index = read_index(root, "auto", 1, 0.5)
    assert [len(rows) for rows in index.splits.values()] == [100, 20]
    assert [s.words for s in index.synsets][:3] == ["airplane", "automobile", "bird"]
    row = index.splits["train"][7]
    file, number = bytes(row["name"]).decode().removesuffix(".ppm").rsplit("_", 1)
    record = records[f"{file}.bin"][int(number)]
    data = read_image(root, index.archives, row)
    assert row["label"] == record[0]
    assert data[:13] == b"P6\n32 32\n255\n"
    pixels = np.frombuffer(data, np.uint8, offset=13).reshape(32, 32, 3)
    assert np.array_equal(pixels, record[1:].reshape(3, 32, 32).transpose(1, 2, 0))
    assert np.array_equal(index.splits["val"]["label"], records[cifar10.VAL][:, 0])


@pytest.mark.usefixtures("records")
def test_incomplete_or_damaged_files_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "raw" / cifar10.FOLDER / cifar10.TRAIN[2]
    whole = path.read_bytes()
    for changed, message in (
        (whole[:-1], "has 61,459 of 61,460 bytes"),
        (b"\x0a" + whole[1:], "contains the label 10, above 9"),
    ):
        path.write_bytes(changed)
        with pytest.raises(InputError, match=f"{cifar10.TRAIN[2]}.*{message}"):
            read_index(tmp_path / "raw", "auto", 1, 0.5)
    path.unlink()
    with pytest.raises(InputError, match=f"{cifar10.TRAIN[2]} is missing"):
        read_index(tmp_path / "raw", "auto", 1, 0.5)


def test_pixels_are_read_in_planes(tmp_path: Path, records: dict[str, np.ndarray]) -> None:
    pixels, labels = cifar10.read_pixels(tmp_path / "raw", cifar10.TRAIN[:2])
    tables = np.concatenate([records[name] for name in cifar10.TRAIN[:2]])
    assert np.array_equal(pixels, tables[:, 1:].reshape(40, 3, 32, 32))
    assert np.array_equal(labels, tables[:, 0])
