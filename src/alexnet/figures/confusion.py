"""The confusion matrix, the hardest classes, and those most often confused."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure

from alexnet.figures.style import Theme, shorten

Counts = npt.NDArray[np.int64]
CLASSES = 14  # shown at most: a phone has room for them


class HardClass(NamedTuple):
    """A class with errors, and the class it is most often taken for.

    `wrong` of its `images` are wrong, `times` of them predicted as `taken_for`. `label` and
    `taken_for` are labels; of equally frequent ones, `taken_for` is the lower.
    """

    label: int
    images: int
    wrong: int
    taken_for: int
    times: int


def count_confusions(labels: npt.ArrayLike, guesses: npt.ArrayLike, classes: int) -> Counts:
    """Count the images of each true label (row) by first guess (column).

    labels, guesses (n,), 0 … classes − 1 → (classes, classes) int64. Raises ValueError for other
    labels or unequal lengths.
    """
    truths, firsts = np.asarray(labels, np.int64), np.asarray(guesses, np.int64)
    if truths.shape != firsts.shape:
        raise ValueError(f"{truths.shape} labels and {firsts.shape} guesses")
    for name, values in (("label", truths), ("guess", firsts)):
        if values.size and not 0 <= values.min() <= values.max() < classes:
            raise ValueError(f"a {name} is outside 0–{classes - 1}")
    counts = np.bincount(truths * classes + firsts, minlength=classes**2)
    return counts.reshape(classes, classes).astype(np.int64)


def hardest(matrix: Counts) -> list[HardClass]:
    """Return the classes with errors, highest error rate first.

    Of equal rates the class with more wrong images comes first, then the lower label.
    """
    images, correct = matrix.sum(axis=1), matrix.diagonal()
    wrong = images - correct
    others = matrix - np.diag(correct)
    error = wrong / np.maximum(images, 1)
    order = np.lexsort((np.arange(len(matrix)), -wrong, -error))
    taken_for = others.argmax(axis=1)
    columns = np.stack([np.arange(len(matrix)), images, wrong, taken_for, others.max(axis=1)])
    return [HardClass(*row) for row in columns[:, order[wrong[order] > 0]].T.tolist()]


def most_confused(matrix: Counts, most: int) -> list[int]:
    """Return at most `most` labels of the most confused classes.

    Confused classes are side by side. All labels in order if there are no more. Otherwise pairs are
    visited by the number of images mistaken in either direction, and each adds its new classes.
    Without any mistake: the first `most` labels.
    """
    if len(matrix) <= most:
        return list(range(len(matrix)))
    both = np.triu(matrix + matrix.T, 1)
    pairs = np.argwhere(both)
    chosen: list[int] = []
    for pair in pairs[np.argsort(-both[tuple(pairs.T)], kind="stable")].tolist():
        new = [label for label in pair if label not in chosen]
        if len(chosen) + len(new) > most:
            break
        known = [label for label in pair if label in chosen]
        place = chosen.index(known[0]) + 1 if known else len(chosen)
        chosen[place:place] = new
    return chosen or list(range(most))


def plot_confusion(matrix: Counts, names: Sequence[str], theme: Theme) -> Figure:
    """Plot counts by true class (row) and first guess (column).

    Cells are shaded by their share of the row. matrix (C, C) of `count_confusions`, names of its C
    classes. Of more than 14 classes, the most confused ones are shown.
    """
    labels = most_confused(matrix, CLASSES)
    counts = matrix[np.ix_(labels, labels)]
    shares = counts / np.maximum(matrix.sum(axis=1)[labels, None], 1)
    words = [shorten(names[label], 14) for label in labels]
    figure = Figure(figsize=(4.8, 4.8), layout="constrained")
    axes = figure.subplots()
    ramp = LinearSegmentedColormap.from_list("", [theme.paper, theme.pair[0]])
    cells = ramp(np.sqrt(shares))  # the square root makes a single mistake visible
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
        colour = max(theme.paper, theme.ink, key=partial(contrast, cells[row, column]))
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)


def contrast(first: Any, second: Any) -> float:
    """Return the contrast ratio of two colours, 1–21, as WCAG defines it."""
    dark, light = sorted(_luminance(colour) for colour in (first, second))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Any) -> float:
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))
