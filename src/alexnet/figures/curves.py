"""Loss and error against epochs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alexnet.figures.style import Theme

History = Sequence[Mapping[str, float]]


def plot_curves(history: History, theme: Theme) -> Figure:
    """Plot losses and errors, and mark each drop of the learning rate.

    Axes 0: losses; axes 1: errors in %. Rows hold epoch, lr, train_loss, val_loss, top1_error and
    top5_error; errors in 0–1.
    """
    figure = Figure(figsize=(4.8, 5.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    _plot_lines(upper, history, {"train_loss": "training", "val_loss": "validation"}, 1, theme)
    _plot_lines(lower, history, {"top1_error": "top-1", "top5_error": "top-5"}, 100, theme)
    upper.set_title("Loss")
    lower.set_title("Validation error, %")
    lower.set_xlabel("Epoch")
    _label_last_errors(lower, history[-1])
    for epoch, lr in lr_drops(history):
        for axes in (upper, lower):
            axes.axvline(epoch, color=theme.muted, linewidth=0.9, linestyle=(0, (2, 3)))
        label = f"lr {lr:g}".replace("e-0", "e-")
        place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        style = {"rotation": 90, "va": "top", "color": theme.muted}
        upper.annotate(label, (epoch, 1), (3, -2), **place, **style)
    return figure


def lr_drops(history: History) -> list[tuple[float, float]]:
    """Return (last epoch at the old rate, new rate) of each drop."""
    pairs = itertools.pairwise(history)
    return [(old["epoch"], new["lr"]) for old, new in pairs if new["lr"] < old["lr"]]


def _plot_lines(
    axes: Axes, history: History, names: Mapping[str, str], unit: float, theme: Theme
) -> None:
    epochs = [row["epoch"] for row in history]
    marker = "o" if len(history) <= 12 else None  # a line of one point is invisible without it
    for (key, name), colour in zip(names.items(), theme.pair, strict=True):
        values = [unit * row[key] for row in history]
        axes.plot(epochs, values, color=colour, label=name, linewidth=1.8, marker=marker, ms=3.5)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.legend(ncols=2, loc="lower right", bbox_to_anchor=(1.02, 0.99))


def _label_last_errors(axes: Axes, last: Mapping[str, float]) -> None:
    """Write the last errors beside their lines without overlap."""
    top1, top5 = (100 * last[f"top{k}_error"] for k in (1, 5))
    distance = 0.08 * axes.get_ylim()[1]
    for error, y in ((top5, top5), (top1, max(top1, top5 + distance))):
        place = last["epoch"], y
        axes.annotate(f"{error:.1f}", place, (5, 0), textcoords="offset points", va="center")
