"""Curves of figure 1: files, best rates, crossings and the plot."""

from functools import partial
from pathlib import Path

import pytest

from alexnet.figures.style import plot_png
from alexnet.runtime.errors import InputError
from error_curves import (
    best_rate,
    crossing,
    epoch_ratio,
    plot_figure1,
    read_errors,
    write_errors,
)


def test_errors_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_errors(tmp_path / "sweep/relu-0.1.csv", "relu", 0.1, [0.5, 0.25])
    write_errors(tmp_path / "sweep/tanh-0.003.csv", "tanh", 0.003, [1 / 3])
    curves = read_errors(tmp_path / "sweep")
    assert curves == {("relu", 0.1): [0.5, 0.25], ("tanh", 0.003): [1 / 3]}


def test_an_empty_folder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="contains no runs; fix: dvc repro experiments/cifar10"):
        read_errors(tmp_path)


def test_the_best_rate_has_the_lowest_last_error() -> None:
    sweep = {
        ("relu", 0.1): [0.2, 0.5],
        ("relu", 0.01): [0.6, 0.4],
        ("relu", 0.001): [0.9, 0.4],
        ("tanh", 0.1): [0.1, 0.1],
    }
    assert best_rate(sweep, "relu", [0.1, 0.01, 0.001]) == 0.001  # the lower of two equal ones
    assert best_rate(sweep, "relu", [0.1, 0.01]) == 0.01  # other rates of the sweep are ignored
    assert best_rate(sweep, "tanh", [0.1]) == 0.1
    with pytest.raises(InputError, match=r"no run of tanh at lr 0\.01"):
        best_rate(sweep, "tanh", [0.1, 0.01])


def test_crossings_are_interpolated_linearly() -> None:
    assert crossing([0.5, 0.3, 0.2], 0.25) == pytest.approx(2.5)
    assert crossing([0.5, 0.25], 0.25) == 2
    assert crossing([0.1], 0.25) == pytest.approx((0.9 - 0.25) / (0.9 - 0.1))
    assert crossing([0.5, 0.3], 0.25) is None


def test_the_ratio_is_tanhs_epochs_divided_by_relus() -> None:
    result = epoch_ratio({"relu": [0.4, 0.25], "tanh": [0.8, 0.7, 0.6, 0.5, 0.25]}, 0.25)
    assert result == {"relu_epochs": 2, "tanh_epochs": 5, "tanh_to_relu": 2.5}
    assert epoch_ratio({"relu": [0.2], "tanh": [0.8]}, 0.25)["tanh_to_relu"] is None


def test_the_figure_is_the_same_bytes_each_time() -> None:
    runs = {("relu", 0.001): [0.5, 0.2], ("tanh", 0.003): [0.8, 0.5, 0.3, 0.2]}
    first, second = (plot_png(partial(plot_figure1, runs, 0.25)) for _ in range(2))
    assert first == second
    assert first.startswith(b"\x89PNG")
