import gc
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from alexnet import shards
from alexnet.errors import InputError
from alexnet.shards import Shards, write_manifest, write_shard
from conftest import Images, random_images, write_split


def test_every_record_comes_back(split: Shards, images: Images) -> None:
    assert len(split) == 20
    for record in (0, 19, 7, 8, 3, 3):
        assert np.array_equal(split.read(record), images[record])
    assert split.records_of(1).tolist() == list(range(8, 16))
    assert split.labels.tolist() == [n % 5 for n in range(20)]


def test_a_picture_outlives_its_reader(tmp_path: Path, images: Images) -> None:
    folder = write_split(tmp_path / "split", images[:2], [0, 1]).folder
    pictures = [Shards(folder).read(record) for record in (0, 1)]
    gc.collect()
    assert np.array_equal(pictures, images[:2])


def test_manifest_tells_the_truth_of_the_files(split: Shards) -> None:
    for shard in split.manifest["shards"]:
        data = (split.folder / shard["file"]).read_bytes()
        assert shard["bytes"] == len(data)
        assert shard["sha256"] == hashlib.sha256(data).hexdigest()
    assert [shard["records"] for shard in split.manifest["shards"]] == [8, 8, 4]


def test_the_same_images_give_the_same_bytes(tmp_path: Path, split: Shards, images: Images) -> None:
    again = write_split(tmp_path / "again", images, [n % 5 for n in range(20)])
    assert again.manifest == split.manifest


def test_jpeg_records_are_close_and_smaller(tmp_path: Path) -> None:
    smooth = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None], (256, 256, 3)).copy()
    shard = write_shard(tmp_path / "00000.lmdb", [(0, smooth)], "jpeg") | {"first": 0}
    write_manifest(tmp_path, np.zeros(1, np.int32), "jpeg", [shard], [])
    assert np.abs(Shards(tmp_path).read(0).astype(int) - smooth).max() <= 3
    assert shard["bytes"] < 50_000


def test_skipped_rows_leave_a_gap(tmp_path: Path) -> None:
    images = random_images(3)
    kept = [(0, images[0]), (2, images[2])]
    shard = write_shard(tmp_path / "00000.lmdb", kept, "raw") | {"first": 0}
    write_manifest(tmp_path, np.array([4, -1, 5], np.int32), "raw", [shard], [])
    split = Shards(tmp_path)
    assert split.records.tolist() == [0, 2]
    assert np.array_equal(split.read(2), images[2])
    with pytest.raises(InputError, match="lacks record 1"):
        split.read(1)


def _flip_a_pixel(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (_flip_a_pixel, "record .* is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-4096]), "bytes"),
        (lambda path: path.unlink(), "bytes"),
        (lambda path: path.write_bytes(bytes(path.stat().st_size)), "damaged"),
    ],
    ids=["flipped bit", "truncated", "missing", "zeroed"],
)
def test_damage_is_one_clear_error(
    tmp_path: Path, split: Shards, harm: Callable[[Path], None], says: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(split.folder, folder)
    harm(folder / "00001.lmdb")
    harmed = Shards(folder)
    with pytest.raises(InputError, match=f"00001.lmdb.*{says}.*mend: .*dvc repro -f resize"):
        [harmed.read(record) for record in harmed.records]


def test_a_shard_that_finds_no_room_is_not_there(
    tmp_path: Path, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "MAP_BYTES", 400_000)
    with pytest.raises(InputError, match=r"cannot be written.*free the disk"):
        write_shard(tmp_path / "00000.lmdb", enumerate(images), "raw")
    assert not (tmp_path / "00000.lmdb").exists()


def test_no_split_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a split"):
        Shards(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({})[:-1])
    with pytest.raises(InputError, match="not a split"):
        Shards(tmp_path)
