"""One miniature in every layout gives the same labels and bytes; incomplete sets are rejected."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from alexnet.archives.reader import check_unchanged
from alexnet.config.schema import Layout
from alexnet.index import completeness
from alexnet.index.ilsvrc import DEVKIT, TRAIN_TAR, VAL_TAR
from alexnet.index.kaggle import IMAGES, TRAIN_LIST, VAL_SOLUTION
from alexnet.index.layouts import LAYOUTS, describe_label_order, find_layout, read_index
from alexnet.runtime.errors import InputError
from raw_layouts import WNIDS, Content, Files, make_tar, put_under, read_content, write_files

Arrange = Callable[[str], Files]


@pytest.fixture
def arrange(
    miniature: Path, tars: Files, train: Files, val: Files, kit: Files, truth: list[int]
) -> Arrange:
    """Return the files of the miniature in the named layout."""
    labels = dict(zip(sorted(val), truth, strict=True))
    by_class = {f"{WNIDS[label]}/{name}": val[name] for name, label in labels.items()}
    devkit = {DEVKIT: (miniature / DEVKIT).read_bytes()}
    loose = {Path(name).name: data for name, data in kit.items()}
    train_folder = put_under("train", train)
    flat = train_folder | put_under("val", val)
    layouts = {
        "archives": {path.name: path.read_bytes() for path in miniature.iterdir()},
        "extracted": flat | kit,
        "extracted, devkit packed": flat | devkit,
        "extracted, other names": {
            **put_under("ILSVRC2012_img_train", tars),
            **put_under("ILSVRC2012_img_val", val),
            **devkit,
        },
        "extracted, val packed": train_folder
        | {VAL_TAR: (miniature / VAL_TAR).read_bytes()}
        | devkit,
        "extracted, val by class": train_folder | put_under("val", by_class) | devkit,
        "flat_val": flat | loose,
        "flat_val, caffe": flat | caffe_lists(labels),
        "kaggle": put_under(f"{IMAGES}/train", train)
        | put_under(f"{IMAGES}/val", val)
        | {f"{IMAGES}/test/ILSVRC2012_test_00000001.JPEG": b"unlabelled"}
        | kaggle_lists(labels, train),
        "folder": train_folder | put_under("val", by_class),
        "folder, tars": put_under("train", tars) | put_under("val", by_class),
        "synset_tars": tars | {"words.txt": words_file().replace(b" ", b"\t", 1)},
        "synset_tars, whole": {"fall11_whole.tar": make_tar(tars)},
        "synset_tars, in a folder": put_under("winter21_whole", tars),
        "folder, no val": dict(train),
    }
    return layouts.__getitem__


def words_file() -> bytes:
    return "".join(f"{wnid} the words, of {wnid}\n" for wnid in sorted(WNIDS)).encode()


def caffe_lists(labels: dict[str, int]) -> Files:
    order = sorted(WNIDS)
    lines = (f"{name} {order.index(WNIDS[label])}\n" for name, label in labels.items())
    return {"synset_words.txt": words_file(), "val.txt": "".join(lines).encode()}


def kaggle_lists(labels: dict[str, int], train: Files) -> Files:
    boxes = "".join(
        f"{name[:-5]},{WNIDS[label]} 1 2 3 4 {WNIDS[label]} 5 6 7 8 \n"
        for name, label in labels.items()
    )
    listed = "".join(f"{name[:-5]} {n}\n" for n, name in enumerate(sorted(train), 1))
    return {
        "LOC_synset_mapping.txt": words_file(),
        VAL_SOLUTION: f"ImageId,PredictionString\n{boxes}".encode(),
        TRAIN_LIST: listed.encode(),
    }


OF_2012 = [
    "archives",
    "extracted",
    "extracted, devkit packed",
    "extracted, other names",
    "extracted, val packed",
    "extracted, val by class",
    "flat_val",
    "kaggle",
    "folder",
    "folder, tars",
]


@pytest.mark.usefixtures("as_ilsvrc2012")
@pytest.mark.parametrize("layout", OF_2012)
def test_every_layout_gives_the_same_labels_and_bytes(
    arrange: Arrange, tmp_path: Path, miniature: Path, expected: Content, layout: str
) -> None:
    root = write_files(tmp_path / "raw", arrange(layout))
    before = sorted(tmp_path.rglob("*"))
    assert find_layout(root) == layout.partition(",")[0]
    index = read_index(root, "auto", 1, 0.5)
    assert read_content(root, index) == expected
    assert [s.wnid for s in index.synsets] == WNIDS != sorted(WNIDS)
    assert describe_label_order(index) == "labels are ILSVRC ids − 1"
    archives = read_index(miniature, "archives", 1, 0.5)
    for split, rows in index.splits.items():  # the order too, and so the shards
        if layout.startswith("folder") and split == "val":
            continue  # ordered by class
        for field in ("label", "name", "size"):
            assert np.array_equal(rows[field], archives.splits[split][field])
    check_unchanged(root, index.archives)
    assert sorted(tmp_path.rglob("*")) == before  # nothing was unpacked


def test_labels_of_caffes_lists_have_their_own_order(
    arrange: Arrange, tmp_path: Path, expected: Content
) -> None:
    root = write_files(tmp_path, arrange("flat_val, caffe"))
    index = read_index(root, "auto", 1, 0.5)
    assert find_layout(root) == "flat_val"
    order = sorted(WNIDS)
    assert read_content(root, index) == {
        (s, order.index(WNIDS[n]), data) for s, n, data in expected
    }
    assert index.synsets[0].words == f"the words, of {order[0]}"
    assert describe_label_order(index) == "no devkit: labels in sorted order"


def test_labels_of_other_classes_are_in_sorted_order(arrange: Arrange, tmp_path: Path) -> None:
    for layout in ("folder", "kaggle"):
        index = read_index(write_files(tmp_path / layout, arrange(layout)), "auto", 1, 0.5)
        assert [s.wnid for s in index.synsets] == sorted(WNIDS)
        assert {s.devkit_id for s in index.synsets} == {0}
        for row in index.splits["train"]:
            assert bytes(row["name"])[:9].decode() == index.synsets[row["label"]].wnid


@pytest.mark.parametrize(
    "layout",
    ["synset_tars", "synset_tars, whole", "synset_tars, in a folder", "folder, no val"],
)
def test_a_fraction_is_held_out_where_there_is_no_val(
    arrange: Arrange, tmp_path: Path, train: Files, layout: str
) -> None:
    root = write_files(tmp_path, arrange(layout))
    assert find_layout(root) == layout.partition(",")[0]
    index = read_index(root, "auto", 1, 0.5)
    assert [s.wnid for s in index.synsets] == sorted(WNIDS)
    for split, count in (("train", 2), ("val", 1)):
        assert np.bincount(index.splits[split]["label"]).tolist() == [count] * 4
    found = read_content(root, index)
    assert sorted(data for *_, data in found) == sorted(train.values())
    assert read_content(root, read_index(root, "auto", 1, 0.5)) == found
    seeds = [read_content(root, read_index(root, "auto", seed, 0.5)) for seed in range(5)]
    assert len({frozenset(other) for other in seeds}) > 1
    if layout == "synset_tars":
        assert index.synsets[0].words.startswith("the words, of n")


Change = Callable[[Files], Files]


def remove(name: str) -> Change:
    return lambda files: {key: data for key, data in files.items() if name not in key}


def put(name: str, data: bytes) -> Change:
    return lambda files: files | {name: data}


FIRST = f"{WNIDS[0]}/{WNIDS[0]}_1.JPEG"
KAGGLE_FIRST = f"{IMAGES}/val/ILSVRC2012_val_00000001.JPEG"


@pytest.mark.parametrize(
    ("layout", "change", "message"),
    [
        ("archives", remove(TRAIN_TAR), f"{TRAIN_TAR} is missing"),
        ("archives", remove(VAL_TAR), f"{VAL_TAR} is missing"),
        ("archives", remove(DEVKIT), f"{DEVKIT} is missing"),
        ("extracted", remove(FIRST), rf"11 of 12 images; wrong counts: {WNIDS[0]} 2 of 3;"),
        ("extracted", remove(f"train/{WNIDS[2]}"), rf"wrong counts: {WNIDS[2]} 0 of 3;"),
        ("extracted", remove("val_00000003"), "7 of 8 images; missing: ILSVRC2012_val_00000003;"),
        ("extracted", remove("val/"), r"val is missing \(alternatives: ILSVRC2012_img_val,"),
        ("extracted", put("val/x.JPEG", b""), "contains x.JPEG, not listed in the ground truth"),
        (
            "extracted",
            put("val/ILSVRC2012_val_00000003.png", b""),
            "contains more than one file for ILSVRC2012_val_00000003; fix: keep one",
        ),
        ("extracted", put("train/n1/x.JPEG", b""), "train/n1 holds the unknown class 'n1'; known:"),
        ("extracted", remove("meta.mat"), "ILSVRC2012_devkit_t12: meta.mat cannot be read"),
        ("flat_val", remove("ground_truth"), "validation_ground_truth.txt is missing"),
        ("flat_val", put("meta.mat", b"\xff" * 300), "meta.mat cannot be read.*fix: download"),
        ("flat_val, caffe", remove("val.txt"), "val is flat and its ground truth is missing"),
        (
            "flat_val, caffe",
            put("val.txt", b"ILSVRC2012_val_00000001.JPEG 9\n"),
            "val.txt contains the unknown class '9'; known: 0, 1, 2 and 1 more",
        ),
        ("flat_val, caffe", put("val.txt", b"\xff\xfe 9\n"), "val.txt is not valid UTF-8"),
        ("flat_val, caffe", remove(f"train/{WNIDS[0]}"), f"{WNIDS[0]} 0 of 1"),
        ("extracted, val by class", remove(WNIDS[1]), f"{WNIDS[1]} 0 of 3"),
        ("kaggle", remove(FIRST), f"{WNIDS[0]} 2 of 3"),
        ("kaggle", remove(KAGGLE_FIRST), "missing: ILSVRC2012_val_00000001;"),
        ("kaggle", remove("CLS-LOC/val"), "CLS-LOC/val is missing"),
        ("kaggle", put(VAL_SOLUTION, b"a,b\n" + b"x" * 200_000), "lacks the columns"),
        ("kaggle", remove("LOC_val"), "LOC_val_solution.csv is missing"),
        ("kaggle", remove("LOC_synset"), "LOC_synset_mapping.txt is missing"),
        ("kaggle", put(VAL_SOLUTION, b"a,b\n1,2\n"), "lacks the columns ImageId"),
        ("kaggle", put(VAL_SOLUTION, b"ImageId,PredictionString\nx,\n"), "or values in them"),
        ("kaggle", put(VAL_SOLUTION, b"ImageId,PredictionString\nx,n9 1\n"), "class 'n9'"),
        ("kaggle", put(VAL_SOLUTION, b"\xff"), "not valid UTF-8"),
        ("kaggle", put(TRAIN_LIST, b"n9/n9_1 1\n"), "contains the unknown class 'n9'"),
        ("folder", put("val/zzz/1.jpg", b""), "val/zzz holds the unknown class 'zzz'; known: "),
        ("folder", remove("train/"), "train is missing"),
        ("folder", remove("val/"), "val is missing"),
        ("folder, no val", put("README", b""), "train is missing, .*; it contains README, n0"),
        ("synset_tars", put(f"{WNIDS[1]}.tar", b""), f"{WNIDS[1]}.tar is damaged: empty file"),
        ("synset_tars", put(f"{WNIDS[1]}.tar", make_tar({})), f"class {WNIDS[1]} has no images"),
        ("synset_tars, whole", put("fall11_whole.tar", make_tar({"a": b""})), "no n########.tar"),
        ("synset_tars", put("words.txt", b"n1\t\xff"), "words.txt is not valid UTF-8"),
    ],
)
def test_incomplete_or_damaged_sets_are_rejected(
    arrange: Arrange, tmp_path: Path, layout: str, change: Change, message: str
) -> None:
    root = write_files(tmp_path / "raw", change(arrange(layout)))
    with pytest.raises(InputError, match=message) as raised:
        read_index(root, "auto", 1, 0.5)
    assert "\n" not in str(raised.value)
    assert "; fix: " in str(raised.value)


@pytest.mark.usefixtures("as_ilsvrc2012")
@pytest.mark.parametrize("layout", ["folder", "folder, no val", "flat_val, caffe", "kaggle"])
def test_sets_with_the_thousand_classes_must_be_complete(
    arrange: Arrange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    root = write_files(tmp_path, arrange(layout))
    read_index(root, "auto", 1, 0.5)
    monkeypatch.setattr(completeness, "TRAIN_IMAGES", 1_281_167)
    with pytest.raises(InputError, match="12 of 1,281,167 train"):
        read_index(root, "auto", 1, 0.5)


def test_hidden_files_do_not_make_val_flat(arrange: Arrange, tmp_path: Path) -> None:
    for layout in ("extracted, val by class", "folder"):
        root = write_files(
            tmp_path / layout, arrange(layout) | {"val/.DS_Store": b"", "train/.x/y": b""}
        )
        read_index(root, "auto", 1, 0.5)
        assert find_layout(root) == layout.partition(",")[0]


def test_words_may_stand_beside_class_folders(arrange: Arrange, tmp_path: Path) -> None:
    root = write_files(
        tmp_path, arrange("folder, no val") | {"words.txt": f"{WNIDS[3]}\ta b".encode()}
    )
    index = read_index(root, "auto", 1, 0.5)
    assert {s.words for s in index.synsets if s.wnid == WNIDS[3]} == {"a b"}


def test_a_val_image_in_the_folder_of_another_class_is_rejected(
    arrange: Arrange, tmp_path: Path
) -> None:
    root = write_files(tmp_path, arrange("extracted, val by class"))
    image = next((root / "val" / WNIDS[0]).iterdir())
    image.rename(root / "val" / WNIDS[1] / image.name)
    with pytest.raises(InputError, match=rf"{image.name} is in the folder of another class"):
        read_index(root, "auto", 1, 0.5)


def test_an_unknown_layout_is_rejected_with_the_contents_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{TRAIN_TAR} is missing, .* contains nothing; fix: set"):
        find_layout(tmp_path)
    write_files(tmp_path, {"a.jpg": b"", "b.jpg": b"", "c.jpg": b"", "d.jpg": b""})
    with pytest.raises(InputError, match=r"it contains a\.jpg, b\.jpg, c\.jpg and 1 more"):
        find_layout(tmp_path)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("winter21_whole.tar.gz", "tar -xzf"),
        ("cifar-10-binary.tar.gz", "tar -xzf"),
        ("cifar-10-python.tar.gz", "download cifar-10-binary.tar.gz"),
    ],
)
def test_compressed_archives_are_rejected_with_the_command_that_unpacks_them(
    tmp_path: Path, name: str, command: str
) -> None:
    write_files(tmp_path, {name: b"packed"})
    with pytest.raises(InputError, match=f"{name}.*fix: {command}"):
        find_layout(tmp_path)


def test_every_layout_can_be_configured() -> None:
    assert {"auto", *LAYOUTS} == set(Layout)
