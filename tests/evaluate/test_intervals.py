"""Intervals against the formulas written out, their coverage, and packed bits."""

import math

import numpy as np
import pytest

from alexnet.evaluate.intervals import pack_bits, paired_interval, unpack_bits, wilson_interval


@pytest.mark.parametrize("images", [1, 7, 8, 300])
def test_packed_bits_unpack_to_the_same_images(images: int) -> None:
    wrong = np.random.default_rng(images).random(images) < 0.3
    assert np.array_equal(unpack_bits(pack_bits(wrong), images), wrong)
    with pytest.raises(ValueError, match="are not the bits of"):
        unpack_bits(pack_bits(wrong), images + 8)


@pytest.mark.parametrize(("wrong", "n"), [(5, 10), (0, 300), (300, 300), (71, 300), (1, 50_000)])
def test_wilson_bounds_solve_the_score_equation(wrong: int, n: int) -> None:
    rate = wrong / n
    bounds = wilson_interval(rate, n)
    for bound in bounds:
        score = (rate - bound) ** 2
        assert score == pytest.approx(1.959964**2 * bound * (1 - bound) / n, abs=1e-12)
    assert bounds[0] <= rate <= bounds[1]
    assert wilson_interval(0.5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson_interval(0.3, 0) == (0, 1)


def test_the_paired_interval_is_that_of_agresti_and_min() -> None:
    """Computed from the table of four cells, with half an image added to each."""
    both, more, less, neither = 40, 21, 9, 230
    wrong = np.repeat([True, True, False, False], [both, more, less, neither])
    base = np.repeat([True, False, True, False], [both, more, less, neither])
    n = both + more + less + neither + 2
    p12, p21 = (more + 0.5) / n, (less + 0.5) / n
    half = 1.959964 * math.sqrt((p12 + p21 - (p12 - p21) ** 2) / n)
    expected = 100 * (p12 - p21 - half), 100 * (p12 - p21 + half)
    assert paired_interval(wrong, base) == pytest.approx(expected)


def test_the_paired_interval_covers_the_true_difference_in_95_percent_of_trials() -> None:
    rng, covered, trials, images = np.random.default_rng(0), 0, 2000, 300
    for _ in range(trials):
        hard = rng.random(images) < 0.12  # for both
        wrong = hard ^ (rng.random(images) < 0.06)
        base = hard ^ (rng.random(images) < 0.02)
        low, high = paired_interval(wrong, base)
        covered += low <= 100 * (0.06 - 0.02) * (1 - 2 * 0.12) <= high
    assert 0.935 < covered / trials < 0.975


def test_images_that_both_get_wrong_only_narrow_the_paired_interval() -> None:
    wrong, base = np.array([True] * 3 + [False] * 97), np.array([True] * 2 + [False] * 98)
    more = np.array([True] * 50)
    longer = paired_interval(np.r_[wrong, more], np.r_[base, more])
    assert longer[1] - longer[0] < sum(map(abs, paired_interval(wrong, base)))
    assert paired_interval(wrong, wrong)[0] < 0 < paired_interval(wrong, wrong)[1]
