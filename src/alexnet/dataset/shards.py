"""256×256 images in LMDB files of 1,024 records, verified when they are first read.

Record i of a split is row i of its index. A shard is a plain LMDB file, which any LMDB client
reads: key = i as a big-endian u64, value = the pixels. The bytes depend on the input alone.
LMDB writes the shards (resize/shard_writer.py). They are read through a map of the file:
records.npy gives each record's offset, size and checksum, so no page of LMDB's is followed, a crop
is copied straight from the file, and records can be prefetched. The checksums of records.npy and
labels.npy stand in the manifest, which has its own: no damage goes unnoticed, and none crashes the
process.
"""

import hashlib
import mmap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import simplejpeg
import xxhash

from alexnet.dataset.manifest import SIDE as SIDE
from alexnet.dataset.manifest import (
    Integers,
    are_valid_records,
    load_labels,
    load_records,
    map_shard,
    open_shard,
    raise_open_file_limit,
    read_manifest,
    resize_command,
)
from alexnet.runtime.errors import InputError

ROW_BYTES = 3 * SIDE
JPEG_HEADER = (SIDE, SIDE, "YCbCr", "444")  # of every record of jpeg shards

Pixels = npt.NDArray[np.uint8]


class Shards:
    """A split's images, by record number."""

    def __init__(self, folder: Path) -> None:
        """Raises InputError if the folder is not a split, or is damaged."""
        path = folder / "manifest.json"
        try:
            self.manifest = read_manifest(folder)
            path = folder / "labels.npy"
            self.labels = load_labels(folder, self.manifest)
            path = folder / "records.npy"
            self._table = load_records(folder, self.manifest)
        except (OSError, ValueError) as error:
            what = f"{folder} is not a valid split of shards: {error}"
            raise InputError(what, resize_command(path)) from None
        raise_open_file_limit()
        self.folder = folder
        self.records = np.flatnonzero(self.labels >= 0)
        self._bounds = self.manifest.bounds()
        self._is_jpeg = self.manifest.pixels == "jpeg"
        self._maps: dict[int, mmap.mmap] = {}  # by shard
        self._without_readahead: set[int] = set()  # shards
        self._verified = np.zeros(len(self.labels), bool)  # by record

    def __len__(self) -> int:
        return len(self.records)

    def records_in(self, shard: int) -> npt.NDArray[np.intp]:
        """Return the record numbers of one shard, in order."""
        first, last = np.searchsorted(self.records, self._bounds[shard : shard + 2])
        return self.records[first:last]

    def read(self, record: int) -> Pixels:
        """Return one record, (256, 256, 3) uint8 RGB; raw pixels as a view of the mapped file.

        A record's checksum is verified on the first visit. Raises InputError with shard and record.
        """
        stored = self._stored(record)
        try:
            if self._is_jpeg:
                return _decode(stored)
            return np.frombuffer(stored, np.uint8).reshape(SIDE, SIDE, 3)
        except ValueError:
            self._verified[record] = False
            path, pixels = self._path(int(self._shards_of(record))), self.manifest.pixels
            what = f"{path}: record {record} is not {pixels} pixels of {SIDE}×{SIDE}"
            raise InputError(what, resize_command(self.folder / "manifest.json")) from None

    def _stored(self, record: int) -> memoryview:
        """Return a record's bytes in the mapped file, verified on the first visit."""
        shard = int(self._shards_of(record))
        mapped = self._map(shard)
        offset, size, checksum = self._table[record].tolist()
        path = self._path(shard)
        if not size:
            raise InputError(f"{path} lacks record {record}", resize_command(path))
        stored = memoryview(mapped)[offset : offset + size]
        if not self._verified[record]:
            if xxhash.xxh3_64_intdigest(stored) != checksum:
                raise InputError(f"{path}: record {record} is damaged", resize_command(path))
            self._verified[record] = True
        return stored

    def gather(self, records: Integers, tops: Integers, lefts: Integers, into: Pixels) -> None:
        """Copy a square crop of each record to `into`, (n, side, side, 3) uint8.

        Verifies as `read` does; after the first visit a raw record costs little more than the copy.
        """
        side = into.shape[1]
        for corner in (tops, lefts):
            if len(corner) and not 0 <= corner.min() <= corner.max() <= SIDE - side:
                raise ValueError(f"a crop of {side} leaves the image")
        if self._is_jpeg:
            for crop, record, top, left in zip(into, records, tops, lefts, strict=True):
                crop[:] = self.read(int(record))[top : top + side, left : left + side]
        else:
            for record in records[~self._verified[records]].tolist():
                self.read(record)
            starts = self._table["offset"][records] + tops * ROW_BYTES + lefts * 3
            self._copy_crops(self._shards_of(records), starts, into.reshape(-1, side, 3 * side))

    def _copy_crops(self, shards: Integers, starts: Integers, into: Pixels) -> None:
        """Copy each crop's rows from its start in the file; numpy rejects any beyond the end."""
        _, rows, row_bytes = into.shape
        shape, strides = (rows, row_bytes), (ROW_BYTES, 1)
        for crop, shard, start in zip(into, shards.tolist(), starts.tolist(), strict=True):
            crop[:] = np.ndarray(shape, np.uint8, self._maps[shard], start, strides)

    def prefetch(self, records: Integers) -> None:
        """Start reading these records from the disk, without waiting.

        Also turns readahead off for their shards: the neighbours of a randomly chosen record are
        not needed soon. Costs 1 µs a record that is in memory.
        """
        shards = self._shards_of(records).tolist()
        for shard in set(shards) - self._without_readahead:
            self._map(shard).madvise(mmap.MADV_RANDOM)
            self._without_readahead.add(shard)
        offsets, sizes = self._table["offset"][records], self._table["size"][records]
        starts = offsets // mmap.PAGESIZE * mmap.PAGESIZE
        lengths = offsets - starts + sizes
        for shard, start, length in zip(shards, starts.tolist(), lengths.tolist(), strict=True):
            self._maps[shard].madvise(mmap.MADV_WILLNEED, start, length)

    def find_damage(self, shard: int) -> Iterator[str]:
        """Re-read a whole shard and yield a line for each damaged part, then the fix.

        Compares the file with its SHA-256 and each record with its checksum in records.npy.
        """
        path, entry = self._path(shard), self.manifest.shards[shard]
        try:
            with open_shard(path, entry) as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except (OSError, InputError) as error:
            problems = [_without_fix(error)]
        else:
            try:
                self._map(shard)
            except InputError as error:  # records.npy is invalid, and has its own fix
                yield str(error)
                return
            problems = list(self._damaged_records(shard))
            if digest != entry.sha256 and not problems:
                problems = [f"{path} was changed, but none of its records"]
        if problems:
            yield from problems
            yield f"{path}: fix: {resize_command(path)}"

    def _damaged_records(self, shard: int) -> Iterator[str]:
        records = self.records_in(shard)
        self._verified[records] = False
        for record in records.tolist():
            try:
                self._stored(record)
            except InputError as error:
                yield _without_fix(error)

    def _path(self, shard: int) -> Path:
        return self.folder / self.manifest.shards[shard].file

    def _shards_of(self, records: int | Integers) -> Integers:
        return np.asarray(np.searchsorted(self._bounds, records, side="right") - 1)

    def _map(self, shard: int) -> mmap.mmap:
        """Map a shard on its first visit, if its part of records.npy is valid."""
        if shard not in self._maps:
            entry = self.manifest.shards[shard]
            first, end = self._bounds[shard : shard + 2]
            if not are_valid_records(self._table[first:end], entry):
                path = self.folder / "records.npy"
                raise InputError(f"{path}: invalid records of {entry.file}", resize_command(path))
            self._maps[shard] = map_shard(self._path(shard), entry)
        return self._maps[shard]


def _decode(stored: memoryview) -> Pixels:
    """Decode a JPEG record, to the same pixels as Pillow. Raises ValueError."""
    header = simplejpeg.decode_jpeg_header(stored)  # before any memory is taken
    if header != JPEG_HEADER:
        raise ValueError(f"JPEG of {header}")
    pixels: Pixels = simplejpeg.decode_jpeg(stored)
    return pixels


def _without_fix(error: Exception) -> str:
    return str(error).partition("; fix: ")[0]
