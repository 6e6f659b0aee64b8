"""Labels against the devkit, bytes against tarfile's own, and refusals of what is not whole."""

import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from alexnet import archives, miniature
from alexnet.archives import DEVKIT, TRAIN_TAR, VAL_TAR, index_archives, index_folder, read_image
from alexnet.devkit import read_devkit, write_devkit
from alexnet.errors import InputError
from alexnet.index import Index, load_index, save_index
from alexnet.shapes import CLASSES


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw") / "ilsvrc"
    miniature.write_miniature(folder, seed=3, train_per_class=3, val_per_class=2, classes=4)
    return folder


@pytest.fixture(scope="module")
def index(root: Path) -> Index:
    return index_archives(root, seed=1)


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
    again, other = index_archives(root, seed=1), index_archives(root, seed=2)
    assert np.array_equal(again.splits["train"], index.splits["train"])
    assert not np.array_equal(other.splits["train"], index.splits["train"])
    assert sorted(other.splits["train"]["offset"]) == sorted(index.splits["train"]["offset"])


def test_saved_and_loaded(tmp_path: Path, index: Index) -> None:
    save_index(index, tmp_path)
    loaded = load_index(tmp_path)
    assert loaded.synsets == index.synsets
    assert loaded.archives == index.archives
    assert np.array_equal(loaded.splits["val"], index.splits["val"])


@pytest.mark.parametrize("name", ["train.npy", "archives.json", "classes.csv"])
def test_a_damaged_index_names_its_mend(tmp_path: Path, index: Index, name: str) -> None:
    with pytest.raises(InputError, match="mend: dvc repro -f index"):
        load_index(tmp_path)
    save_index(index, tmp_path)
    (tmp_path / name).write_bytes(b"{")
    with pytest.raises(InputError, match="mend: dvc repro -f index"):
        load_index(tmp_path)


def test_no_damage_to_the_devkit_is_a_traceback(root: Path, tmp_path: Path) -> None:
    """Every byte counts: gzip's own checksum is compared before anything is believed."""
    whole = (root / DEVKIT).read_bytes()
    places = np.random.default_rng(0).integers(10, len(whole), 60)
    for place in places:
        harmed = bytearray(whole)
        harmed[place] ^= 0x10
        (tmp_path / DEVKIT).write_bytes(harmed)
        with pytest.raises(InputError, match="download the devkit again"):
            read_devkit(tmp_path / DEVKIT)


def test_a_ground_truth_of_no_class_is_refused(tmp_path: Path) -> None:
    for label in (-1, 4):
        write_devkit(tmp_path / DEVKIT, 4, 3, [0, label])
        with pytest.raises(InputError, match="names classes that are none"):
            read_devkit(tmp_path / DEVKIT)


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
        index_archives(copy, seed=1)


def test_a_changed_archive_is_refused(root: Path, tmp_path: Path, index: Index) -> None:
    archives.check_unchanged(root, index.archives)
    copy = tmp_path / "raw"
    shutil.copytree(root, copy)
    with (copy / TRAIN_TAR).open("ab") as file:
        file.write(b"more")
    with pytest.raises(InputError, match=r"not what was indexed.*dvc repro -f index"):
        archives.check_unchanged(copy, index.archives)
    (copy / TRAIN_TAR).unlink()
    with pytest.raises(InputError, match="dvc repro -f index"):
        archives.check_unchanged(copy, index.archives)


def tree(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def test_a_folder_a_class(tmp_path: Path) -> None:
    files = {f"{split}/{name}/{n}.jpg": f"{split}{name}{n}".encode() for split in ("train", "val")
             for name in ("zebra", "ant") for n in range(2)}  # fmt: skip
    index = index_folder(tree(tmp_path, files), seed=0)
    assert [synset.wnid for synset in index.synsets] == ["ant", "zebra"]
    for split, rows in index.splits.items():
        assert len(rows) == 4
        for row in rows:
            name = index.synsets[row["label"]].wnid + bytes(row["name"]).decode()[0]
            assert read_image(tmp_path, index.archives, row) == f"{split}{name}".encode()
    archives.check_unchanged(tmp_path, index.archives)
    (tmp_path / "val/ant/9.jpg").write_bytes(b"new")
    with pytest.raises(InputError, match="val/ant"):
        archives.check_unchanged(tmp_path, index.archives)


def test_hidden_files_are_no_classes_and_no_images(tmp_path: Path) -> None:
    names = ("train/a/1.jpg", "val/a/1.jpg", "train/.cache/x.jpg", "train/a/.DS_Store")
    index = index_folder(tree(tmp_path, dict.fromkeys(names, b"1")), seed=0)
    assert [synset.wnid for synset in index.synsets] == ["a"]
    assert [bytes(row["name"]) for row in index.splits["train"]] == [b"1.jpg"]
    archives.check_unchanged(tmp_path, index.archives)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a.jpg": b""}, "train is missing"),
        ({"train/a/1.jpg": b"1"}, "val is missing"),
        ({"train/a/1.jpg": b"1", "val/b/1.jpg": b"1"}, "val/b is a class that"),
        ({"train/a/1.jpg": b"1", "val/1.jpg": b"1"}, "val/1.jpg is not a class folder"),
        ({"train/a/b/1.jpg": b"1", "val/a/1.jpg": b"1"}, "train/a/b is not an image"),
        ({f"train/a/{'long' * 30}.jpg": b"1", "val/a/1.jpg": b"1"}, "longer than 96"),
    ],
)
def test_wrong_folders_are_refused(tmp_path: Path, files: dict[str, bytes], says: str) -> None:
    with pytest.raises(InputError, match=f"{says}.*mend:"):
        index_folder(tree(tmp_path, files), seed=0)


def test_the_environment_goes_before_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGENET_ROOT", str(tmp_path))
    assert archives.open_raw("raw/elsewhere", 0, None) == tmp_path
    monkeypatch.setenv("IMAGENET_ROOT", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"nowhere does not exist.*IMAGENET_ROOT"):
        archives.open_raw("raw/elsewhere", 0, None)
    monkeypatch.delenv("IMAGENET_ROOT")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "raw").mkdir()
    assert archives.open_raw("raw", 0, None) == tmp_path / "raw"


def test_the_miniature_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    counts = {"classes": 2, "train_per_class": 3, "val_per_class": 1}
    first = archives.open_raw("raw/miniature", 0, counts)
    drawn = (first / TRAIN_TAR).stat().st_mtime_ns
    assert archives.open_raw("raw/miniature", 0, counts) == first
    assert (first / TRAIN_TAR).stat().st_mtime_ns == drawn
    assert archives.open_raw("raw/miniature", 0, counts | {"val_per_class": 2}) != first
