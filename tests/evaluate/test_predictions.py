"""The files of data/evaluate, read as people and ILSVRC's server would."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.dataset.index import ROW, Index, Rows, Synset
from alexnet.evaluate.predictions import choose_split, write_predictions
from alexnet.inference.predict import Predictions
from alexnet.inference.top_k import rank_labels
from alexnet.runtime.errors import InputError
from images import files_end_at, random_images, write_split
from small_model import small_description

NAMES = ["c.JPEG", "a.JPEG", 'd,"ü".JPEG', "b.JPEG"]
SYNSETS = [Synset(n + 11, f"n{n:08d}", "a word") for n in range(7)]


@pytest.fixture
def rows() -> Rows:
    made = np.zeros(4, ROW)
    made["name"] = [name.encode() for name in NAMES]
    return made


def predictions(records: list[int], classes: int = 7) -> Predictions:
    told = torch.rand(len(records), classes)
    likely = rank_labels(told)
    labels = torch.arange(len(records))
    return Predictions(torch.tensor(records), labels, *likely, likely[0], told)


def test_a_row_an_image(tmp_path: Path, rows: Rows) -> None:
    made = predictions([0, 2, 3])
    write_predictions(tmp_path, made, rows, SYNSETS)
    with (tmp_path / "predictions.csv").open(newline="", encoding="utf-8") as file:
        told = list(csv.DictReader(file))
    five = [f"{what}{rank}" for rank in range(1, 6) for what in ("label", "probability")]
    assert list(told[0]) == ["record", "name", "label", *five]
    assert [row["record"] for row in told] == ["0", "2", "3"]
    assert [row["name"] for row in told] == [NAMES[0], NAMES[2], NAMES[3]]
    assert [row["label"] for row in told] == ["0", "1", "2"]
    assert made.probabilities is not None
    for row, given in zip(told, made.probabilities.tolist(), strict=True):
        for rank in range(1, 6):
            assert float(row[f"probability{rank}"]) == pytest.approx(
                given[int(row[f"label{rank}"])], abs=6e-7
            )
    table = np.load(tmp_path / "probabilities.npy")
    assert table.dtype == np.float32
    assert np.array_equal(table, made.probabilities)


def test_a_submission_has_a_line_an_image_in_the_order_of_names(tmp_path: Path, rows: Rows) -> None:
    """Also for one that could not be read, so that the others keep their places."""
    made = predictions([0, 2, 3])
    write_predictions(tmp_path, made, rows, SYNSETS)
    lines = (tmp_path / "submission.txt").read_text().splitlines()
    c, d, b = (" ".join(str(label + 11) for label in top) for top in made.top.tolist())
    assert lines == ["0 0 0 0 0", b, c, d]


def test_fewer_classes_and_no_ids(tmp_path: Path, rows: Rows) -> None:
    plain = [Synset(0, name, name) for name in ("cat", "dog")]
    write_predictions(tmp_path, predictions([1, 2], 2), rows, plain)
    header = (tmp_path / "predictions.csv").read_text().splitlines()[0]
    assert header == "record,name,label,label1,probability1,label2,probability2"
    assert not (tmp_path / "submission.txt").exists()


def test_the_split_never_looked_at_is_tested(tmp_path: Path, rows: Rows) -> None:
    model = replace(small_description(), synsets=SYNSETS)
    for split in ("val", "test"):
        write_split(tmp_path / "shards" / split, random_images(4), [0, 1, 2, 3])
    both = Index({"train": rows, "val": rows, "test": rows}, [], SYNSETS)
    without = Index({"train": rows, "val": rows}, [], SYNSETS)
    assert choose_split(tmp_path, both, model)[0] == "test"
    split, shards = choose_split(tmp_path, without, model)
    assert (split, shards.folder.name) == ("val", "val")
    with pytest.raises(InputError, match=r"shards/test is not of the images in .*; fix: dvc repro"):
        choose_split(tmp_path, Index({"test": rows[:3]}, [], SYNSETS), model)
    with pytest.raises(InputError, match="not trained on the classes of"):
        choose_split(tmp_path, both, replace(model, synsets=SYNSETS[1:]))


def test_not_one_byte_of_the_probabilities_is_lost_in_silence(tmp_path: Path, rows: Rows) -> None:
    made, synsets = predictions([0, 2, 3], classes=500), SYNSETS * 100
    write_predictions(tmp_path, made, rows, synsets)
    size = (tmp_path / "probabilities.npy").stat().st_size
    with files_end_at(size - 1), pytest.raises(OSError, match="too large"):
        write_predictions(tmp_path, made, rows, synsets)
