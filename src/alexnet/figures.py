"""Diagrams: arrays in, PNG bytes out; no file, clock or global state."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alexnet.pictures import LIGHT, Floats, Pixels, Theme, deviations

History = Sequence[Mapping[str, float]]


class Guess(NamedTuple):
    """One of a picture's likely labels; `right`, because two synsets can share their words."""

    words: str
    probability: float
    right: bool


def eigenpairs_picture(eigenvalues: Floats, eigenvectors: Floats, theme: Theme = LIGHT) -> bytes:
    """√λ (in 0–255 units) and the R, G, B components of each axis as bars → PNG.

    Row i of `eigenvectors` is the unit vector pᵢ of `eigenvalues[i]`.
    """
    with styled(theme):
        return png_of(eigenpairs_figure(eigenvalues, eigenvectors, theme))


def eigenpairs_figure(eigenvalues: Floats, eigenvectors: Floats, theme: Theme) -> Figure:
    """The figure behind `eigenpairs_picture`: axes 0 holds √λ, axes 1 the components."""
    figure = Figure(figsize=(4.8, 2.5), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    bars = left.barh(range(3), deviations(eigenvalues), height=0.5, color=theme.muted)
    left.bar_label(bars, fmt="%.1f", padding=4)
    left.set(yticks=range(3), yticklabels=[f"Axis {i}" for i in (1, 2, 3)], ylim=(2.5, -0.5))
    left.margins(x=0.25)
    left.set_title("√λ, in units of 0–255")
    for channel, (name, colour) in enumerate(zip("RGB", theme.channels, strict=True)):
        at = np.arange(3) + 0.24 * (channel - 1)
        right.barh(at, eigenvectors[:, channel], height=0.2, color=colour, label=name)
    right.axvline(0, color=theme.muted, linewidth=0.8)
    right.set(xlim=(-1, 1), xticks=(-1, 0, 1))
    right.set_title("Direction")
    narrow = {"handlelength": 0.7, "columnspacing": 0.8}
    right.legend(ncols=3, loc="lower right", bbox_to_anchor=(1.03, 0.985), **narrow)
    for axes in (left, right):
        axes.tick_params(left=False)
        axes.spines["left"].set_visible(False)
    return figure


def curves_picture(history: History, theme: Theme = LIGHT) -> bytes:
    """Loss and error by epoch, with a mark wherever the learning rate drops → PNG.

    Rows hold epoch, lr, train_loss, val_loss, top1_error and top5_error; errors lie in 0–1.
    """
    with styled(theme):
        return png_of(curves_figure(history, theme))


def curves_figure(history: History, theme: Theme) -> Figure:
    """The figure behind `curves_picture`: axes 0 holds the losses, axes 1 the errors in %."""
    figure = Figure(figsize=(4.8, 5.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    _lines(upper, history, {"train_loss": "training", "val_loss": "validation"}, 1, theme)
    _lines(lower, history, {"top1_error": "top-1", "top5_error": "top-5"}, 100, theme)
    upper.set_title("Loss")
    lower.set_title("Validation error, %")
    lower.set_xlabel("Epoch")
    _told_at_the_end(lower, history[-1])
    for epoch, lr in lr_drops(history):
        for axes in (upper, lower):
            axes.axvline(epoch, color=theme.muted, linewidth=0.9, linestyle=(0, (2, 3)))
        label = f"lr {lr:g}".replace("e-0", "e-")
        at = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        upper.annotate(label, (epoch, 1), (3, -2), **at, rotation=90, va="top", color=theme.muted)
    return figure


def lr_drops(history: History) -> list[tuple[float, float]]:
    """(last epoch at the old rate, new rate) for each fall of the learning rate."""
    pairs = itertools.pairwise(history)
    return [(old["epoch"], new["lr"]) for old, new in pairs if new["lr"] < old["lr"]]


def _lines(
    axes: Axes, history: History, names: Mapping[str, str], unit: float, theme: Theme
) -> None:
    epochs = [row["epoch"] for row in history]
    marker = "o" if len(history) <= 12 else None  # a line of one point would not be seen
    for (key, name), colour in zip(names.items(), theme.pair, strict=True):
        values = [unit * row[key] for row in history]
        axes.plot(epochs, values, color=colour, label=name, linewidth=1.8, marker=marker, ms=3.5)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.legend(ncols=2, loc="lower right", bbox_to_anchor=(1.02, 0.99))


def _told_at_the_end(axes: Axes, last: Mapping[str, float]) -> None:
    """The errors in figures beside their lines, one above the other where the lines meet."""
    top1, top5 = (100 * last[f"top{k}_error"] for k in (1, 5))
    apart = 0.08 * axes.get_ylim()[1]
    for error, y in ((top5, top5), (top1, max(top1, top5 + apart))):
        at = last["epoch"], y
        axes.annotate(f"{error:.1f}", at, (5, 0), textcoords="offset points", va="center")


def predictions_picture(
    images: Pixels, truths: Sequence[str], guesses: Sequence[Sequence[Guess]], theme: Theme = LIGHT
) -> bytes:
    """Fig. 4, left: test images (N, 256, 256, 3) with their five most probable labels → PNG."""
    with styled(theme):
        return png_of(predictions_figure(images, truths, guesses, theme))


def predictions_figure(
    images: Pixels, truths: Sequence[str], guesses: Sequence[Sequence[Guess]], theme: Theme
) -> Figure:
    """The figure behind `predictions_picture`: for each image an axes, then one of its bars."""
    rows = max(1, math.ceil(len(images) / 4))
    figure = Figure(figsize=(7.6, 3.4 * rows))
    edges = {"left": 0.01, "right": 0.99, "bottom": 0, "top": 1}
    grid = figure.add_gridspec(rows, 4, wspace=0.06, hspace=0.06, **edges)
    for n, (image, truth, likely) in enumerate(zip(images, truths, guesses, strict=True)):
        cell = grid[divmod(n, 4)].subgridspec(2, 1, height_ratios=(1.35, 1), hspace=0.16)
        _image(figure.add_subplot(cell[0]), image, truth)
        _bars(figure.add_subplot(cell[1]), likely, theme)
    return figure


def _image(axes: Axes, image: Pixels, truth: str) -> None:
    axes.imshow(image)
    axes.set_axis_off()
    axes.set_title(shortened(truth, 20), loc="center", y=0, pad=-6, va="top", parse_math=False)


def _bars(axes: Axes, guesses: Sequence[Guess], theme: Theme) -> None:
    colours = [theme.bars[guess.right] for guess in guesses]
    axes.barh(range(len(guesses)), [guess.probability for guess in guesses], color=colours)
    for n, guess in enumerate(guesses):
        axes.text(0.02, n, shortened(guess.words), va="center", fontsize=9, parse_math=False)
    axes.set(xlim=(0, 1), ylim=(5.2, -0.5), xticks=(), yticks=())
    axes.spines["bottom"].set_visible(False)


def shortened(words: str, letters: int = 22) -> str:
    """The first of a synset's words, cut where it would not fit: `great white shark, …`."""
    first = words.split(",")[0].strip()
    return first if len(first) <= letters else first[: letters - 1].rstrip() + "…"


def png_of(figure: Figure) -> bytes:
    """The figure as PNG, without date or version."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=200, metadata={"Software": None})
    return buffer.getvalue()


def styled(theme: Theme) -> AbstractContextManager[None]:
    """Our own settings over matplotlib's defaults, so that no matplotlibrc changes a byte."""
    text = ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.labelcolor")
    lines = ("axes.edgecolor", "xtick.color", "ytick.color", "grid.color")
    settings: dict[str, Any] = {
        **dict.fromkeys(text, theme.ink),
        **dict.fromkeys(lines, theme.rule),
        "ytick.labelcolor": theme.ink,
        "figure.facecolor": theme.paper,
        "axes.facecolor": theme.paper,
        "font.family": "DejaVu Sans",
        "axes.titlelocation": "left",
        "axes.titlesize": "medium",
        "axes.titleweight": "bold",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "legend.handletextpad": 0.5,
        "legend.handlelength": 1.2,
        "legend.columnspacing": 1.2,
        "legend.borderaxespad": 0.0,
    }
    return style.context(["default", settings])
