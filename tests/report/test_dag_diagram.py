"""The arc diagram: one arc for each stage read, from dot to dot, inside the drawing."""

import re

import numpy as np
import pytest

from alexnet.report.dag_diagram import FILE, TEXT, Arc, Stage, lay_out

STAGES = [
    Stage("a", "", (), [("x", "1"), ("y", "2")]),
    Stage("b", "", ("a",), [("z", "3")]),
    Stage("c", "", ("a", "b"), []),
    Stage("d", "", ("a",), []),
]
DIAGRAM = lay_out(STAGES)


def points(arc: Arc) -> np.ndarray:
    """Return points (x, y) along an arc, computed from its SVG path."""
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


def test_an_arc_connects_each_stage_with_those_it_reads() -> None:
    dots = dict(zip("abcd", DIAGRAM.dots, strict=True))
    assert {(arc.source, arc.target) for arc in DIAGRAM.arcs} == {
        *(("a", "b"), ("a", "c"), ("b", "c"), ("a", "d"))
    }
    for arc in DIAGRAM.arcs:
        first, *_, last = points(arc)
        assert first == pytest.approx((DIAGRAM.spine, dots[arc.source]))
        assert last == pytest.approx((DIAGRAM.spine, dots[arc.target]))


def test_arcs_stay_inside_and_are_deeper_the_more_rows_they_skip() -> None:
    left = {arc.source + arc.target: points(arc)[:, 0].min() for arc in DIAGRAM.arcs}
    assert 0 < left["ad"] < left["ac"] < left["ab"] == left["bc"] == DIAGRAM.spine


def test_the_height_of_a_row_follows_from_its_text_and_files() -> None:
    a, b, c, d = DIAGRAM.heights
    assert (a - b, b - c, c - d) == (FILE, FILE, 0)
    long = lay_out([STAGES[0]._replace(description="a description of two lines " * 2)])
    assert long.heights == [a + TEXT]
    within = np.array(DIAGRAM.dots) - np.cumsum([0, a, b, c])
    assert set(within.tolist()) == {DIAGRAM.dots[0]}


def test_a_stage_cannot_read_a_later_one() -> None:
    with pytest.raises(KeyError, match="later"):
        lay_out([Stage("a", "", ("later",), []), Stage("later", "", (), [])])
    assert lay_out([]).arcs == []
