"""Which records are shown, against what the files say of them."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alexnet.dataset.index import ROW, Index, Synset
from alexnet.dataset.manifest import OddFile
from alexnet.dataset.shards import Shards
from alexnet.input.augment import AugmentSettings, plan_epoch
from alexnet.report import samples
from images import random_images, relabel, rewrite_manifest, write_split
from small_model import small_description

LABELS = [n % 5 for n in range(20)]


@pytest.fixture(scope="module")
def index() -> Index:
    rows = np.zeros(20, ROW)
    rows["label"] = LABELS
    rows["name"] = [f"{n}.JPEG" for n in range(20)]
    synsets = [Synset(label + 1, f"n{label}", f"word {label}, other") for label in range(5)]
    return Index({"train": rows, "val": rows}, [], synsets)


def rows(*told: tuple[int, int, str]) -> list[dict[str, str]]:
    """Rows of predictions.csv: record, most probable label and its probability; then label + 1."""
    return [
        {
            "record": str(record),
            "label": str(LABELS[record]),
            "label1": str(first),
            "probability1": probability,
            "label2": str((first + 1) % 5),
            "probability2": "0.1",
        }
        for record, first, probability in told
    ]


@pytest.mark.parametrize(("items", "count"), [(0, 4), (1, 4), (7, 3), (24, 24), (1000, 24)])
def test_spread_is_even_and_in_order(items: int, count: int) -> None:
    some = samples.spread(range(items), count)
    assert len(some) == min(items, count)
    gaps = set(np.diff(some).tolist())
    assert max(gaps, default=0) - min(gaps, default=0) <= 1
    assert some[:1] == ([0] if items else [])


def test_predictions_come_from_all_over_the_classes(split: Shards, index: Index) -> None:
    told = rows(*((n, LABELS[n], "0.5") for n in range(20)))
    shown = samples.predictions(told, split, index)
    assert [each.truth for each in shown] == [
        index.synsets[label].words for label in (0, 0, 1, 1, 2, 3, 3, 4)
    ]
    assert np.array_equal(shown[0].image, split.read(0))
    assert [guess.right for guess in shown[0].guesses] == [True, False]
    assert [guess.probability for guess in shown[0].guesses] == [0.5, 0.1]


def test_mistakes_are_those_wrong_and_surest_of_it(split: Shards, index: Index) -> None:
    told = rows((0, 0, "0.99"), (1, 2, "0.4"), (2, 1, "0.8"), (3, 0, "0.41"))
    shown = samples.mistakes(told, split, index)
    assert [each.truth for each in shown] == ["word 2, other", "word 3, other", "word 1, other"]
    assert [each.guesses[0].words for each in shown] == [f"word {n}, other" for n in (1, 0, 2)]
    assert np.array_equal(shown[0].image, split.read(2))
    assert samples.mistakes(rows((0, 0, "0.9")), split, index) == []


def test_ranks_count_where_the_true_label_stands() -> None:
    told = rows((0, 0, "0.9"), (1, 1, "0.9"), (2, 1, "0.5"), (3, 0, "0.5"), (4, 0, "0.5"))
    assert samples.ranks(told) == [2, 1, 2], "first, second, in neither place"


def test_shelves_hold_records_of_their_class(split: Shards, index: Index) -> None:
    shelves = samples.shelves(split, index)
    assert [(each.wnid, each.images) for each in shelves] == [(f"n{n}", 4) for n in range(5)]
    for label, shelf in enumerate(shelves):
        assert [each.record for each in shelf.samples] == [label, label + 5, label + 10, label + 15]
        for each in shelf.samples:
            assert each.source == f"{each.record}.JPEG"
            assert np.array_equal(each.image, split.read(each.record))


def test_shelves_are_few_and_short(split: Shards, index: Index, monkeypatch: Any) -> None:
    monkeypatch.setattr(samples, "SHELVES", 2)
    monkeypatch.setattr(samples, "RECORDS", 3)
    shelves = samples.shelves(split, index)
    assert [(each.wnid, len(each.samples)) for each in shelves] == [("n0", 3), ("n2", 3)]


def test_the_ledger_shows_what_became_of_each_file(tmp_path: Path) -> None:
    shards = write_split(tmp_path / "train", random_images(4), [0, 1, 0, 1])
    odd = [
        OddFile(2, "grey.JPEG", "raw", "mode L", "kept"),
        OddFile(3, "cut.JPEG", "raw", "truncated", "skipped"),
    ]
    relabel(tmp_path / "train", [0, 1, 0, -1])
    rewrite_manifest(tmp_path / "train", odd=odd)
    train = Shards(tmp_path / "train")
    kept, skipped = samples.odd_files([train, shards])
    assert (kept.name, kept.what, kept.done) == ("grey.JPEG", "mode L", "kept")
    assert kept.image is not None
    assert np.array_equal(kept.image, train.read(2))
    assert skipped.image is None


def test_neighbours_are_those_of_the_file_in_its_order(
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
    third, first = samples.queries(path, split, split, index)
    assert third.words == "word 3, other"
    assert [each.same for each in third.features] == [True, False]
    assert [each.same for each in third.pixels] == [False, True]
    assert [each.same for each in first.features] == [True, True]
    assert np.array_equal(first.pixels[0].image, split.read(2))
    assert np.array_equal(first.image, split.read(1))


def test_draws_are_those_of_training(tmp_path: Path) -> None:
    recipe = {
        "batch_size": 8,
        "epochs": 4,
        "momentum": 0.9,
        "weight_decay": 0.0005,
        "bias_lr_multiplier": 1,
    }
    recipe |= {
        "bias_decay": True,
        "plateau": None,
        "multistep": [2],
        "dexp": None,
        "crop_offsets": 33,
    }
    recipe |= {"random_crops": True, "images_per_crop": 32, "reflections": True, "alpha_std": 0.1}
    recipe |= {"mean_under_crop": True, "colour_scale": "sqrt_eigenvalue", "colour_until": None}
    recipe |= {
        "input_divisor": 1.0,
        "frozen_from": {},
        "layer_lr_multiplier": {},
        "shuffled_labels": False,
    }
    recipe |= {"precision": "auto"}
    model = replace(small_description(), recipe=recipe, seed=7)
    values = np.array([9000.0, 1600.0, 400.0], np.float32)
    axes = np.array([[0.6, 0.6, 0.53], [0.7, 0.0, -0.7], [0.4, -0.8, 0.4]], np.float32)
    draws = samples.draws(model, values, axes)
    assert draws.crop == 224
    assert len(draws.tops) == len(draws.lefts) == len(draws.shifts) == 4
    assert len(set(zip(draws.tops.tolist(), draws.lefts.tolist(), strict=True))) > 1
    for epoch in range(4):
        chosen = plan_epoch(7, epoch, 50, AugmentSettings(crop_offsets=33, images_per_crop=32))
        assert (draws.tops[epoch], draws.lefts[epoch]) == (chosen.tops[0], chosen.lefts[0])
        shift = sum(
            float(chosen.alphas[0, axis]) * values[axis] ** 0.5 * axes[axis].astype(float)
            for axis in range(3)
        )
        assert draws.shifts[epoch] == pytest.approx(shift, rel=1e-6)


def test_a_line_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_text("query,space,rank\n1,pixels,1\n")
    assert samples.read_rows(path) == [{"query": "1", "space": "pixels", "rank": "1"}]
    path.write_text("query,space,rank\n1,pixels,1\n2,pix")
    with pytest.raises(ValueError, match=r"some\.csv has a line that is cut short"):
        samples.read_rows(path)
