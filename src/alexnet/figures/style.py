"""Themes, fonts and PNG files of all figures.

Two kinds of figure: `plot_…` functions return a matplotlib Figure (`plot_png` renders it), `draw_…`
functions return a sheet of pixels as a Pillow image (`encode_png`).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib import style
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]

GAP, FONT, LINE = 14, 30, 46  # pixels on a sheet; a phone shows them at a third of this size


class Theme(NamedTuple):
    """Colours of the page that a figure is placed on, as #rrggbb."""

    paper: str
    ink: str
    muted: str
    rule: str
    pair: tuple[str, str]  # the two lines of a plot
    bars: tuple[str, str]  # behind a wrong and a correct label
    channels: tuple[str, str, str]  # red, green and blue, toned down to fit side by side


LIGHT = Theme(
    *("#ffffff", "#1c2128", "#5b6470", "#d8dde3"),
    pair=("#1f6fb2", "#c2501c"),
    bars=("#dde5ee", "#f8c8a4"),
    channels=("#c8504b", "#4f9a5b", "#4a76c0"),
)
DARK = Theme(
    *("#14171c", "#e7eaee", "#a0a9b4", "#363d47"),
    pair=("#6cb2ee", "#f0935c"),
    bars=("#2f3946", "#8d4a20"),
    channels=("#e07b74", "#7cbf86", "#7fa5e6"),
)


def plot_png(plot: Callable[[Theme], Figure], theme: Theme = LIGHT) -> bytes:
    """Render `plot(theme)` as PNG, without date or version.

    The settings start from matplotlib's defaults: no matplotlibrc changes a byte.
    """
    buffer = io.BytesIO()
    with style.context(["default", _settings(theme)]):
        figure = plot(theme)
        figure.savefig(buffer, format="png", dpi=200, metadata={"Software": None})
    return buffer.getvalue()


def _settings(theme: Theme) -> dict[str, Any]:
    text = ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.labelcolor")
    lines = ("axes.edgecolor", "xtick.color", "ytick.color", "grid.color")
    return {
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


def encode_png(image: Image.Image) -> bytes:
    """Encode an image as PNG, without date or version."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def draw_text(
    sheet: Image.Image, at: tuple[int, int], text: str, size: int, colour: str, anchor: str = "la"
) -> None:
    """Draw text in matplotlib's own font, the same on every machine.

    size: of the font, in pixels; anchor: Pillow's.
    """
    path = Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")
    font = ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
    ImageDraw.Draw(sheet).text(at, text, colour, font, anchor)


def shorten(words: str, length: int = 22) -> str:
    """Return the first of a synset's words, truncated to `length` characters."""
    first = words.split(",")[0].strip()
    return first if len(first) <= length else first[: length - 1].rstrip() + "…"
