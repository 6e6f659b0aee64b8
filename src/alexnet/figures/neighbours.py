"""Figure 4, right: the nearest training images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from alexnet.figures.style import FONT, GAP, LIGHT, LINE, Pixels, Theme, shortened, write

TILE, BAR = 128, 8  # a neighbour's side, and what lies under one of the query's class
COLUMNS = 6  # of neighbours, as in the paper's figure
ROW = LINE + TILE + BAR + GAP  # title and neighbours in one space
QUERY = 2 * ROW - LINE - GAP


class Neighbour(NamedTuple):
    """A training image near to a query; `same`: it is of the query's class."""

    image: Pixels
    words: str
    same: bool


class Query(NamedTuple):
    """A test image, and the training images nearest to it in two spaces, the nearest first."""

    image: Pixels
    words: str
    features: Sequence[Neighbour]
    pixels: Sequence[Neighbour]


def neighbours_picture(queries: Sequence[Query], theme: Theme = LIGHT) -> Image.Image:
    """Fig. 4, right: each query, the training images nearest in features, below those in pixels.

    Features are the activations of the last hidden layer; of neighbours there is room for six.
    Under one of the query's class lies a bar, and how many there are is told.
    """
    block, indent = 2 * ROW + 3 * GAP, QUERY + 2 * GAP
    sheet = Image.new(
        "RGB", (indent + COLUMNS * (TILE + GAP) - GAP, len(queries) * block - 3 * GAP), theme.paper
    )
    for n, query in enumerate(queries):
        top = n * block
        sheet.paste(_sized(query.image, QUERY), (0, top))
        name = shortened(query.words, 17)
        write(sheet, (QUERY // 2, top + QUERY + GAP), name, FONT, theme.muted, "ma")
        for line, space in enumerate(("features", "pixels")):
            _found(sheet, (indent, top + line * ROW), space, getattr(query, space), theme)
    return sheet


def _found(
    sheet: Image.Image,
    at: tuple[int, int],
    space: str,
    found: Sequence[Neighbour],
    theme: Theme,
) -> None:
    x, y = at
    title = f"Nearest in {space}: {sum(each.same for each in found)} of {len(found)} of its class"
    write(sheet, at, title, FONT, theme.ink)
    for n, near in enumerate(found):
        left, top = x + n * (TILE + GAP), y + LINE
        sheet.paste(_sized(near.image, TILE), (left, top))
        if near.same:
            sheet.paste(theme.pair[0], (left, top + TILE, left + TILE, top + TILE + BAR))


def _sized(image: Pixels, side: int) -> Image.Image:
    return Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS)
