"""The difference of two runs on the same images, and how sure it is."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.dataset.index import ROW, Synset
from alexnet.evaluate.intervals import bits, difference_interval, read_wrong, unpacked
from alexnet.evaluate.predictions import write_predictions
from alexnet.inference.predict import Predictions
from alexnet.runtime.errors import InputError


@pytest.mark.parametrize("images", [1, 7, 8, 300])
def test_bits_come_back(images: int) -> None:
    wrong = np.random.default_rng(images).random(images) < 0.3
    assert np.array_equal(unpacked(bits(wrong), images), wrong)
    with pytest.raises(ValueError, match="not the bits of"):
        unpacked(bits(wrong), images + 8)


def test_which_images_are_wrong_is_read_from_the_predictions(tmp_path: Path) -> None:
    labels = torch.tensor([3, 4, 9])
    top = torch.tensor([[3, 0, 1, 2, 4], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]])
    told = Predictions(torch.arange(3), labels, top, torch.full((3, 5), 0.2), None, None)
    write_predictions(tmp_path, told, np.zeros(3, ROW), [Synset(0, "a", "b")])
    wrong = read_wrong(tmp_path / "predictions.csv")
    assert unpacked(wrong["top1"], 3).tolist() == [False, True, True]
    assert unpacked(wrong["top5"], 3).tolist() == [False, False, True]


@pytest.mark.parametrize("text", ["", "record,name\n0,a\n", "\0", "record,label\n\xff"])
def test_what_holds_no_predictions_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text(text, encoding="latin1")
    with pytest.raises(InputError, match=r"holds no predictions: .*; fix: dvc repro"):
        read_wrong(path)


def test_the_interval_is_that_of_agresti_and_min() -> None:
    """Written out on a table of four cells, half an image more in each."""
    both, more, less, none = 40, 21, 9, 230
    wrong = np.repeat([True, True, False, False], [both, more, less, none])
    base = np.repeat([True, False, True, False], [both, more, less, none])
    n = both + more + less + none + 2
    p12, p21 = (more + 0.5) / n, (less + 0.5) / n
    half = 1.959964 * math.sqrt((p12 + p21 - (p12 - p21) ** 2) / n)
    expected = 100 * (p12 - p21 - half), 100 * (p12 - p21 + half)
    assert difference_interval(wrong, base) == pytest.approx(expected)


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng, covered, rounds, images = np.random.default_rng(0), 0, 2000, 300
    for _ in range(rounds):
        hard = rng.random(images) < 0.12  # for both
        wrong = hard ^ (rng.random(images) < 0.06)
        base = hard ^ (rng.random(images) < 0.02)
        low, high = difference_interval(wrong, base)
        covered += low <= 100 * (0.06 - 0.02) * (1 - 2 * 0.12) <= high
    assert 0.935 < covered / rounds < 0.975


def test_what_both_have_wrong_tells_nothing() -> None:
    wrong, base = np.array([True] * 3 + [False] * 97), np.array([True] * 2 + [False] * 98)
    more = np.array([True] * 50)
    longer = difference_interval(np.r_[wrong, more], np.r_[base, more])
    assert longer[1] - longer[0] < sum(map(abs, difference_interval(wrong, base)))
    assert difference_interval(wrong, wrong)[0] < 0 < difference_interval(wrong, wrong)[1]
