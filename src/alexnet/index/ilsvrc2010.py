"""ILSVRC-2010 as downloaded; its public test labels make a third split (table 1)."""

from pathlib import Path

import numpy as np

from alexnet.archives.reader import Archives
from alexnet.dataset.index import Index, Rows, shuffle
from alexnet.index.class_archives import index_flat
from alexnet.index.completeness import abridge, label_by_stem
from alexnet.index.devkit import read_devkit, read_ground_truth
from alexnet.index.ilsvrc import index_train, number_labels, require
from alexnet.runtime.errors import InputError

TRAIN_TAR = "ILSVRC2010_images_train.tar"
FLAT_TARS = {"val": "ILSVRC2010_images_val.tar", "test": "ILSVRC2010_images_test.tar"}
DEVKIT = "ILSVRC2010_devkit-1.0.tar.gz"
TEST_TRUTH = "ILSVRC2010_test_ground_truth.txt"  # beside the devkit, or in it
PATCHES = "patch_images.tar"


def read_ilsvrc2010(root: Path, seed: int) -> Index:
    """Index ILSVRC-2010; images in patch_images.tar replace those with the same names.

    Raises InputError if anything is missing, damaged or incomplete.
    """
    for name in (TRAIN_TAR, *FLAT_TARS.values(), DEVKIT):
        require(root, name)
    synsets, val_labels, counts = read_devkit(root / DEVKIT, 2010)
    folder = root if (root / TEST_TRUTH).is_file() else root / DEVKIT
    labels = {"val": val_labels, "test": read_ground_truth(folder, TEST_TRUTH, len(synsets))}
    archives: Archives = []
    splits = {"train": index_train(root, TRAIN_TAR, synsets, counts, archives)}
    for split, tar in FLAT_TARS.items():
        by_stem = number_labels(f"ILSVRC2010_{split}_", labels[split])
        splits[split] = label_by_stem(root / tar, index_flat(root, tar, archives), by_stem)
    if (root / PATCHES).is_file():
        _apply_patches(root, splits, archives)
    return Index(splits | {"train": shuffle(splits["train"], seed)}, archives, synsets)


def _apply_patches(root: Path, splits: dict[str, Rows], archives: Archives) -> None:
    """Point the rows of replaced images into patch_images.tar."""
    patches = index_flat(root, PATCHES, archives)
    patches = patches[np.char.endswith(patches["name"], b".JPEG")]
    used = np.zeros(len(patches), bool)
    for rows in splits.values():
        _, replaced, patch = np.intersect1d(rows["name"], patches["name"], return_indices=True)
        for field in ("archive", "offset", "size"):
            rows[field][replaced] = patches[field][patch]
        used[patch] = True
    if not used.all():
        names = abridge(patches["name"][~used].tolist())
        what = f"{root / PATCHES} contains {names}, which replaces no image of any split"
        raise InputError(what, "download it again")
