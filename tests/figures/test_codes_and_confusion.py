"""Diagrams are read back: each line, cell and word is what a reader would compute."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pytest

from alexnet.figures import codes, confusion
from alexnet.figures.style import DARK, LIGHT, Theme
from figure_checks import line

ROWS: list[dict[str, str]] = [
    {"code": code, "bits": str(bits), "candidates": str(candidates), "recall": f"{recall:.6f}"}
    for code, bonus in (("auto-encoder", 0.1), ("hyperplanes", 0))
    for bits in (32, 128)
    for candidates, recall in ((100, 0.6 + bonus), (10, bits / 256 + bonus), (5000, 0.9 + bonus))
]
NAMES = [f"class {n}, other words" for n in range(40)]


def test_codes_are_a_line_for_each_code_and_length() -> None:
    (axes,) = codes.codes_figure(ROWS, LIGHT).axes
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


def test_confusion_tells_every_count_in_its_cell() -> None:
    matrix = np.random.default_rng(0).integers(0, 3, (12, 12))
    (axes,) = confusion.confusion_figure(matrix, NAMES, LIGHT).axes
    told = cells(axes)
    for row, column in np.ndindex(12, 12):
        assert told.get((row, column), 0) == matrix[row, column]
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [text.get_text() for text in labels] == [f"class {n}" for n in range(12)]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_a_cell_is_shaded_by_its_share_and_its_count_can_be_read(theme: Theme) -> None:
    matrix = np.array([[0, 50, 0], [5, 20, 25], [0, 0, 0]])
    (axes,) = confusion.confusion_figure(matrix, NAMES, theme).axes
    shades = np.asarray(axes.images[0].get_array())
    paper, full = (np.array(matplotlib.colors.to_rgb(c)) for c in (theme.paper, theme.pair[0]))
    for row, column in np.ndindex(3, 3):
        share = matrix[row, column] / max(matrix[row].sum(), 1)
        expected = paper + (full - paper) * share**0.5
        assert shades[row, column, :3] == pytest.approx(expected, abs=0.01)
    for text in axes.texts:
        column, row = text.get_position()
        assert confusion._contrast(shades[row, column], text.get_color()) > 3.5


def test_contrast_is_that_of_the_standard() -> None:
    assert confusion._contrast("#ffffff", "#000000") == pytest.approx(21, abs=0.1)
    assert confusion._contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.05)


def test_of_many_classes_the_entangled_ones_are_shown() -> None:
    matrix = np.diag([50] * 40)
    matrix[7, 30], matrix[30, 8], matrix[2, 3] = 9, 8, 1
    (axes,) = confusion.confusion_figure(matrix, NAMES, LIGHT).axes
    words = [text.get_text() for text in axes.get_yticklabels()]
    assert words == ["class 7", "class 30", "class 8", "class 2", "class 3"]
    told = cells(axes)
    assert told == {(n, n): 50 for n in range(5)} | {(0, 1): 9, (1, 2): 8, (3, 4): 1}


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_drawings_are_bytes_that_nothing_outside_changes(theme: Theme) -> None:
    first = drawings(theme)
    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 22, "axes.grid": True}):
        assert drawings(theme) == first


def drawings(theme: Theme) -> list[bytes]:
    matrix = np.arange(9).reshape(3, 3)
    return [
        codes.codes_picture(ROWS, theme),
        codes.codes_picture([], theme),
        confusion.confusion_picture(matrix, [r"$\frac{1$"] * 3, theme),
        confusion.confusion_picture(np.diag([5] * 40), NAMES, theme),
    ]
