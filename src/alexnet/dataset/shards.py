"""256×256 images in LMDB files of 1,024 records, checked when they are read.

Record i of a split stands for row i of its index: key = i as a big-endian u64 and the XXH3 checksum
of i and the pixels, value = the pixels. The bytes are a function of the input alone.
All that leads to a record has a checksum too: a shard's tree, its keys among it, and labels.npy in
the manifest, the manifest in itself. No damage goes unnoticed, and none ends the process.
LMDB writes the shards (sharding.py). They are read from a mapping of our own: the tree tells where
in the file each record lies, all that a copy of a part of it, or a request to the disk, must know.
"""

import hashlib
import io
import mmap
import struct
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xxhash
from PIL import Image

from alexnet.dataset.btree import values_of
from alexnet.dataset.manifest import (
    Integers,
    allow_open_files,
    fix,
    load_labels,
    mapping,
    opened,
    read_manifest,
    record_bounds,
)
from alexnet.runtime.errors import InputError

SIDE = 256
ROW_BYTES = 3 * SIDE
KEY_BYTES = 8  # of a record's number; its checksum follows
KEY = np.dtype([("record", ">u8"), ("checksum", "V8")])

Pixels = npt.NDArray[np.uint8]


class Shards:
    """A split's images, by record number."""

    def __init__(self, folder: Path) -> None:
        """Raises InputError where the folder is not a split, or a damaged one."""
        path = folder / "manifest.json"
        try:
            self.manifest = read_manifest(folder)
            path = folder / "labels.npy"
            self.labels = load_labels(folder, self.manifest)
        except (OSError, ValueError, EOFError, LookupError, TypeError, OverflowError) as error:
            what = f"{folder} is not a whole split of shards: {error!r}"
            raise InputError(what, fix(path)) from None
        allow_open_files()
        self.folder = folder
        self._bounds = record_bounds(self.manifest)
        self._as_jpeg = self.manifest["pixels"] == "jpeg"
        self.records = np.flatnonzero(self.labels >= 0)
        self._maps: dict[int, mmap.mmap] = {}  # by shard
        self._sparse: set[int] = set()  # those of which the kernel reads only what it is told
        self._starts, self._stops = np.zeros((2, len(self.labels)), np.int64)  # in the shard
        self._checksums = np.zeros(len(self.labels), "V8")
        self._checked = np.zeros(len(self.labels), bool)

    def __len__(self) -> int:
        return len(self.records)

    def records_of(self, shard: int) -> npt.NDArray[np.intp]:
        """The records of one shard, in order."""
        first, last = np.searchsorted(self.records, self._bounds[shard : shard + 2])
        return self.records[first:last]

    def read(self, record: int) -> Pixels:
        """One record, (256, 256, 3) uint8 RGB; a view of the mapped file where pixels are raw.

        A shard's size and tree are checked before it is mapped, a record's checksum on the first
        visit. Raises InputError naming shard and record.
        """
        shard = int(self._shards_of(record))
        mapped = self._mapped(shard)
        start, stop = int(self._starts[record]), int(self._stops[record])
        if not stop:
            path = self._path(shard)
            raise InputError(f"{path} lacks record {record}", fix(path))
        stored = memoryview(mapped)[start:stop]
        if not self._checked[record]:
            self._check(record, shard, stored)
        try:
            if self._as_jpeg:
                return _decoded(stored)
            return np.frombuffer(stored, np.uint8).reshape(SIDE, SIDE, 3)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            self._checked[record] = False
            what = f"{self._path(shard)}: record {record} is whole, but not as the manifest says"
            raise InputError(what, fix(self.folder / "manifest.json")) from None

    def gather(self, records: Integers, tops: Integers, lefts: Integers, into: Pixels) -> None:
        """Copy a square of each record, from its top and left on, to (n, side, side, 3) uint8.

        Checks as `read` does; after the first visit a raw record costs little more than the copy.
        """
        side = into.shape[1]
        for corner in (tops, lefts):
            if len(corner) and not 0 <= corner.min() <= corner.max() <= SIDE - side:
                raise ValueError(f"a square of {side} leaves the image")
        for record in records[~self._checked[records]].tolist():
            self.read(record)
        if self._as_jpeg:
            for square, record, top, left in zip(into, records, tops, lefts, strict=True):
                square[:] = self.read(int(record))[top : top + side, left : left + side]
        else:
            starts = self._starts[records] + tops * ROW_BYTES + lefts * 3
            self._copy(self._shards_of(records), starts, into.reshape(-1, side, 3 * side))

    def _copy(self, shards: Integers, starts: Integers, into: Pixels) -> None:
        """Rows from these places on. Numpy sees to it that none lies outside the file."""
        _, rows, row_bytes = into.shape
        shape, strides = (rows, row_bytes), (ROW_BYTES, 1)
        for square, shard, start in zip(into, shards.tolist(), starts.tolist(), strict=True):
            square[:] = np.ndarray(shape, np.uint8, self._maps[shard], start, strides)

    def prefetch(self, records: Integers) -> None:
        """Have the disk bring these records while others are worked on.

        From then on the kernel brings no more of their shards than it is asked for: around a
        record that chance picked lies nothing that is soon wanted. Costs 1 µs where all is there.
        """
        shards = self._shards_of(records).tolist()
        for shard in set(shards) - self._sparse:
            self._mapped(shard).madvise(mmap.MADV_RANDOM)
            self._sparse.add(shard)
        starts = self._starts[records] // mmap.PAGESIZE * mmap.PAGESIZE
        lengths = self._stops[records] - starts
        for shard, start, length in zip(shards, starts.tolist(), lengths.tolist(), strict=True):
            self._maps[shard].madvise(mmap.MADV_WILLNEED, start, length)

    def damage(self, shard: int) -> Iterator[str]:
        """Read all of a shard again, and tell where it is not as it was written."""
        path, entry = self._path(shard), self.manifest["shards"][shard]
        try:
            with opened(path, entry) as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest == entry["sha256"]:
                return
        except (OSError, InputError) as error:
            yield _what(error)
        else:
            records = list(self._damaged_records(shard))
            yield from records or [f"{path} was changed, though in none of its records"]
        yield f"{path}: fix: {fix(path)}"

    def _damaged_records(self, shard: int) -> Iterator[str]:
        records = self.records_of(shard)
        self._checked[records] = False
        for record in records:
            try:
                self.read(record)
            except InputError as error:
                yield _what(error)

    def _path(self, shard: int) -> Path:
        return self.folder / str(self.manifest["shards"][shard]["file"])

    def _shards_of(self, records: int | Integers) -> Integers:
        return np.asarray(np.searchsorted(self._bounds, records, side="right") - 1)

    def _check(self, record: int, shard: int, stored: memoryview) -> None:
        if checksum_of(record, stored) != self._checksums[record].tobytes():
            path = self._path(shard)
            raise InputError(f"{path}: record {record} is damaged", fix(path))
        self._checked[record] = True

    def _mapped(self, shard: int) -> mmap.mmap:
        """Kept open; with the first call it is known where each of its records lies."""
        if shard not in self._maps:
            path = self._path(shard)
            mapped = mapping(path, self.manifest["shards"][shard])
            try:
                self._locate(shard, mapped)
            except (ValueError, LookupError, OverflowError, struct.error):
                what = f"{path} has pages that lead astray"
                raise InputError(what, fix(path)) from None
            self._maps[shard] = mapped
        return self._maps[shard]

    def _locate(self, shard: int, mapped: mmap.mmap) -> None:
        """Learn where its records lie: those of its own alone, and all within the file."""
        first, end = self._bounds[shard : shard + 2].tolist()
        values = values_of(mapped, self.manifest["shards"][shard]["tree"])
        if not (found := list(islice(values, end - first + 1))):
            return
        keys, starts, stops = zip(*found, strict=True)
        if {*map(len, keys)} != {KEY.itemsize} or max(stops) > len(mapped):
            raise ValueError("a key or a value is too long")
        told = np.frombuffer(b"".join(keys), KEY)
        records = told["record"].astype(np.int64)
        if len(found) > end - first or records.min() < first or records.max() >= end:
            raise ValueError("there are records of other shards")
        self._starts[records], self._stops[records] = starts, stops
        self._checksums[records] = told["checksum"]


def _decoded(stored: memoryview) -> Pixels:
    image = Image.open(io.BytesIO(stored), formats=["JPEG"])
    if (image.size, image.mode) != ((SIDE, SIDE), "RGB"):
        raise ValueError(f"a picture of {image.size}")
    return np.asarray(image)


def _what(error: Exception) -> str:
    return str(error).partition("; fix: ")[0]


def key_of(record: int) -> bytes:
    """What a record's key begins with."""
    return int(record).to_bytes(KEY_BYTES, "big")


def checksum_of(record: int, stored: bytes | memoryview) -> bytes:
    """Of the pixels and of whose they are: a record in another's place is damage too.

    In the key it is part of the tree, so the manifest knows the pixels of its own split only.
    """
    return xxhash.xxh3_64_digest(stored, seed=int(record))
