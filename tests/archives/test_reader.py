"""Labels against the devkit, bytes against tarfile's own, and refusals of what is not whole."""

import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from alexnet.archives import reader
from alexnet.archives import root as root_module
from alexnet.archives.reader import read_image
from alexnet.dataset.index import Index
from alexnet.index.ilsvrc import DEVKIT, TRAIN_TAR, VAL_TAR
from alexnet.index.layouts import read_index
from alexnet.miniature import generate
from alexnet.miniature.shapes_basic import CLASSES
from alexnet.runtime.errors import InputError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw") / "ilsvrc"
    generate.write_miniature(folder, seed=3, train_per_class=3, val_per_class=2, classes=4)
    return folder


@pytest.fixture(scope="module")
def index(root: Path) -> Index:
    return read_index(root, "archives", 1, 0.5)


def test_labels_are_devkit_ids_minus_one(index: Index) -> None:
    assert [(s.wnid, s.words) for s in index.synsets] == list(CLASSES[:4])
    assert [s.devkit_id for s in index.synsets] == [1, 2, 3, 4]
    wnids = [synset.wnid for synset in index.synsets]
    assert wnids != sorted(wnids)  # else this could not tell the devkit's order from the alphabet's
    for row in index.splits["train"]:
        assert bytes(row["name"]).decode().startswith(wnids[row["label"]] + "_")


def test_every_row_reads_its_own_file(root: Path, index: Index) -> None:
    files = {}
    with tarfile.open(root / TRAIN_TAR) as outer:
        for synset in outer:
            inner_bytes = outer.extractfile(synset).read()  # type: ignore[union-attr]
            with tarfile.open(fileobj=io.BytesIO(inner_bytes)) as inner:
                files |= {m.name: inner.extractfile(m).read() for m in inner}  # type: ignore[union-attr]
    rows = index.splits["train"]
    assert sorted(bytes(row["name"]).decode() for row in rows) == sorted(files)
    for row in rows:
        assert read_image(root, index.archives, row) == files[bytes(row["name"]).decode()]


def test_val_labels_are_the_ground_truth(root: Path, index: Index) -> None:
    with tarfile.open(root / DEVKIT) as kit:
        name = f"{DEVKIT.removesuffix('.tar.gz')}/data/ILSVRC2012_validation_ground_truth.txt"
        truth = kit.extractfile(name).read().split()  # type: ignore[union-attr]
    assert (index.splits["val"]["label"] + 1).tolist() == [int(line) for line in truth]
    numbers = [int(bytes(name)[-13:-5]) for name in index.splits["val"]["name"]]
    assert numbers == list(range(1, 9))


def test_train_is_shuffled_by_the_seed_alone(root: Path, index: Index) -> None:
    again, other = read_index(root, "archives", 1, 0.5), read_index(root, "archives", 2, 0.5)
    assert np.array_equal(again.splits["train"], index.splits["train"])
    assert not np.array_equal(other.splits["train"], index.splits["train"])
    assert sorted(other.splits["train"]["offset"]) == sorted(index.splits["train"]["offset"])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda root: (root / TRAIN_TAR).unlink(), f"{TRAIN_TAR} is missing.*IMAGENET_ROOT"),
        (lambda root: cut(root / TRAIN_TAR), f"{TRAIN_TAR}"),
        (lambda root: cut(root / VAL_TAR), f"{VAL_TAR}"),
        (lambda root: cut(root / DEVKIT), f"{DEVKIT}.*download"),
        (lambda root: (root / TRAIN_TAR).write_bytes(b"x" * 5000), f"{TRAIN_TAR}.*download"),
        (lambda root: shutil.copy(root / VAL_TAR, root / TRAIN_TAR), "not a class of the devkit"),
    ],
    ids=["missing", "train cut", "val cut", "devkit cut", "no tar", "swapped"],
)
def test_a_set_that_is_not_whole_is_refused(
    root: Path, tmp_path: Path, harm: Callable[[Path], object], says: str
) -> None:
    copy = tmp_path / "raw"
    shutil.copytree(root, copy)
    harm(copy)
    with pytest.raises(InputError, match=says):
        read_index(copy, "archives", 1, 0.5)


