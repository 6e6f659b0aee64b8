"""Plots are read back: lines, cells and words have the values computed by hand."""

from __future__ import annotations

from functools import partial
from typing import Any

import matplotlib
import numpy as np
import pytest

from alexnet.figures import codes, confusion
from alexnet.figures.style import DARK, LIGHT, Theme, plot_png
from figure_checks import line

ROWS: list[dict[str, str]] = [
    {"code": code, "bits": str(bits), "candidates": str(candidates), "recall": f"{recall:.6f}"}
    for code, bonus in (("auto-encoder", 0.1), ("hyperplanes", 0))
    for bits in (32, 128)
    for candidates, recall in ((100, 0.6 + bonus), (10, bits / 256 + bonus), (5000, 0.9 + bonus))
]
NAMES = [f"class {n}, other words" for n in range(40)]


def test_each_code_and_length_is_a_line() -> None:
    (axes,) = codes.plot_codes(ROWS, LIGHT).axes
    assert len(axes.lines) == 4
    assert line(axes, "auto-encoder, 32 bits") == [(10, 22.5), (100, 70), (5000, 100)]
    assert line(axes, "hyperplanes, 128 bits") == [(10, 50), (100, 60), (5000, 90)]
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["10", "100", "5,000"]
    colours = {drawn.get_label().split(",")[0]: drawn.get_color() for drawn in axes.lines}
    assert colours == {"auto-encoder": LIGHT.pair[0], "hyperplanes": LIGHT.pair[1]}


def cells(axes: Any) -> dict[tuple[int, int], int]:
    return {(text.get_position()[1], text.get_position()[0]): int(text.get_text())
            for text in axes.texts}  # fmt: skip


def test_each_cell_shows_its_count() -> None:
    matrix = np.random.default_rng(0).integers(0, 3, (12, 12))
    (axes,) = confusion.plot_confusion(matrix, NAMES, LIGHT).axes
    counts = cells(axes)
    for row, column in np.ndindex(12, 12):
        assert counts.get((row, column), 0) == matrix[row, column]
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [text.get_text() for text in labels] == [f"class {n}" for n in range(12)]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_cells_are_shaded_by_share_and_their_counts_are_legible(theme: Theme) -> None:
    matrix = np.array([[0, 50, 0], [5, 20, 25], [0, 0, 0]])
    (axes,) = confusion.plot_confusion(matrix, NAMES, theme).axes
    shades = np.asarray(axes.images[0].get_array())
    paper, full = (np.array(matplotlib.colors.to_rgb(c)) for c in (theme.paper, theme.pair[0]))
    for row, column in np.ndindex(3, 3):
        share = matrix[row, column] / max(matrix[row].sum(), 1)
        expected = paper + (full - paper) * share**0.5
        assert shades[row, column, :3] == pytest.approx(expected, abs=0.01)
    for text in axes.texts:
        column, row = text.get_position()
        assert confusion.contrast(shades[row, column], text.get_color()) > 3.5


def test_contrast_follows_wcag() -> None:
    assert confusion.contrast("#ffffff", "#000000") == pytest.approx(21, abs=0.1)
    assert confusion.contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.05)


def test_of_many_classes_the_most_confused_are_shown() -> None:
    matrix = np.diag([50] * 40)
    matrix[7, 30], matrix[30, 8], matrix[2, 3] = 9, 8, 1
    (axes,) = confusion.plot_confusion(matrix, NAMES, LIGHT).axes
    words = [text.get_text() for text in axes.get_yticklabels()]
    assert words == ["class 7", "class 30", "class 8", "class 2", "class 3"]
    assert cells(axes) == {(n, n): 50 for n in range(5)} | {(0, 1): 9, (1, 2): 8, (3, 4): 1}


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_pngs_do_not_depend_on_matplotlibs_settings(theme: Theme) -> None:
    first = render_pngs(theme)
    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 22, "axes.grid": True}):
        assert render_pngs(theme) == first


def render_pngs(theme: Theme) -> list[bytes]:
    matrix = np.arange(9).reshape(3, 3)
    plots = [
        partial(codes.plot_codes, ROWS),
        partial(codes.plot_codes, []),
        partial(confusion.plot_confusion, matrix, [r"$\frac{1$"] * 3),
        partial(confusion.plot_confusion, np.diag([5] * 40), NAMES),
    ]
    return [plot_png(plot, theme) for plot in plots]
