"""Diagrams of what the net has learnt: binary codes, and which class is taken for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure

from alexnet.figure1 import UNTRAINED
from alexnet.figures import png_of, shortened, styled
from alexnet.mistakes import Counts, entangled
from alexnet.pictures import LIGHT, Theme

Rows = Sequence[Mapping[str, Any]]
LEARNT, CONTROL = "auto-encoder", "hyperplanes"
CLASSES = 14  # of a confusion matrix that a phone can show


def codes_picture(rows: Rows, theme: Theme = LIGHT) -> bytes:
    """Recall of binary codes against the number of candidates, a line for each length → PNG.

    Rows as those of codes.csv: code ("auto-encoder" or "hyperplanes"), bits, candidates, and
    recall in 0–1, as numbers or text.
    """
    with styled(theme):
        return png_of(codes_figure(rows, theme))


def codes_figure(rows: Rows, theme: Theme) -> Figure:
    """The figure behind `codes_picture`: its axes holds lines named "<code> <bits>"."""
    figure = Figure(figsize=(4.8, 4), layout="constrained")
    axes = figure.subplots()
    lengths = sorted({int(row["bits"]) for row in rows}, reverse=True)
    for code, colour, dashes in zip((LEARNT, CONTROL), theme.pair, ("-", (0, (3, 1))), strict=True):
        for n, bits in enumerate(lengths):
            how: dict[str, Any] = {
                "color": colour,
                "linestyle": dashes,
                "marker": "o",
                "ms": 4 - 0.5 * n,
            }
            name = f"{code}, {bits} bits"
            axes.plot(*_points(rows, code, bits), label=name, linewidth=2.4 - 0.7 * n, **how)
    ticks = sorted({int(row["candidates"]) for row in rows})
    axes.set(xscale="log", ylim=(0, 102))
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set_title("Of the 10 nearest, found again, %")
    axes.set_xlabel("among so many, nearest by Hamming distance")
    axes.grid(axis="y")
    if rows:
        axes.legend(loc="lower right", handlelength=2.4, labelspacing=0.35)
    return figure


def _points(rows: Rows, code: str, bits: int) -> tuple[list[int], list[float]]:
    some = [row for row in rows if row["code"] == code and int(row["bits"]) == bits]
    some.sort(key=lambda row: int(row["candidates"]))
    return [int(r["candidates"]) for r in some], [100 * float(r["recall"]) for r in some]


def confusion_picture(matrix: Counts, names: Sequence[str], theme: Theme = LIGHT) -> bytes:
    """How many images of each class (row) were given each label first (column) → PNG.

    matrix (C, C) as `mistakes.confusion` gives it, names its C classes. Of more than 14 classes
    those that are taken for one another most often.
    """
    with styled(theme):
        return png_of(confusion_figure(matrix, names, theme))


def confusion_figure(matrix: Counts, names: Sequence[str], theme: Theme) -> Figure:
    """The figure behind `confusion_picture`: a cell's shade is its share of the row's images."""
    labels = entangled(matrix, CLASSES)
    counts = matrix[np.ix_(labels, labels)]
    shares = counts / np.maximum(matrix.sum(axis=1)[labels, None], 1)
    words = [shortened(names[label], 14) for label in labels]
    figure = Figure(figsize=(4.8, 4.8), layout="constrained")
    axes = figure.subplots()
    ramp = LinearSegmentedColormap.from_list("", [theme.paper, theme.pair[0]])
    cells = ramp(np.sqrt(shares))  # the root: a single mistake can be seen
    axes.imshow(cells)
    _write_counts(axes, counts, cells, theme)
    ticks = range(len(labels))
    axes.set_xticks(ticks, words, rotation=90, parse_math=False)
    axes.set_yticks(ticks, words, parse_math=False)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.set_ylabel("True class")
    axes.set_title("First guess", loc="center")
    return figure


def _write_counts(axes: Axes, counts: Counts, cells: npt.NDArray[Any], theme: Theme) -> None:
    for row, column in np.argwhere(counts).tolist():
        colour = max(theme.paper, theme.ink, key=partial(_contrast, cells[row, column]))
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)


def _contrast(one: Any, other: Any) -> float:
    """How well two colours stand out from each other, 1–21, as the WCAG define it."""
    dark, light = sorted(_luminance(colour) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Any) -> float:
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


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
