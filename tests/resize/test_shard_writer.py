"""Shards are plain LMDB files, and records.npy gives where each record lies in them."""

import json
from pathlib import Path

import lmdb
import numpy as np
import pytest
import xxhash

from alexnet.dataset.manifest import RECORD, OddFile
from alexnet.dataset.shards import Shards
from alexnet.resize import shard_writer
from alexnet.resize.shard_writer import WrittenShard, summary, write_manifest, write_shard
from alexnet.runtime.errors import InputError
from images import Images, random_images, rewrite_manifest, write_split


def read_with_lmdb(path: Path) -> list[tuple[bytes, bytes]]:
    """Return all keys and values, as any LMDB client does."""
    with (
        lmdb.open(str(path), subdir=False, readonly=True, lock=False) as env,
        env.begin() as reader,
    ):
        return [(bytes(key), bytes(value)) for key, value in reader.cursor()]


@pytest.mark.parametrize("pixels", ["raw", "jpeg"])
def test_any_lmdb_client_reads_the_same_records(tmp_path: Path, pixels: str) -> None:
    """JPEGs of noise take pages of their own, those of white paper lie within LMDB's tree.

    400 records make a tree of many pages.
    """
    images = np.full((400, 256, 256, 3), 255, np.uint8)
    images[:40] = random_images(40)
    folder = write_split(tmp_path / "split", images, [0] * 400, 400, pixels).folder
    data, table = (folder / "00000.lmdb").read_bytes(), np.load(folder / "records.npy")
    assert table.dtype == RECORD
    keys, values = zip(*read_with_lmdb(folder / "00000.lmdb"), strict=True)
    assert list(keys) == [row.to_bytes(8, "big") for row in range(400)]
    for row, value in zip(table, values, strict=True):
        assert data[row["offset"] : row["offset"] + row["size"]] == value
        assert row["xxh3"] == xxhash.xxh3_64_intdigest(value)
    if pixels == "raw":
        assert b"".join(values) == images.tobytes()


def test_keys_are_positions_in_the_split(tmp_path: Path, images: Images) -> None:
    folder = write_split(tmp_path / "split", images, [0] * 20, records=8).folder
    keys = [key for n in range(3) for key, _ in read_with_lmdb(folder / f"{n:05d}.lmdb")]
    assert [int.from_bytes(key, "big") for key in keys] == list(range(20))


def test_skipped_rows_have_no_record(tmp_path: Path, images: Images) -> None:
    """Rows 100–104, of which 100, 103 and 104 were skipped."""
    shard = write_shard(
        tmp_path / "00000.lmdb", [(101, images[0]), (102, images[1])], "raw", range(100, 105)
    )
    assert (shard.entry.first, shard.entry.records) == (100, 2)
    assert shard.records["size"].tolist() == [0, 196_608, 196_608, 0, 0]
    assert shard.records["offset"][[0, 3, 4]].tolist() == [0, 0, 0]


def test_a_shard_becomes_json_and_back(tmp_path: Path, images: Images) -> None:
    """As the work folder of an interrupted run keeps it."""
    written = write_shard(tmp_path / "00000.lmdb", enumerate(images[:3]), "raw", range(3))
    shard = WrittenShard(written.entry, written.records, [OddFile(1, "a", "b", "c", "kept")])
    read = WrittenShard.from_json(json.loads(json.dumps(shard.to_json())))
    assert (read.entry, read.odd) == (shard.entry, shard.odd)
    assert np.array_equal(read.records, shard.records)


def test_a_full_disk_is_reported_with_a_fix(
    tmp_path: Path, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_writer, "MAP_BYTES", 400_000)
    with pytest.raises(InputError, match=r"cannot be written.*free disk space"):
        write_shard(tmp_path / "00000.lmdb", enumerate(images), "raw", range(len(images)))


def test_a_wrong_offset_is_detected_while_writing(
    tmp_path: Path, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should LMDB ever lay out its pages in another way."""
    monkeypatch.setattr(shard_writer, "_offset_in_file", lambda value, page_bytes: 4096)
    with pytest.raises(RuntimeError, match="record 0 is not at 4096"):
        write_shard(tmp_path / "00000.lmdb", enumerate(images[:1]), "raw", range(1))


def test_the_summary_counts_images_shards_and_odd_files(tmp_path: Path, images: Images) -> None:
    folder = write_split(tmp_path / "split", images, [0] * 20, records=8).folder
    odd = [
        OddFile(n, "a.JPEG", "raw", "mode L", done) for n, done in enumerate(("kept", "skipped"))
    ]
    rewrite_manifest(folder, odd=odd)
    line = "20 images in 3 shards, 4 MB; 2 odd files, 1 skipped (listed in manifest.json)"
    assert summary(Shards(folder).manifest) == line
    shard = write_shard(tmp_path / "00000.lmdb", enumerate(images[:1]), "raw", range(1))
    manifest = write_manifest(tmp_path, np.zeros(1, np.int32), "raw", [shard])
    assert summary(manifest).startswith("1 image in 1 shard, 0 MB; 0 odd files, 0 skipped")
