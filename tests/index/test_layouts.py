"""One miniature in every layout gives the same labels and bytes; what is not whole is refused."""

import hashlib
import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from alexnet.archives.reader import check_unchanged, read_image
from alexnet.dataset.index import Index
from alexnet.index import cifar10, layouts, synsets
from alexnet.index.ilsvrc import DEVKIT, KAGGLE_IMAGES, KAGGLE_TRAIN, TRAIN_TAR, VAL_TAR
from alexnet.index.layouts import check_md5, find_layout, label_order, read_index
from alexnet.miniature import generate
from alexnet.miniature.shapes_basic import CLASSES
from alexnet.runtime.errors import InputError

WNIDS = [wnid for wnid, _ in CLASSES[:4]]
Files = dict[str, bytes]  # by path
Content = set[tuple[str, int, bytes]]  # split, label, bytes of an image


def unpacked(tar: bytes) -> Files:
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        return {m.name: opened.extractfile(m).read() for m in opened if m.isfile()}  # type: ignore[union-attr]


def packed(files: Files) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return file.getvalue()


def written(root: Path, files: Files) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw") / "ilsvrc"
    generate.write_miniature(folder, seed=3, train_per_class=3, val_per_class=2, classes=4)
    return folder


@pytest.fixture(scope="module")
def tars(small: Path) -> Files:
    """n########.tar → its bytes."""
    return unpacked((small / TRAIN_TAR).read_bytes())


@pytest.fixture(scope="module")
def train(tars: Files) -> Files:
    """n########/n########_1.JPEG → its bytes."""
    return {f"{n[:9]}/{name}": d for n, tar in tars.items() for name, d in unpacked(tar).items()}


@pytest.fixture(scope="module")
def val(small: Path) -> Files:
    return unpacked((small / VAL_TAR).read_bytes())


