"""The miniature on disk: the layout of ILSVRC-2012, same bytes for same arguments."""

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from alexnet.index.devkit import read_devkit
from alexnet.miniature import classes as classes_module
from alexnet.miniature import generate
from alexnet.miniature.devkit import synset_rows
from alexnet.miniature.generate import odd_files, write_miniature
from alexnet.miniature.render import draw
from alexnet.miniature.shapes_basic import CLASSES
from alexnet.runtime.errors import InputError

ODD_FILES = odd_files(len(CLASSES))

TRAIN, VAL = 4, 2
KIT = "ILSVRC2012_devkit_t12"
NAMES = ["ILSVRC2012_devkit_t12.tar.gz", "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw") / "miniature"
    write_miniature(folder, seed=5, train_per_class=TRAIN, val_per_class=VAL, workers=2)
    return folder


@pytest.fixture(scope="module")
def train(root: Path) -> dict[str, bytes]:
    with tarfile.open(root / NAMES[1]) as outer:
        return {
            name: data
            for synset in outer
            for name, data in members(tarfile.open(fileobj=outer.extractfile(synset)))
        }


@pytest.fixture(scope="module")
def val(root: Path) -> dict[str, bytes]:
    return dict(members(tarfile.open(root / NAMES[2])))


@pytest.fixture(scope="module")
def devkit(root: Path) -> dict[str, bytes]:
    return dict(members(tarfile.open(root / NAMES[0], "r:gz")))


def members(tar: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    with tar:
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            yield member.name, file.read()


def synsets(devkit: dict[str, bytes]) -> np.ndarray:
    meta = io.BytesIO(devkit[f"{KIT}/data/meta.mat"])
    return scipy.io.loadmat(meta, squeeze_me=True)["synsets"]


def truth(devkit: dict[str, bytes]) -> list[int]:
    lines = devkit[f"{KIT}/data/ILSVRC2012_validation_ground_truth.txt"].split()
    return [int(line) for line in lines]


def digests(root: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in root.iterdir()}


def small(root: Path, seed: int, workers: int) -> dict[str, str]:
    write_miniature(root, seed=seed, train_per_class=1, val_per_class=1, classes=2, workers=workers)
    return digests(root)


def difference(data: bytes, label: int, index: int) -> float:
    """Return the mean absolute difference (0–255) of a file's RGB pixels and the drawing."""
    drawing = draw(5, label, index).astype(float)
    decoded = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=float)
    assert decoded.shape == drawing.shape
    return float(np.abs(decoded - drawing).mean())


def label_and_number(name: str) -> tuple[int, int]:
    wnid, number = name.removesuffix(".JPEG").split("_")
    return [w for w, _ in CLASSES].index(wnid), int(number)


def test_only_the_three_archives_are_written(root: Path) -> None:
    assert sorted(path.name for path in root.iterdir()) == NAMES
    assert [path.name for path in root.parent.iterdir()] == ["miniature"]


def test_train_is_a_tar_of_one_tar_per_class_in_wnid_order(root: Path) -> None:
    with tarfile.open(root / NAMES[1], "r:") as outer:  # "r:": not compressed
        names = outer.getnames()
        assert names == sorted(f"{wnid}.tar" for wnid, _ in CLASSES)
        for name in names:
            with tarfile.open(fileobj=outer.extractfile(name), mode="r:") as inner:
                wnid = name.removesuffix(".tar")
                assert inner.getnames() == [f"{wnid}_{n}.JPEG" for n in range(1, TRAIN + 1)]


def test_val_is_flat_and_numbered_from_1(root: Path) -> None:
    with tarfile.open(root / NAMES[2], "r:") as tar:
        expected = [f"ILSVRC2012_val_{n:08d}.JPEG" for n in range(1, 12 * VAL + 1)]
        assert tar.getnames() == expected


def test_ground_truth_matches_val_images(devkit: dict[str, bytes], val: dict[str, bytes]) -> None:
    """Each val image is the drawing of its true class."""
    labels = [devkit_id - 1 for devkit_id in truth(devkit)]
    assert sorted(labels) == sorted([*range(12)] * VAL)
    assert labels != sorted(labels)
    for number, (label, data) in enumerate(zip(labels, val.values(), strict=True), start=1):
        assert difference(data, label, generate.VAL_INDEX + number) < 12


