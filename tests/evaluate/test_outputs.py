"""The files of data/evaluate, read as people and ILSVRC's server read them."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.dataset.index import ROW, Index, Rows, Synset
from alexnet.evaluate.outputs import choose_split, write_outputs
from alexnet.inference.predict import Predictions
from alexnet.inference.top_k import rank_labels
from alexnet.runtime.errors import InputError
from images import files_end_at, random_images, write_split
from small_model import small_description

NAMES = ["c.JPEG", "a.JPEG", 'd,"ü".JPEG', "b.JPEG"]
SYNSETS = [Synset(n + 11, f"n{n:08d}", "a word") for n in range(7)]


@pytest.fixture
def index_rows() -> Rows:
    rows = np.zeros(4, ROW)
    rows["name"] = [name.encode() for name in NAMES]
    return rows


def random_predictions(records: list[int], classes: int = 7) -> Predictions:
    probabilities = torch.rand(len(records), classes)
    top = rank_labels(probabilities)
    labels = torch.arange(len(records))
    return Predictions(torch.tensor(records), labels, *top, top[0], probabilities)


def test_predictions_csv_has_one_row_an_image(tmp_path: Path, index_rows: Rows) -> None:
    predictions = random_predictions([0, 2, 3])
    write_outputs(tmp_path, predictions, index_rows, SYNSETS)
    with (tmp_path / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    pairs = [f"{name}{rank}" for rank in range(1, 6) for name in ("label", "probability")]
    assert list(rows[0]) == ["record", "name", "label", *pairs]
    assert [row["record"] for row in rows] == ["0", "2", "3"]
    assert [row["name"] for row in rows] == [NAMES[0], NAMES[2], NAMES[3]]
    assert [row["label"] for row in rows] == ["0", "1", "2"]
    assert predictions.probabilities is not None
    for row, probabilities in zip(rows, predictions.probabilities.tolist(), strict=True):
        for rank in range(1, 6):
            assert float(row[f"probability{rank}"]) == pytest.approx(
                probabilities[int(row[f"label{rank}"])], abs=6e-7
            )
    table = np.load(tmp_path / "probabilities.npy")
    assert table.dtype == np.float32
    assert np.array_equal(table, predictions.probabilities)


def test_a_submission_has_one_line_an_image_sorted_by_name(
    tmp_path: Path, index_rows: Rows
) -> None:
    """Unreadable images have a line too, so that the others keep their places."""
    predictions = random_predictions([0, 2, 3])
    write_outputs(tmp_path, predictions, index_rows, SYNSETS)
    lines = (tmp_path / "submission.txt").read_text().splitlines()
    c, d, b = (" ".join(str(label + 11) for label in top) for top in predictions.top.tolist())
    assert lines == ["0 0 0 0 0", b, c, d]


def test_two_classes_without_devkit_ids_have_two_guesses_and_no_submission(
    tmp_path: Path, index_rows: Rows
) -> None:
    synsets = [Synset(0, name, name) for name in ("cat", "dog")]
    write_outputs(tmp_path, random_predictions([1, 2], 2), index_rows, synsets)
    header = (tmp_path / "predictions.csv").read_text().splitlines()[0]
    assert header == "record,name,label,label1,probability1,label2,probability2"
    assert not (tmp_path / "submission.txt").exists()


def test_test_is_evaluated_before_val(tmp_path: Path, index_rows: Rows) -> None:
    model = replace(small_description(), synsets=SYNSETS)
    for split in ("val", "test"):
        write_split(tmp_path / "shards" / split, random_images(4), [0, 1, 2, 3])
    both = Index({"train": index_rows, "val": index_rows, "test": index_rows}, [], SYNSETS)
    without = Index({"train": index_rows, "val": index_rows}, [], SYNSETS)
    assert choose_split(tmp_path, both, model)[0] == "test"
    split, shards = choose_split(tmp_path, without, model)
    assert (split, shards.folder.name) == ("val", "val")
    with pytest.raises(InputError, match=r"hold different numbers of images; fix: dvc repro"):
        choose_split(tmp_path, Index({"test": index_rows[:3]}, [], SYNSETS), model)
    with pytest.raises(InputError, match="trained on classes other than"):
        choose_split(tmp_path, both, replace(model, synsets=SYNSETS[1:]))


def test_a_full_disk_is_an_error_even_at_the_last_byte(tmp_path: Path, index_rows: Rows) -> None:
    predictions, synsets = random_predictions([0, 2, 3], classes=500), SYNSETS * 100
    write_outputs(tmp_path, predictions, index_rows, synsets)
    size = (tmp_path / "probabilities.npy").stat().st_size
    with files_end_at(size - 1), pytest.raises(OSError, match="too large"):
        write_outputs(tmp_path, predictions, index_rows, synsets)
