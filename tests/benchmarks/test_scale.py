"""The synthetic files of the scale benchmark: tars equal to tarfile's, and long epochs."""

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from benchmarks import scale, scale_epoch, scale_tars
from benchmarks.scale_tars import BLOCK, make_headers, tar_size, write_tar

from alexnet.archives.tar import list_tar
from alexnet.dataset.index import load_index
from alexnet.dataset.shards import Shards
from alexnet.input.augment import AugmentSettings, plan_epoch
from alexnet.input.epoch import split_batches
from alexnet.input.loader import load_crops


@pytest.mark.parametrize("size", [0, 512, 110_000])
def test_headers_equal_tarfiles(size: int) -> None:
    headers = make_headers(["n01440764_1.JPEG", "n" * 99], size)
    for name, header in zip(("n01440764_1.JPEG", "n" * 99), headers, strict=True):
        member = tarfile.TarInfo(name)
        member.size = size
        assert header.tobytes() == member.tobuf(tarfile.USTAR_FORMAT)


def test_sparse_tar_can_be_read(tmp_path: Path) -> None:
    names = [f"{n}.JPEG" for n in range(5)]
    with (tmp_path / "one.tar").open("wb") as file:
        end = write_tar(file.fileno(), 0, names, 1000)
        assert os.fstat(file.fileno()).st_size == end == tar_size(5, 1000)
    with tarfile.open(tmp_path / "one.tar") as tar:
        assert tar.getnames() == names
    for n, (name, offset, size) in enumerate(list_tar(tmp_path / "one.tar")):
        assert (name.decode(), offset, size) == (names[n], n * (BLOCK + 1024) + BLOCK, 1000)


def test_fall2011_share_is_indexed(tmp_path: Path) -> None:
    scale.fall2011(tmp_path, share=3 / scale_tars.FALL_2011[0])
    numbers = scale.build_index(tmp_path)
    assert numbers["rows"] == sum(scale_tars.split_evenly(14_197_122, 21_841)[:3])
    saved = load_index(tmp_path / "index")
    assert len(saved.synsets) == 3
    assert sum(map(len, saved.splits.values())) == numbers["rows"]


def test_images_are_split_evenly_over_classes() -> None:
    counts = scale_tars.split_evenly(1_281_167, 1000)
    assert sum(counts) == 1_281_167
    assert set(counts) == {1281, 1282}


def test_epoch_starts_with_only_its_first_shards_on_disk(tmp_path: Path) -> None:
    images = 200_000
    scale_epoch.make_epoch(tmp_path, images)
    assert scale_epoch.start_epoch(tmp_path)["images"] == images
    shards = Shards(tmp_path / "train")
    assert len(shards) == images
    assert len(list((tmp_path / "train").glob("*.lmdb"))) < len(shards.manifest.shards)
    choices = plan_epoch(0, 0, images, AugmentSettings())
    batches = load_crops(shards, choices, split_batches(images, 128), 224, pin=False)
    batch, _ = next(batches)
    assert np.asarray(batch).std() > 50  # pixels, not an empty buffer
    batches.close()  # type: ignore[attr-defined]


def test_numbers_are_printed_with_their_names() -> None:
    assert (
        scale.format_numbers({"s wall": 1.2345, "rows": 14_197_122})
        == "1.23 s wall, 14,197,122 rows"
    )
