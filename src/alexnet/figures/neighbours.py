"""Figure 4, right: test images and the training images nearest to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from alexnet.figures.style import FONT, GAP, LIGHT, LINE, Pixels, Theme, draw_text, shorten

TILE, BAR = 128, 8  # side of a neighbour, height of the bar below one of the query's class
COLUMNS = 6  # neighbours shown, as in the paper's figure
ROW = LINE + TILE + BAR + GAP  # title and neighbours of one space
QUERY = 2 * ROW - LINE - GAP


class Neighbour(NamedTuple):
    """A training image near to a query; `same_class`: as the query."""

    image: Pixels
    words: str
    same_class: bool


class Query(NamedTuple):
    """A test image and its neighbours in two spaces, nearest first."""

    image: Pixels
    words: str
    features: Sequence[Neighbour]
    pixels: Sequence[Neighbour]


def draw_neighbours(queries: Sequence[Query], theme: Theme = LIGHT) -> Image.Image:
    """Draw the right of figure 4: queries with their neighbours.

    For each query one row of neighbours in features, one in pixels. Features are fc7's activations;
    there is room for six neighbours. A bar marks those of the query's class, and the title states
    how many there are.
    """
    block, indent = 2 * ROW + 3 * GAP, QUERY + 2 * GAP
    size = indent + COLUMNS * (TILE + GAP) - GAP, len(queries) * block - 3 * GAP
    sheet = Image.new("RGB", size, theme.paper)
    for n, query in enumerate(queries):
        top = n * block
        sheet.paste(_resize(query.image, QUERY), (0, top))
        name = shorten(query.words, 17)
        draw_text(sheet, (QUERY // 2, top + QUERY + GAP), name, FONT, theme.muted, "ma")
        for row, (space, neighbours) in enumerate(
            (("features", query.features), ("pixels", query.pixels))
        ):
            _draw_row(sheet, (indent, top + row * ROW), space, neighbours, theme)
    return sheet


def _draw_row(
    sheet: Image.Image,
    at: tuple[int, int],
    space: str,
    neighbours: Sequence[Neighbour],
    theme: Theme,
) -> None:
    x, y = at
    same = sum(neighbour.same_class for neighbour in neighbours)
    title = f"Nearest in {space}: {same} of {len(neighbours)} of the same class"
    draw_text(sheet, at, title, FONT, theme.ink)
    for n, neighbour in enumerate(neighbours):
        left, top = x + n * (TILE + GAP), y + LINE
        sheet.paste(_resize(neighbour.image, TILE), (left, top))
        if neighbour.same_class:
            sheet.paste(theme.pair[0], (left, top + TILE, left + TILE, top + TILE + BAR))


def _resize(image: Pixels, side: int) -> Image.Image:
    return Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS)
