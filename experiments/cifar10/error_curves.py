"""Figure 1: training error of ReLU and tanh against epochs, each at its best learning rate."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from alexnet.figures.style import Theme
from alexnet.runtime.errors import InputError

Errors = dict[tuple[str, float], list[float]]  # (activation, lr) → error after each epoch, 0–1
UNTRAINED = 0.9  # error of an untrained net on ten classes
HEADER = ["activation", "lr", "epoch", "training_error"]


def write_errors(path: Path, activation: str, lr: float, errors: Sequence[float]) -> None:
    """Write one CSV row an epoch, creating the folder if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows([activation, lr, n, error] for n, error in enumerate(errors, 1))


def read_errors(folder: Path) -> Errors:
    """Read a folder's CSV files. Raises InputError if there are none."""
    curves: Errors = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                key = row["activation"], float(row["lr"])
                curves.setdefault(key, []).append(float(row["training_error"]))
    if not curves:
        raise InputError(f"{folder} contains no runs", "dvc repro experiments/cifar10/dvc.yaml")
    return curves


def best_rate(sweep: Errors, activation: str, rates: Sequence[float]) -> float:
    """Return the rate with the lowest training error of the sweep.

    The error is that after the last epoch. Of equal errors the lower rate wins. The sweep may
    contain other rates, from before `rates` was changed. Raises InputError if one of `rates` is
    missing.
    """
    missing = [lr for lr in rates if (activation, lr) not in sweep]
    if missing:
        problem = f"the sweep has no run of {activation} at lr {missing[0]:g}"
        raise InputError(problem, "dvc repro experiments/cifar10/dvc.yaml")
    return min(rates, key=lambda lr: (sweep[activation, lr][-1], lr))


def crossing(errors: Sequence[float], target: float) -> float | None:
    """Return the number of epochs after which the error falls to `target`.

    errors: after 1, 2, … epochs, interpolated linearly. None if the target is not reached.
    """
    for n, error in enumerate(errors):
        if error <= target:
            before = errors[n - 1] if n else UNTRAINED
            return n + (before - target) / (before - error)
    return None


def epoch_ratio(runs: Mapping[str, Sequence[float]], target: float) -> dict[str, float | None]:
    """Return the epochs to `target` of both activations, and their ratio."""
    relu, tanh = (crossing(runs[name], target) for name in ("relu", "tanh"))
    ratio = tanh / relu if tanh and relu else None
    return {"relu_epochs": relu, "tanh_epochs": tanh, "tanh_to_relu": ratio}


def plot_figure1(
    runs: Mapping[tuple[str, float], Sequence[float]], target: float, theme: Theme
) -> Figure:
    """Plot training error against epochs: ReLU solid, tanh dashed.

    runs: (activation, lr) → error after each epoch, 0–1.
    """
    styles = {"relu": (theme.pair[1], "-", "ReLU"), "tanh": (theme.pair[0], "--", "tanh")}
    figure = Figure(figsize=(4.8, 3.4), layout="constrained")
    axes = figure.subplots()
    for (activation, lr), errors in sorted(runs.items()):
        colour, dashes, name = styles[activation]
        epochs, values = range(len(errors) + 1), [100 * e for e in (UNTRAINED, *errors)]
        label = f"{name}, lr {lr:g}"
        axes.plot(epochs, values, color=colour, linestyle=dashes, label=label, linewidth=1.8)
    axes.axhline(100 * target, color=theme.muted, linewidth=0.9, linestyle=(0, (2, 3)))
    axes.set(xlabel="Epochs", ylim=(0, 100 * UNTRAINED), xlim=(0, None))
    axes.set_title("Training error on CIFAR-10, %")
    axes.legend()
    return figure
