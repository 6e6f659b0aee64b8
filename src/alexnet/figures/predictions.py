"""Figure 4, left: test images with their five most probable labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alexnet.figures.style import LIGHT, Pixels, Theme, png_of, shortened, styled


class Guess(NamedTuple):
    """One of a picture's likely labels; `right`, because two synsets can share their words."""

    words: str
    probability: float
    right: bool


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