def test_meta_mat_has_the_fields_of_the_real_one(devkit: dict[str, bytes]) -> None:
    rows = synsets(devkit)
    assert rows.dtype.names == (
        "ILSVRC2012_ID", "WNID", "words", "gloss",
        "num_children", "children", "wordnet_height", "num_train_images",
    )  # fmt: skip
    assert [int(row["ILSVRC2012_ID"]) for row in rows] == list(range(1, len(rows) + 1))
    leaves = [row for row in rows if row["num_children"] == 0]
    assert [(str(row["WNID"]), str(row["words"])) for row in leaves] == list(CLASSES)
    assert all(row["num_train_images"] == TRAIN for row in leaves)
    assert all(str(row["gloss"]) for row in rows)


@pytest.mark.parametrize("classes", [2, 5, 12, 36])
def test_every_synset_except_the_root_has_one_parent(classes: int) -> None:
    rows = synset_rows(classes, 1)
    inner = rows[classes:]
    assert len(inner) >= 2
    assert all(list(row["num_children"]) == [len(row["children"])] for row in inner)
    children = sorted(int(child) for row in inner for child in row["children"])
    assert children == [k for k in range(1, len(rows) + 1) if k != classes + 1]


def test_all_classes_can_be_written_and_are_in_the_devkit(tmp_path: Path) -> None:
    root = tmp_path / "wide"
    write_miniature(root, seed=1, train_per_class=1, val_per_class=1, classes=36, workers=2)
    synsets, truth, counts = read_devkit(root / NAMES[0])
    assert [(s.wnid, s.words) for s in synsets] == list(classes_module.CLASSES)
    assert (sorted(truth), counts) == (list(range(36)), [1] * 36)
    with tarfile.open(root / NAMES[1]) as tar:
        assert tar.getnames() == sorted(f"{wnid}.tar" for wnid, _ in classes_module.CLASSES)


def test_all_odd_kinds_occur_for_any_number_of_classes() -> None:
    kinds = {"cmyk", "grey", "png", "gzip", "exif", "truncated"}
    assert {kind for name, kind in ODD_FILES.items() if name.startswith("n")} == kinds
    assert any(k == "cmyk" and "val" in name for name, k in ODD_FILES.items())
    for classes in (*range(2, 13), 36):
        odd = odd_files(classes)
        assert sorted(odd.values()) == sorted(ODD_FILES.values()), "two kinds for one file"
        assert all(label_and_number(n)[1] <= 4 for n in odd if n.startswith("n"))
    assert len({name.split("_")[0] for name in ODD_FILES}) == len(ODD_FILES), "several in one class"


def test_other_files_are_420_jpegs_of_their_drawing(train: dict[str, bytes]) -> None:
    plain = [name for name in train if name not in ODD_FILES]
    assert len(plain) == 12 * TRAIN - 7
    for name in plain[::5]:
        picture = Image.open(io.BytesIO(train[name]))
        assert (picture.format, picture.mode) == ("JPEG", "RGB")
        assert picture.layer[0][1:3] == (2, 2)  # type: ignore[attr-defined]
        assert picture.layer[1][1:3] == (1, 1)  # type: ignore[attr-defined]
        assert difference(train[name], *label_and_number(name)) < 12


@pytest.mark.parametrize(("name", "kind"), [*ODD_FILES.items()])
def test_odd_files_have_their_kind(
    name: str, kind: str, train: dict[str, bytes], val: dict[str, bytes], devkit: dict[str, bytes]
) -> None:
    if name in val:
        data, number = val[name], int(name[-13:-5])
        label, index = truth(devkit)[number - 1] - 1, generate.VAL_INDEX + number
    else:
        data, (label, index) = train[name], label_and_number(name)
    CHECKS[kind](data, label, index)


def check_cmyk(data: bytes, label: int, index: int) -> None:
    picture = Image.open(io.BytesIO(data))
    assert (picture.format, picture.mode) == ("JPEG", "CMYK")
    assert b"Adobe" in data[:64], "no Adobe marker: the inks would not be read as inverted"
    assert np.asarray(picture)[..., 3].std() > 5, "K is almost constant: readers could ignore it"
    assert difference(data, label, index) < 16


def check_grey(data: bytes, label: int, index: int) -> None:
    picture = Image.open(io.BytesIO(data))
    assert (picture.format, picture.mode) == ("JPEG", "L")


def check_png(data: bytes, label: int, index: int) -> None:
    assert Image.open(io.BytesIO(data)).format == "PNG"
    assert difference(data, label, index) == 0


