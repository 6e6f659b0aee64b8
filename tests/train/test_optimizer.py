from alexnet.train.optimizer import Plateau


def rates(errors: list[float], patience: int = 2, drops: int = 3) -> list[tuple[float, bool]]:
    schedule = Plateau(patience, drops)
    seen = []
    for error in errors:
        schedule = schedule.after(error)
        seen.append((schedule.factor, schedule.ended))
    return seen


def test_a_falling_error_keeps_the_rate() -> None:
    assert rates([50, 40, 30, 29.9, 29.8]) == [(1.0, False)] * 5


def test_the_rate_falls_thrice_then_training_ends() -> None:
    """Patience 2: every second epoch without a better error is a plateau, the fourth the end."""
    factors = [factor for factor, _ in rates([50] + [60] * 8)]
    assert factors == [1, 1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001, 0.001]
    assert [ended for _, ended in rates([50] + [60] * 8)] == [False] * 8 + [True]


def test_a_better_error_starts_the_wait_again() -> None:
    assert [factor for factor, _ in rates([50, 60, 49, 60, 60])] == [1, 1, 1, 1, 0.1]


def test_an_equal_error_is_no_better_one() -> None:
    assert [factor for factor, _ in rates([50, 50, 50])] == [1, 1, 0.1]
