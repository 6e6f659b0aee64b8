"""Prepare, in memory: CPU time per image on one core, JPEG bytes → 256×256 RGB."""

from collections.abc import Callable

from benchmarks.clock import measure_interleaved
from benchmarks.table import Goal, Row, cost_rows, main, make_installed, missing_rows
from benchmarks.ways import MAKERS, Way

GOALS = {
    "decoding only": Goal(at_most=1.4),
    "Pillow, whole picture bicubic, then crop": Goal(at_least=2.0),
    "torchvision on PIL, bilinear (its default)": Goal(at_least=1.6),
}
CHUNK = 25  # photos per turn of a way, so that its code stays cached, as in a worker


def rows(photos: list[bytes], rounds: int) -> list[Row]:
    """Measure all ways, interleaved after each chunk of photos."""
    ways, missing = make_installed(MAKERS)
    chunks = [photos[n : n + CHUNK] for n in range(0, len(photos), CHUNK)]
    costs = measure_interleaved(
        {name: _for_each(way) for name, way in ways.items()}, chunks, rounds
    )
    return cost_rows(costs, len(photos), {"": "ours"}, GOALS) + missing_rows(missing)


def _for_each(way: Way) -> Callable[[list[bytes]], None]:
    def run(photos: list[bytes]) -> None:
        for photo in photos:
            way(photo)

    return run


if __name__ == "__main__":
    main(__doc__ or "", rows)
