"""256×256 images → LMDB files of 1,024 records and their manifest, as shards.py reads them."""

import hashlib
import io
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import xxhash
from PIL import Image

from alexnet.dataset.btree import tree_of
from alexnet.dataset.checksummed import write_sealed
from alexnet.dataset.manifest import Labels
from alexnet.dataset.shards import SIDE, Pixels, checksum_of, key_of
from alexnet.runtime.errors import InputError
from alexnet.runtime.files import write_atomically

RECORDS_A_SHARD = 1024
RECORDS_A_TRANSACTION = 128
MAP_BYTES = 2 * RECORDS_A_SHARD * SIDE * SIDE * 3
RECORD_BYTES = {"raw": 200_772, "jpeg": 45_000}  # on disk; of JPEG about, it depends on the photos


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
                        key = key_of(record) + checksum_of(record, stored)
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
    write_atomically(folder / "labels.npy", file.getvalue())
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


def _batched(images: Iterable[tuple[int, Pixels]], n: int) -> Iterator[list[tuple[int, Pixels]]]:
    source = iter(images)
    while some := list(islice(source, n)):
        yield some


def _jpeg(image: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()
