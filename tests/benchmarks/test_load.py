"""Each way to load on a few drawn photos: all see every picture, and the table tells the truth."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import load, load_cold, load_ways
from benchmarks.load_ways import CROP, PLACES, Epoch, Material
from PIL import Image

from alexnet.miniature.render import draw
from benchmark_tables import checked, jpeg, number

Maker = Callable[[Material, int], Epoch]
SEVERAL = [  # ways of which the batches can be looked at
    load_ways.iterator,
    load_ways.dataloader,
    load_ways.lmdb_raw,
    load_ways.ffcv,
    load_ways.ffcv_centre,
]


@pytest.fixture(scope="module")
def few() -> list[bytes]:
    return [jpeg(Image.fromarray(draw(0, label, 0))) for label in range(5)]


@pytest.mark.parametrize("make", SEVERAL, ids=[make.__name__ for make in SEVERAL])
def test_every_way_gives_a_crop_of_every_picture(
    make: Maker, few: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be no wonder that it is fast."""
    seen: list[np.ndarray] = []
    monkeypatch.setattr(load_ways, "exhaust", lambda batches: seen.extend(squares_of(batches)))
    material = Material(few, tmp_path)
    try:
        epoch = make(material, 2)
    except (ImportError, OSError):
        pytest.skip("not installed")
    epoch(0)
    found = sorted(
        next(n for n in range(5) if is_part(crop, material.pictures[n])) for crop in seen
    )
    assert found == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def squares_of(batches: Iterable[object]) -> list[np.ndarray]:
    squares: list[np.ndarray] = []
    for batch in batches:
        first = batch[0] if isinstance(batch, tuple | list) else batch
        squares.extend(np.asarray(torch.as_tensor(first)).copy().reshape(-1, CROP, CROP, 3))
    return squares


def is_part(crop: np.ndarray, picture: np.ndarray) -> bool:
    """Whether a crop is one of the 33 × 33 of a picture."""
    corners = np.argwhere((picture[: PLACES + 1, : PLACES + 1] == crop[0, 0]).all(axis=2))
    return any(
        np.array_equal(crop, picture[top : top + CROP, left : left + CROP]) for top, left in corners
    )


def test_load(few: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    short = {name: (make, 10) for name, (make, _) in load.MAKERS.items() if "2 workers" not in name}
    monkeypatch.setattr(load, "MAKERS", short)
    rows = load.rows(few, 1)
    beside = next(row for row in rows if "÷" in row.what)
    checked([row for row in rows if row is not beside], load.OURS)
    assert {row.what for row in rows} == {*short, beside.what}
    costs = {row.what: number(row.cost) for row in rows if row.ratio or row.what == load.OURS}
    assert number(beside.ratio) == pytest.approx(costs[load.MEMCPY] / costs[load.GATHER], abs=0.02)
    assert all(row.goal for row in rows if row.what in load.GOALS and row.ratio)
    assert all("images/s" in row.cost for row in rows if row.what in costs)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_load_cold(few: list[bytes]) -> None:
    rows = load_cold.rows(few, 1)
    assert [row.what for row in rows] == list(load_cold.MODES)
    assert all("MB/s" in row.cost for row in rows)
