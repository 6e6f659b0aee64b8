"""ILSVRC-2010: a public test split, and patches that replace images."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from alexnet.archives.reader import read_image
from alexnet.index.ilsvrc import TRAIN_TAR
from alexnet.index.layouts import find_layout, read_index
from alexnet.runtime.errors import InputError
from raw_layouts import WNIDS, Content, Files, make_tar, read_content


def rename_ids(kit: Files) -> bytes:
    """Return the miniature's meta.mat with the field name that ILSVRC-2010 has for the ids."""
    name = next(name for name in kit if name.endswith("meta.mat"))
    table = scipy.io.loadmat(io.BytesIO(kit[name]))["synsets"]
    names = [str(n).replace("ILSVRC2012_ID", "ILSVRC2010_ID") for n in table.dtype.names]
    renamed = np.empty(table.shape, [(n, object) for n in names])
    for old, new in zip(table.dtype.names, names, strict=True):
        renamed[new] = table[old]
    file = io.BytesIO()
    scipy.io.savemat(file, {"synsets": renamed})
    return file.getvalue()


@pytest.fixture
def root(miniature: Path, val: Files, kit: Files, truth: list[int], tmp_path: Path) -> Path:
    root = tmp_path / "raw"
    root.mkdir()
    lines = {
        "val": "".join(f"{label + 1}\n" for label in truth).encode(),
        "test": "".join(f"{label + 1}\n" for label in reversed(truth)).encode(),
    }
    folder = "devkit-1.0/data"
    devkit = {
        f"{folder}/meta.mat": rename_ids(kit),
        f"{folder}/ILSVRC2010_validation_ground_truth.txt": lines["val"],
    }
    (root / "ILSVRC2010_devkit-1.0.tar.gz").write_bytes(make_tar(devkit, "w:gz"))
    images = {"val": sorted(val), "test": sorted(val, reverse=True)}
    for split, names in images.items():
        files = {
            f"{split}/ILSVRC2010_{split}_{n:08d}.JPEG": val[name] for n, name in enumerate(names, 1)
        }
        (root / f"ILSVRC2010_images_{split}.tar").write_bytes(make_tar(files))
    shutil.copy(miniature / TRAIN_TAR, root / "ILSVRC2010_images_train.tar")
    (root / "ILSVRC2010_test_ground_truth.txt").write_bytes(lines["test"])
    return root


def test_ilsvrc2010_has_a_test_split(root: Path, expected: Content) -> None:
    assert find_layout(root) == "ilsvrc2010"
    index = read_index(root, "auto", 1, 0.5)
    of_test = {("test", label, data) for split, label, data in expected if split == "val"}
    assert list(index.splits) == ["train", "val", "test"]
    assert read_content(root, index) == expected | of_test
    assert [s.devkit_id for s in index.synsets] == [1, 2, 3, 4]


def test_patches_replace_the_images_with_their_names(root: Path) -> None:
    old = read_index(root, "auto", 1, 0.5)
    train, test = f"{WNIDS[2]}_2.JPEG", "ILSVRC2010_test_00000005.JPEG"
    patches = {f"patch_images/train/{train}": b"new", f"patch_images/test/{test}": b"newer"}
    (root / "patch_images.tar").write_bytes(make_tar(patches | {"patch_images/readme.txt": b"?"}))
    index = read_index(root, "auto", 1, 0.5)
    for split, name, data in (("train", train, b"new"), ("test", test, b"newer")):
        rows = index.splits[split]
        (row,) = rows[rows["name"] == name.encode()]
        assert read_image(root, index.archives, row) == data
        assert (rows != old.splits[split]).sum() == 1
    assert np.array_equal(old.splits["val"], index.splits["val"])
    (root / "patch_images.tar").write_bytes(make_tar({"patch_images/val/no.JPEG": b""}))
    with pytest.raises(InputError, match=r"contains no.JPEG, which replaces no image"):
        read_index(root, "auto", 1, 0.5)


def test_missing_test_labels_are_reported(root: Path) -> None:
    (root / "ILSVRC2010_test_ground_truth.txt").unlink()
    with pytest.raises(InputError, match=r"contains no data/ILSVRC2010_test_ground_truth.txt"):
        read_index(root, "auto", 1, 0.5)
