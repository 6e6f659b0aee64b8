"""ILSVRC-2012 as Kaggle packs it, without a devkit: the CLS-LOC tree."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from alexnet.dataset.index import Index
from alexnet.index.ilsvrc import Annotations, index_splits, look_up_labels, require
from alexnet.index.synsets import map_labels, order_classes, read_lines, read_words
from alexnet.runtime.errors import InputError

IMAGES = "ILSVRC/Data/CLS-LOC"
TRAIN_LIST = "ILSVRC/ImageSets/CLS-LOC/train_cls.txt"
VAL_SOLUTION = "LOC_val_solution.csv"
MAPPING = "LOC_synset_mapping.txt"


def read_kaggle(root: Path, seed: int) -> Index:
    """Index Kaggle's tree.

    Labels are in the devkit's order, which the package knows. train_cls.txt lists all training
    images, LOC_train_solution.csv only those with boxes. Raises InputError if anything is missing,
    damaged or incomplete.
    """
    require(root, MAPPING)
    words = read_words(root)
    synsets = order_classes(words, words)
    label_of = map_labels(synsets)
    val_labels = _read_solutions(root / VAL_SOLUTION, label_of)
    counts = None
    if (root / TRAIN_LIST).is_file():
        wnids = (line.partition("/")[0] for line in read_lines(root / TRAIN_LIST))
        labels = look_up_labels(root / TRAIN_LIST, wnids, label_of)
        counts = np.bincount(labels, minlength=len(synsets)).tolist()
    train, val = (require(root, f"{IMAGES}/{split}") for split in ("train", "val"))
    return index_splits(root, train, val, Annotations(synsets, val_labels, counts), seed)


def _read_solutions(path: Path, label_of: Mapping[str, int]) -> dict[bytes, int]:
    """Return the label of each ImageId: PredictionString begins with a wnid."""
    lines = read_lines(path)
    try:
        rows = list(csv.DictReader(lines))
        wnids = [row["PredictionString"].split()[0] for row in rows]
        stems = [row["ImageId"].encode() for row in rows]
    except (KeyError, AttributeError, IndexError, csv.Error):
        what = f"{path} lacks the columns ImageId and PredictionString, or values in them"
        raise InputError(what, "download it again") from None
    return dict(zip(stems, look_up_labels(path, wnids, label_of), strict=True))
