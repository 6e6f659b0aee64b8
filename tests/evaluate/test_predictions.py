"""predictions.csv: what is read is what was written, and a damaged file is rejected."""

from pathlib import Path

import numpy as np
import pytest

from alexnet.evaluate.intervals import unpack_bits
from alexnet.evaluate.predictions import PredictionRows, read_predictions, write_rows
from alexnet.runtime.errors import InputError

LABELS = np.array([3, 4, 9])
GUESSES = np.array([[3, 0, 1, 2, 4], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]])
ROWS = PredictionRows(
    np.array([0, 2, 5]), ["a.JPEG", 'b,"ü".JPEG', "c\n"], LABELS, GUESSES, np.full((3, 5), 0.125)
)


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_rows(tmp_path / "p.csv", ROWS)
    read = read_predictions(tmp_path / "p.csv")
    assert read.images == ROWS.images == [(0, "a.JPEG", 3), (2, 'b,"ü".JPEG', 4), (5, "c\n", 9)]
    assert np.array_equal(read.guesses, GUESSES)
    assert np.array_equal(read.probabilities, ROWS.probabilities)


def test_ranks_are_the_places_of_the_true_labels() -> None:
    assert ROWS.ranks.tolist() == [1, 5, 6]
    assert ROWS.wrong(1).tolist() == [False, True, True]
    assert ROWS.wrong(5).tolist() == [False, False, True]
    two = PredictionRows(ROWS.records, ROWS.names, LABELS, GUESSES[:, :2], np.zeros((3, 2)))
    assert two.ranks.tolist() == [1, 3, 3]
    assert two.wrong(5).tolist() == [False, True, True]


def test_wrong_images_are_packed_bits() -> None:
    packed = ROWS.wrong_images()
    assert unpack_bits(packed["top1"], 3).tolist() == [False, True, True]
    assert unpack_bits(packed["top5"], 3).tolist() == [False, False, True]


HEADER = "record,name,label,label1,probability1\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not enough values"),
        ("record,name\n0,a\n", "invalid columns"),
        (HEADER.replace("name,", "") + "0,0,0,0.5\n", "invalid columns"),
        (HEADER, "no rows"),
        (HEADER + "0,a,0,0,0.5\n1,b,0", "line 3 has 3 of 5 cells"),
        (HEADER + "0,a,zero,0,0.5\n", "invalid literal"),
        (HEADER + "0,a,1" + 30 * "0" + ",0,0.5\n", ""),
        (HEADER + "0,a,-1,0,0.5\n", "below 0"),
        (HEADER + "0,a,0,0,nan\n", "outside 0–1"),
        (HEADER + "0,a,0,0,1.5\n", "outside 0–1"),
        ("\0", ""),
        (HEADER + "0,a,0,0,\xff", "can't decode"),
    ],
)
def test_a_damaged_file_is_rejected_in_one_line(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text(text, encoding="latin1")
    message = (
        rf"p.*\.csv is not a valid predictions file: .*{problem}.*; fix: dvc repro -f evaluate"
    )
    with pytest.raises(InputError, match=message) as error:
        read_predictions(path)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_predictions(tmp_path / "predictions.csv")
