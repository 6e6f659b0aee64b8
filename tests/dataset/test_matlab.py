"""Tables are read and written as scipy does; corrupt or huge ones are rejected early."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.dataset.matlab import HEADER_BYTES, MAX_BYTES, Numbers, read_table, write_table
from alexnet.miniature.devkit import synset_rows

WORDS = st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1, max_size=30)
KINDS = ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8", "i8", "u8"]
NUMBERS = st.builds(
    np.array,
    st.lists(st.integers(0, 127), min_size=0, max_size=5),
    st.sampled_from(KINDS),
)
ROWS = st.lists(st.builds(dict, WNID=WORDS, n=NUMBERS, children=NUMBERS), min_size=1, max_size=4)


def devkit(classes: int, train_per_class: int) -> bytes:
    return write_table("synsets", synset_rows(classes, train_per_class))


def compress(table: bytes) -> bytes:
    """Return the file with its array compressed, as MATLAB itself writes it."""
    packed = zlib.compress(table[HEADER_BYTES:])
    return table[:HEADER_BYTES] + struct.pack("<II", 15, len(packed)) + packed


def scipy_array(rows: list[dict[str, Any]]) -> np.ndarray:
    """Return the struct array that scipy writes for `rows`."""
    table = np.empty((len(rows), 1), dtype=[(field, object) for field in rows[0]])
    table[:, 0] = [
        tuple(value if isinstance(value, str) else value[None] for value in row.values())
        for row in rows
    ]
    return table


def scipy_file(rows: list[dict[str, Any]], **options: Any) -> bytes:
    """Return a MATLAB 5 file of an unrelated matrix and the table, written by scipy."""
    file = io.BytesIO()
    scipy.io.savemat(file, {"other": np.eye(2), "synsets": scipy_array(rows)}, **options)
    return file.getvalue()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(ROWS, st.booleans())
def test_reader_agrees_with_scipy(rows: list[dict[str, Any]], compressed: bool) -> None:
    data = scipy_file(rows, do_compression=compressed)
    expected = scipy.io.loadmat(io.BytesIO(data), chars_as_strings=True)["synsets"][:, 0]
    table = read_table(data, "synsets")
    assert len(table) == len(rows)
    for row, theirs in zip(table, expected, strict=True):
        assert list(row) == list(rows[0])
        assert row["WNID"] == str(theirs["WNID"][0])
        for name in ("n", "children"):
            numbers = np.empty(0) if row[name] is None else row[name]
            assert np.array_equal(numbers, theirs[name].ravel())  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(ROWS)
def test_writer_gives_the_bytes_of_scipy(rows: list[dict[str, Any]]) -> None:
    file = io.BytesIO()
    scipy.io.savemat(file, {"synsets": scipy_array(rows)})
    assert write_table("synsets", rows)[116:] == file.getvalue()[116:]


@pytest.mark.parametrize("classes", [2, 12, 36])
def test_devkits_are_written_as_scipy_writes_them(classes: int) -> None:
    rows: list[dict[str, str | Numbers]] = synset_rows(classes, 7)
    file = io.BytesIO()
    scipy.io.savemat(file, {"synsets": scipy_array(rows)})
    assert devkit(classes, 7)[116:] == file.getvalue()[116:]
    assert devkit(classes, 7)[:116] == b"MATLAB 5.0 MAT-file".ljust(116)


def test_compressed_table_reads_the_same() -> None:
    plain = devkit(3, 7)
    assert str(read_table(compress(plain), "synsets")) == str(read_table(plain, "synsets"))
    assert read_table(plain, "synsets")[0]["WNID"] == "n04574999"


SHAPE = struct.pack("<ii", 5, 1)  # of the table: 2 classes and 3 ancestors


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a MATLAB 5 file"),
        (devkit(2, 3)[:HEADER_BYTES], "no table 'synsets'"),
        (devkit(2, 3)[:-9], "truncated"),
        (compress(devkit(2, 3))[:-9], "truncated"),
        (devkit(2, 3).replace(SHAPE, struct.pack("<ii", 2**31 - 1, 1), 1), "truncated"),
        (devkit(2, 3).replace(SHAPE, struct.pack("<ii", -5, 1), 1), "invalid shape"),
        (devkit(2, 3).replace(b"\x04\x00\x11\x00", b"\x04\x00\x00\x00", 1), "no fields"),
        (compress(devkit(2, 3)[:HEADER_BYTES] + bytes(MAX_BYTES + 1)), "more than 64 MiB"),
    ],
    ids=["empty", "no table", "cut", "compressed and cut", "count", "negative", "fields", "bomb"],
)
def test_corrupt_files_and_bombs_are_rejected(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_table(data, "synsets")
