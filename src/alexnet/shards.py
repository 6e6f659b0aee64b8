"""256×256 images in LMDB files of 1,024 records: written once, checked when read.

Record i of a split stands for row i of its index: key = i as a big-endian u64, value = pixels and
their XXH3 checksum. The bytes are a function of the input alone.
"""

import hashlib
import io
import json
import resource
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import numpy.typing as npt
import xxhash
from PIL import Image

from alexnet.errors import InputError
from alexnet.scratch import write_atomically

SIDE = 256
RECORDS_A_SHARD = 1024
RECORDS_A_TRANSACTION = 128
CHECKSUM_BYTES = 8
MAP_BYTES = 2 * RECORDS_A_SHARD * SIDE * SIDE * 3

Pixels = npt.NDArray[np.uint8]

_environments: dict[tuple[int, int], lmdb.Environment] = {}  # by device and inode


def mend(path: Path) -> str:
    """The command that makes a damaged output anew: DVC's cache holds the same file, so it too."""
    return f'find "$(dvc cache dir)" -samefile {path} -delete; dvc repro -f resize'


def write_shard(path: Path, images: Iterable[tuple[int, Pixels]], pixels: str) -> dict[str, Any]:
    """Write (record, (256, 256, 3) uint8 RGB) pairs, records ascending, from an empty file.

    `pixels`: "raw", or "jpeg" of quality 95. Returns the shard's entry of the manifest.
    """
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    count = 0
    try:
        with lmdb.open(str(part), map_size=MAP_BYTES, subdir=False, lock=False) as env:
            for some in _batched(images, RECORDS_A_TRANSACTION):
                with env.begin(write=True) as transaction:
                    for record, image in some:
                        transaction.put(_key(record), _value(image, pixels), append=True)
                count += len(some)
    except lmdb.Error as error:
        raise InputError(f"{part} cannot be written: {error}", "free the disk, run again") from None
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    part.replace(path)
    return {
        "file": path.name,
        "records": count,
        "bytes": path.stat().st_size,
        "sha256": digest,
    }


def write_manifest(
    folder: Path, labels: npt.NDArray[np.int32], pixels: str, shards: list[Any], odd: list[Any]
) -> dict[str, Any]:
    """Write manifest.json, and labels.npy: (rows,) int32, −1 where a row was skipped.

    `shards`: what `write_shard` returned, each with its first row; `odd`: the ledger of odd files.
    """
    manifest = {"pixels": pixels, "side": SIDE, "rows": len(labels), "shards": shards, "odd": odd}
    np.save(folder / "labels.npy", labels)
    write_atomically(folder / "manifest.json", json.dumps(manifest, indent=1).encode() + b"\n")
    return manifest


def summary(manifest: dict[str, Any]) -> str:
    """What a manifest tells, in a line: images, shards, size, odd files."""
    shards, odd = manifest["shards"], manifest["odd"]
    images = sum(shard["records"] for shard in shards)
    megabytes = sum(shard["bytes"] for shard in shards) / 1e6
    skipped = sum(entry["done"] == "skipped" for entry in odd)
    told = f"{len(odd)} odd files, {skipped} of them skipped (listed in manifest.json)"
    return f"{images:,} images in {len(shards)} shards, {megabytes:,.0f} MB; {told}"


class Shards:
    """A split's images, by record number. Open one in each process: LMDB does not cross a fork."""

    def __init__(self, folder: Path) -> None:
        """Raises InputError where the folder is not a split."""
        try:
            self.manifest = json.loads((folder / "manifest.json").read_text())
            self.labels: npt.NDArray[np.int32] = np.load(folder / "labels.npy")
            self._firsts = [shard["first"] for shard in self.manifest["shards"]]
            self._as_jpeg = self.manifest["pixels"] == "jpeg"
        except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
            what = f"{folder} is not a split of shards: {error!r}"
            raise InputError(what, "dvc repro -f resize") from None
        _allow_open_files()
        self.folder = folder
        self.records = np.flatnonzero(self.labels >= 0)
        self._checked = np.zeros(len(self.labels), bool)
        self._transactions: dict[int, lmdb.Transaction] = {}

    def __len__(self) -> int:
        return len(self.records)

    def records_of(self, shard: int) -> npt.NDArray[np.intp]:
        """The records of one shard, in order."""
        ends = [*self._firsts[1:], len(self.labels)]
        first, last = np.searchsorted(self.records, [self._firsts[shard], ends[shard]])
        return self.records[first:last]

    def read(self, record: int) -> Pixels:
        """One record, (256, 256, 3) uint8 RGB; a view of the mapped file where pixels are raw.

        A shard's size is checked before it is mapped, a record's checksum on the first visit.
        Raises InputError naming shard and record.
        """
        shard = int(np.searchsorted(self._firsts, record, side="right")) - 1
        path = self._path(shard)
        try:
            value = self._transaction(shard).get(_key(record))
        except lmdb.Error as error:
            raise InputError(f"{path}: record {record} is damaged: {error}", mend(path)) from None
        if value is None:
            raise InputError(f"{path} lacks record {record}", mend(path))
        pixels = memoryview(value)[:-CHECKSUM_BYTES]
        if not self._checked[record]:
            if xxhash.xxh3_64_digest(pixels) != bytes(value[-CHECKSUM_BYTES:]):
                raise InputError(f"{path}: record {record} is damaged", mend(path))
            self._checked[record] = True
        if self._as_jpeg:
            return np.asarray(Image.open(io.BytesIO(pixels)))
        return np.frombuffer(pixels, np.uint8).reshape(SIDE, SIDE, 3)

    def _path(self, shard: int) -> Path:
        return self.folder / str(self.manifest["shards"][shard]["file"])

    def _transaction(self, shard: int) -> lmdb.Transaction:
        """Kept open: the file never changes, and beginning one a record would cost more."""
        if shard not in self._transactions:
            path = self._path(shard)
            size = path.stat().st_size if path.exists() else 0
            if size != self.manifest["shards"][shard]["bytes"]:  # mapping a short file kills
                what = f"{path} has {size:,} bytes, its manifest says otherwise"
                raise InputError(what, mend(path))
            self._transactions[shard] = _mapped(path).begin(buffers=True)
        return self._transactions[shard]


def _mapped(path: Path) -> lmdb.Environment:
    """Open for as long as the process lives: pictures are views of the mapped file.

    LMDB allows a file one environment in a process, so readers of one file share it.
    """
    file = path.stat()
    where = file.st_dev, file.st_ino
    try:
        if where not in _environments:
            _environments[where] = lmdb.open(str(path), subdir=False, readonly=True, lock=False)
    except lmdb.Error as error:
        if "Too many open files" in str(error):
            raise InputError(f"{path}: {error}", "ulimit -n 65536") from None
        raise InputError(f"{path} is damaged: {error}", mend(path)) from None
    return _environments[where]


def _allow_open_files() -> None:
    """ImageNet has more shards than the usual 1,024 files a process may open."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _key(record: int) -> bytes:
    return int(record).to_bytes(8, "big")


def _batched(images: Iterable[tuple[int, Pixels]], n: int) -> Iterator[list[tuple[int, Pixels]]]:
    source = iter(images)
    while some := list(islice(source, n)):
        yield some


def _value(image: Pixels, pixels: str) -> bytes:
    stored = _jpeg(image) if pixels == "jpeg" else image.tobytes()
    return stored + xxhash.xxh3_64_digest(stored)


def _jpeg(image: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()
