"""The images that the report shows, chosen from the shards and the tables of earlier stages."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from alexnet.dataset import manifest
from alexnet.dataset.index import Index
from alexnet.dataset.shards import Shards
from alexnet.evaluate.predictions import PredictionRows
from alexnet.figures.augmentation import AugmentationExamples
from alexnet.figures.neighbours import Neighbour, Query
from alexnet.figures.predictions import Guess, Prediction
from alexnet.figures.style import Pixels

PREDICTIONS = 8  # as in the paper's figure 4
MISTAKES = 8
CLASSES, RECORDS = 24, 5  # classes shown at most, and records of each
ODD_FILES = 50
Row = Mapping[str, str]
T = TypeVar("T")


class Sample(NamedTuple):
    """A record: pixels (256, 256, 3), source file, record number."""

    image: Pixels
    source: str
    record: int


class ClassSamples(NamedTuple):
    """A class, the number of its training images, and some of them."""

    wnid: str
    words: str
    images: int
    samples: Sequence[Sample]


class OddFile(NamedTuple):
    """An odd file; `image` (256, 256, 3) is None if it was skipped."""

    name: str
    problem: str
    action: str
    image: Pixels | None


def spread(items: Sequence[T], count: int) -> list[T]:
    """Return at most `count` items, evenly spaced and in order."""
    count = min(count, len(items))
    return [items[n * len(items) // count] for n in range(count)]


def sample_predictions(rows: PredictionRows, shards: Shards, index: Index) -> list[Prediction]:
    """Return a few predictions, evenly spaced over the classes."""
    by_class = np.argsort(rows.labels, kind="stable").tolist()
    return [_prediction(n, rows, shards, index) for n in spread(by_class, PREDICTIONS)]


def surest_mistakes(rows: PredictionRows, shards: Shards, index: Index) -> list[Prediction]:
    """Return the wrong predictions of the highest probability, highest first."""
    order = np.argsort(-rows.probabilities[:, 0], kind="stable")
    mistakes = order[rows.wrong(1)[order]][:MISTAKES]
    return [_prediction(n, rows, shards, index) for n in mistakes.tolist()]


def count_ranks(rows: PredictionRows) -> list[int]:
    """Count images by rank of the true label; last: not guessed."""
    counts: list[int] = np.bincount(rows.ranks, minlength=rows.guesses.shape[1] + 2)[1:].tolist()
    return counts


def sample_classes(train: Shards, index: Index) -> list[ClassSamples]:
    """Return the first training records of some classes, evenly spaced by label."""
    labels = np.unique(train.labels[train.records]).tolist()
    return [_class_samples(label, train, index) for label in spread(labels, CLASSES)]


def first_odd_files(splits: Iterable[Shards]) -> list[OddFile]:
    """Return the first odd files, with images of those kept."""
    entries = [(split, entry) for split in splits for entry in split.manifest.odd]
    return [_odd_file(split, entry) for split, entry in entries[:ODD_FILES]]


def read_augmentation(path: Path) -> AugmentationExamples:
    """Read augmentation.csv: the first training image's random choices in the first epochs."""
    rows = read_rows(path)
    tops, lefts, crops = (
        np.array([int(row[name]) for row in rows]) for name in ("top", "left", "crop")
    )
    shifts = [[float(row[name]) for name in ("red", "green", "blue")] for row in rows]
    return AugmentationExamples(tops, lefts, np.array(shifts), int(crops[0]))


def read_queries(path: Path, train: Shards, val: Shards, index: Index) -> list[Query]:
    """Read neighbours.csv: every query with its neighbours."""
    queries: dict[int, dict[str, list[int]]] = {}
    for row in read_rows(path):  # in order of rank
        spaces = queries.setdefault(int(row["query"]), {"features": [], "pixels": []})
        spaces[row["space"]].append(int(row["record"]))
    return [_query(record, spaces, train, val, index) for record, spaces in queries.items()]


def read_rows(path: Path) -> list[Row]:
    """Read a CSV file's rows. Raises ValueError if one is truncated."""
    with path.open(newline="", encoding="utf-8") as file:
        rows: list[Row] = list(csv.DictReader(file))
    if any(None in row.values() for row in rows):
        raise ValueError(f"{path} has a truncated row")
    return rows


def _prediction(n: int, rows: PredictionRows, shards: Shards, index: Index) -> Prediction:
    label = int(rows.labels[n])
    pairs = zip(rows.guesses[n].tolist(), rows.probabilities[n].tolist(), strict=True)
    guesses = [Guess(index.synsets[guess].words, p, guess == label) for guess, p in pairs]
    return Prediction(shards.read(int(rows.records[n])), index.synsets[label].words, guesses)


def _class_samples(label: int, train: Shards, index: Index) -> ClassSamples:
    records = np.flatnonzero(train.labels == label)
    names = index.splits["train"]["name"]
    samples = [
        Sample(train.read(n), bytes(names[n]).decode(errors="replace"), n)
        for n in records[:RECORDS].tolist()
    ]
    synset = index.synsets[label]
    return ClassSamples(synset.wnid, synset.words, len(records), samples)


def _odd_file(split: Shards, entry: manifest.OddFile) -> OddFile:
    kept = split.labels[entry.record] >= 0
    image = split.read(entry.record) if kept else None
    return OddFile(entry.name, entry.what, entry.done, image)


def _query(
    record: int, spaces: Mapping[str, Sequence[int]], train: Shards, val: Shards, index: Index
) -> Query:
    label = val.labels[record]
    neighbours = {
        space: [_neighbour(n, label, train, index) for n in records]
        for space, records in spaces.items()
    }
    return Query(val.read(record), index.synsets[label].words, **neighbours)


def _neighbour(record: int, query_label: int, train: Shards, index: Index) -> Neighbour:
    label = train.labels[record]
    return Neighbour(train.read(record), index.synsets[label].words, bool(label == query_label))
