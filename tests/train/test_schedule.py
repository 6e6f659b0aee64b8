"""The plateau, multistep and dexp schedules of the learning rate."""

from typing import Any

import numpy as np
import pytest

from alexnet.runtime.errors import InputError
from alexnet.train.schedule import Dexp, Multistep, Plateau, Schedule, make_schedule


def follow(schedule: Schedule, errors: list[float]) -> list[tuple[float, bool]]:
    """Return factor and end after each epoch's error."""
    states = []
    for error in errors:
        schedule = schedule.after(error)
        states.append((schedule.factor, schedule.ended))
    return states


def plateau_factors(errors: list[float]) -> list[float]:
    return [factor for factor, _ in follow(Plateau(patience=2, drops=3), errors)]


def test_falling_error_keeps_the_rate() -> None:
    assert plateau_factors([50, 40, 30, 29.9, 29.8]) == [1.0] * 5


def test_rate_falls_three_times_then_training_ends() -> None:
    """With patience 2, every two epochs without a lower error are a plateau; the fourth ends."""
    states = follow(Plateau(patience=2, drops=3), [50] + [60] * 8)
    factors = [1, 1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001, 0.001]
    assert states == list(zip(factors, [False] * 8 + [True], strict=True))


def test_lower_error_restarts_the_wait() -> None:
    assert plateau_factors([50, 60, 49, 60, 60]) == [1, 1, 1, 1, 0.1]


def test_equal_error_is_not_an_improvement() -> None:
    assert plateau_factors([50, 50, 50]) == [1, 1, 0.1]


def test_multistep_divides_by_ten_after_each_listed_epoch_and_never_ends() -> None:
    states = follow(Multistep((2, 3)), [50.0] * 4)
    assert states == [(1, False), (0.1, False), (0.01, False), (0.01, False)]


def test_dexp_falls_by_equal_factors_to_one_over_span() -> None:
    factors = [1.0, *(factor for factor, _ in follow(Dexp(250, steps=4, epochs=8), [50.0] * 7))]
    expected = np.repeat([1, 250 ** (-1 / 3), 250 ** (-2 / 3), 1 / 250], 2)
    np.testing.assert_allclose(factors, expected)


def test_make_schedule_makes_the_one_that_is_set() -> None:
    assert make_schedule({"patience": 5, "drops": 3}, None, None, 90) == Plateau(5, 3)
    assert make_schedule(None, [1, 2], None, 90) == Multistep((1, 2))
    assert make_schedule(None, None, {"span": 250, "steps": 4}, 90) == Dexp(250, 4, 90)


@pytest.mark.parametrize(
    "kinds", [(None, None, None), ({"patience": 1, "drops": 3}, [1], None)], ids=["none", "two"]
)
def test_recipe_without_exactly_one_schedule_is_rejected(kinds: tuple[Any, ...]) -> None:
    with pytest.raises(InputError, match="no learning-rate schedule, or more than one"):
        make_schedule(*kinds, epochs=90)
