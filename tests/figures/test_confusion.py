"""Who is taken for whom, counted by hand."""

import numpy as np
import pytest

from alexnet.figures.confusion import Hard, confusion, entangled, hardest


def test_confusion_is_a_count_of_pairs() -> None:
    draw = np.random.default_rng(0)
    labels, guesses = draw.integers(0, 7, (2, 500))
    matrix = confusion(labels, guesses, 9)
    assert matrix.dtype == np.int64
    pairs = list(zip(labels.tolist(), guesses.tolist(), strict=True))
    for row, column in np.ndindex(9, 9):
        assert matrix[row, column] == pairs.count((row, column))


@pytest.mark.parametrize(("labels", "guesses"), [([3], [0]), ([0], [-1]), ([0, 1], [0])])
def test_what_is_no_label_is_refused(labels: list[int], guesses: list[int]) -> None:
    with pytest.raises(ValueError, match=r"classes|guesses"):
        confusion(labels, guesses, 3)


def test_the_hardest_class_has_the_greatest_error_not_the_most_mistakes() -> None:
    matrix = np.array(
        [
            [90, 6, 4, 0, 0],  # 10 of 100
            [1, 1, 2, 0, 0],  # 3 of 4
            [0, 0, 7, 0, 0],
            [1, 0, 1, 18, 0],  # 2 of 20, taken for two as often
            [0, 0, 0, 0, 0],  # no image at all
        ]
    )
    assert hardest(matrix) == [
        Hard(label=1, images=4, wrong=3, taken_for=2, times=2),
        Hard(label=0, images=100, wrong=10, taken_for=1, times=6),
        Hard(label=3, images=20, wrong=2, taken_for=0, times=1),
    ]


def test_entangled_classes_stand_beside_each_other() -> None:
    matrix = np.diag([50] * 8)
    matrix[6, 1], matrix[1, 6], matrix[3, 5], matrix[7, 6], matrix[0, 2] = 9, 4, 8, 7, 1
    assert entangled(matrix, 8) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert entangled(matrix, 7) == [1, 6, 7, 3, 5, 0, 2]
    assert entangled(matrix, 6) == [1, 6, 7, 3, 5]
    assert entangled(matrix, 2) == [1, 6]
    assert entangled(np.diag([50] * 8), 3) == [0, 1, 2]
