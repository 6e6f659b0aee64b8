"""Themes, fonts and PNG files of all figures."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
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


class Theme(NamedTuple):
    """Colours of the page that a figure lies on, as #rrggbb."""

    paper: str
    ink: str
    muted: str
    rule: str
    pair: tuple[str, str]  # the two lines of a diagram
    bars: tuple[str, str]  # behind a wrong and a right label
    channels: tuple[str, str, str]  # red, green and blue, toned down to lie side by side


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


def png_bytes(picture: Image.Image) -> bytes:
    """A picture as PNG, without date or version."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def write(
    sheet: Image.Image, at: tuple[int, int], text: str, size: int, colour: str, anchor: str = "la"
) -> None:
    """Text of `size` pixels in a font that matplotlib brings along, the same everywhere."""
    path = Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")
    font = ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
    ImageDraw.Draw(sheet).text(at, text, colour, font, anchor)


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


GAP, FONT, LINE = 14, 30, 46  # pixels; on a phone a third of them
