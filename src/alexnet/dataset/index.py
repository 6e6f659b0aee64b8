"""The table of a raw data set: where each image lies, its label, and the classes."""

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
File = tuple[bytes, int, int]  # name without folders, offset in its archive, size


@dataclass(frozen=True)
class Synset:
    """A class: `devkit_id` is its ILSVRC id, label + 1; 0 where labels are in another order."""

    devkit_id: int
    wnid: str
    words: str


@dataclass(frozen=True)
class Index:
    """What a raw data set holds.

    `splits`: train and val, and test where its labels are public: structured rows of ROW, train
    shuffled once. `archives`: path relative to the root and size in bytes of each tar, or of all
    files of each folder.
    """

    splits: dict[str, Rows]
    archives: list[tuple[str, int]]
    synsets: list[Synset]


def rows_of(files: Sequence[File], label: int, archive: int) -> Rows:
    """Rows of one label and archive, in order of the names. InputError: a name beyond 96 bytes."""
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


def shuffled(rows: Rows, seed: int) -> Rows:
    """In one order, once and over all classes, as the 2012 code shuffled its batches."""
    return rows[np.random.Generator(np.random.Philox(seed)).permutation(len(rows))]


def held_out(rows: Rows, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """What stays for train, and a `fraction` of each class for val: rounded down, at least 1.

    A class of one image stays in train. The draw is of `seed` and the rows in their order, no more.
    Raises InputError for a fraction that is none.
    """
    if not 0 < fraction < 1:
        raise InputError(f"held_out is {fraction}", "choose dataset.held_out above 0 and below 1")
    counts = np.bincount(rows["label"])
    taken = np.minimum(np.maximum((counts * fraction).astype(int), 1), counts - 1)
    lots = np.random.Generator(np.random.Philox([seed, 1])).random(len(rows))  # not shuffled's
    drawn = np.lexsort((lots, rows["label"]))  # by class, and in it by lot
    rank = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    is_val = np.zeros(len(rows), bool)
    is_val[drawn[rank < np.repeat(taken, counts)]] = True
    return rows[~is_val], rows[is_val]


def save_index(index: Index, folder: Path) -> None:
    """Write `<split>.npy`, archives.json and classes.csv into `folder`."""
    for split, rows in index.splits.items():
        with (folder / f"{split}.npy").open("w+b") as file:  # "wb" numpy hands to C, which does
            np.save(file, rows)  # not tell of a disk that is full at the last few bytes
    archives = [{"path": path, "size": size} for path, size in index.archives]
    (folder / "archives.json").write_text(json.dumps(archives, indent=1) + "\n", "utf-8")
    with (folder / "classes.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for label, synset in enumerate(index.synsets):
            writer.writerow([label, synset.devkit_id, synset.wnid, synset.words])


def load_index(folder: Path) -> Index:
    """What `save_index` wrote, its rows mapped.

    Raises InputError where it is missing, damaged, or replaced while it is read.
    """
    path, splits = folder / "archives.json", {}
    try:
        place = folder.stat().st_ino
        archives = [_archive(entry) for entry in json.loads(path.read_text("utf-8"))]
        for split in SPLITS:
            path = folder / f"{split}.npy"
            if split != "test" or path.exists():
                splits[split] = _mapped(path)
        path, synsets = folder, load_synsets(folder)
        if folder.stat().st_ino != place:  # some files of the one, some of the other
            raise ValueError("another took its place while it was read")
        for split, rows in splits.items():
            _check_range(f"{split}.npy: label", rows["label"], len(synsets))
            _check_range(f"{split}.npy: archive", rows["archive"], len(archives))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        what = f"{folder} holds no index: {path.name}: {error!r}"
        raise InputError(what, rebuild_command(path, "index")) from None
    return Index(splits, archives, synsets)


def _archive(entry: Any) -> tuple[str, int]:
    path, size = entry["path"], entry["size"]
    if not (isinstance(path, str) and type(size) is int and 0 <= size < 1 << 63):
        raise ValueError(f"an archive is {str(entry)[:80]}")
    if Path(path).is_absolute() or ".." in Path(path).parts:  # it lies in the raw data set
        raise ValueError(f"an archive lies in {path[:80]!r}")
    return path, size


def _check_range(name: str, values: npt.NDArray[np.int32], count: int) -> None:
    if len(values) and values.view(np.uint32).max() >= count:  # one below 0 is a large one
        raise ValueError(f"{name}s leave 0–{count - 1}")


def _mapped(path: Path) -> Rows:
    try:
        rows: Rows = np.lib.format.open_memmap(path, mode="r")
    except (SyntaxError, TokenError) as error:  # numpy reads the header as Python's words
        raise ValueError(f"{path.name}: {error}") from None
    if rows.dtype != ROW or rows.ndim != 1:
        raise ValueError(f"{path.name} is no table of images")
    return rows


def load_synsets(folder: Path) -> list[Synset]:
    """The classes in label order. Raises InputError where classes.csv is missing or damaged."""
    path = folder / "classes.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if rows.fieldnames != COLUMNS:
                raise KeyError(f"columns {rows.fieldnames}")
            return [
                Synset(int(row["devkit_id"]), row["wnid"], row["words"] + "") for row in rows
            ]  # a row cut short holds None, to which nothing can be added
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        what = f"{folder} holds no index: {path.name}: {error!r}"
        raise InputError(what, rebuild_command(path, "index")) from None
