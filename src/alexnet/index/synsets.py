"""The classes: their order, which gives the labels, and their descriptions."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from alexnet.dataset.index import Synset
from alexnet.runtime.errors import InputError

WNIDS = Path(__file__).with_name("ilsvrc2012_wnids.txt")
WORDS_FILES = (
    "LOC_synset_mapping.txt",
    "synset_words.txt",
    "words.txt",
)  # Kaggle's, Caffe's, WordNet's


@cache
def ilsvrc2012_wnids() -> list[str]:
    """Return the thousand wnids of ILSVRC-2012 in label order.

    The order is not alphabetical. The wnid at position n has ILSVRC2012_ID n + 1.
    """
    return WNIDS.read_text("ascii").split()


def is_ilsvrc2012(wnids: Iterable[str]) -> bool:
    """Return whether `wnids` are exactly the thousand of ILSVRC-2012, in any order."""
    return set(wnids) == set(ilsvrc2012_wnids())


def is_synset_tar(name: str) -> bool:
    """Return whether `name` is that of a synset's tar, n########.tar."""
    return re.fullmatch(r"n\d{8}\.tar", name) is not None


def order_classes(names: Iterable[str], words: Mapping[str, str]) -> list[Synset]:
    """Return the classes in label order; the data set has no devkit.

    It is the devkit's order if they are the thousand of ILSVRC-2012, and sorted order otherwise.
    """
    names = set(names)
    if is_ilsvrc2012(names):
        wnids = enumerate(ilsvrc2012_wnids(), 1)
        return [Synset(devkit_id, wnid, words.get(wnid, wnid)) for devkit_id, wnid in wnids]
    return [Synset(0, name, words.get(name, name)) for name in sorted(names)]


def map_labels(synsets: Iterable[Synset]) -> dict[str, int]:
    """Return the label of each wnid: its position in `synsets`."""
    return {synset.wnid: label for label, synset in enumerate(synsets)}


def read_words(root: Path) -> dict[str, str]:
    """Return words by wnid from whichever of WORDS_FILES is in `root`."""
    path = next((root / name for name in WORDS_FILES if (root / name).is_file()), None)
    return dict(read_word_pairs(path)) if path else {}


def read_word_pairs(path: Path) -> list[tuple[str, str]]:
    """Return wnid and words of each line. Raises InputError as `read_lines`."""
    pairs = [line.split(maxsplit=1) for line in read_lines(path)]
    return [(pair[0], pair[-1].strip()) for pair in pairs]


def read_lines(path: Path) -> list[str]:
    """Return the lines that are not blank. Raises InputError if missing or not UTF-8."""
    try:
        return [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        raise InputError(f"{path} is missing", f"copy it into {path.parent}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not valid UTF-8: {error}", "download it again") from None
