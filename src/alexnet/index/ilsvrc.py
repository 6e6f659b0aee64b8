"""ILSVRC-2012 in whatever form it lies there, and ILSVRC-2010: images, labels and counts together.

Labels are devkit ids − 1. Kaggle ships no devkit and Caffe's files have an order of their own.
"""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from alexnet.dataset.index import Index, Rows, Synset, shuffle
from alexnet.index.class_archives import Archives, class_parts, class_rows, flat_rows
from alexnet.index.devkit import read_devkit, read_truth
from alexnet.index.synsets import (
    AGAIN,
    check_counts,
    check_totals,
    is_synset_tar,
    label_by_stem,
    read_lines,
    read_words,
    some,
    without_devkit,
)
from alexnet.runtime.errors import InputError

TRAIN_TAR = "ILSVRC2012_img_train.tar"
VAL_TAR = "ILSVRC2012_img_val.tar"
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
TRAINS = ("train", "ILSVRC2012_img_train", TRAIN_TAR)
VALS = ("val", "ILSVRC2012_img_val", VAL_TAR)
DEVKITS = ("ILSVRC2012_devkit_t12", DEVKIT)
LOOSE = ("meta.mat", "ILSVRC2012_validation_ground_truth.txt")
CAFFE = (("synsets.txt", "synset_words.txt"), ("val.txt",))

KAGGLE_IMAGES = "ILSVRC/Data/CLS-LOC"
KAGGLE_TRAIN = "ILSVRC/ImageSets/CLS-LOC/train_cls.txt"
KAGGLE_VAL = "LOC_val_solution.csv"
KAGGLE_WORDS = "LOC_synset_mapping.txt"

TRAIN_TAR_2010 = "ILSVRC2010_images_train.tar"
FLAT_TARS_2010 = {"val": "ILSVRC2010_images_val.tar", "test": "ILSVRC2010_images_test.tar"}
DEVKIT_2010 = "ILSVRC2010_devkit-1.0.tar.gz"
TEST_TRUTH_2010 = "ILSVRC2010_test_ground_truth.txt"
PATCHES_2010 = "patch_images.tar"


class Kit(NamedTuple):
    """Classes by label; label by stem of val's file names; train images a class, where told."""

    synsets: list[Synset]
    val: dict[bytes, int]
    counts: list[int] | None


def read_archives(root: Path, seed: int) -> Index:
    """ILSVRC-2012 as downloaded: tar of tars, flat tar, devkit. InputError: one is not whole."""
    for name in (TRAIN_TAR, VAL_TAR, DEVKIT):
        present(root, (name,))
    return _index(root, TRAIN_TAR, VAL_TAR, _official(root / DEVKIT), seed)


def read_extracted(root: Path, seed: int) -> Index:
    """The same unpacked, in part or whole; val flat or a folder a class. InputError as above."""
    kit = _official(root / present(root, DEVKITS))
    return _index(root, present(root, TRAINS), present(root, VALS), kit, seed)


def read_flat_val(root: Path, seed: int) -> Index:
    """Train and flat val, with the devkit's two files loose beside them, or else Caffe's two.

    With Caffe's, labels are those of val.txt: the order of its synset file, which is alphabetical.
    """
    if (root / LOOSE[0]).is_file():
        present(root, LOOSE[1:])
        kit = _official(root)
    else:
        kit = _caffe(root / present(root, CAFFE[0]), root / present(root, CAFFE[1]))
    return _index(root, present(root, TRAINS), present(root, VALS), kit, seed)


def read_kaggle(root: Path, seed: int) -> Index:
    """Kaggle's CLS-LOC tree: the devkit's order of its thousand classes is the package's own list.

    train_cls.txt lists all training images; LOC_train_solution.csv only those with boxes.
    """
    present(root, (KAGGLE_WORDS,))
    words = read_words(root)
    synsets = without_devkit(words, words)
    label_of = {synset.wnid: label for label, synset in enumerate(synsets)}
    val = _solutions(root / KAGGLE_VAL, label_of)
    counts = None
    if (root / KAGGLE_TRAIN).is_file():
        listed = (line.partition("/")[0] for line in read_lines(root / KAGGLE_TRAIN))
        labels = _labels(root / KAGGLE_TRAIN, listed, label_of)
        counts = np.bincount(labels, minlength=len(synsets)).tolist()
    images = [present(root, (f"{KAGGLE_IMAGES}/{split}",)) for split in ("train", "val")]
    return _index(root, images[0], images[1], Kit(synsets, val, counts), seed)


def read_ilsvrc2010(root: Path, seed: int) -> Index:
    """ILSVRC-2010 as downloaded; its public test labels make a third split.

    Images of patch_images.tar stand for those of their names. InputError: something is not whole.
    """
    for name in (TRAIN_TAR_2010, *FLAT_TARS_2010.values(), DEVKIT_2010):
        present(root, (name,))
    synsets, val, counts = read_devkit(root / DEVKIT_2010, 2010)
    beside = root if (root / TEST_TRUTH_2010).is_file() else root / DEVKIT_2010
    truths = {"val": val, "test": read_truth(beside, TEST_TRUTH_2010, len(synsets))}
    archives: Archives = []
    splits = {"train": _train(root, TRAIN_TAR_2010, synsets, counts, archives)}
    for split, tar in FLAT_TARS_2010.items():
        labels = _numbered(f"ILSVRC2010_{split}_", truths[split])
        splits[split] = label_by_stem(root / tar, flat_rows(root, tar, archives), labels)
    if (root / PATCHES_2010).is_file():
        _patch(root, splits, archives)
    return Index(splits | {"train": shuffle(splits["train"], seed)}, archives, synsets)


