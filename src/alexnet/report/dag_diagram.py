"""The DAG as an arc diagram: one stage a row, an arc to it from each stage whose output it reads.

Lengths are in 1/16 rem, so that rows of text and the arcs beside them scale together.
"""

from collections.abc import Sequence
from typing import NamedTuple

NAME, TEXT, FILE, GAP = 26, 20, 22, 26  # heights: name, a line of text, a file, space below
MIDDLE = 13  # centre of the name, from the top of its row
LINE_LENGTH = 36  # characters of a description that fit on a line; the page shows two lines
DEPTH, DEPTH_PER_ROW = 14, 8  # depth of an arc past one row, and how much each further row adds


class Stage(NamedTuple):
    """A stage of the DAG.

    reads: names of earlier stages; files: (path, first digits of its SHA-256).
    """

    name: str
    description: str
    reads: Sequence[str]
    files: Sequence[tuple[str, str]]


class Arc(NamedTuple):
    """A line from `source` to a stage that reads its output.

    path: in SVG's syntax.
    """

    source: str
    target: str
    path: str


class Diagram(NamedTuple):
    """A laid out DAG: row heights, y and x (`spine`) of the dots, arcs."""

    heights: Sequence[int]
    dots: Sequence[int]
    arcs: Sequence[Arc]
    spine: int


def lay_out(stages: Sequence[Stage]) -> Diagram:
    """Lay out the stages. Raises KeyError if one reads a later one."""
    heights = [_height(stage) for stage in stages]
    dots = [sum(heights[:n]) + MIDDLE for n in range(len(stages))]
    edges = _edges(stages)
    most = max((skipped for skipped, *_ in edges), default=0)
    spine = (DEPTH + DEPTH_PER_ROW * most if most else 0) + 10
    arcs = [
        Arc(stages[i].name, stages[j].name, _path(spine, dots[i], dots[j], skipped))
        for skipped, i, j in sorted(edges, reverse=True)
    ]
    return Diagram(heights, dots, arcs, spine)


def _height(stage: Stage) -> int:
    lines = 1 if len(stage.description) <= LINE_LENGTH else 2
    return NAME + TEXT * lines + FILE * len(stage.files) + GAP


def _edges(stages: Sequence[Stage]) -> list[tuple[int, int, int]]:
    """Return (rows skipped, source row, target row) of every arc."""
    rows: dict[str, int] = {}
    edges = []
    for row, stage in enumerate(stages):
        edges += [(row - rows[name] - 1, rows[name], row) for name in stage.reads]
        rows[stage.name] = row
    return edges


def _path(spine: int, top: int, bottom: int, skipped: int) -> str:
    """Return a straight line to the next row, else an arc.

    The arc is a cubic Bézier curve, 3/4 as deep as its control points.
    """
    if not skipped:
        return f"M{spine} {top}V{bottom}"
    handle = spine - (DEPTH + DEPTH_PER_ROW * skipped) * 4 / 3
    return f"M{spine} {top}C{handle:.1f} {top} {handle:.1f} {bottom} {spine} {bottom}"
