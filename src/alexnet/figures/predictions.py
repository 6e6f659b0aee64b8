"""Figure 4, left: test images with their five most probable labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alexnet.figures.style import Pixels, Theme, shorten


class Guess(NamedTuple):
    """One of an image's most probable labels.

    `correct` is not implied by `words`: two synsets can share them.
    """

    words: str
    probability: float
    correct: bool


class Prediction(NamedTuple):
    """A test image (256, 256, 3), its true label's words, its guesses."""

    image: Pixels
    truth: str
    guesses: Sequence[Guess]


def plot_predictions(predictions: Sequence[Prediction], theme: Theme) -> Figure:
    """Plot the left of figure 4.

    Each prediction has two axes: the image, then its bars.
    """
    rows = max(1, math.ceil(len(predictions) / 4))
    figure = Figure(figsize=(7.6, 3.4 * rows))
    edges = {"left": 0.01, "right": 0.99, "bottom": 0, "top": 1}
    grid = figure.add_gridspec(rows, 4, wspace=0.06, hspace=0.06, **edges)
    for n, prediction in enumerate(predictions):
        cell = grid[divmod(n, 4)].subgridspec(2, 1, height_ratios=(1.35, 1), hspace=0.16)
        _show_image(figure.add_subplot(cell[0]), prediction)
        _plot_bars(figure.add_subplot(cell[1]), prediction.guesses, theme)
    return figure


def _show_image(axes: Axes, prediction: Prediction) -> None:
    axes.imshow(prediction.image)
    axes.set_axis_off()
    title = shorten(prediction.truth, 20)
    axes.set_title(title, loc="center", y=0, pad=-6, va="top", parse_math=False)


def _plot_bars(axes: Axes, guesses: Sequence[Guess], theme: Theme) -> None:
    colours = [theme.bars[guess.correct] for guess in guesses]
    axes.barh(range(len(guesses)), [guess.probability for guess in guesses], color=colours)
    for n, guess in enumerate(guesses):
        axes.text(0.02, n, shorten(guess.words), va="center", fontsize=9, parse_math=False)
    axes.set(xlim=(0, 1), ylim=(5.2, -0.5), xticks=(), yticks=())
    axes.spines["bottom"].set_visible(False)