def present(root: Path, names: Iterable[str]) -> str:
    """The first of `names` that is in `root`. Raises InputError where none is."""
    names = list(names)
    for name in names:
        if (root / name).exists():
            return name
    others = f", nor is there {' or '.join(names[1:])}" if len(names) > 1 else ""
    raise InputError(
        f"{root / names[0]} is missing{others}",
        "put it there, or set IMAGENET_ROOT to the folder that holds it",
    )


def is_flat(val: Path) -> bool:
    """Whether `val` is a tar, or a folder that holds images and not a folder or tar a class."""
    if not val.is_dir():
        return True
    shown = (entry for entry in val.iterdir() if not entry.name.startswith("."))
    return any(entry.is_file() and not is_synset_tar(entry.name) for entry in shown)


def _index(root: Path, train: str, val: str, kit: Kit, seed: int) -> Index:
    archives: Archives = []
    train_rows = _train(root, train, kit.synsets, kit.counts, archives)
    val_rows = _val(root, val, kit, archives)
    check_totals(root, kit.synsets, len(train_rows), len(val_rows))
    return Index({"train": shuffle(train_rows, seed), "val": val_rows}, archives, kit.synsets)


def _train(
    root: Path, path: str, synsets: list[Synset], counts: list[int] | None, archives: Archives
) -> Rows:
    label_of = {synset.wnid: label for label, synset in enumerate(synsets)}
    rows = class_rows(root, class_parts(root, path), label_of, archives, "train")
    if counts is None:  # at least no class may be absent
        counts = np.maximum(np.bincount(rows["label"], minlength=len(synsets)), 1).tolist()
    check_counts(root / path, rows, synsets, counts)
    return rows


def _val(root: Path, path: str, kit: Kit, archives: Archives) -> Rows:
    """Flat, or a folder a class: the ground truth then must tell the same of each image."""
    if is_flat(root / path):
        return label_by_stem(root / path, flat_rows(root, path, archives), kit.val)
    label_of = {synset.wnid: label for label, synset in enumerate(kit.synsets)}
    rows = class_rows(root, class_parts(root, path), label_of, archives, "val")
    rows = rows[np.argsort(rows["name"])]  # as they lie in a flat val
    wrong = label_by_stem(root / path, rows, kit.val)["label"] != rows["label"]
    if wrong.any():
        names = some([bytes(name).decode() for name in rows["name"][wrong]])
        raise InputError(f"{root / path}: {names} lie in another class's folder", AGAIN)
    return rows


def _official(path: Path) -> Kit:
    synsets, truth, counts = read_devkit(path)
    return Kit(synsets, _numbered("ILSVRC2012_val_", truth), counts)


def _numbered(prefix: str, truth: list[int]) -> dict[bytes, int]:
    return {f"{prefix}{n:08d}".encode(): label for n, label in enumerate(truth, start=1)}


def _caffe(synsets: Path, val: Path) -> Kit:
    pairs = [line.split(maxsplit=1) for line in read_lines(synsets)]
    lines = [line.rsplit(maxsplit=1) for line in read_lines(val)]
    known = {str(label): label for label in range(len(pairs))}
    labels = _labels(val, (line[-1] for line in lines), known)
    stems = [Path(line[0]).stem.encode() for line in lines]
    rows = [Synset(0, pair[0], pair[-1].strip()) for pair in pairs]
    return Kit(rows, dict(zip(stems, labels, strict=True)), None)


def _solutions(path: Path, label_of: dict[str, int]) -> dict[bytes, int]:
    """Kaggle's table: ImageId, and a PredictionString that begins with the wnid."""
    lines = read_lines(path)
    try:
        rows = list(csv.DictReader(lines))
        wnids = [row["PredictionString"].split()[0] for row in rows]
        stems = [row["ImageId"].encode() for row in rows]
    except (KeyError, AttributeError, IndexError, csv.Error):
        raise InputError(f"{path} has not the columns ImageId, PredictionString", AGAIN) from None
    return dict(zip(stems, _labels(path, wnids, label_of), strict=True))


def _labels(path: Path, names: Iterable[str], label_of: dict[str, int]) -> list[int]:
    try:
        return [label_of[name] for name in names]
    except KeyError as error:
        raise InputError(f"{path} names the class {error}, which is none", AGAIN) from None


def _patch(root: Path, splits: dict[str, Rows], archives: Archives) -> None:
    """Point the rows of the images that patch_images.tar holds to what it holds."""
    patches = flat_rows(root, PATCHES_2010, archives)
    patches = patches[np.char.endswith(patches["name"], b".JPEG")]
    used = np.zeros(len(patches), bool)
    for rows in splits.values():
        _, ours, theirs = np.intersect1d(rows["name"], patches["name"], return_indices=True)
        for field in ("archive", "offset", "size"):
            rows[field][ours] = patches[field][theirs]
        used[theirs] = True
    if not used.all():
        names = some([bytes(name).decode(errors="replace") for name in patches["name"][~used]])
        raise InputError(f"{root / PATCHES_2010} holds {names}, which no split has", AGAIN)
