"""The pages listed are those that LMDB follows: an independent walk, and damage to all others."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import lmdb
import numpy as np
import pytest

from alexnet.dataset.btree import is_whole, tree_of

PAGE = 4096
META, BRANCH, OVERFLOW = 0x08, 0x01, 0x04
HEADER = 16  # bytes of a page before its nodes' places
NOWHERE = (1 << 64) - 1


def written(path: Path, sizes: list[int], at_once: int) -> list[bytes]:
    """An LMDB file of values of these sizes, put by `at_once` a transaction; returns its keys."""
    rng = np.random.default_rng(0)
    keys = [n.to_bytes(8, "big") for n in range(len(sizes))]
    with lmdb.open(str(path), map_size=1 << 26, subdir=False, lock=False) as env:
        assert env.stat()["psize"] == PAGE
        for first in range(0, len(sizes), at_once):
            with env.begin(write=True) as transaction:
                for n in range(first, min(first + at_once, len(sizes))):
                    transaction.put(keys[n], rng.bytes(sizes[n]), append=True)
    return keys


FILES = {
    "pixels": ([20_000] * 150, 32),
    "small values within the tree": ([500] * 1000, 100),
    "both": ([100, 9000] * 300, 128),
    "one": ([5000], 1),
    "none": ([], 1),
}


@pytest.fixture(params=list(FILES.values()), ids=list(FILES))
def file(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, list[bytes]]:
    path = tmp_path / "file.lmdb"
    return path, written(path, *request.param)


def tree(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        return tree_of(stream, PAGE)


def whole(path: Path, known: dict[str, Any]) -> bool:
    with path.open("rb") as stream:
        return is_whole(stream, known)


def test_each_page_that_lmdb_follows_is_listed(file: tuple[Path, list[bytes]]) -> None:
    path, _ = file
    with path.open("rb") as stream:
        followed = set(visited(stream))
    assert {0, 1} <= followed <= set(tree(path)["pages"])


def visited(stream: BinaryIO) -> Iterator[int]:
    """From both meta pages down to the leaves of both trees, as the format says."""
    for meta in (0, 1):
        yield meta
        body = page(stream, meta)[HEADER:]
        for root in (struct.unpack_from("<Q", body, 24 + 48 * n + 40)[0] for n in (0, 1)):
            if root != NOWHERE:
                yield from below(stream, root)


def below(stream: BinaryIO, number: int) -> Iterator[int]:
    yield number
    data = page(stream, number)
    own, flags, lower = struct.unpack_from("<Q2xHH", data)
    assert own == number
    if flags & BRANCH:
        for place in struct.unpack_from(f"<{(lower - HEADER) // 2}H", data, HEADER):
            low, middle, high = struct.unpack_from("<HHH", data, place)
            yield from below(stream, low | middle << 16 | high << 32)


def page(stream: BinaryIO, number: int) -> bytes:
    stream.seek(number * PAGE)
    return stream.read(PAGE)


def test_the_walk_meets_branches_and_records(tmp_path: Path) -> None:
    """Or the test above would say little."""
    path = tmp_path / "file.lmdb"
    written(path, *FILES["both"])
    with path.open("rb") as stream:
        kinds = {struct.unpack_from("<H", page(stream, n), 10)[0] & 3 for n in set(visited(stream))}
        assert len(set(visited(stream))) > 10
    assert kinds == {0, 1, 2}  # meta, branch, leaf
    assert len(tree(path)["pages"]) < path.stat().st_size / PAGE / 5


def test_no_byte_of_another_page_changes_what_is_found(file: tuple[Path, list[bytes]]) -> None:
    path, keys = file
    known = tree(path)
    assert found(path) == keys
    data = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, PAGE).copy()
    others = sorted(set(range(len(data))) - set(known["pages"]))
    data[others] = np.random.default_rng(1).integers(0, 256, (len(others), PAGE), np.uint8)
    path.with_suffix(".other").write_bytes(data.tobytes())
    assert whole(path.with_suffix(".other"), known)
    assert found(path.with_suffix(".other")) == keys


def found(path: Path) -> list[bytes]:
    """The keys that lead to a value, or to one of which LMDB says that it is damaged."""
    keys = [n.to_bytes(8, "big") for n in range(1100)]
    with lmdb.open(str(path), subdir=False, readonly=True, lock=False) as env:
        return [key for key in keys if leads(env, key)]


def leads(env: lmdb.Environment, key: bytes) -> bool:
    try:
        with env.begin() as transaction:
            return transaction.get(key) is not None
    except lmdb.CorruptedError:
        return True


def test_any_byte_of_a_listed_page_is_noticed(file: tuple[Path, list[bytes]]) -> None:
    path, _ = file
    known = tree(path)
    assert whole(path, known)
    rng = np.random.default_rng(2)
    with path.open("r+b") as stream:
        for number in known["pages"]:
            for place in number * PAGE + rng.integers(0, PAGE, 3):
                stream.seek(place)
                was = stream.read(1)
                for now in (bytes([was[0] ^ 1 << rng.integers(8)]), was):
                    stream.seek(place)
                    stream.write(now)
                    stream.flush()
                    assert is_whole(stream, known) == (now == was)


def test_the_same_pages_in_another_order_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "file.lmdb"
    written(path, *FILES["both"])
    known = tree(path)
    assert not whole(path, known | {"pages": known["pages"][::-1]})
    assert not whole(path, known | {"pages": known["pages"][:-1]})