@pytest.fixture(scope="module")
def kit(small: Path) -> Files:
    tar = tarfile.open(small / DEVKIT)  # noqa: SIM115
    return {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def truth(kit: Files) -> list[int]:
    """The label of each validation image, in order."""
    name = next(name for name in kit if name.endswith("ground_truth.txt"))
    return [int(line) - 1 for line in kit[name].split()]


def under(folder: str, files: Files) -> Files:
    return {f"{folder}/{name}": data for name, data in files.items()}


def content(root: Path, index: Index) -> Content:
    return {
        (split, int(row["label"]), read_image(root, index.archives, row))
        for split, rows in index.splits.items()
        for row in rows
    }


@pytest.fixture(scope="module")
def wanted(train: Files, val: Files, truth: list[int]) -> Content:
    of_train = {("train", WNIDS.index(name[:9]), data) for name, data in train.items()}
    of_val = {("val", label, val[name]) for label, name in zip(truth, sorted(val), strict=True)}
    return of_train | of_val


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the miniature's classes were the thousand of ILSVRC-2012, and its images all."""
    monkeypatch.setattr(synsets, "ilsvrc2012_wnids", lambda: WNIDS)
    monkeypatch.setattr(synsets, "TRAIN_IMAGES", 12)
    monkeypatch.setattr(synsets, "VAL_IMAGES", 8)


@pytest.fixture
def make(
    small: Path, tars: Files, train: Files, val: Files, kit: Files, truth: list[int]
) -> Callable[[str], Files]:
    """The files of the miniature in one layout or another."""
    devkit = {DEVKIT: (small / DEVKIT).read_bytes()}
    loose = {Path(name).name: data for name, data in kit.items()}
    order = sorted(WNIDS)
    by_class = {
        f"{WNIDS[label]}/{name}": val[name] for label, name in zip(truth, sorted(val), strict=True)
    }
    caffe_val = "".join(
        f"{name} {order.index(WNIDS[label])}\n"
        for name, label in zip(sorted(val), truth, strict=True)
    )
    words = "".join(f"{wnid} the words, of {wnid}\n" for wnid in order).encode()
    solutions = "ImageId,PredictionString\n" + "".join(
        f"{name[:-5]},{WNIDS[label]} 1 2 3 4 {WNIDS[label]} 5 6 7 8 \n"
        for name, label in zip(sorted(val), truth, strict=True)
    )
    listed = "".join(f"{name[:-5]} {n}\n" for n, name in enumerate(sorted(train), 1)).encode()
    kaggle = {
        **under(f"{KAGGLE_IMAGES}/train", train),
        **under(f"{KAGGLE_IMAGES}/val", val),
        f"{KAGGLE_IMAGES}/test/ILSVRC2012_test_00000001.JPEG": b"unlabelled",
        "LOC_synset_mapping.txt": words,
        "LOC_val_solution.csv": solutions.encode(),
        KAGGLE_TRAIN: listed,
    }
    flat = {**under("train", train), **under("val", val)}
    made = {
        "archives": {path.name: path.read_bytes() for path in small.iterdir()},
        "extracted": flat | kit,
        "extracted, devkit packed": flat | devkit,
        "extracted, other names": {
            **under("ILSVRC2012_img_train", tars),
            **under("ILSVRC2012_img_val", val),
            **devkit,
        },
        "extracted, val as it was": under("train", train)
        | {VAL_TAR: (small / VAL_TAR).read_bytes()}
        | devkit,
        "extracted, val by class": under("train", train) | under("val", by_class) | devkit,
        "flat_val": flat | loose,
        "flat_val, caffe": flat | {"synset_words.txt": words, "val.txt": caffe_val.encode()},
        "kaggle": kaggle,
        "folder": under("train", train) | under("val", by_class),
        "folder, tars": under("train", tars) | under("val", by_class),
        "synset_tars": tars | {"words.txt": words.replace(b" ", b"\t", 1)},
        "synset_tars, whole": {"fall11_whole.tar": packed(tars)},
        "synset_tars, in a folder": under("winter21_whole", tars),
        "folder, no val": dict(train),
    }
    return lambda layout: made[layout]


OF_2012 = [
    "archives",
    "extracted",
    "extracted, devkit packed",
    "extracted, other names",
    "extracted, val as it was",
    "extracted, val by class",
    "flat_val",
    "kaggle",
    "folder",
    "folder, tars",
]


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("layout", OF_2012)
def test_every_layout_gives_the_same(
    make: Callable[[str], Files], tmp_path: Path, small: Path, wanted: Content, layout: str
) -> None:
    root = written(tmp_path / "raw", make(layout))
    before = sorted(tmp_path.rglob("*"))
    assert find_layout(root) == layout.partition(",")[0]
    index = read_index(root, "auto", 1, 0.5)
    assert content(root, index) == wanted
    assert [s.wnid for s in index.synsets] == WNIDS != sorted(WNIDS)
    assert label_order(index) == "labels are ILSVRC ids − 1"
    usual = read_index(small, "archives", 1, 0.5)
    for split, rows in index.splits.items():  # even the order is the same: so will be the shards
        if layout.startswith("folder") and split == "val":
            continue  # there it is by class
        for field in ("label", "name", "size"):
            assert np.array_equal(rows[field], usual.splits[split][field])
    check_unchanged(root, index.archives)
    assert sorted(tmp_path.rglob("*")) == before  # nothing was unpacked


def test_caffes_files_have_their_own_order(
    make: Callable[[str], Files], tmp_path: Path, wanted: Content
) -> None:
    root = written(tmp_path, make("flat_val, caffe"))
    index = read_index(root, "auto", 1, 0.5)
    assert find_layout(root) == "flat_val"
    order = sorted(WNIDS)
    assert content(root, index) == {(s, order.index(WNIDS[n]), data) for s, n, data in wanted}
    assert index.synsets[0].words == f"the words, of {order[0]}"
    assert label_order(index) == "no devkit: labels in sorted order"


def test_without_the_thousand_classes_labels_are_in_sorted_order(
    make: Callable[[str], Files], tmp_path: Path
) -> None:
    for layout in ("folder", "kaggle"):
        index = read_index(written(tmp_path / layout, make(layout)), "auto", 1, 0.5)
        assert [s.wnid for s in index.synsets] == sorted(WNIDS)
        assert {s.devkit_id for s in index.synsets} == {0}
        for row in index.splits["train"]:
            assert bytes(row["name"])[:9].decode() == index.synsets[row["label"]].wnid


@pytest.mark.parametrize(
    "layout",
    ["synset_tars", "synset_tars, whole", "synset_tars, in a folder", "folder, no val"],
)
def test_what_has_no_val_is_divided(
    make: Callable[[str], Files], tmp_path: Path, train: Files, layout: str
) -> None:
    root = written(tmp_path, make(layout))
    assert find_layout(root) == layout.partition(",")[0]
    index = read_index(root, "auto", 1, 0.5)
    assert [s.wnid for s in index.synsets] == sorted(WNIDS)
    for split, a_class in (("train", 2), ("val", 1)):
        assert np.bincount(index.splits[split]["label"]).tolist() == [a_class] * 4
    found = content(root, index)
    assert sorted(data for *_, data in found) == sorted(train.values())
    assert content(root, read_index(root, "auto", 1, 0.5)) == found
    seeds = [content(root, read_index(root, "auto", seed, 0.5)) for seed in range(5)]
    assert len({frozenset(other) for other in seeds}) > 1
    if layout == "synset_tars":
        assert index.synsets[0].words.startswith("the words, of n")


def lose(name: str) -> Callable[[Files], Files]:
    return lambda files: {key: data for key, data in files.items() if name not in key}


def put(name: str, data: bytes) -> Callable[[Files], Files]:
    return lambda files: files | {name: data}


SOLUTIONS = "LOC_val_solution.csv"
FIRST = f"{WNIDS[0]}/{WNIDS[0]}_1.JPEG"
KAGGLE_FIRST = f"{KAGGLE_IMAGES}/val/ILSVRC2012_val_00000001.JPEG"


@pytest.mark.parametrize(
    ("layout", "harm", "says"),
    [
        ("archives", lose(TRAIN_TAR), f"{TRAIN_TAR} is missing"),
        ("archives", lose(VAL_TAR), f"{VAL_TAR} is missing"),
        ("archives", lose(DEVKIT), f"{DEVKIT} is missing"),
        ("extracted", lose(FIRST), rf"11 of 12 images; not whole: {WNIDS[0]} 2 of 3;"),
        ("extracted", lose(f"train/{WNIDS[2]}"), rf"not whole: {WNIDS[2]} 0 of 3;"),
        ("extracted", lose("val_00000003"), "7 of 8 images; missing: ILSVRC2012_val_00000003;"),
        ("extracted", lose("val/"), "val is missing, nor is there ILSVRC2012_img_val"),
        ("extracted", put("val/x.JPEG", b""), "holds x.JPEG, which the ground truth lacks"),
        ("extracted", put("val/ILSVRC2012_val_00000003.png", b""), "missing: none, but some twice"),
        ("extracted", put("train/n1/x.JPEG", b""), "holds n1, not a class"),
        ("extracted", lose("meta.mat"), "ILSVRC2012_devkit_t12 cannot be read"),
        ("flat_val", lose("ground_truth"), "validation_ground_truth.txt is missing"),
        ("flat_val", put("meta.mat", b"\xff" * 300), "cannot be read.*fix: download"),
        ("flat_val, caffe", lose("val.txt"), "val is flat and its ground truth is missing"),
        ("flat_val, caffe", put("val.txt", b"ILSVRC2012_val_00000001.JPEG 9\n"), "class '9'"),
        ("flat_val, caffe", put("val.txt", b"\xff\xfe 9\n"), "val.txt is not UTF-8"),
        ("flat_val, caffe", lose(f"train/{WNIDS[0]}"), f"{WNIDS[0]} 0 of 1"),
        ("extracted, val by class", lose(WNIDS[1]), f"{WNIDS[1]} 0 of 3"),
        ("kaggle", lose(FIRST), f"{WNIDS[0]} 2 of 3"),
        ("kaggle", lose(KAGGLE_FIRST), "missing: ILSVRC2012_val_00000001;"),
        ("kaggle", lose("CLS-LOC/val"), "CLS-LOC/val is missing"),
        ("kaggle", put(SOLUTIONS, b"a,b\n" + b"x" * 200_000), "not the columns"),
        ("kaggle", lose("LOC_val"), "LOC_val_solution.csv is missing"),
        ("kaggle", lose("LOC_synset"), "LOC_synset_mapping.txt is missing"),
        ("kaggle", put(SOLUTIONS, b"a,b\n1,2\n"), "not the columns ImageId"),
        ("kaggle", put(SOLUTIONS, b"ImageId,PredictionString\nx,\n"), "columns"),
        ("kaggle", put(SOLUTIONS, b"ImageId,PredictionString\nx,n9 1\n"), "class 'n9'"),
        ("kaggle", put(SOLUTIONS, b"\xff"), "not UTF-8"),
        ("kaggle", put(KAGGLE_TRAIN, b"n9/n9_1 1\n"), "names the class 'n9'"),
        ("folder", put("val/zzz/1.jpg", b""), "holds zzz, not a class"),
        ("folder", lose("train/"), "train is missing"),
        ("folder", lose("val/"), "val is missing"),
        ("folder, no val", put("README", b""), "train is missing.*; there is README, n0"),
        ("synset_tars", put(f"{WNIDS[1]}.tar", b""), f"{WNIDS[1]}.tar is damaged: empty file"),
        ("synset_tars", put(f"{WNIDS[1]}.tar", packed({})), "holds no image"),
        ("synset_tars, whole", put("fall11_whole.tar", packed({"a": b""})), "no n########.tar"),
        ("synset_tars", put("words.txt", b"n1\t\xff"), "words.txt is not UTF-8"),
    ],
)  # fmt: skip
def test_what_is_not_whole_is_refused(
    make: Callable[[str], Files],
    tmp_path: Path,
    layout: str,
    harm: Callable[[Files], Files],
    says: str,
) -> None:
    root = written(tmp_path / "raw", harm(make(layout)))
    with pytest.raises(InputError, match=says) as raised:
        read_index(root, "auto", 1, 0.5)
    assert "\n" not in str(raised.value)
    assert "; fix: " in str(raised.value)


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("layout", ["folder", "folder, no val", "flat_val, caffe", "kaggle"])
def test_the_thousand_classes_need_all_their_images(
    make: Callable[[str], Files], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    root = written(tmp_path, make(layout))
    read_index(root, "auto", 1, 0.5)
    monkeypatch.setattr(synsets, "TRAIN_IMAGES", 1_281_167)
    with pytest.raises(InputError, match="12 of 1,281,167 train"):
        read_index(root, "auto", 1, 0.5)


def test_hidden_files_make_no_val_flat(make: Callable[[str], Files], tmp_path: Path) -> None:
    for layout in ("extracted, val by class", "folder"):
        root = written(tmp_path / layout, make(layout) | {"val/.DS_Store": b"", "train/.x/y": b""})
        read_index(root, "auto", 1, 0.5)
        assert find_layout(root) == layout.partition(",")[0]


def test_words_may_lie_beside_class_folders(make: Callable[[str], Files], tmp_path: Path) -> None:
    root = written(tmp_path, make("folder, no val") | {"words.txt": f"{WNIDS[3]}\ta b".encode()})
    index = read_index(root, "auto", 1, 0.5)
    assert {s.words for s in index.synsets if s.wnid == WNIDS[3]} == {"a b"}


def test_an_image_in_another_class_of_val_is_refused(
    make: Callable[[str], Files], tmp_path: Path
) -> None:
    root = written(tmp_path, make("extracted, val by class"))
    image = next((root / "val" / WNIDS[0]).iterdir())
    image.rename(root / "val" / WNIDS[1] / image.name)
    with pytest.raises(InputError, match=rf"{image.name} lie in another class's folder"):
        read_index(root, "auto", 1, 0.5)


def test_what_no_layout_fits_says_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{TRAIN_TAR} is missing.*there is nothing; fix: set IM"):
        find_layout(tmp_path)
    written(tmp_path, {"a.jpg": b"", "b.jpg": b"", "c.jpg": b"", "d.jpg": b""})
    with pytest.raises(InputError, match=r"there is a\.jpg, b\.jpg, c\.jpg and 1 more"):
        find_layout(tmp_path)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("winter21_whole.tar.gz", "tar -xzf"),
        ("cifar-10-binary.tar.gz", "tar -xzf"),
        ("cifar-10-python.tar.gz", "download cifar-10-binary.tar.gz"),
    ],
)
def test_what_cannot_be_read_by_offset_names_its_mend(
    tmp_path: Path, name: str, command: str
) -> None:
    written(tmp_path, {name: b"packed"})
    with pytest.raises(InputError, match=f"{name}.*fix: {command}"):
        find_layout(tmp_path)


