"""Read the devkits of ILSVRC: classes, training counts and ground truth."""

import gzip
import zlib
from collections.abc import Mapping
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

from alexnet.archives.tar import iterate_members
from alexnet.dataset.index import Synset
from alexnet.dataset.matlab import Value, read_table
from alexnet.runtime.errors import InputError

DOWNLOAD = "download the devkit again"
MAX_BYTES = 256 << 20  # of a devkit, uncompressed; ImageNet's has a tenth of this
READ_ERRORS = (OSError, EOFError, zlib.error, ValueError, OverflowError)


class Devkit(NamedTuple):
    """What a devkit says about the images."""

    synsets: list[Synset]  # in label order
    val_labels: list[int]  # in the order of the images' numbers
    train_counts: list[int]  # images of each class


def read_devkit(path: Path, year: int = 2012) -> Devkit:
    """Read classes and validation ground truth of a devkit.

    `path`: the devkit's tar.gz, or a folder that contains its two files, directly or in data/.
    Raises InputError if it is damaged or its ids have gaps.
    """
    try:
        table = read_table(_read_file(path, "meta.mat"), "synsets")
        # classes are the leaves of the hierarchy and have ids 1 … n; inner nodes have children
        leaves = [row for row in table if _integer(row, "num_children") == 0]
        leaves.sort(key=lambda row: _integer(row, f"ILSVRC{year}_ID"))
        synsets = [
            Synset(_integer(row, f"ILSVRC{year}_ID"), _text(row, "WNID"), _text(row, "words"))
            for row in leaves
        ]
        counts = [_integer(row, "num_train_images") for row in leaves]
    except READ_ERRORS as error:
        raise InputError(f"{path}: meta.mat cannot be read: {error}", DOWNLOAD) from None
    if not synsets or [s.devkit_id for s in synsets] != list(range(1, len(synsets) + 1)):
        what = f"{path}: meta.mat has {len(synsets)} classes, but their ids are not 1, 2, 3, …"
        raise InputError(what, DOWNLOAD)
    truth = read_ground_truth(path, f"ILSVRC{year}_validation_ground_truth.txt", len(synsets))
    return Devkit(synsets, truth, counts)


def read_ground_truth(path: Path, name: str, classes: int) -> list[int]:
    """Return the label of each image listed in file `name`, in order.

    Labels are 0 to `classes` − 1, the file's ids minus 1. `path`: as in `read_devkit`. Raises
    InputError if the file is missing or damaged, or contains an id outside 1–`classes`.
    """
    try:
        ids = [int(line) for line in _read_file(path, name).split()]
    except READ_ERRORS as error:
        raise InputError(f"{path}: {name} cannot be read: {error}", DOWNLOAD) from None
    invalid = [devkit_id for devkit_id in ids if not 1 <= devkit_id <= classes]
    if invalid or not ids:
        found = f"contains the id {invalid[0]}, outside 1–{classes}" if ids else "is empty"
        raise InputError(f"{path}: {name} {found}", DOWNLOAD)
    return [devkit_id - 1 for devkit_id in ids]


def _integer(row: Mapping[str, Value], field: str) -> int:
    value = row.get(field)
    if not isinstance(value, np.ndarray) or value.size != 1 or not (value == np.floor(value)).all():
        raise ValueError(f"the {field} of a synset is not an integer: {str(value)[:40]!r}")
    return int(value.astype(np.float64)[0])


def _text(row: Mapping[str, Value], field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str):
        raise ValueError(f"the {field} of a synset is not text: {str(value)[:40]!r}")
    return value


def _read_file(path: Path, name: str) -> bytes:
    """Return file `name` of the devkit `path`, a tar.gz or a folder."""
    if path.is_dir():
        inside = path / "data" / name
        with (inside if inside.exists() else path / name).open("rb") as loose:
            return _read_bounded(loose)
    with gzip.open(path) as packed:
        whole = _read_bounded(packed)  # to the end, where gzip's checksum is
    for member in iterate_members(BytesIO(whole), path, len(whole)):
        if member.isreg() and member.name.endswith(f"/data/{name}"):
            return whole[member.offset_data : member.offset_data + member.size]
    raise ValueError(f"the devkit contains no data/{name}")


def _read_bounded(file: BufferedIOBase) -> bytes:
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES >> 20} MiB")
    return data
