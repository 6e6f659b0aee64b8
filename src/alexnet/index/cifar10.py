"""CIFAR-10, binary version: the images are records, a label and three planes of 32 × 32 bytes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alexnet.dataset.index import ROW, Index, Rows, Synset, shuffle
from alexnet.index.synsets import read_lines
from alexnet.runtime.errors import InputError

FOLDER = "cifar-10-batches-bin"
TRAIN = [f"data_batch_{n}.bin" for n in range(1, 6)]
VAL = "test_batch.bin"
ANIMALS = ["bird", "cat", "deer", "dog", "frog", "horse"]
NAMES = ["airplane", "automobile", *ANIMALS, "ship", "truck"]
RECORDS = 10_000  # in each file
PIXELS = 3_072  # red, green and blue, after one byte of label

Pixels = npt.NDArray[np.uint8]


def read_cifar10(root: Path, seed: int) -> Index:
    """Every record as a row: offset and size of its pixels. test_batch, 10,000 images, is val.

    Raises InputError where a file is missing, has not 10,000 records, or has a label beyond 9.
    """
    folder = FOLDER if (root / FOLDER).is_dir() else ""
    paths = [str(Path(folder) / name) for name in (*TRAIN, VAL)]
    tables = [_rows(root / path, archive) for archive, path in enumerate(paths)]
    archives = [(path, (root / path).stat().st_size) for path in paths]
    meta = root / folder / "batches.meta.txt"
    names = read_lines(meta) if meta.is_file() else NAMES
    if len(names) != len(NAMES):
        raise InputError(f"{meta} names {len(names)} classes, not 10", "unpack it again")
    synsets = [Synset(0, name, name) for name in names]
    train = shuffle(np.concatenate(tables[:-1]), seed)
    return Index({"train": train, "val": tables[-1]}, archives, synsets)


def read_pixels(root: Path, names: Sequence[str]) -> tuple[Pixels, Pixels]:
    """All images of the files `names`, (N, 3, 32, 32) uint8, and their labels, (N,) uint8.

    Raises InputError as `read_cifar10`.
    """
    folder = root / FOLDER if (root / FOLDER).is_dir() else root
    for name in names:
        _rows(folder / name, 0)
    records = [np.fromfile(folder / name, np.uint8).reshape(-1, 1 + PIXELS) for name in names]
    every = np.concatenate(records)
    return every[:, 1:].reshape(-1, 3, 32, 32), every[:, 0]


def _rows(path: Path, archive: int) -> Rows:
    size = path.stat().st_size if path.is_file() else 0
    if size != RECORDS * (1 + PIXELS):
        found = f"holds {size:,} of {RECORDS * (1 + PIXELS):,} bytes" if size else "is missing"
        raise InputError(f"{path} {found}", "unpack cifar-10-binary.tar.gz again")
    labels = np.fromfile(path, np.uint8)[:: 1 + PIXELS]
    if labels.max() >= len(NAMES):
        raise InputError(f"{path} is damaged: a label is {labels.max()}", "unpack it again")
    rows = np.empty(RECORDS, ROW)
    rows["label"], rows["archive"], rows["size"] = labels, archive, PIXELS
    rows["offset"] = np.arange(RECORDS) * (1 + PIXELS) + 1
    rows["name"] = [f"{path.stem}_{n:05d}.ppm".encode() for n in range(RECORDS)]
    return rows
