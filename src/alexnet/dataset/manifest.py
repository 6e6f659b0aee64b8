"""The files of a split of shards, each known to be whole before anything in it is believed."""

import io
import mmap
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.dataset.btree import is_whole
from alexnet.dataset.checksummed import is_count, load_array, read_sealed
from alexnet.runtime.errors import InputError, rebuild_command

NAME = re.compile(r"\d+\.lmdb")  # of a shard, beside its manifest
SHA256 = re.compile("[0-9a-f]{64}")
PAGE_BYTES = [1 << n for n in range(8, 17)]  # LMDB's least and most
Labels = npt.NDArray[np.int32]
Integers = npt.NDArray[np.int64]

fix = partial(rebuild_command, stage="resize")


def read_manifest(folder: Path) -> dict[str, Any]:
    """manifest.json of a split. OSError, LookupError, TypeError or ValueError where it is none.

    Sealed or not, it says nothing that no `write_manifest` would say.
    """
    manifest = read_sealed(folder / "manifest.json")
    if manifest["pixels"] not in ("raw", "jpeg") or not is_count(manifest["rows"]):
        raise ValueError("its pixels or rows are none")
    for is_right, entries in ((_is_shard, manifest["shards"]), (_is_odd, manifest["odd"])):
        for entry in entries:
            if not is_right(entry, manifest["rows"]):
                raise ValueError(f"an entry is {str(entry)[:80]}")
    bounds = record_bounds(manifest)
    if bounds[0] or (np.diff(bounds) <= 0).any():
        raise ValueError("its shards are not in order")
    return manifest


def _is_shard(entry: Any, rows: int) -> bool:
    match entry:
        case {
            "file": str(file),
            "sha256": str(sha256),
            "records": records,
            "bytes": size,
            "first": first,
            "tree": {"page_bytes": int(page_bytes), "pages": [*pages], "xxh3": _},
        }:
            named = NAME.fullmatch(file) and SHA256.fullmatch(sha256)
            counted = all(map(is_count, (records, size, first, *pages)))
            return bool(named and counted and size and records <= rows and page_bytes in PAGE_BYTES)
    return False


def _is_odd(entry: Any, rows: int) -> bool:
    match entry:
        case {"record": record, "name": str(), "archive": str(), "what": str(), "done": str()}:
            return is_count(record) and bool(record < rows)
    return False


def record_bounds(manifest: dict[str, Any]) -> Integers:
    """Each shard's first record, and behind the last the number of rows."""
    firsts = [shard["first"] for shard in manifest["shards"]]
    return np.array([*firsts, manifest["rows"]], np.int64)


def load_labels(folder: Path, manifest: dict[str, Any]) -> Labels:
    """labels.npy: (rows,) int32, −1 where a row was skipped. ValueError where it was changed."""
    path, shape = folder / "labels.npy", (manifest["rows"],)
    labels: Labels = load_array(path, manifest["labels"], shape, np.int32)
    if (labels < 0).all():
        raise ValueError(f"{path.name} is of no image")
    return labels


@contextmanager
def opened(path: Path, entry: dict[str, Any]) -> Iterator[io.BufferedReader]:
    """The file, checked; it stays open, lest another take its place between check and use.

    Raises InputError where its tree would lead astray.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing", fix(path))
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        if size != entry["bytes"]:
            what = f"{path} has {size:,} bytes, its manifest says {entry['bytes']:,}"
            raise InputError(what, fix(path))
        try:
            whole = is_whole(file, entry["tree"])
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            whole = False
        if not whole:
            raise InputError(f"{path} is damaged in the pages that lead to its records", fix(path))
        file.seek(0)
        yield file


def mapping(path: Path, entry: dict[str, Any]) -> mmap.mmap:
    """The file in memory, for as long as anything refers to it: pictures are views of it."""
    try:
        with opened(path, entry) as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise InputError(f"{path} cannot be mapped: {error}", "ulimit -n 65536") from None


def allow_open_files() -> None:
    """ImageNet has more shards than the usual 1,024 files a process may open."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
