"""256×256 images in LMDB files of 1,024 records: written once, checked when read.

Record i of a split stands for row i of its index: key = i as a big-endian u64 and the XXH3 checksum
of i and the pixels, value = the pixels. The bytes are a function of the input alone.
All that leads to a record has a checksum too: a shard's tree, its keys among it, and labels.npy in
the manifest, the manifest in itself. No damage goes unnoticed, and none ends the process.
"""

import hashlib
import io
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

from alexnet.btree import is_whole, tree_of
from alexnet.errors import InputError
from alexnet.sealed import read_sealed, write_sealed

SIDE = 256
RECORDS_A_SHARD = 1024
RECORDS_A_TRANSACTION = 128
KEY_BYTES = 8  # of a record's number; its checksum follows
MAP_BYTES = 2 * RECORDS_A_SHARD * SIDE * SIDE * 3
RECORD_BYTES = {"raw": 200_772, "jpeg": 45_000}  # on disk; of JPEG about, it depends on the photos

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]

_environments: dict[tuple[int, int], lmdb.Environment] = {}  # by device and inode


def mend(path: Path) -> str:
    """The command that makes a damaged output anew: DVC's cache holds the same file, so it too."""
    return f'find "$(dvc cache dir)" -samefile {path} -delete; dvc repro -f resize'


def write_shard(path: Path, images: Iterable[tuple[int, Pixels]], pixels: str) -> dict[str, Any]:
    """Write (record, (256, 256, 3) uint8 RGB) pairs, records ascending, to `path`, a new file.

    `pixels`: "raw", or "jpeg" of quality 95. Returns the shard's entry of the manifest. Raises
    InputError where the disk is full.
    """
    count = 0
    try:
        with lmdb.open(str(path), map_size=MAP_BYTES, subdir=False, lock=False) as env:
            page_bytes = int(env.stat()["psize"])
            for some in _batched(images, RECORDS_A_TRANSACTION):
                with env.begin(write=True) as transaction:
                    for record, image in some:
                        stored = _jpeg(image) if pixels == "jpeg" else image.tobytes()
                        key = _key(record) + _checksum(record, stored)
                        transaction.put(key, stored, append=True)
                count += len(some)
    except lmdb.Error as error:
        raise InputError(f"{path} cannot be written: {error}", "free the disk, run again") from None
    return {"file": path.name, "records": count} | _digests(path, page_bytes)


def _digests(path: Path, page_bytes: int) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": file.tell(), "sha256": digest, "tree": tree_of(file, page_bytes)}


def write_manifest(
    folder: Path, labels: Labels, pixels: str, shards: list[Any], odd: list[Any]
) -> dict[str, Any]:
    """Write manifest.json, and labels.npy: (rows,) int32, −1 where a row was skipped.

    `shards`: what `write_shard` returned, each with its first row; `odd`: the ledger of odd files.
    """
    file = io.BytesIO()
    np.save(file, labels)
    (folder / "labels.npy").write_bytes(file.getvalue())
    manifest = {
        "pixels": pixels,
        "side": SIDE,
        "rows": len(labels),
        "labels": xxhash.xxh3_64_hexdigest(file.getvalue()),
        "shards": shards,
        "odd": odd,
    }
    write_sealed(folder / "manifest.json", manifest)
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
        """Raises InputError where the folder is not a split, or a damaged one."""
        try:
            self.manifest = read_sealed(folder / "manifest.json")
            self.labels = _load_labels(folder / "labels.npy", self.manifest["labels"])
            self._firsts = [shard["first"] for shard in self.manifest["shards"]]
            self._as_jpeg = self.manifest["pixels"] == "jpeg"
        except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
            what = f"{folder} is not a whole split of shards: {error!r}"
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

        A shard's size and tree are checked before it is mapped, a record's checksum on the first
        visit. Raises InputError naming shard and record.
        """
        shard = int(np.searchsorted(self._firsts, record, side="right")) - 1
        path = self._path(shard)
        try:
            cursor = self._transaction(shard).cursor()
            cursor.set_range(_key(record))
            key, stored = cursor.item()
        except lmdb.Error as error:
            self._transactions.pop(shard, None)  # it would refuse the whole records too
            raise InputError(f"{path}: record {record} is damaged: {error}", mend(path)) from None
        number, checksum = bytes(key[:KEY_BYTES]), bytes(key[KEY_BYTES:])
        if number != _key(record):
            raise InputError(f"{path} lacks record {record}", mend(path))
        if not self._checked[record]:
            if _checksum(record, stored) != checksum:
                raise InputError(f"{path}: record {record} is damaged", mend(path))
            self._checked[record] = True
        if self._as_jpeg:
            return np.asarray(Image.open(io.BytesIO(stored)))
        return np.frombuffer(stored, np.uint8).reshape(SIDE, SIDE, 3)

    def damage(self, shard: int) -> Iterator[str]:
        """Read all of a shard again, and tell where it is not as it was written."""
        path, entry = self._path(shard), self.manifest["shards"][shard]
        try:
            _check_mappable(path, entry)
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest == entry["sha256"]:
                return
        except (OSError, InputError) as error:
            yield _what(error)
        else:
            records = list(self._damaged_records(shard))
            yield from records or [f"{path} was changed, though in none of its records"]
        yield f"{path}: mend: {mend(path)}"

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

    def _transaction(self, shard: int) -> lmdb.Transaction:
        """Kept open: the file never changes, and beginning one a record would cost more."""
        if shard not in self._transactions:
            path = self._path(shard)
            _check_mappable(path, self.manifest["shards"][shard])
            self._transactions[shard] = _mapped(path).begin(buffers=True)
        return self._transactions[shard]


def _what(error: Exception) -> str:
    return str(error).partition("; mend: ")[0]


def _load_labels(path: Path, checksum: str) -> Labels:
    data = path.read_bytes()
    if xxhash.xxh3_64_hexdigest(data) != checksum:
        raise ValueError(f"{path.name} was changed after it was written")
    labels: Labels = np.load(io.BytesIO(data))
    return labels


def _check_mappable(path: Path, entry: dict[str, Any]) -> None:
    """Raise InputError where LMDB could stumble, which would end the process."""
    if not path.exists():
        raise InputError(f"{path} is missing", mend(path))
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        if size != entry["bytes"]:
            what = f"{path} has {size:,} bytes, its manifest says {entry['bytes']:,}"
            raise InputError(what, mend(path))
        if not is_whole(file, entry["tree"]):
            raise InputError(f"{path} is damaged in the pages that lead to its records", mend(path))


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
    """What a record's key begins with."""
    return int(record).to_bytes(KEY_BYTES, "big")


def _batched(images: Iterable[tuple[int, Pixels]], n: int) -> Iterator[list[tuple[int, Pixels]]]:
    source = iter(images)
    while some := list(islice(source, n)):
        yield some


def _checksum(record: int, stored: bytes | memoryview) -> bytes:
    """Of the pixels and of whose they are: a record in another's place is damage too.

    In the key it is part of the tree, so the manifest knows the pixels of its own split only.
    """
    return xxhash.xxh3_64_digest(stored, seed=int(record))


def _jpeg(image: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()
