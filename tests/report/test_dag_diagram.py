"""The arc diagram: a line for everything that is read, from dot to dot, inside the picture."""

import re

import numpy as np
import pytest

from alexnet.report.dag_diagram import LINE, Arc, Stage, diagram

STAGES = [
    Stage("a", "", (), [("x", "1"), ("y", "2")]),
    Stage("b", "", ("a",), [("z", "3")]),
    Stage("c", "", ("a", "b"), []),
    Stage("d", "", ("a",), []),
]
DRAWN = diagram(STAGES)


def points(arc: Arc) -> np.ndarray:
    """(x, y) along an arc, drawn here from its path, naively."""
    numbers = [float(number) for number in re.findall(r"[\d.]+", arc.path)]
    if "V" in arc.path:
        x, top, bottom = numbers
        return np.array([(x, y) for y in np.linspace(top, bottom, 50)])
    a, b, c, d = np.array(numbers).reshape(4, 2)
    return np.array(
        [
            (1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t**2 * (1 - t) * c + t**3 * d
            for t in np.linspace(0, 1, 50)
        ]
    )


def test_a_line_joins_each_stage_to_whatever_it_reads() -> None:
    dots = dict(zip("abcd", DRAWN.dots, strict=True))
    assert {(arc.source, arc.target) for arc in DRAWN.arcs} == {
        *(("a", "b"), ("a", "c"), ("b", "c"), ("a", "d"))
    }
    for arc in DRAWN.arcs:
        first, *_, last = points(arc)
        assert first == pytest.approx((DRAWN.spine, dots[arc.source]))
        assert last == pytest.approx((DRAWN.spine, dots[arc.target]))


def test_lines_stay_inside_and_bulge_the_more_the_more_they_pass() -> None:
    left = {arc.source + arc.target: points(arc)[:, 0].min() for arc in DRAWN.arcs}
    assert 0 < left["ad"] < left["ac"] < left["ab"] == left["bc"] == DRAWN.spine


def test_rows_are_as_high_as_they_have_files() -> None:
    a, b, c, d = DRAWN.heights
    assert (a - b, b - c, c - d) == (LINE, LINE, 0)
    within = np.array(DRAWN.dots) - np.cumsum([0, a, b, c])
    assert set(within.tolist()) == {DRAWN.dots[0]}


def test_a_stage_cannot_read_what_comes_later() -> None:
    with pytest.raises(KeyError, match="later"):
        diagram([Stage("a", "", ("later",), []), Stage("later", "", (), [])])
    assert diagram([]).arcs == []