# ILSVRC-2010


def mat_2010(kit: Files) -> bytes:
    """The miniature's meta.mat, with ILSVRC-2010's name for the ids."""
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
def of_2010(small: Path, val: Files, kit: Files, truth: list[int], tmp_path: Path) -> Path:
    root = tmp_path / "raw"
    root.mkdir()
    lines = {
        "val": "".join(f"{label + 1}\n" for label in truth).encode(),
        "test": "".join(f"{label + 1}\n" for label in reversed(truth)).encode(),
    }
    folder = "devkit-1.0/data"
    with tarfile.open(root / "ILSVRC2010_devkit-1.0.tar.gz", "w:gz") as tar:
        for name, data in {
            f"{folder}/meta.mat": mat_2010(kit),
            f"{folder}/ILSVRC2010_validation_ground_truth.txt": lines["val"],
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    images = {"val": sorted(val), "test": sorted(val, reverse=True)}
    for split, names in images.items():
        files = {
            f"{split}/ILSVRC2010_{split}_{n:08d}.JPEG": val[name] for n, name in enumerate(names, 1)
        }
        (root / f"ILSVRC2010_images_{split}.tar").write_bytes(packed(files))
    shutil.copy(small / TRAIN_TAR, root / "ILSVRC2010_images_train.tar")
    (root / "ILSVRC2010_test_ground_truth.txt").write_bytes(lines["test"])
    return root


def test_ilsvrc2010_has_a_test_split(of_2010: Path, wanted: Content) -> None:
    assert find_layout(of_2010) == "ilsvrc2010"
    index = read_index(of_2010, "auto", 1, 0.5)
    of_test = {("test", label, data) for split, label, data in wanted if split == "val"}
    assert list(index.splits) == ["train", "val", "test"]
    assert content(of_2010, index) == wanted | of_test
    assert [s.devkit_id for s in index.synsets] == [1, 2, 3, 4]


def test_patches_stand_for_the_images_of_their_names(of_2010: Path) -> None:
    old = read_index(of_2010, "auto", 1, 0.5)
    train, test = f"{WNIDS[2]}_2.JPEG", "ILSVRC2010_test_00000005.JPEG"
    patches = {f"patch_images/train/{train}": b"new", f"patch_images/test/{test}": b"newer"}
    (of_2010 / "patch_images.tar").write_bytes(packed(patches | {"patch_images/readme.txt": b"?"}))
    index = read_index(of_2010, "auto", 1, 0.5)
    for split, name, data in (("train", train, b"new"), ("test", test, b"newer")):
        rows = index.splits[split]
        (row,) = rows[rows["name"] == name.encode()]
        assert read_image(of_2010, index.archives, row) == data
        assert (rows != old.splits[split]).sum() == 1
    assert np.array_equal(old.splits["val"], index.splits["val"])
    (of_2010 / "patch_images.tar").write_bytes(packed({"patch_images/val/no.JPEG": b""}))
    with pytest.raises(InputError, match=r"patch_images.tar holds no.JPEG, which no split has"):
        read_index(of_2010, "auto", 1, 0.5)


def test_ilsvrc2010_without_its_test_labels_is_refused(of_2010: Path) -> None:
    (of_2010 / "ILSVRC2010_test_ground_truth.txt").unlink()
    with pytest.raises(InputError, match=r"no data/ILSVRC2010_test_ground_truth.txt"):
        read_index(of_2010, "auto", 1, 0.5)


# CIFAR-10


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """(20, 3073) bytes of each of the six files, written where the archive unpacks to."""
    monkeypatch.setattr(cifar10, "RECORDS", 20)
    rng = np.random.default_rng(0)
    made = {
        name: rng.integers(0, 256, (20, 3073), np.uint8) for name in [*cifar10.TRAIN, cifar10.VAL]
    }
    for table in made.values():
        table[:, 0] %= 10
    files = {f"{cifar10.FOLDER}/{name}": table.tobytes() for name, table in made.items()}
    written(tmp_path / "raw", files)
    return made


@pytest.mark.parametrize("folder", ["", cifar10.FOLDER])
def test_cifars_records_are_images(
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
def test_a_cifar_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "raw" / cifar10.FOLDER / cifar10.TRAIN[2]
    whole = path.read_bytes()
    for harmed, says in (
        (whole[:-1], "holds 61,459 of 61,460 bytes"),
        (b"\x0a" + whole[1:], "a label is 10"),
    ):
        path.write_bytes(harmed)
        with pytest.raises(InputError, match=f"{cifar10.TRAIN[2]}.*{says}"):
            read_index(tmp_path / "raw", "auto", 1, 0.5)
    path.unlink()
    with pytest.raises(InputError, match=f"{cifar10.TRAIN[2]} is missing"):
        read_index(tmp_path / "raw", "auto", 1, 0.5)


# The facts


def test_the_thousand_wnids() -> None:
    wnids = synsets.ilsvrc2012_wnids()
    assert wnids[:3] == ["n02119789", "n02100735", "n02110185"]
    assert len(set(wnids)) == len(wnids) == 1000
    assert wnids != sorted(wnids)
    digest = hashlib.sha256("\n".join(wnids).encode()).hexdigest()
    assert digest[:16] == "930a31901625f214"


def test_md5_of_the_archives_present(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = hashlib.md5((small / VAL_TAR).read_bytes()).hexdigest()
    monkeypatch.setattr(layouts, "MD5", {VAL_TAR: right, DEVKIT: "0" * 32, "not there.tar": ""})
    told = list(check_md5(small))
    assert [(one.name, one.found == one.expected) for one in told] == [
        (VAL_TAR, True),
        (DEVKIT, False),
    ]