def check_gzip(data: bytes, label: int, index: int) -> None:
    assert data[4:8] == bytes(4), "timestamp in the gzip header"
    assert difference(gzip.decompress(data), label, index) < 12


def check_exif(data: bytes, label: int, index: int) -> None:
    assert Image.open(io.BytesIO(data)).getexif()[0x0112] == 6
    assert difference(data, label, index) < 12  # of the stored pixels, not rotated


def check_truncated(data: bytes, label: int, index: int) -> None:
    picture = Image.open(io.BytesIO(data))
    assert picture.format == "JPEG"
    with pytest.raises(OSError, match="truncated"):
        picture.load()


CHECKS = {
    "cmyk": check_cmyk, "grey": check_grey, "png": check_png,
    "gzip": check_gzip, "exif": check_exif, "truncated": check_truncated,
}  # fmt: skip


def test_bytes_depend_only_on_the_arguments(tmp_path: Path) -> None:
    """Not on time, number of workers or folder."""
    one = small(tmp_path / "one", seed=1, workers=1)
    assert small(tmp_path / "two", seed=1, workers=3) == one
    other = small(tmp_path / "other", seed=2, workers=1)
    assert other[NAMES[1]] != one[NAMES[1]]
    assert other[NAMES[2]] != one[NAMES[2]]


def test_headers_have_no_time_and_no_owner(root: Path, devkit: dict[str, bytes]) -> None:
    for name in NAMES:
        with tarfile.open(root / name) as tar:
            for member in tar:
                assert (member.mtime, member.uid, member.gid) == (0, 0, 0)
                assert (member.uname, member.gname) == ("", "")
    assert (root / NAMES[0]).read_bytes()[3:8] == bytes(5), "name or timestamp in the gzip header"
    assert devkit[f"{KIT}/data/meta.mat"][:116] == b"MATLAB 5.0 MAT-file".ljust(116)


def test_failed_write_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "_write_train", fail)
    with pytest.raises(OSError, match="no space"):
        small(tmp_path / "miniature", seed=0, workers=1)
    assert list(tmp_path.iterdir()) == []


def fail(path: Path, _: object) -> None:
    path.write_bytes(b"half")
    raise OSError("no space left on device")


def test_root_appears_only_when_everything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No cleanup runs after SIGKILL, so root must not exist before the final rename."""
    root, seen = tmp_path / "miniature", []

    def move(partial: Path, place: Path) -> None:
        seen.append((root.exists(), sorted(path.name for path in partial.iterdir())))
        partial.rename(place)

    monkeypatch.setattr(generate, "_move", move)
    small(root, seed=0, workers=1)
    assert seen == [(False, NAMES)]


def test_killed_process_leaves_no_root(tmp_path: Path) -> None:
    root = tmp_path / "miniature"
    call = f"write_miniature(Path({str(root)!r}), seed=0, train_per_class=100, val_per_class=1)"
    code = f"from pathlib import Path; from alexnet.miniature.generate import *; {call}"
    path = [str(Path(generate.__file__).parents[2])]
    process = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path}; {code}"],
        stdout=subprocess.DEVNULL,
    )
    started = "miniature.*.partial/ILSVRC2012_img_train.tar"
    while not list(tmp_path.glob(started)) and process.poll() is None:
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert list(tmp_path.glob(started)), "killed before it started: proves nothing"
    assert not root.exists()


def test_root_finished_by_another_process_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, move = tmp_path / "miniature", generate._move

    def lose_race(partial: Path, place: Path) -> None:
        place.mkdir()
        (place / "theirs").touch()
        move(partial, place)

    monkeypatch.setattr(generate, "_move", lose_race)
    small(root, seed=0, workers=1)
    assert [path.name for path in root.iterdir()] == ["theirs"]
    assert list(tmp_path.iterdir()) == [root]


@pytest.mark.parametrize(
    "counts", [(1, 4, 1, 0), (37, 4, 1, 0), (2, 0, 1, 0), (2, 1, 0, 0), (2, 1, 1, -1)]
)
def test_invalid_counts_are_rejected(tmp_path: Path, counts: tuple[int, int, int, int]) -> None:
    classes, train, val, seed = counts
    with pytest.raises(InputError, match="choose 2 to 36"):
        write_miniature(
            tmp_path / "m", seed=seed, train_per_class=train, val_per_class=val, classes=classes
        )
