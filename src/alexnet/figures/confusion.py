"""The confusion matrix, and the classes that are confused most."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure

from alexnet.figures.style import LIGHT, Theme, png_of, shortened, styled

Counts = npt.NDArray[np.int64]


class Hard(NamedTuple):
    """A class and how often it is missed: of its `images` `wrong`, `times` of them as `taken_for`.

    `label` and `taken_for` are labels; of two classes it is taken for as often, the lower.
    """

    label: int
    images: int
    wrong: int
    taken_for: int
    times: int


def confusion(labels: npt.ArrayLike, guesses: npt.ArrayLike, classes: int) -> Counts:
    """How many images of each true label (row) were given each label first (column).

    labels, guesses (n,), 0 … classes − 1 → (classes, classes) int64. ValueError for any other.
    """
    truths, firsts = np.asarray(labels, np.int64), np.asarray(guesses, np.int64)
    if truths.shape != firsts.shape:
        raise ValueError(f"{truths.shape} labels and {firsts.shape} guesses")
    for name, values in (("label", truths), ("guess", firsts)):
        if values.size and not 0 <= values.min() <= values.max() < classes:
            raise ValueError(f"a {name} is not one of {classes} classes")
    counts = np.bincount(truths * classes + firsts, minlength=classes**2)
    return counts.reshape(classes, classes).astype(np.int64)


def hardest(matrix: Counts) -> list[Hard]:
    """The classes that were missed at all, that of the greatest error first.

    Of equal errors the one missed more often comes first, then the lower label.
    """
    images, right = matrix.sum(axis=1), matrix.diagonal()
    wrong = images - right
    others = matrix - np.diag(right)
    error = wrong / np.maximum(images, 1)
    order = np.lexsort((np.arange(len(matrix)), -wrong, -error))
    taken_for = others.argmax(axis=1)
    columns = np.stack([np.arange(len(matrix)), images, wrong, taken_for, others.max(axis=1)])
    return [Hard(*row) for row in columns[:, order[wrong[order] > 0]].T.tolist()]


def entangled(matrix: Counts, most: int) -> list[int]:
    """At most `most` labels of those taken for one another most often, each beside its likes.

    Where there are no more classes than that, all, in their order. Otherwise pairs are gone
    through by the number of images mistaken either way; each brings in what it has of new classes.
    Without any mistake the first are as good as others.
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
        at = chosen.index(known[0]) + 1 if known else len(chosen)
        chosen[at:at] = new
    return chosen or list(range(most))


CLASSES = 14  # of a confusion matrix that a phone can show


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
