"""Prepare, in memory: CPU time an image on one core, JPEG bytes → 256×256 RGB."""

from collections.abc import Callable

from benchmarks.clock import interleaved
from benchmarks.table import Goal, Row, absent_rows, alone, cost_rows, installed
from benchmarks.ways import MAKERS, Way

GOALS = {
    "decoding alone": Goal(at_most=1.4),
    "Pillow, whole picture bicubic, then crop": Goal(at_least=2.0),
    "torchvision on PIL, bilinear (its default)": Goal(at_least=1.6),
}


STRETCH = 25  # photos that a way does before the next one: as in a worker, its code stays cached


def rows(photos: list[bytes], rounds: int) -> list[Row]:
    """All ways in turns, a stretch of photos at a time."""
    ways, absent = installed(MAKERS)
    stretches = [photos[n : n + STRETCH] for n in range(0, len(photos), STRETCH)]
    costs = interleaved({name: _each(way) for name, way in ways.items()}, stretches, rounds)
    return cost_rows(costs, len(photos), {"": "ours"}, GOALS) + absent_rows(absent)


def _each(way: Way) -> Callable[[list[bytes]], None]:
    def run(photos: list[bytes]) -> None:
        for photo in photos:
            way(photo)

    return run


if __name__ == "__main__":
    alone(__doc__ or "", rows)
