"""Confusion counts, hardest and most confused classes, counted by hand."""

import numpy as np
import pytest

from alexnet.figures.confusion import HardClass, count_confusions, hardest, most_confused


def test_confusions_are_counts_of_label_and_guess_pairs() -> None:
    draw = np.random.default_rng(0)
    labels, guesses = draw.integers(0, 7, (2, 500))
    matrix = count_confusions(labels, guesses, 9)
    assert matrix.dtype == np.int64
    pairs = list(zip(labels.tolist(), guesses.tolist(), strict=True))
    for row, column in np.ndindex(9, 9):
        assert matrix[row, column] == pairs.count((row, column))


@pytest.mark.parametrize(("labels", "guesses"), [([3], [0]), ([0], [-1]), ([0, 1], [0])])
def test_invalid_labels_are_rejected(labels: list[int], guesses: list[int]) -> None:
    with pytest.raises(ValueError, match=r"outside 0–2|guesses"):
        count_confusions(labels, guesses, 3)


def test_the_hardest_class_has_the_highest_error_rate() -> None:
    matrix = np.array(
        [
            [90, 6, 4, 0, 0],  # 10 of 100
            [1, 1, 2, 0, 0],  # 3 of 4
            [0, 0, 7, 0, 0],
            [1, 0, 1, 18, 0],  # 2 of 20, each as another class
            [0, 0, 0, 0, 0],  # no images
        ]
    )
    assert hardest(matrix) == [
        HardClass(label=1, images=4, wrong=3, taken_for=2, times=2),
        HardClass(label=0, images=100, wrong=10, taken_for=1, times=6),
        HardClass(label=3, images=20, wrong=2, taken_for=0, times=1),
    ]


def test_most_confused_classes_are_placed_side_by_side() -> None:
    matrix = np.diag([50] * 8)
    matrix[6, 1], matrix[1, 6], matrix[3, 5], matrix[7, 6], matrix[0, 2] = 9, 4, 8, 7, 1
    assert most_confused(matrix, 8) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert most_confused(matrix, 7) == [1, 6, 7, 3, 5, 0, 2]
    assert most_confused(matrix, 6) == [1, 6, 7, 3, 5]
    assert most_confused(matrix, 2) == [1, 6]
    assert most_confused(np.diag([50] * 8), 3) == [0, 1, 2]
