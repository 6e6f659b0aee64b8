"""Check that a data set is complete, and match its images with the ground truth."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from alexnet.dataset.index import Rows, Synset
from alexnet.index.synsets import is_ilsvrc2012
from alexnet.runtime.errors import InputError

TRAIN_IMAGES, VAL_IMAGES = 1_281_167, 50_000  # of ILSVRC-2012
RESTORE = "download or extract it again"
SHOWN = 3  # names in a message


def check_counts(
    where: Path, rows: Rows, synsets: Sequence[Synset], expected: Sequence[int]
) -> None:
    """Raise InputError if a class lacks its `expected` number of images."""
    found = np.bincount(rows["label"], minlength=len(expected))
    wrong = [
        f"{synset.wnid} {count:,} of {wanted:,}"
        for synset, count, wanted in zip(synsets, found.tolist(), expected, strict=True)
        if count != wanted
    ]
    if wrong:
        images = f"{len(rows):,} of {sum(expected):,} images"
        raise InputError(f"{where} has {images}; wrong counts: {abridge(wrong)}", RESTORE)


def check_totals(where: Path, synsets: Sequence[Synset], train: int, val: int | None) -> None:
    """Raise InputError if ILSVRC-2012's classes come without all of its images.

    `train`, `val`: numbers of images; `val` is None if the set has no val of its own. Sets with
    other classes pass.
    """
    if not is_ilsvrc2012(synset.wnid for synset in synsets):
        return
    if train != TRAIN_IMAGES or val not in (None, VAL_IMAGES):
        vals = "" if val is None else f" and {val:,} of {VAL_IMAGES:,} val"
        images = f"{train:,} of {TRAIN_IMAGES:,} train{vals} images"
        raise InputError(f"{where} has the classes of ILSVRC-2012, but {images}", RESTORE)


def label_by_stem(where: Path, rows: Rows, labels: Mapping[bytes, int]) -> Rows:
    """Return a copy of `rows` with the labels of their file stems.

    The stem of n01_2.JPEG is n01_2. Raises InputError unless each key of `labels` has exactly one
    image, and each image a label.
    """
    stems = [name.rpartition(b".")[0] for name in rows["name"].tolist()]
    unknown = [name for name, stem in zip(rows["name"], stems, strict=True) if stem not in labels]
    if unknown:
        what = f"{where} contains {abridge(unknown)}, not listed in the ground truth"
        raise InputError(what, "remove these files, or use the ground truth of this data set")
    missing = sorted(labels.keys() - set(stems))
    if missing:
        images = f"{len(rows):,} of {len(labels):,} images"
        raise InputError(f"{where} has {images}; missing: {abridge(missing)}", RESTORE)
    if len(stems) != len(labels):
        repeated = [stem for stem, count in Counter(stems).items() if count > 1]
        what = f"{where} contains more than one file for {abridge(repeated)}"
        raise InputError(what, "keep one file for each image")
    labelled = rows.copy()
    labelled["label"] = [labels[stem] for stem in stems]
    return labelled


def abridge(names: Sequence[str] | Sequence[bytes]) -> str:
    """Return the first names, and the number of the others."""
    shown = [n if isinstance(n, str) else bytes(n).decode(errors="replace") for n in names[:SHOWN]]
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(shown) + more
