"""The images that the report shows are those that the files name."""

import csv
from pathlib import Path

import numpy as np
import pytest

from alexnet.dataset.index import ROW, Index, Synset
from alexnet.dataset.manifest import OddFile
from alexnet.dataset.shards import Shards
from alexnet.evaluate.predictions import PredictionRows
from alexnet.report import samples
from images import random_images, relabel, rewrite_manifest, write_split

LABELS = [n % 5 for n in range(20)]


@pytest.fixture(scope="module")
def index() -> Index:
    rows = np.zeros(20, ROW)
    rows["label"] = LABELS
    rows["name"] = [f"{n}.JPEG" for n in range(20)]
    synsets = [Synset(label + 1, f"n{label}", f"word {label}, other") for label in range(5)]
    return Index({"train": rows, "val": rows}, [], synsets)


def prediction_rows(*rows: tuple[int, int, float]) -> PredictionRows:
    """Return rows of (record, first guess, its probability); the second guess is the next label."""
    records, first, probabilities = map(np.array, zip(*rows, strict=True))
    return PredictionRows(
        records,
        [f"{record}.JPEG" for record in records],
        np.array(LABELS)[records],
        np.stack([first, (first + 1) % 5], axis=1),
        np.stack([probabilities, np.full(len(rows), 0.1)], axis=1),
    )


@pytest.mark.parametrize(("items", "count"), [(0, 4), (1, 4), (7, 3), (24, 24), (1000, 24)])
def test_spread_is_even_and_in_order(items: int, count: int) -> None:
    chosen = samples.spread(range(items), count)
    assert len(chosen) == min(items, count)
    gaps = set(np.diff(chosen).tolist())
    assert max(gaps, default=0) - min(gaps, default=0) <= 1
    assert chosen[:1] == ([0] if items else [])


def test_predictions_are_spread_over_the_classes(split: Shards, index: Index) -> None:
    rows = prediction_rows(*((n, LABELS[n], 0.5) for n in range(20)))
    shown = samples.sample_predictions(rows, split, index)
    assert [prediction.truth for prediction in shown] == [
        index.synsets[label].words for label in (0, 0, 1, 1, 2, 3, 3, 4)
    ]
    assert np.array_equal(shown[0].image, split.read(0))
    assert [guess.correct for guess in shown[0].guesses] == [True, False]
    assert [guess.probability for guess in shown[0].guesses] == [0.5, 0.1]


def test_mistakes_are_the_wrong_predictions_of_highest_probability(
    split: Shards, index: Index
) -> None:
    rows = prediction_rows((0, 0, 0.99), (1, 2, 0.4), (2, 1, 0.8), (3, 0, 0.41))
    shown = samples.surest_mistakes(rows, split, index)
    assert [mistake.truth for mistake in shown] == [
        "word 2, other",
        "word 3, other",
        "word 1, other",
    ]
    assert [mistake.guesses[0].words for mistake in shown] == [
        f"word {n}, other" for n in (1, 0, 2)
    ]
    assert np.array_equal(shown[0].image, split.read(2))
    assert samples.surest_mistakes(prediction_rows((0, 0, 0.9)), split, index) == []


def test_ranks_are_counted() -> None:
    rows = prediction_rows((0, 0, 0.9), (1, 1, 0.9), (2, 1, 0.5), (3, 0, 0.5), (4, 0, 0.5))
    assert samples.count_ranks(rows) == [2, 1, 2], "first, second, not guessed"


def test_class_samples_are_records_of_their_class(split: Shards, index: Index) -> None:
    classes = samples.sample_classes(split, index)
    assert [(shown.wnid, shown.images) for shown in classes] == [(f"n{n}", 4) for n in range(5)]
    for label, shown in enumerate(classes):
        assert [sample.record for sample in shown.samples] == [
            label,
            label + 5,
            label + 10,
            label + 15,
        ]
        for sample in shown.samples:
            assert sample.source == f"{sample.record}.JPEG"
            assert np.array_equal(sample.image, split.read(sample.record))


def test_the_numbers_of_classes_and_samples_are_limited(
    split: Shards, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "CLASSES", 2)
    monkeypatch.setattr(samples, "RECORDS", 3)
    classes = samples.sample_classes(split, index)
    assert [(shown.wnid, len(shown.samples)) for shown in classes] == [("n0", 3), ("n2", 3)]


def test_odd_files_are_shown_with_the_images_that_were_kept(tmp_path: Path) -> None:
    shards = write_split(tmp_path / "train", random_images(4), [0, 1, 0, 1])
    odd = [
        OddFile(2, "grey.JPEG", "raw", "mode L", "kept"),
        OddFile(3, "cut.JPEG", "raw", "truncated", "skipped"),
    ]
    relabel(tmp_path / "train", [0, 1, 0, -1])
    rewrite_manifest(tmp_path / "train", odd=odd)
    train = Shards(tmp_path / "train")
    kept, skipped = samples.first_odd_files([train, shards])
    assert (kept.name, kept.problem, kept.action) == ("grey.JPEG", "mode L", "kept")
    assert kept.image is not None
    assert np.array_equal(kept.image, train.read(2))
    assert skipped.image is None


def test_queries_have_the_neighbours_of_the_file_in_order(
    tmp_path: Path, split: Shards, index: Index
) -> None:
    path = tmp_path / "neighbours.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["query", "space", "rank", "record", "distance"])
        for query, space, records in (
            (3, "features", (8, 4)),
            (3, "pixels", (0, 13)),
            (1, "features", (6, 11)),
            (1, "pixels", (2, 2)),
        ):
            writer.writerows([query, space, n, record, n] for n, record in enumerate(records, 1))
    third, first = samples.read_queries(path, split, split, index)
    assert third.words == "word 3, other"
    assert [neighbour.same_class for neighbour in third.features] == [True, False]
    assert [neighbour.same_class for neighbour in third.pixels] == [False, True]
    assert [neighbour.same_class for neighbour in first.features] == [True, True]
    assert np.array_equal(first.pixels[0].image, split.read(2))
    assert np.array_equal(first.image, split.read(1))


def test_augmentation_examples_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "augmentation.csv"
    path.write_text(
        "epoch,top,left,crop,mirrored,red,green,blue\n"
        "1,0,31,224,0,1.5,-2.25,0.125\n"
        "2,8,4,224,1,-10.0,0.0,3e-05\n"
    )
    examples = samples.read_augmentation(path)
    assert (examples.offsets, examples.crop) == ([(0, 31), (8, 4)], 224)
    assert examples.shifts.tolist() == [[1.5, -2.25, 0.125], [-10.0, 0.0, 3e-05]]


def test_a_truncated_row_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("query,space,rank\n1,pixels,1\n")
    assert samples.read_rows(path) == [{"query": "1", "space": "pixels", "rank": "1"}]
    path.write_text("query,space,rank\n1,pixels,1\n2,pix")
    with pytest.raises(ValueError, match=r"rows\.csv has a truncated row"):
        samples.read_rows(path)
