from pathlib import Path

import pytest

from alexnet.runtime.errors import InputError
from error_curves import best_rate, crossing, figure1_picture, ratio, read_errors, write_errors


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_errors(tmp_path / "sweep/relu-0.1.csv", "relu", 0.1, [0.5, 0.25])
    write_errors(tmp_path / "sweep/tanh-0.003.csv", "tanh", 0.003, [1 / 3])
    found = read_errors(tmp_path / "sweep")
    assert found == {("relu", 0.1): [0.5, 0.25], ("tanh", 0.003): [1 / 3]}


def test_no_runs_are_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no runs; fix: dvc repro experiments/cifar10"):
        read_errors(tmp_path)


def test_the_best_rate_is_that_of_the_least_error_at_the_end() -> None:
    sweep = {
        ("relu", 0.1): [0.2, 0.5],
        ("relu", 0.01): [0.6, 0.4],
        ("relu", 0.001): [0.9, 0.4],
        ("tanh", 0.1): [0.1, 0.1],
    }
    assert best_rate(sweep, "relu", [0.1, 0.01, 0.001]) == 0.001  # of equal ones the smaller
    assert best_rate(sweep, "relu", [0.1, 0.01]) == 0.01  # what is no longer asked for is left out
    assert best_rate(sweep, "tanh", [0.1]) == 0.1
    with pytest.raises(InputError, match=r"no run of tanh at 0\.01"):
        best_rate(sweep, "tanh", [0.1, 0.01])


def test_crossings_lie_on_straight_lines() -> None:
    assert crossing([0.5, 0.3, 0.2], 0.25) == pytest.approx(2.5)
    assert crossing([0.5, 0.25], 0.25) == 2
    assert crossing([0.1], 0.25) == pytest.approx((0.9 - 0.25) / (0.9 - 0.1))
    assert crossing([0.5, 0.3], 0.25) is None


def test_the_ratio() -> None:
    found = ratio({"relu": [0.4, 0.25], "tanh": [0.8, 0.7, 0.6, 0.5, 0.25]}, 0.25)
    assert found == {"relu_epochs": 2, "tanh_epochs": 5, "tanh_to_relu": 2.5}
    assert ratio({"relu": [0.2], "tanh": [0.8]}, 0.25)["tanh_to_relu"] is None


def test_the_picture_is_the_same_bytes() -> None:
    runs = {("relu", 0.001): [0.5, 0.2], ("tanh", 0.003): [0.8, 0.5, 0.3, 0.2]}
    first, second = (figure1_picture(runs, 0.25) for _ in range(2))
    assert first == second
    assert first.startswith(b"\x89PNG")
