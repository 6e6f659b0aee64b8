"""Figure 1: training error of ReLU and tanh against epochs, each at its own best rate."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from alexnet.figures.style import LIGHT, Theme, png_of, styled
from alexnet.runtime.errors import InputError

Errors = dict[tuple[str, float], list[float]]  # (activation, rate) → error after each epoch, 0–1
UNTRAINED = 0.9  # error of ten classes before the first epoch
HEADER = ["activation", "lr", "epoch", "training_error"]


def write_errors(path: Path, activation: str, lr: float, errors: Sequence[float]) -> None:
    """A CSV row an epoch."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows([activation, lr, n, error] for n, error in enumerate(errors, 1))


def read_errors(folder: Path) -> Errors:
    """What `write_errors` left in all CSV files of a folder. Raises InputError where none is."""
    found: Errors = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                key = row["activation"], float(row["lr"])
                found.setdefault(key, []).append(float(row["training_error"]))
    if not found:
        raise InputError(f"{folder} holds no runs", "dvc repro experiments/cifar10/dvc.yaml")
    return found


def best_rate(sweep: Errors, activation: str, rates: Sequence[float]) -> float:
    """Of `rates` that with the least training error after the sweep's last epoch.

    A sweep may hold more: what was tried before the rates were changed. Raises InputError where it
    lacks one.
    """
    lacking = [lr for lr in rates if (activation, lr) not in sweep]
    if lacking:
        what = f"the sweep has no run of {activation} at {lacking[0]:g}"
        raise InputError(what, "dvc repro experiments/cifar10/dvc.yaml")
    return min(rates, key=lambda lr: (sweep[activation, lr][-1], lr))


def crossing(errors: Sequence[float], target: float) -> float | None:
    """After how many epochs the error fell to `target`, on straight lines between the epochs.

    errors: after 1, 2, … epochs. None where it never fell so far.
    """
    for n, error in enumerate(errors):
        if error <= target:
            before = errors[n - 1] if n else UNTRAINED
            return n + (before - target) / (before - error)
    return None


def ratio(runs: Mapping[str, Sequence[float]], target: float) -> dict[str, float | None]:
    """Epochs to `target` of each activation, and how many times as many tanh takes as ReLU."""
    relu, tanh = (crossing(runs[name], target) for name in ("relu", "tanh"))
    times = tanh / relu if tanh and relu else None
    return {"relu_epochs": relu, "tanh_epochs": tanh, "tanh_to_relu": times}


def figure1_picture(
    runs: Mapping[tuple[str, float], Sequence[float]], target: float, theme: Theme = LIGHT
) -> bytes:
    """The paper's figure 1: training error by epoch, ReLU solid and tanh dashed → PNG.

    runs: (activation, rate) → error, 0–1, after each epoch.
    """
    with styled(theme):
        figure = Figure(figsize=(4.8, 3.4), layout="constrained")
        axes = figure.subplots()
        for (activation, lr), errors in sorted(runs.items()):
            look = {"relu": (theme.pair[1], "-", "ReLU"), "tanh": (theme.pair[0], "--", "tanh")}
            colour, dashes, name = look[activation]
            epochs = range(len(errors) + 1)
            values = [100 * error for error in (UNTRAINED, *errors)]
            label = f"{name}, lr {lr:g}"
            axes.plot(epochs, values, color=colour, linestyle=dashes, label=label, linewidth=1.8)
        axes.axhline(100 * target, color=theme.muted, linewidth=0.9, linestyle=(0, (2, 3)))
        axes.set(xlabel="Epochs", ylim=(0, 100 * UNTRAINED), xlim=(0, None))
        axes.set_title("Training error on CIFAR-10, %")
        axes.legend()
        return png_of(figure)
