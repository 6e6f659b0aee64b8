"""Every way to load, on five drawn photos: all read every picture; the table is correct."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import load, load_cold, load_ways
from benchmarks.load_ways import CROP, OFFSETS, Epoch, Material
from PIL import Image

from alexnet.miniature.render import draw
from benchmark_tables import check_ratios, jpeg, number

Maker = Callable[[Material, int], Epoch]
INSPECTABLE = [  # ways whose batches can be captured
    load_ways.iterator,
    load_ways.dataloader,
    load_ways.lmdb_raw,
    load_ways.ffcv,
    load_ways.ffcv_centre,
]


@pytest.fixture(scope="module")
def photo_files() -> list[bytes]:
    return [jpeg(Image.fromarray(draw(0, label, 0))) for label in range(5)]


@pytest.mark.parametrize("make", INSPECTABLE, ids=[make.__name__ for make in INSPECTABLE])
def test_every_way_reads_a_crop_of_every_picture(
    make: Maker, photo_files: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A way that skipped pictures would only seem fast."""
    crops: list[np.ndarray] = []
    monkeypatch.setattr(load_ways, "exhaust", lambda batches: crops.extend(split_crops(batches)))
    material = Material(photo_files, tmp_path)
    try:
        epoch = make(material, 2)
    except (ImportError, OSError):
        pytest.skip("not installed")
    epoch(0)
    found = sorted(
        next(n for n in range(5) if is_part(crop, material.pictures[n])) for crop in crops
    )
    assert found == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def split_crops(batches: Iterable[object]) -> list[np.ndarray]:
    crops: list[np.ndarray] = []
    for batch in batches:
        first = batch[0] if isinstance(batch, tuple | list) else batch
        crops.extend(np.asarray(torch.as_tensor(first)).copy().reshape(-1, CROP, CROP, 3))
    return crops


def is_part(crop: np.ndarray, picture: np.ndarray) -> bool:
    """Return whether a crop is one of the 33 × 33 crops of a picture."""
    corners = np.argwhere((picture[: OFFSETS + 1, : OFFSETS + 1] == crop[0, 0]).all(axis=2))
    return any(
        np.array_equal(crop, picture[top : top + CROP, left : left + CROP]) for top, left in corners
    )


def test_load_measures_all_ways(photo_files: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    short = {name: (make, 10) for name, (make, _) in load.MAKERS.items() if "2 workers" not in name}
    monkeypatch.setattr(load, "MAKERS", short)
    rows = load.rows(photo_files, 1)
    share = next(row for row in rows if "÷" in row.name)
    check_ratios([row for row in rows if row is not share], load.OURS)
    assert {row.name for row in rows} == {*short, share.name}
    costs = {row.name: number(row.cost) for row in rows if row.ratio or row.name == load.OURS}
    assert number(share.ratio) == pytest.approx(costs[load.MEMCPY] / costs[load.GATHER], abs=0.02)
    assert all(row.goal for row in rows if row.name in load.GOALS and row.ratio)
    assert all("images/s" in row.cost for row in rows if row.name in costs)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_load_cold_measures_all_modes(photo_files: list[bytes]) -> None:
    rows = load_cold.rows(photo_files, 1)
    assert [row.name for row in rows] == list(load_cold.MODES)
    assert all("MB/s" in row.cost for row in rows)
