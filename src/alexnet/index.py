"""The table of a raw data set: where each image lies, its label, and the classes."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alexnet.errors import InputError

ROW = np.dtype(
    [("label", "<i4"), ("archive", "<i4"), ("offset", "<i8"), ("size", "<i8"), ("name", "S96")]
)
COLUMNS = ["label", "devkit_id", "wnid", "words"]
Rows = npt.NDArray[np.void]


@dataclass(frozen=True)
class Synset:
    """A class: `devkit_id` is ILSVRC2012_ID, label + 1; 0 where there is no devkit."""

    devkit_id: int
    wnid: str
    words: str


@dataclass(frozen=True)
class Index:
    """What a raw data set holds.

    `splits`: train and val, structured rows of ROW, train shuffled once. `archives`: path relative
    to the root and size in bytes of each tar, or of all files of each class folder.
    """

    splits: dict[str, Rows]
    archives: list[tuple[str, int]]
    synsets: list[Synset]


def shuffled(rows: Rows, seed: int) -> Rows:
    """In one order, once and over all classes, as the 2012 code shuffled its batches."""
    return rows[np.random.Generator(np.random.Philox(seed)).permutation(len(rows))]


def save_index(index: Index, folder: Path) -> None:
    """Write `<split>.npy`, archives.json and classes.csv into `folder`."""
    for split, rows in index.splits.items():
        np.save(folder / f"{split}.npy", rows)
    archives = [{"path": path, "size": size} for path, size in index.archives]
    (folder / "archives.json").write_text(json.dumps(archives, indent=1) + "\n", "utf-8")
    with (folder / "classes.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for label, synset in enumerate(index.synsets):
            writer.writerow([label, synset.devkit_id, synset.wnid, synset.words])


def load_index(folder: Path) -> Index:
    """What `save_index` wrote. Raises InputError where it is missing or damaged."""
    try:
        splits = {split: np.load(folder / f"{split}.npy") for split in ("train", "val")}
        archives = json.loads((folder / "archives.json").read_text(encoding="utf-8"))
        return Index(splits, [(a["path"], a["size"]) for a in archives], load_synsets(folder))
    except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
        raise InputError(f"{folder} holds no index: {error!r}", "dvc repro -f index") from None


def load_synsets(folder: Path) -> list[Synset]:
    """The classes in label order. Raises InputError where classes.csv is missing or damaged."""
    try:
        with (folder / "classes.csv").open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if rows.fieldnames != COLUMNS:
                raise KeyError(f"columns {rows.fieldnames}")
            return [Synset(int(row["devkit_id"]), row["wnid"], row["words"]) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder} holds no index: {error!r}", "dvc repro -f index") from None
