"""The stages as an arc diagram: one a row, and a line to it from each stage whose output it reads.

Lengths are in 1/16 rem, so that rows of text and the lines beside them grow together.
"""

from collections.abc import Sequence
from typing import NamedTuple

NAME, LINE, GAP = 46, 22, 26  # heights: name and purpose, a file, the space below
MIDDLE = 13  # of a name, from the top of its row
DEEP, DEEPER = 14, 8  # how far to the left an arc past one row goes, and past each row more


class Stage(NamedTuple):
    """`reads` names earlier stages; `files` are (path, the first digits of its SHA-256)."""

    name: str
    does: str
    reads: Sequence[str]
    files: Sequence[tuple[str, str]]


class Arc(NamedTuple):
    """A line from one stage to another that reads its output; `path` is SVG's."""

    source: str
    target: str
    path: str


class Diagram(NamedTuple):
    """`heights` of the rows, `dots` where the stages' names stand; `spine` is their x."""

    heights: Sequence[int]
    dots: Sequence[int]
    arcs: Sequence[Arc]
    spine: int


def diagram(stages: Sequence[Stage]) -> Diagram:
    """Where to draw what. A stage reads earlier ones only: KeyError names one that is not."""
    heights = [NAME + LINE * len(stage.files) + GAP for stage in stages]
    dots = [sum(heights[:n]) + MIDDLE for n in range(len(stages))]
    edges = list(_edges(stages))
    rows = max((past for past, *_ in edges), default=0)
    spine = (DEEP + DEEPER * rows if rows else 0) + 10
    arcs = [
        Arc(stages[i].name, stages[j].name, _path(spine, dots[i], dots[j], past))
        for past, i, j in sorted(edges, reverse=True)
    ]
    return Diagram(heights, dots, arcs, spine)


def _edges(stages: Sequence[Stage]) -> list[tuple[int, int, int]]:
    """(rows passed over, from, to) of every line."""
    place: dict[str, int] = {}
    edges = []
    for here, stage in enumerate(stages):
        edges += [(here - place[name] - 1, place[name], here) for name in stage.reads]
        place[stage.name] = here
    return edges


def _path(spine: int, top: int, bottom: int, past: int) -> str:
    """A straight line to the next row; past others an arc, a cubic 3/4 as deep as its handles."""
    if not past:
        return f"M{spine} {top}V{bottom}"
    handle = spine - (DEEP + DEEPER * past) * 4 / 3
    return f"M{spine} {top}C{handle:.1f} {top} {handle:.1f} {bottom} {spine} {bottom}"
