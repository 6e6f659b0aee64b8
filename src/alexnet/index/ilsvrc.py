"""ILSVRC-2012 as downloaded or extracted, with its devkit or Caffe's lists as ground truth.

Labels are devkit ids − 1; Caffe's lists have an order of their own.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from alexnet.archives.reader import Archives
from alexnet.dataset.index import Index, Rows, Synset, shuffle
from alexnet.index.class_archives import find_class_archives, index_classes, index_flat
from alexnet.index.completeness import abridge, check_counts, check_totals, label_by_stem
from alexnet.index.devkit import read_devkit
from alexnet.index.synsets import is_synset_tar, map_labels, read_lines, read_word_pairs
from alexnet.runtime.errors import InputError

TRAIN_TAR = "ILSVRC2012_img_train.tar"
VAL_TAR = "ILSVRC2012_img_val.tar"
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
TRAINS = ("train", "ILSVRC2012_img_train", TRAIN_TAR)  # alternatives, in order of preference
VALS = ("val", "ILSVRC2012_img_val", VAL_TAR)
DEVKITS = ("ILSVRC2012_devkit_t12", DEVKIT)
LOOSE = ("meta.mat", "ILSVRC2012_validation_ground_truth.txt")  # the devkit's, beside the images
CAFFE_SYNSETS = ("synsets.txt", "synset_words.txt")
CAFFE_VAL = "val.txt"


class Annotations(NamedTuple):
    """What a data set says about its images."""

    synsets: list[Synset]
    val_labels: dict[bytes, int]  # by file name without suffix
    train_counts: list[int] | None  # images of each class, if known


def read_archives(root: Path, seed: int) -> Index:
    """Index ILSVRC-2012 as downloaded.

    Its files are a tar of tars for train, a flat tar for val, and the devkit. Raises InputError if
    any of the three is missing, damaged or incomplete.
    """
    for name in (TRAIN_TAR, VAL_TAR, DEVKIT):
        require(root, name)
    return index_splits(root, TRAIN_TAR, VAL_TAR, _read_devkit(root / DEVKIT), seed)


def read_extracted(root: Path, seed: int) -> Index:
    """Index ILSVRC-2012 extracted in part or in whole. Raises as `read_archives`."""
    annotations = _read_devkit(root / require(root, *DEVKITS))
    return index_splits(root, require(root, *TRAINS), require(root, *VALS), annotations, seed)


def read_flat_val(root: Path, seed: int) -> Index:
    """Index train and a flat val with the lists beside them.

    The lists are the devkit's two files or Caffe's two. Caffe's labels follow its synset file,
    which is in alphabetical order. Raises InputError as `read_archives`.
    """
    if (root / LOOSE[0]).is_file():
        require(root, LOOSE[1])
        annotations = _read_devkit(root)
    else:
        synsets = root / require(root, *CAFFE_SYNSETS)
        annotations = _read_caffe(synsets, root / require(root, CAFFE_VAL))
    return index_splits(root, require(root, *TRAINS), require(root, *VALS), annotations, seed)


def require(root: Path, *names: str) -> str:
    """Return the first of `names` that exists in `root`. Raises InputError if none does."""
    for name in names:
        if (root / name).exists():
            return name
    others = f" (alternatives: {', '.join(names[1:])})" if len(names) > 1 else ""
    fix = "copy it there, or set IMAGENET_ROOT to the folder that contains it"
    raise InputError(f"{root / names[0]} is missing{others}", fix)


def is_flat(val: Path) -> bool:
    """Return whether `val` is a tar, or a folder that contains images."""
    if not val.is_dir():
        return True
    shown = (entry for entry in val.iterdir() if not entry.name.startswith("."))
    return any(entry.is_file() and not is_synset_tar(entry.name) for entry in shown)


def index_splits(root: Path, train: str, val: str, annotations: Annotations, seed: int) -> Index:
    """Index the archives or folders `train` and `val`. Raises InputError if any is incomplete."""
    archives: Archives = []
    synsets, _, counts = annotations
    train_rows = index_train(root, train, synsets, counts, archives)
    val_rows = _index_val(root, val, annotations, archives)
    check_totals(root, synsets, len(train_rows), len(val_rows))
    return Index({"train": shuffle(train_rows, seed), "val": val_rows}, archives, synsets)


def index_train(
    root: Path,
    path: str,
    synsets: Sequence[Synset],
    counts: Sequence[int] | None,
    archives: Archives,
) -> Rows:
    """Return the rows of the training set in label order.

    Appends its tars or folders to `archives`. Raises InputError if a class does not have as many
    images as `counts` says or, without `counts`, has none.
    """
    classes = find_class_archives(root, path)
    rows = index_classes(root, classes, map_labels(synsets), archives, "train")
    if counts is None:
        counts = np.maximum(np.bincount(rows["label"], minlength=len(synsets)), 1).tolist()
    check_counts(root / path, rows, synsets, counts)
    return rows


def number_labels(prefix: str, labels: Iterable[int]) -> dict[bytes, int]:
    """Return the labels by file stem: `prefix` and a number from 00000001."""
    return {f"{prefix}{n:08d}".encode(): label for n, label in enumerate(labels, start=1)}


def look_up_labels(path: Path, names: Iterable[str], label_of: Mapping[str, int]) -> list[int]:
    """Return the labels of `names`, read from `path`. Raises InputError if one is unknown."""
    try:
        return [label_of[name] for name in names]
    except KeyError as error:
        known = abridge(list(label_of))
        what = f"{path} contains the unknown class {error}; known: {known}"
        raise InputError(what, "download it again") from None


def _index_val(root: Path, path: str, annotations: Annotations, archives: Archives) -> Rows:
    """Return val's rows by name. Class folders, if any, must agree with the ground truth."""
    if is_flat(root / path):
        flat = index_flat(root, path, archives)
        return label_by_stem(root / path, flat, annotations.val_labels)
    classes = find_class_archives(root, path)
    rows = index_classes(root, classes, map_labels(annotations.synsets), archives, "val")
    rows = rows[np.argsort(rows["name"])]  # the order of a flat val
    wrong = label_by_stem(root / path, rows, annotations.val_labels)["label"] != rows["label"]
    if wrong.any():
        names = abridge(rows["name"][wrong].tolist())
        what = f"{root / path}: {names} is in the folder of another class"
        raise InputError(what, "move it to the folder of its class, or extract val again")
    return rows


def _read_devkit(path: Path) -> Annotations:
    synsets, labels, counts = read_devkit(path)
    return Annotations(synsets, number_labels("ILSVRC2012_val_", labels), counts)


def _read_caffe(synsets_file: Path, val_file: Path) -> Annotations:
    synsets = [Synset(0, wnid, words) for wnid, words in read_word_pairs(synsets_file)]
    lines = [line.rsplit(maxsplit=1) for line in read_lines(val_file)]
    known = {str(label): label for label in range(len(synsets))}
    labels = look_up_labels(val_file, (line[-1] for line in lines), known)
    stems = [Path(line[0]).stem.encode() for line in lines]
    return Annotations(synsets, dict(zip(stems, labels, strict=True)), None)
