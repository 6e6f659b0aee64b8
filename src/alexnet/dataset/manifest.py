"""The tables of a split of shards: manifest.json, labels.npy and records.npy.

The manifest has a checksum of itself and of the two arrays. All three are validated when they are
read, so that a forged file causes an error message and never a crash.
"""

import io
import mmap
import re
import resource
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.dataset.checksummed import is_count, load_array, read_checksummed_json
from alexnet.runtime.errors import InputError, rebuild_command

SIDE = 256
SHARD_NAME = re.compile(r"\d+\.lmdb")  # a plain name: shards lie beside their manifest
SHA256 = re.compile("[0-9a-f]{64}")

# A row of records.npy: where a record lies in its shard's file, in bytes, and the XXH3-64 checksum
# of those bytes. The size is 0 if the image was skipped.
RECORD = np.dtype([("offset", "<i8"), ("size", "<i4"), ("xxh3", "<u8")])

Labels = npt.NDArray[np.int32]
Integers = npt.NDArray[np.int64]
RecordTable = npt.NDArray[np.void]  # (rows,) of RECORD

resize_command = partial(rebuild_command, stage="resize")


@dataclass(frozen=True)
class ShardEntry:
    """A shard: its file, number of records, size in bytes, SHA-256, and first row in the split."""

    file: str
    records: int
    bytes: int
    sha256: str
    first: int

    @classmethod
    def from_json(cls, entry: Any) -> "ShardEntry":
        """Validate an entry of manifest.json. Raises ValueError."""
        match entry:
            case {
                "file": str(file),
                "records": records,
                "bytes": size,
                "sha256": str(sha256),
                "first": first,
                **others,
            } if not others and all(map(is_count, (records, size, first))) and size:
                if SHARD_NAME.fullmatch(file) and SHA256.fullmatch(sha256):
                    return cls(file, records, size, sha256, first)
        raise ValueError(f"invalid shard {str(entry)[:80]}")


@dataclass(frozen=True)
class OddFile:
    """A row of the ledger: what was unusual about a raw file, and what was done."""

    record: int
    name: str
    archive: str
    what: str
    done: str  # "kept" or "skipped"

    @classmethod
    def from_json(cls, entry: Any) -> "OddFile":
        """Validate an entry of manifest.json. Raises ValueError."""
        match entry:
            case {
                "record": record,
                "name": str(name),
                "archive": str(archive),
                "what": str(what),
                "done": "kept" | "skipped" as done,
                **others,
            } if not others and is_count(record):
                return cls(record, name, archive, what, done)
        raise ValueError(f"invalid odd file {str(entry)[:80]}")


@dataclass(frozen=True)
class Manifest:
    """What manifest.json says about a split.

    `pixels`: "raw" or "jpeg". `rows`: of the index, skipped ones included. `labels`, `records`:
    the XXH3-64 checksums of labels.npy and records.npy. `odd`: the ledger of odd files.
    """

    pixels: str
    side: int
    rows: int
    labels: str
    records: str
    shards: list[ShardEntry]
    odd: list[OddFile]

    @classmethod
    def from_json(cls, content: Any) -> "Manifest":
        """Validate the content of manifest.json. Raises ValueError."""
        match content:
            case {
                "pixels": "raw" | "jpeg" as pixels,
                "side": int(side),
                "rows": rows,
                "labels": str(labels),
                "records": str(records),
                "shards": [*shards],
                "odd": [*odd],
                **others,
            } if not others and side == SIDE and is_count(rows):
                shards = [ShardEntry.from_json(entry) for entry in shards]
                odd = [OddFile.from_json(entry) for entry in odd]
                manifest = cls(pixels, side, rows, labels, records, shards, odd)
            case _:
                raise ValueError(f"invalid manifest {str(content)[:80]}")
        manifest._check_rows()
        return manifest

    def _check_rows(self) -> None:
        """Raise ValueError unless the shards share the rows among them, in order."""
        bounds = self.bounds()
        if bounds[0] or (np.diff(bounds) <= 0).any():
            raise ValueError("the shards do not follow one another")
        for shard, rows in zip(self.shards, np.diff(bounds).tolist(), strict=True):
            if shard.records > rows:
                raise ValueError(f"{shard.file} has {shard.records} records in {rows} rows")
        for odd in self.odd:
            if odd.record >= self.rows:
                raise ValueError(f"odd file {odd.record} of {self.rows} rows")

    def to_json(self) -> dict[str, Any]:
        """Return the content of manifest.json."""
        return asdict(self)

    def bounds(self) -> Integers:
        """Return each shard's first row, followed by the number of rows."""
        return np.array([*(shard.first for shard in self.shards), self.rows], np.int64)

    @property
    def images(self) -> int:
        """Return the number of images, skipped ones excluded."""
        return sum(shard.records for shard in self.shards)

    @property
    def bytes(self) -> int:
        """Return the size of all shards."""
        return sum(shard.bytes for shard in self.shards)


def read_manifest(folder: Path) -> Manifest:
    """Read manifest.json of a split. Raises OSError or ValueError."""
    return Manifest.from_json(read_checksummed_json(folder / "manifest.json"))


def load_labels(folder: Path, manifest: Manifest) -> Labels:
    """Read labels.npy: (rows,) int32, −1 where a row was skipped. Raises OSError or ValueError."""
    path, shape = folder / "labels.npy", (manifest.rows,)
    labels: Labels = load_array(path, manifest.labels, shape, np.int32)
    if (labels < 0).all():
        raise ValueError(f"{path.name} labels no image")
    return labels


def load_records(folder: Path, manifest: Manifest) -> RecordTable:
    """Read records.npy, (rows,) of RECORD. Raises OSError or ValueError."""
    return load_array(folder / "records.npy", manifest.records, (manifest.rows,), RECORD)


def are_valid_records(records: RecordTable, entry: ShardEntry) -> bool:
    """Return whether a shard's records lie within its file, without overlap, all of them."""
    stored = np.sort(records[records["size"] != 0], order="offset")
    offsets, sizes = stored["offset"], stored["size"].astype(np.int64)
    return bool(
        len(stored) == entry.records
        and (sizes > 0).all()
        and (offsets >= 0).all()
        and (offsets <= entry.bytes - sizes).all()
        and (offsets[:-1] + sizes[:-1] <= offsets[1:]).all()
    )


def open_shard(path: Path, entry: ShardEntry) -> io.BufferedReader:
    """Open a shard of the size that its manifest gives.

    The caller uses this handle alone, so that the file cannot be replaced between check and use.
    Raises OSError, or InputError if the file is missing or of another size.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing", resize_command(path))
    file = path.open("rb")
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if size != entry.bytes:
        file.close()
        what = f"{path} has {size:,} bytes, {entry.bytes:,} in its manifest"
        raise InputError(what, resize_command(path))
    return file


def map_shard(path: Path, entry: ShardEntry) -> mmap.mmap:
    """Map a shard into memory; the map lives as long as an array refers to it.

    The size is checked first: reading a map beyond the end of its file ends the process. Raises
    InputError.
    """
    try:
        with open_shard(path, entry) as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise InputError(f"{path} cannot be mapped: {error}", "ulimit -n 65536") from None


def raise_open_file_limit() -> None:
    """Raise the soft limit on open files: ImageNet has more shards than the usual 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
