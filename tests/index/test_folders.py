"""A folder for each class: images, hidden files, and what is rejected."""

from pathlib import Path

import pytest

from alexnet.archives.reader import check_unchanged, read_image
from alexnet.index.layouts import read_index
from alexnet.runtime.errors import InputError
from raw_layouts import Files, write_files


def test_class_folders_give_labels_in_sorted_order(tmp_path: Path) -> None:
    files = {
        f"{split}/{name}/{n}.jpg": f"{split}{name}{n}".encode()
        for split in ("train", "val")
        for name in ("zebra", "ant")
        for n in range(2)
    }
    index = read_index(write_files(tmp_path, files), "folder", 0, 0.5)
    assert [synset.wnid for synset in index.synsets] == ["ant", "zebra"]
    for split, rows in index.splits.items():
        assert len(rows) == 4
        for row in rows:
            name = index.synsets[row["label"]].wnid + bytes(row["name"]).decode()[0]
            assert read_image(tmp_path, index.archives, row) == f"{split}{name}".encode()


def test_a_new_image_changes_the_folder(tmp_path: Path) -> None:
    root = write_files(tmp_path, {f"{split}/ant/1.jpg": b"1" for split in ("train", "val")})
    index = read_index(root, "folder", 0, 0.5)
    check_unchanged(root, index.archives)
    (root / "val/ant/9.jpg").write_bytes(b"new")
    with pytest.raises(InputError, match="val/ant has 4 bytes, but had 1 when"):
        check_unchanged(root, index.archives)


def test_hidden_files_and_folders_are_ignored(tmp_path: Path) -> None:
    names = ("train/a/1.jpg", "val/a/1.jpg", "train/.cache/x.jpg", "train/a/.DS_Store")
    index = read_index(write_files(tmp_path, dict.fromkeys(names, b"1")), "folder", 0, 0.5)
    assert [synset.wnid for synset in index.synsets] == ["a"]
    assert [bytes(row["name"]) for row in index.splits["train"]] == [b"1.jpg"]
    check_unchanged(tmp_path, index.archives)


def test_a_third_split_is_read_from_test(tmp_path: Path) -> None:
    root = write_files(tmp_path, {f"{s}/a/1.jpg": s.encode() for s in ("train", "val", "test")})
    index = read_index(root, "folder", 0, 0.5)
    (row,) = index.splits["test"]
    assert read_image(root, index.archives, row) == b"test"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"val/a/1.jpg": b""}, "train is missing"),
        ({"train/a/1.jpg": b"1"}, "val is missing"),
        (
            {"train/a/1.jpg": b"1", "val/b/1.jpg": b"1"},
            "unknown class 'b'; known: a",
        ),
        ({"a.jpg": b""}, "a.jpg is not a class folder"),
        ({"a/1.jpg": b"1", "a/2.jpg": b"1", "README": b""}, "README is not a class folder"),
        ({"train/a/1.jpg": b"1", "train/b/.x": b"", "val/a/1.jpg": b"1"}, "class b has no images"),
        ({"train/a/1.jpg": b"1", "val/.x": b""}, "val contains no class folders"),
        ({"train/a/1.jpg": b"1", "val/a/.x": b""}, "val contains no images"),
        ({"train/a/1.jpg": b"1", "val/1.jpg": b"1"}, "val/1.jpg is not a class folder"),
        ({"train/a/b/1.jpg": b"1", "val/a/1.jpg": b"1"}, "train/a/b is not a file"),
        ({f"train/a/{'long' * 30}.jpg": b"1", "val/a/1.jpg": b"1"}, "longer than 96"),
    ],
)
def test_other_arrangements_are_rejected(tmp_path: Path, files: Files, message: str) -> None:
    with pytest.raises(InputError, match=f"{message}.*; fix: "):
        read_index(write_files(tmp_path, files), "folder", 0, 0.5)
