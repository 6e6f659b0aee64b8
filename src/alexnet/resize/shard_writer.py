"""Writes 256×256 images to LMDB files of 1,024 records, and the tables that dataset/ reads."""

import ctypes
import hashlib
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import xxhash
from PIL import Image

from alexnet.dataset.checksummed import save_array, write_checksummed_json
from alexnet.dataset.manifest import RECORD, Labels, Manifest, OddFile, RecordTable, ShardEntry
from alexnet.dataset.shards import SIDE, Pixels
from alexnet.runtime.errors import InputError

RECORDS_A_SHARD = 1024
RECORDS_A_TRANSACTION = 128
MAP_BYTES = 2 * RECORDS_A_SHARD * SIDE * SIDE * 3
DISK_BYTES = {"raw": 200_772, "jpeg": 45_000}  # of a record; jpeg approximately, by content


@dataclass(frozen=True)
class WrittenShard:
    """A finished shard: its manifest entry, the records of its rows, and its odd files."""

    entry: ShardEntry
    records: RecordTable
    odd: list[OddFile] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return this as JSON values; records, 20 bytes a row, in hexadecimal."""
        odd = list(map(asdict, self.odd))
        return {"entry": asdict(self.entry), "records": self.records.tobytes().hex(), "odd": odd}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "WrittenShard":
        """Return what `to_json` was called on. Raises ValueError or LookupError."""
        records = np.frombuffer(bytes.fromhex(content["records"]), RECORD)
        odd = list(map(OddFile.from_json, content["odd"]))
        return cls(ShardEntry.from_json(content["entry"]), records, odd)


def write_shard(
    path: Path, images: Iterable[tuple[int, Pixels]], pixels: str, rows: range
) -> WrittenShard:
    """Write images to `path`, a new LMDB file, and return its entry and records.

    `images`: (row, (256, 256, 3) uint8 RGB), rows ascending. `pixels`: "raw", or "jpeg" of quality
    95. `rows`: the shard's rows of the split; those without an image were skipped. Raises
    InputError if the disk is full.
    """
    records = np.zeros(len(rows), RECORD)
    try:
        with lmdb.open(str(path), map_size=MAP_BYTES, subdir=False, lock=False) as env:
            for batch in _batches(images, RECORDS_A_TRANSACTION):
                with env.begin(write=True) as transaction:
                    for record, image in batch:
                        stored = _jpeg(image) if pixels == "jpeg" else image.tobytes()
                        transaction.put(record.to_bytes(8, "big"), stored, append=True)
                        records[record - rows.start]["xxh3"] = xxhash.xxh3_64_intdigest(stored)
            _locate(records, env, path, rows)
    except lmdb.Error as error:
        raise InputError(f"{path} cannot be written: {error}", "free disk space, rerun") from None
    count = int((records["size"] > 0).sum())
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return WrittenShard(ShardEntry(path.name, count, file.tell(), sha256, rows.start), records)


def _locate(records: RecordTable, env: lmdb.Environment, path: Path, rows: range) -> None:
    """Fill in each record's offset and size, and verify what the file holds there."""
    page_bytes = int(env.stat()["psize"])
    data = np.memmap(path, np.uint8, "r").data
    with env.begin(buffers=True) as transaction:
        for key, value in transaction.cursor():
            number = int.from_bytes(key, "big")
            record = records[number - rows.start]
            offset, size = _offset_in_file(value, page_bytes), len(value)
            if xxhash.xxh3_64_intdigest(data[offset : offset + size]) != record["xxh3"]:
                raise RuntimeError(f"{path}: record {number} is not at {offset}")
            record["offset"], record["size"] = offset, size


def _offset_in_file(value: memoryview, page_bytes: int) -> int:
    """Return the offset in the file of a value, given as a view of LMDB's map.

    The page in which the view starts begins with its own number, a u64 (MDB_page in LMDB 0.9's
    mdb.c).
    """
    if not value:  # an empty view points anywhere
        return 0
    address = np.frombuffer(value, np.uint8).ctypes.data
    in_page = address % page_bytes
    page = int.from_bytes(ctypes.string_at(address - in_page, 8), sys.byteorder)
    return page * page_bytes + in_page


def write_manifest(
    folder: Path, labels: Labels, pixels: str, shards: Sequence[WrittenShard]
) -> Manifest:
    """Write manifest.json, labels.npy and records.npy of a split of these shards.

    `labels`: (rows,) int32, −1 where a row was skipped.
    """
    records = np.concatenate([shard.records for shard in shards])
    manifest = Manifest(
        pixels=pixels,
        side=SIDE,
        rows=len(labels),
        labels=save_array(folder / "labels.npy", labels),
        records=save_array(folder / "records.npy", records),
        shards=[shard.entry for shard in shards],
        odd=[odd for shard in shards for odd in shard.odd],
    )
    write_checksummed_json(folder / "manifest.json", manifest.to_json())
    return manifest


def summary(manifest: Manifest) -> str:
    """Return one line: images, shards, size, odd files."""
    images, shards = _count(manifest.images, "image"), _count(len(manifest.shards), "shard")
    odd = _count(len(manifest.odd), "odd file")
    skipped = sum(file.done == "skipped" for file in manifest.odd)
    size = f"{manifest.bytes / 1e6:,.0f} MB"
    return f"{images} in {shards}, {size}; {odd}, {skipped} skipped (listed in manifest.json)"


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _batches(images: Iterable[tuple[int, Pixels]], n: int) -> Iterator[list[tuple[int, Pixels]]]:
    source = iter(images)
    while batch := list(islice(source, n)):
        yield batch


def _jpeg(image: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()
