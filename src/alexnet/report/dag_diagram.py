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
    """A stage: `reads` names earlier stages, `files` are (path, first digits of its SHA-256)."""

    name: str
    description: str
    reads: Sequence[str]
    files: Sequence[tuple[str, str]]


class Arc(NamedTuple):
    """A line from one stage to another that reads its output; `path` is an SVG path."""

    source: str
    target: str
    path: str


class Diagram(NamedTuple):
    """Row heights, y of the dots beside the stages' names, arcs, and x of the dots."""

    heights: Sequence[int]
    dots: Sequence[int]
    arcs: Sequence[Arc]
    spine: int


def lay_out(stages: Sequence[Stage]) -> Diagram:
    """Lay out the diagram. Raises KeyError if a stage reads one that is not before it."""
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
    """(rows skipped, source row, target row) of every arc."""
    rows: dict[str, int] = {}
    edges = []
    for row, stage in enumerate(stages):
        edges += [(row - rows[name] - 1, rows[name], row) for name in stage.reads]
        rows[stage.name] = row
    return edges


def _path(spine: int, top: int, bottom: int, skipped: int) -> str:
    """A straight line to the next row; else a cubic, 3/4 as deep as its control points."""
    if not skipped:
        return f"M{spine} {top}V{bottom}"
    handle = spine - (DEPTH + DEPTH_PER_ROW * skipped) * 4 / 3
    return f"M{spine} {top}C{handle:.1f} {top} {handle:.1f} {bottom} {spine} {bottom}"
