"""Which class has which label, what it is called, and whether all of its images are there."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import numpy as np

from alexnet.dataset.index import Rows, Synset
from alexnet.runtime.errors import InputError

WNIDS = Path(__file__).with_name("ilsvrc2012_wnids.txt")
TRAIN_IMAGES, VAL_IMAGES = 1_281_167, 50_000  # ILSVRC-2012's
WORDS = ("LOC_synset_mapping.txt", "synset_words.txt", "words.txt")  # Kaggle's, Caffe's, WordNet's
AGAIN = "download it again"
SHOWN = 3


@cache
def ilsvrc2012_wnids() -> list[str]:
    """The thousand of ILSVRC-2012; the one at n has ILSVRC2012_ID n + 1. Not alphabetical."""
    return WNIDS.read_text("ascii").split()


def is_ilsvrc2012(wnids: Iterable[str]) -> bool:
    """Whether these are exactly the thousand classes, in whatever order."""
    return set(wnids) == set(ilsvrc2012_wnids())


def without_devkit(names: Iterable[str], words: Mapping[str, str]) -> list[Synset]:
    """Classes in the devkit's order where they are ILSVRC-2012's thousand, else by sorted name."""
    names = set(names)
    if is_ilsvrc2012(names):
        wnids = enumerate(ilsvrc2012_wnids(), 1)
        return [Synset(number, wnid, words.get(wnid, wnid)) for number, wnid in wnids]
    return [Synset(0, name, words.get(name, name)) for name in sorted(names)]


def read_words(root: Path) -> dict[str, str]:
    """wnid → words, from whichever of the files WORDS lies in `root`; empty where none does."""
    path = next((root / name for name in WORDS if (root / name).is_file()), None)
    pairs = [line.split(maxsplit=1) for line in read_lines(path)] if path else []
    return {pair[0]: pair[-1].strip() for pair in pairs}


def read_lines(path: Path) -> list[str]:
    """The lines that are not empty. Raises InputError where they are missing or no UTF-8."""
    try:
        return [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        raise InputError(f"{path} is missing", "put it there") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8: {error}", AGAIN) from None


def check_counts(where: Path, rows: Rows, synsets: list[Synset], counts: list[int]) -> None:
    """Raise InputError, naming the classes, where one has not the number of images it should."""
    found = np.bincount(rows["label"], minlength=len(counts))
    wrong = [label for label, count in enumerate(counts) if found[label] != count]
    if not wrong:
        return
    told = [f"{synsets[label].wnid} {found[label]:,} of {counts[label]:,}" for label in wrong]
    raise InputError(
        f"{where} holds {len(rows):,} of {sum(counts):,} images; not whole: {some(told)}", AGAIN
    )


def check_totals(where: Path, synsets: list[Synset], train: int, val: int | None) -> None:
    """Raise InputError where the classes are ILSVRC-2012's and its images are not all there.

    `val` is None where the set has no val of its own.
    """
    if not is_ilsvrc2012(synset.wnid for synset in synsets):
        return
    if train != TRAIN_IMAGES or val not in (None, VAL_IMAGES):
        vals = "" if val is None else f" and {val:,} of {VAL_IMAGES:,} val"
        raise InputError(
            f"{where} has ILSVRC-2012's classes, but {train:,} of {TRAIN_IMAGES:,} train{vals} "
            "images",
            AGAIN,
        )


def label_by_stem(where: Path, rows: Rows, labels: Mapping[bytes, int]) -> Rows:
    """`rows` with the labels that belong to the stems of their names: n01_2 of n01_2.JPEG.

    Raises InputError where one has none, is there twice or is missing.
    """
    stems = [name.rpartition(b".")[0] for name in rows["name"].tolist()]
    strange = [name for name, stem in zip(rows["name"], stems, strict=True) if stem not in labels]
    if strange:
        names = some([bytes(name).decode(errors="replace") for name in strange])
        raise InputError(f"{where} holds {names}, which the ground truth lacks", AGAIN)
    missing = sorted(labels.keys() - set(stems))
    if missing or len(stems) != len(labels):
        lacks = some([stem.decode() for stem in missing]) if missing else "none, but some twice"
        found = f"{len(rows):,} of {len(labels):,} images"
        raise InputError(f"{where} holds {found}; missing: {lacks}", AGAIN)
    labelled = rows.copy()
    labelled["label"] = [labels[stem] for stem in stems]
    return labelled


def some(names: list[str]) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def is_synset_tar(name: str) -> bool:
    """Whether a file is called as ImageNet calls the tar of one synset."""
    return re.fullmatch(r"n\d{8}\.tar", name) is not None
