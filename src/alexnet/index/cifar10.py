"""CIFAR-10, binary version: a record is a label and three planes of 32 × 32 bytes."""

from collections.abc import Iterable
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
PIXEL_BYTES = 3_072  # red, green and blue, after one byte of label
UNPACK = "unpack cifar-10-binary.tar.gz again"

Pixels = npt.NDArray[np.uint8]


def read_cifar10(root: Path, seed: int) -> Index:
    """Index every record by the offset and size of its pixels.

    test_batch.bin is val. Raises InputError as `read_records`, or if batches.meta.txt does not name
    10 classes.
    """
    folder = _folder(root)
    names = [*TRAIN, VAL]
    tables = [_index_file(folder / name, archive) for archive, name in enumerate(names)]
    paths = [folder / name for name in names]
    archives = [(str(path.relative_to(root)), path.stat().st_size) for path in paths]
    meta = folder / "batches.meta.txt"
    words = read_lines(meta) if meta.is_file() else NAMES
    if len(words) != len(NAMES):
        raise InputError(f"{meta} names {len(words)} classes instead of 10", UNPACK)
    synsets = [Synset(0, name, name) for name in words]
    train = shuffle(np.concatenate(tables[:-1]), seed)
    return Index({"train": train, "val": tables[-1]}, archives, synsets)


def read_pixels(root: Path, names: Iterable[str]) -> tuple[Pixels, Pixels]:
    """Return all images and labels of the files `names`.

    Shapes (N, 3, 32, 32) and (N,), both uint8. Raises InputError as `read_records`.
    """
    records = np.concatenate([read_records(_folder(root) / name) for name in names])
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def read_records(path: Path) -> Pixels:
    """Return the records of one file, (10000, 3073) uint8.

    The first byte of each is the label, the others are its pixels. Raises InputError if the file is
    missing, has another size, or has a label above 9.
    """
    size, expected = path.stat().st_size if path.is_file() else None, RECORDS * (1 + PIXEL_BYTES)
    if size != expected:
        found = "is missing" if size is None else f"has {size:,} of {expected:,} bytes"
        raise InputError(f"{path} {found}", UNPACK)
    records = np.fromfile(path, np.uint8).reshape(RECORDS, 1 + PIXEL_BYTES)
    if (highest := records[:, 0].max()) >= len(NAMES):
        raise InputError(f"{path} is damaged: it contains the label {highest}, above 9", UNPACK)
    return records


def _folder(root: Path) -> Path:
    return root / FOLDER if (root / FOLDER).is_dir() else root


def _index_file(path: Path, archive: int) -> Rows:
    rows = np.empty(RECORDS, ROW)
    rows["label"] = read_records(path)[:, 0]
    rows["archive"], rows["size"] = archive, PIXEL_BYTES
    rows["offset"] = np.arange(RECORDS) * (1 + PIXEL_BYTES) + 1
    rows["name"] = [f"{path.stem}_{n:05d}.ppm".encode() for n in range(RECORDS)]
    return rows
