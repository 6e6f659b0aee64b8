"""Images read by offset equal those that tarfile unpacks; stale or invalid rows are rejected."""

import io
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from alexnet.archives.reader import check_unchanged, list_folder, read_image
from alexnet.dataset.index import ROW, Index
from alexnet.index.ilsvrc import TRAIN_TAR
from alexnet.index.layouts import read_index
from alexnet.runtime.errors import InputError
from raw_layouts import write_files


@pytest.fixture(scope="module")
def index(miniature: Path) -> Index:
    return read_index(miniature, "archives", 1, 0.5)


def test_every_row_reads_its_own_file(miniature: Path, index: Index) -> None:
    files = {}
    with tarfile.open(miniature / TRAIN_TAR) as outer:
        for synset in outer:
            inner_bytes = outer.extractfile(synset).read()  # type: ignore[union-attr]
            with tarfile.open(fileobj=io.BytesIO(inner_bytes)) as inner:
                files |= {m.name: inner.extractfile(m).read() for m in inner}  # type: ignore[union-attr]
    rows = index.splits["train"]
    assert sorted(bytes(row["name"]).decode() for row in rows) == sorted(files)
    for row in rows:
        assert read_image(miniature, index.archives, row) == files[bytes(row["name"]).decode()]


def test_a_changed_or_missing_archive_is_rejected(
    miniature: Path, tmp_path: Path, index: Index
) -> None:
    check_unchanged(miniature, index.archives)
    copy = tmp_path / "raw"
    shutil.copytree(miniature, copy)
    size = (copy / TRAIN_TAR).stat().st_size
    with (copy / TRAIN_TAR).open("ab") as file:
        file.write(b"more")
    sizes = f"has {size + 4:,} bytes, but had {size:,} when it was indexed"
    with pytest.raises(InputError, match=f"{sizes}; fix: dvc repro -f index"):
        check_unchanged(copy, index.archives)
    (copy / TRAIN_TAR).unlink()
    with pytest.raises(InputError, match=r"is missing, but had .*; fix: dvc repro -f index"):
        check_unchanged(copy, index.archives)


@pytest.mark.parametrize("path", ["no\0file.tar", "a" * 300, "ILSVRC2012_img_train.tar/a"])
def test_an_impossible_path_counts_as_a_missing_archive(miniature: Path, path: str) -> None:
    with pytest.raises(InputError, match="is missing"):
        check_unchanged(miniature, [(path, 1)])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("archive", value) for value in (-1, 2**30)],
        *[("offset", value) for value in (-1, 2**62)],
        *[("size", value) for value in (-1, 2**62)],
    ],
)
def test_a_row_outside_of_all_archives_is_rejected(
    miniature: Path, index: Index, field: str, value: int
) -> None:
    row = index.splits["train"][0].copy()
    read_image(miniature, index.archives, row)
    row[field] = value
    message = r"(does not contain|in archive).*; fix: dvc repro -f index"
    with pytest.raises(InputError, match=message):
        read_image(miniature, index.archives, row)


def test_an_invalid_file_name_is_rejected(tmp_path: Path) -> None:
    miniature = write_files(tmp_path, {f"{split}/a/1.jpg": b"1" for split in ("train", "val")})
    index = read_index(miniature, "folder", 0, 0.5)
    row = index.splits["train"][0].copy()
    row["name"] = b"a\0b.jpg"
    with pytest.raises(InputError, match="null byte; fix: dvc repro -f index"):
        read_image(miniature, index.archives, row)


def test_a_record_that_is_not_three_planes_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1.bin").write_bytes(bytes(100))
    row = np.array([(0, 0, 1, 10, b"x.ppm")], ROW)[0]
    with pytest.raises(InputError, match=r"data_batch_1\.bin: .*; fix: dvc repro -f index"):
        read_image(tmp_path, [("data_batch_1.bin", 100)], row)


def test_a_folder_lists_its_visible_files_by_name(tmp_path: Path) -> None:
    write_files(tmp_path, {"b.jpg": b"12", "a.jpg": b"1", ".hidden": b"123"})
    assert list(list_folder(tmp_path).items()) == [("a.jpg", 1), ("b.jpg", 2)]
    (tmp_path / "c").mkdir()
    with pytest.raises(InputError, match=r"/c is not a file: .*; fix: arrange the images as"):
        list_folder(tmp_path)
