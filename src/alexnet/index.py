"""The table of a raw data set: where each image lies, its label, and the classes."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

ROW = np.dtype(
    [("label", "<i4"), ("archive", "<i4"), ("offset", "<i8"), ("size", "<i8"), ("name", "S96")]
)
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
    (folder / "archives.json").write_text(json.dumps(archives, indent=1) + "\n")
    with (folder / "classes.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["label", "devkit_id", "wnid", "words"])
        for label, synset in enumerate(index.synsets):
            writer.writerow([label, synset.devkit_id, synset.wnid, synset.words])


def load_index(folder: Path) -> Index:
    """What `save_index` wrote."""
    splits = {path.stem: np.load(path) for path in sorted(folder.glob("*.npy"))}
    archives = json.loads((folder / "archives.json").read_text())
    return Index(splits, [(a["path"], a["size"]) for a in archives], load_synsets(folder))


def load_synsets(folder: Path) -> list[Synset]:
    """The classes in label order."""
    with (folder / "classes.csv").open(newline="") as file:
        return [Synset(int(r["devkit_id"]), r["wnid"], r["words"]) for r in csv.DictReader(file)]
