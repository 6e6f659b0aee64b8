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
import xxhash

from alexnet.btree import is_whole
from alexnet.errors import InputError, made_anew

NAME = re.compile(r"\d+\.lmdb")  # of a shard, beside its manifest
Labels = npt.NDArray[np.int32]
Integers = npt.NDArray[np.int64]

mend = partial(made_anew, stage="resize")


def first_records(shards: list[dict[str, Any]]) -> Integers:
    """Each shard's first record. ValueError where no entry of ours is like that, sealed or not."""
    for shard in shards:
        told = [type(shard[name]) for name in ("file", "bytes", "sha256", "first", "tree")]
        if told != [str, int, str, int, dict] or not NAME.fullmatch(shard["file"]):
            raise ValueError(f"a shard's entry is {str(shard)[:80]}")
    firsts = np.array([shard["first"] for shard in shards], np.int64)
    if firsts[0] or (np.diff(firsts) <= 0).any():
        raise ValueError("its shards are not in order")
    return firsts


def load_labels(path: Path, checksum: str) -> Labels:
    """labels.npy: (rows,) int32, −1 where a row was skipped. ValueError where it was changed."""
    data = path.read_bytes()
    if xxhash.xxh3_64_hexdigest(data) != checksum:
        raise ValueError(f"{path.name} was changed after it was written")
    labels: Labels = np.load(io.BytesIO(data))
    return labels


@contextmanager
def opened(path: Path, entry: dict[str, Any]) -> Iterator[io.BufferedReader]:
    """The file, checked; it stays open, lest another take its place between check and use.

    Raises InputError where its tree would lead astray.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing", mend(path))
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        if size != entry["bytes"]:
            what = f"{path} has {size:,} bytes, its manifest says {entry['bytes']:,}"
            raise InputError(what, mend(path))
        try:
            whole = is_whole(file, entry["tree"])
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            whole = False
        if not whole:
            raise InputError(f"{path} is damaged in the pages that lead to its records", mend(path))
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
