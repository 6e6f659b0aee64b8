"""The index of a raw data set: where each image lies, its label, and the classes."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.runtime.errors import InputError, rebuild_command

ROW = np.dtype(
    [("label", "<i4"), ("archive", "<i4"), ("offset", "<i8"), ("size", "<i8"), ("name", "S96")]
)
COLUMNS = ["label", "devkit_id", "wnid", "words"]
SPLITS = ("train", "val", "test")
Rows = npt.NDArray[np.void]
FileEntry = tuple[bytes, int, int]  # name without folders, offset in its archive, size


@dataclass(frozen=True)
class Synset:
    """A class. `devkit_id`: its ILSVRC id, which is label + 1; 0 if labels are in another order."""

    devkit_id: int
    wnid: str
    words: str


@dataclass(frozen=True)
class Index:
    """The images and classes of a raw data set.

    `splits`: arrays of ROW for train and val, and for test if its labels are public; train is
    shuffled once. `archives`: the path relative to the root and the size in bytes of each tar, or
    of each folder (the sum over its files).
    """

    splits: dict[str, Rows]
    archives: list[tuple[str, int]]
    synsets: list[Synset]


def make_rows(files: Sequence[FileEntry], label: int, archive: int) -> Rows:
    """Return the rows of files of one class and archive, sorted by name.

    Raises InputError for a name longer than 96 bytes.
    """
    rows = np.empty(len(files), ROW)
    rows["label"], rows["archive"] = label, archive
    if files:
        names, rows["offset"], rows["size"] = zip(*sorted(files), strict=True)
        longest = max(names, key=len)
        if len(longest) > ROW["name"].itemsize:
            name = longest.decode(errors="replace")
            raise InputError(f"the file name {name} is longer than 96 bytes", "shorten it")
        rows["name"] = names
    return rows


def shuffle(rows: Rows, seed: int) -> Rows:
    """Return the rows in a random order over all classes, as in the 2012 code's batches."""
    return rows[np.random.Generator(np.random.Philox(seed)).permutation(len(rows))]


def hold_out(rows: Rows, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Split off a random `fraction` of each class: return the rows of train and of val.

    val gets the fraction rounded down, but at least 1; a class of one image stays in train. The
    choice depends on `seed` and on the order of the rows only. Raises InputError unless
    0 < fraction < 1.
    """
    if not 0 < fraction < 1:
        what = f"dataset.held_out is {fraction}, not between 0 and 1"
        raise InputError(what, "set dataset.held_out to a number above 0 and below 1")
    counts = np.bincount(rows["label"])
    val_counts = np.minimum(np.maximum((counts * fraction).astype(int), 1), counts - 1)
    keys = np.random.Generator(np.random.Philox([seed, 1])).random(len(rows))  # not as in shuffle
    by_class = np.lexsort((keys, rows["label"]))  # in random order within a class
    rank = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    is_val = np.zeros(len(rows), bool)
    is_val[by_class[rank < np.repeat(val_counts, counts)]] = True
    return rows[~is_val], rows[is_val]


def save_index(index: Index, folder: Path) -> None:
    """Write <split>.npy, archives.json and classes.csv into `folder`."""
    for split, rows in index.splits.items():
        # given a file opened with "wb", numpy writes through C, which loses the error of a disk
        # that is full at the last few bytes
        with (folder / f"{split}.npy").open("w+b") as file:
            np.save(file, rows)
    archives = [{"path": path, "size": size} for path, size in index.archives]
    (folder / "archives.json").write_text(json.dumps(archives, indent=1) + "\n", "utf-8")
    with (folder / "classes.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for label, synset in enumerate(index.synsets):
            writer.writerow([label, synset.devkit_id, synset.wnid, synset.words])


def load_index(folder: Path) -> Index:
    """Return what `save_index` wrote; rows are memory-mapped.

    Raises InputError if it is missing, damaged, or replaced while being read.
    """
    path, splits = folder / "archives.json", {}
    try:
        inode = folder.stat().st_ino
        archives = [_archive(entry) for entry in json.loads(path.read_text("utf-8"))]
        for split in SPLITS:
            path = folder / f"{split}.npy"
            if split != "test" or path.exists():
                splits[split] = _map_rows(path)
        path, synsets = folder, load_synsets(folder)
        if folder.stat().st_ino != inode:
            raise ValueError("replaced while being read")
        for split, rows in splits.items():
            _check_range(f"{split}.npy: label", rows["label"], len(synsets))
            _check_range(f"{split}.npy: archive", rows["archive"], len(archives))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        what = f"{folder} holds no valid index: {path.name}: {error!r}"
        raise InputError(what, rebuild_command(path, "index")) from None
    return Index(splits, archives, synsets)


def _archive(entry: Any) -> tuple[str, int]:
    path, size = entry["path"], entry["size"]
    if not (isinstance(path, str) and type(size) is int and 0 <= size < 1 << 63):
        raise ValueError(f"invalid archive {str(entry)[:80]}")
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise ValueError(f"archive outside the raw data set: {path[:80]!r}")
    return path, size


def _check_range(name: str, values: npt.NDArray[np.int32], count: int) -> None:
    if len(values) and values.view(np.uint32).max() >= count:  # a negative value is a large one
        raise ValueError(f"{name} outside 0–{count - 1}")


def _map_rows(path: Path) -> Rows:
    try:
        rows: Rows = np.lib.format.open_memmap(path, mode="r")
    except (SyntaxError, TokenError) as error:  # numpy evaluates the header as a Python literal
        raise ValueError(f"{path.name}: {error}") from None
    if rows.dtype != ROW or rows.ndim != 1:
        raise ValueError(f"{path.name} is not an array of index rows")
    return rows


def load_synsets(folder: Path) -> list[Synset]:
    """Read the classes in label order. Raises InputError if classes.csv is missing or damaged."""
    path = folder / "classes.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if rows.fieldnames != COLUMNS:
                raise KeyError(f"columns {rows.fieldnames}")
            return [  # adding "" raises TypeError for None, which a truncated row holds
                Synset(int(row["devkit_id"]), row["wnid"], row["words"] + "") for row in rows
            ]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        what = f"{folder} holds no valid index: {path.name}: {error!r}"
        raise InputError(what, rebuild_command(path, "index")) from None
