"""The resize stage as the benchmarks run it: its own jobs on given photos."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from benchmarks import growth, scaling, work
from PIL import Image

from alexnet.dataset.shards import Shards
from images import random_images


@pytest.fixture
def photos() -> list[bytes]:
    files = [io.BytesIO() for _ in range(3)]
    for file, pixels in zip(files, random_images(3), strict=True):
        Image.fromarray(pixels).save(file, "JPEG")
    return [file.getvalue() for file in files]


def test_growth_writes_every_shard(photos: list[bytes], tmp_path: Path) -> None:
    work.write_raw(photos, tmp_path, 5)
    assert growth.measure(tmp_path, 5)["cpu"] > 0
    assert [path.name for path in tmp_path.rglob("*.lmdb")] == ["00000.lmdb"]


def test_scaling_writes_a_readable_split(photos: list[bytes], tmp_path: Path) -> None:
    table = work.write_raw(photos, tmp_path, 20)
    with ThreadPoolExecutor(1) as pool:
        shards = Shards(scaling.run_resize(tmp_path / "output", table, pool))
    assert len(shards) == 20
    assert len(shards.manifest.shards) > 1
    assert (shards.read(0) == shards.read(3)).all()  # three photos, repeated
