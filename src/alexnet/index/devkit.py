"""Read the devkits of ILSVRC: classes and validation ground truth."""

import gzip
import zlib
from io import BufferedIOBase, BytesIO
from pathlib import Path

import numpy as np

from alexnet.archives.tar import members
from alexnet.dataset.index import Synset
from alexnet.dataset.matlab import Value, read_table
from alexnet.runtime.errors import InputError

AGAIN = "download the devkit again"
MOST_BYTES = 256 << 20  # of all its files, unzipped; ImageNet's has a tenth of that
DAMAGE = (OSError, EOFError, zlib.error, KeyError, ValueError, OverflowError)


def read_devkit(path: Path, year: int = 2012) -> tuple[list[Synset], list[int], list[int]]:
    """The classes in label order, the label of each validation image, and images a class in train.

    `path`: the devkit's tar.gz, or a folder that holds its two files, there or under data/.
    Raises InputError where it is damaged or its ids have gaps.
    """
    try:
        rows = read_table(_file(path, "meta.mat"), "synsets")
        # the leaves come first, with ids 1 … n; the inner nodes of the hierarchy have children
        leaves = [row for row in rows if _whole(row["num_children"]) == 0]
        leaves.sort(key=lambda row: _whole(row[f"ILSVRC{year}_ID"]))
        synsets = [
            Synset(_whole(row[f"ILSVRC{year}_ID"]), str(row["WNID"]), str(row["words"]))
            for row in leaves
        ]
        counts = [_whole(row["num_train_images"]) for row in leaves]
    except DAMAGE as error:
        raise InputError(f"{path} cannot be read: {error!r}", AGAIN) from None
    if not synsets or [s.devkit_id for s in synsets] != list(range(1, len(synsets) + 1)):
        raise InputError(f"{path}: the ids of its classes have gaps", AGAIN)
    truth = read_truth(path, f"ILSVRC{year}_validation_ground_truth.txt", len(synsets))
    return synsets, truth, counts


def read_truth(path: Path, name: str, classes: int) -> list[int]:
    """The label of each image, in order of the images' names, of one file of a devkit.

    Raises InputError where it is missing, damaged or names a class that is none.
    """
    try:
        truth = [int(line) for line in _file(path, name).split()]
    except DAMAGE as error:
        raise InputError(f"{path} cannot be read: {error!r}", AGAIN) from None
    if not truth or not 1 <= min(truth) <= max(truth) <= classes:
        raise InputError(f"{path}: the ground truth names classes that are none", AGAIN)
    return [devkit_id - 1 for devkit_id in truth]


def _whole(value: Value) -> int:
    """A whole number where one stands. Raises ValueError."""
    if not isinstance(value, np.ndarray) or value.size != 1 or not (value == np.floor(value)).all():
        raise ValueError(f"{str(value)[:40]!r} is no whole number")
    return int(value.astype(np.float64)[0])


def _file(path: Path, name: str) -> bytes:
    """One file of the devkit's tar.gz, or of the folder `path`, there or under data/."""
    if path.is_dir():
        inside = path / "data" / name
        with (inside if inside.exists() else path / name).open("rb") as loose:
            return _bounded(loose)
    with gzip.open(path) as packed:
        whole = _bounded(packed)  # to its end, where gzip's checksum is
    for member in members(BytesIO(whole), path, len(whole)):
        if member.isreg() and member.name.endswith(f"/data/{name}"):
            return whole[member.offset_data : member.offset_data + member.size]
    raise KeyError(f"no data/{name} in it")


def _bounded(file: BufferedIOBase) -> bytes:
    data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"it holds more than {MOST_BYTES >> 20} MiB")
    return data
