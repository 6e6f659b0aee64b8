"""The pictures that the report shows: which records of the shards, and what is told of each."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from alexnet.dataset import manifest
from alexnet.dataset.index import Index
from alexnet.dataset.shards import Shards
from alexnet.figures.augmentation import PATCHES, Places
from alexnet.figures.neighbours import Neighbour, Query
from alexnet.figures.predictions import Guess
from alexnet.figures.style import Floats, Pixels
from alexnet.input.augment import compute_colour_shifts, plan_epoch
from alexnet.model.description import ModelDescription
from alexnet.train.recipe import make_recipe

PREDICTIONS = 8  # as many as the paper's figure 4 has
MISTAKES = 8
SHELVES, RECORDS = 24, 5  # classes at most, and records of each
ODD_FILES = 50
Row = Mapping[str, str]
T = TypeVar("T")


class Prediction(NamedTuple):
    """A test image (256, 256, 3), the words of its true label and its five likeliest labels."""

    image: Pixels
    truth: str
    guesses: Sequence[Guess]


class Sample(NamedTuple):
    """One record of a shard: pixels (256, 256, 3), name of the source file, number."""

    image: Pixels
    source: str
    record: int


class Shelf(NamedTuple):
    """A class, how many images of it the training set has, and some of them."""

    wnid: str
    words: str
    images: int
    samples: Sequence[Sample]


class OddFile(NamedTuple):
    """A row of the ledger; `image` (256, 256, 3) is what became of the file, None: nothing."""

    name: str
    what: str
    done: str
    image: Pixels | None


class Draws(NamedTuple):
    """Random choices of training: tops, lefts (n,) of patches, shifts (n, 3) RGB, their side."""

    tops: Places
    lefts: Places
    shifts: Floats
    crop: int


def spread(items: Sequence[T], count: int) -> list[T]:
    """`count` of the items, or all where there are fewer, evenly spaced and in order."""
    count = min(count, len(items))
    return [items[n * len(items) // count] for n in range(count)]


def predictions(rows: Sequence[Row], val: Shards, index: Index) -> list[Prediction]:
    """A few of the rows of predictions.csv, evenly spaced over the classes."""
    by_class = sorted(rows, key=lambda row: int(row["label"]))
    return [_prediction(row, val, index) for row in spread(by_class, PREDICTIONS)]


def mistakes(rows: Iterable[Row], val: Shards, index: Index) -> list[Prediction]:
    """Of the rows of predictions.csv those wrong and most sure of it, the surest first."""
    wrong = [row for row in rows if row["label1"] != row["label"]]
    surest = sorted(wrong, key=lambda row: -float(row["probability1"]))
    return [_prediction(row, val, index) for row in surest[:MISTAKES]]


def ranks(rows: Sequence[Row]) -> list[int]:
    """Of how many rows the true label is the most probable, the second …, and none of those."""
    told = sum(f"label{rank}" in rows[0] for rank in range(1, 6))
    counts = [
        sum(row[f"label{rank}"] == row["label"] for row in rows) for rank in range(1, told + 1)
    ]
    return [*counts, len(rows) - sum(counts)]


def shelves(train: Shards, index: Index) -> list[Shelf]:
    """The first few training records of each of some classes, evenly spaced by label."""
    labels = train.labels[train.records]
    present = spread(np.unique(labels).tolist(), SHELVES)
    return [_shelf(label, train, index) for label in present]


def odd_files(splits: Iterable[Shards]) -> list[OddFile]:
    """The first rows of their ledgers, with what became of the files that were kept."""
    rows = [(split, row) for split in splits for row in split.manifest.odd]
    return [_odd_file(split, row) for split, row in rows[:ODD_FILES]]


def draws(model: ModelDescription, eigenvalues: Floats, eigenvectors: Floats) -> Draws:
    """What training chose for the first image of its first epochs."""
    recipe = make_recipe(model.recipe, model.lr, model.net.crop)
    some = [plan_epoch(model.seed, epoch, 1, recipe.augmentation) for epoch in range(PATCHES)]
    tops, lefts = (torch.cat([getattr(c, way) for c in some]).numpy() for way in ("tops", "lefts"))
    axes = torch.tensor(eigenvalues).double(), torch.tensor(eigenvectors).double()
    shifts = compute_colour_shifts(torch.cat([c.alphas for c in some]), *axes, recipe.colour_scale)
    return Draws(tops, lefts, shifts.numpy(), recipe.augmentation.crop)


def queries(path: Path, train: Shards, val: Shards, index: Index) -> list[Query]:
    """Every query of neighbours.csv with its neighbours."""
    near: dict[int, dict[str, list[int]]] = {}
    for row in read_rows(path):  # by rank, as they were written
        spaces = near.setdefault(int(row["query"]), {"features": [], "pixels": []})
        spaces[row["space"]].append(int(row["record"]))
    return [_query(record, spaces, train, val, index) for record, spaces in near.items()]


def read_rows(path: Path) -> list[Row]:
    """A CSV file's rows by its header. Raises ValueError where a line is cut short."""
    with path.open(newline="", encoding="utf-8") as file:
        rows: list[Row] = list(csv.DictReader(file))
    if any(None in row.values() for row in rows):
        raise ValueError(f"{path} has a line that is cut short")
    return rows


def _prediction(row: Row, val: Shards, index: Index) -> Prediction:
    label = int(row["label"])
    five = [
        (int(row[f"label{rank}"]), float(row[f"probability{rank}"]))
        for rank in range(1, 6)
        if f"label{rank}" in row
    ]
    guesses = [Guess(index.synsets[guess].words, p, guess == label) for guess, p in five]
    return Prediction(val.read(int(row["record"])), index.synsets[label].words, guesses)


def _shelf(label: int, train: Shards, index: Index) -> Shelf:
    records = np.flatnonzero(train.labels == label)
    names = index.splits["train"]["name"]
    samples = [
        Sample(train.read(n), bytes(names[n]).decode(errors="replace"), n)
        for n in records[:RECORDS].tolist()
    ]
    synset = index.synsets[label]
    return Shelf(synset.wnid, synset.words, len(records), samples)


def _odd_file(split: Shards, row: manifest.OddFile) -> OddFile:
    kept = split.labels[row.record] >= 0
    image = split.read(row.record) if kept else None
    return OddFile(row.name, row.what, row.done, image)


def _query(
    record: int, near: Mapping[str, Sequence[int]], train: Shards, val: Shards, index: Index
) -> Query:
    label = val.labels[record]
    spaces = {
        space: [
            Neighbour(
                train.read(n), index.synsets[train.labels[n]].words, bool(train.labels[n] == label)
            )
            for n in records
        ]
        for space, records in near.items()
    }
    return Query(val.read(record), index.synsets[label].words, **spaces)