def test_a_changed_archive_is_refused(root: Path, tmp_path: Path, index: Index) -> None:
    reader.check_unchanged(root, index.archives)
    copy = tmp_path / "raw"
    shutil.copytree(root, copy)
    with (copy / TRAIN_TAR).open("ab") as file:
        file.write(b"more")
    with pytest.raises(InputError, match=r"not what was indexed.*dvc repro -f index"):
        reader.check_unchanged(copy, index.archives)
    (copy / TRAIN_TAR).unlink()
    with pytest.raises(InputError, match="dvc repro -f index"):
        reader.check_unchanged(copy, index.archives)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("archive", value) for value in (-1, 2**30)],
        *[("offset", value) for value in (-1, 2**62)],
        *[("size", value) for value in (-1, 2**62)],
    ],
)
def test_a_row_of_no_archive_is_refused(root: Path, index: Index, field: str, value: int) -> None:
    row = index.splits["train"][0].copy()
    reader.read_image(root, index.archives, row)
    row[field] = value
    with pytest.raises(InputError, match=r"(ends inside|names archive).*fix: dvc repro -f index"):
        reader.read_image(root, index.archives, row)


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    root = tree(tmp_path, {f"{split}/a/1.jpg": b"1" for split in ("train", "val")})
    index = read_index(root, "folder", 0, 0.5)
    row = index.splits["train"][0].copy()
    row["name"] = b"a\0b.jpg"
    with pytest.raises(InputError, match="null byte; fix: dvc repro -f index"):
        reader.read_image(root, index.archives, row)


def tree(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def test_a_folder_a_class(tmp_path: Path) -> None:
    files = {f"{split}/{name}/{n}.jpg": f"{split}{name}{n}".encode() for split in ("train", "val")
             for name in ("zebra", "ant") for n in range(2)}  # fmt: skip
    index = read_index(tree(tmp_path, files), "folder", 0, 0.5)
    assert [synset.wnid for synset in index.synsets] == ["ant", "zebra"]
    for split, rows in index.splits.items():
        assert len(rows) == 4
        for row in rows:
            name = index.synsets[row["label"]].wnid + bytes(row["name"]).decode()[0]
            assert read_image(tmp_path, index.archives, row) == f"{split}{name}".encode()
    reader.check_unchanged(tmp_path, index.archives)
    (tmp_path / "val/ant/9.jpg").write_bytes(b"new")
    with pytest.raises(InputError, match="val/ant"):
        reader.check_unchanged(tmp_path, index.archives)


def test_hidden_files_are_no_classes_and_no_images(tmp_path: Path) -> None:
    names = ("train/a/1.jpg", "val/a/1.jpg", "train/.cache/x.jpg", "train/a/.DS_Store")
    index = read_index(tree(tmp_path, dict.fromkeys(names, b"1")), "folder", 0, 0.5)
    assert [synset.wnid for synset in index.synsets] == ["a"]
    assert [bytes(row["name"]) for row in index.splits["train"]] == [b"1.jpg"]
    reader.check_unchanged(tmp_path, index.archives)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"val/a/1.jpg": b""}, "train is missing"),
        ({"train/a/1.jpg": b"1"}, "val is missing"),
        ({"train/a/1.jpg": b"1", "val/b/1.jpg": b"1"}, "val/b holds b, not a class"),
        ({"a.jpg": b""}, "a.jpg is not a class folder"),
        ({"a/1.jpg": b"1", "a/2.jpg": b"1", "README": b""}, "README is not a class folder"),
        ({"train/a/1.jpg": b"1", "train/b/.x": b"", "val/a/1.jpg": b"1"}, "b holds no image"),
        ({"train/a/1.jpg": b"1", "val/.x": b""}, "val is empty"),
        ({"train/a/1.jpg": b"1", "val/1.jpg": b"1"}, "val/1.jpg is not a class folder"),
        ({"train/a/b/1.jpg": b"1", "val/a/1.jpg": b"1"}, "train/a/b is not an image"),
        ({f"train/a/{'long' * 30}.jpg": b"1", "val/a/1.jpg": b"1"}, "longer than 96"),
    ],
)
def test_wrong_folders_are_refused(tmp_path: Path, files: dict[str, bytes], says: str) -> None:
    with pytest.raises(InputError, match=f"{says}.*fix:"):
        read_index(tree(tmp_path, files), "folder", 0, 0.5)


def test_the_environment_goes_before_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGENET_ROOT", str(tmp_path))
    assert root_module.open_raw("raw/elsewhere", 0, None) == tmp_path
    monkeypatch.setenv("IMAGENET_ROOT", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"nowhere does not exist.*IMAGENET_ROOT"):
        root_module.open_raw("raw/elsewhere", 0, None)
    monkeypatch.delenv("IMAGENET_ROOT")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "raw").mkdir()
    assert root_module.open_raw("raw", 0, None) == tmp_path / "raw"


def test_the_miniature_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    counts = {"classes": 2, "train_per_class": 3, "val_per_class": 1}
    first = root_module.open_raw("raw/miniature", 0, counts)
    drawn = (first / TRAIN_TAR).stat().st_mtime_ns
    assert root_module.open_raw("raw/miniature", 0, counts) == first
    assert (first / TRAIN_TAR).stat().st_mtime_ns == drawn
    assert root_module.open_raw("raw/miniature", 0, counts | {"val_per_class": 2}) != first
