"""What the scale benchmark measures on is what it says: tars as tarfile's own, long epochs."""

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from benchmarks import scale, scale_epoch, scale_tars
from benchmarks.scale_tars import BLOCK, headers, tar_bytes, write_tar

from alexnet.archives.tar import list_tar
from alexnet.dataset.index import load_index
from alexnet.dataset.shards import Shards
from alexnet.input.augment import AugmentSettings, plan_epoch
from alexnet.input.epoch import split_batches
from alexnet.input.loader import load_crops


@pytest.mark.parametrize("size", [0, 512, 110_000])
def test_headers_are_those_of_tarfile(size: int) -> None:
    made = headers(["n01440764_1.JPEG", "n" * 99], size)
    for name, header in zip(("n01440764_1.JPEG", "n" * 99), made, strict=True):
        told = tarfile.TarInfo(name)
        told.size = size
        assert header.tobytes() == told.tobuf(tarfile.USTAR_FORMAT)


def test_a_tar_of_holes_is_a_tar(tmp_path: Path) -> None:
    names = [f"{n}.JPEG" for n in range(5)]
    with (tmp_path / "one.tar").open("wb") as file:
        end = write_tar(file.fileno(), 0, names, 1000)
        assert os.fstat(file.fileno()).st_size == end == tar_bytes(5, 1000)
    with tarfile.open(tmp_path / "one.tar") as tar:
        assert tar.getnames() == names
    for n, (name, offset, size) in enumerate(list_tar(tmp_path / "one.tar")):
        assert (name.decode(), offset, size) == (names[n], n * (BLOCK + 1024) + BLOCK, 1000)


def test_an_index_of_the_first_synsets(tmp_path: Path) -> None:
    scale.fall2011(tmp_path, share=3 / scale_tars.FALL_2011[0])
    found = scale.index(tmp_path)
    assert found["rows"] == sum(scale_tars.spread_evenly(14_197_122, 21_841)[:3])
    saved = load_index(tmp_path / "index")
    assert len(saved.synsets) == 3
    assert sum(map(len, saved.splits.values())) == found["rows"]


def test_all_of_ilsvrc2012_is_spread_over_its_classes() -> None:
    counts = scale_tars.spread_evenly(1_281_167, 1000)
    assert sum(counts) == 1_281_167
    assert set(counts) == {1281, 1282}


def test_an_epoch_begins_on_shards_of_which_few_exist(tmp_path: Path) -> None:
    images = 200_000
    scale_epoch.make_epoch(tmp_path, images)
    assert scale_epoch.begun(tmp_path)["images"] == images
    shards = Shards(tmp_path / "train")
    assert len(shards) == images
    assert len(list((tmp_path / "train").glob("*.lmdb"))) < len(shards.manifest.shards)
    choices = plan_epoch(0, 0, images, AugmentSettings())
    batches = load_crops(shards, choices, split_batches(images, 128), 224, pin=False)
    batch, _ = next(batches)
    assert np.asarray(batch).std() > 50  # pixels, and not an empty buffer
    batches.close()  # type: ignore[attr-defined]


def test_numbers_are_told_with_their_names() -> None:
    assert scale.told({"s wall": 1.2345, "rows": 14_197_122}) == "1.23 s wall, 14,197,122 rows"
