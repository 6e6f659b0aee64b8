"""Tables as scipy reads them; what is damaged or too large is refused before it takes memory."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet.dataset.matlab import HEADER_BYTES, MOST_BYTES, read_table
from alexnet.miniature.devkit import _meta

WORDS = st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1, max_size=30)
KINDS = ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8", "i8", "u8"]
NUMBERS = st.builds(
    lambda kind, values: np.array([values], kind),
    st.sampled_from(KINDS),
    st.lists(st.integers(0, 127), min_size=0, max_size=5),
)
TABLES = st.lists(st.tuples(WORDS, NUMBERS, NUMBERS), min_size=1, max_size=4)
FIELDS = ["WNID", "n", "children"]


def packed(table: bytes) -> bytes:
    """The same with its arrays compressed, as MATLAB itself writes them."""
    inside = zlib.compress(table[HEADER_BYTES:])
    return table[:HEADER_BYTES] + struct.pack("<II", 15, len(inside)) + inside


@settings(max_examples=40, deadline=None, derandomize=True)
@given(TABLES, st.booleans())
def test_words_and_numbers_are_those_of_scipy(rows: list[Any], compressed: bool) -> None:
    table = np.empty((len(rows), 1), dtype=[(field, object) for field in FIELDS])
    table[:, 0] = rows
    file = io.BytesIO()
    scipy.io.savemat(file, {"other": np.eye(2), "synsets": table}, do_compression=compressed)
    told = scipy.io.loadmat(io.BytesIO(file.getvalue()), chars_as_strings=True)["synsets"]
    found = read_table(file.getvalue(), "synsets")
    assert len(found) == len(rows)
    for ours, theirs in zip(found, told[:, 0], strict=True):
        assert list(ours) == FIELDS
        assert ours["WNID"] == str(theirs["WNID"][0])
        for name in FIELDS[1:]:
            numbers = theirs[name].ravel()
            assert np.array_equal(np.empty(0) if ours[name] is None else ours[name], numbers)


def test_a_devkits_table_packed_or_not() -> None:
    plain = _meta(3, 7)
    assert str(read_table(packed(plain), "synsets")) == str(read_table(plain, "synsets"))
    assert read_table(plain, "synsets")[0]["WNID"] == "n04574999"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no MATLAB 5 file"),
        (_meta(2, 3)[:HEADER_BYTES], "holds no table 'synsets'"),
        (_meta(2, 3)[:-9], "cut short"),
        (packed(_meta(2, 3))[:-9], "cut short"),
        (_meta(2, 3).replace(struct.pack("<ii", 5, 1), struct.pack("<ii", 2**31 - 1, 1), 1), "cut"),
        (_meta(2, 3).replace(struct.pack("<ii", 5, 1), struct.pack("<ii", -5, 1), 1), "no shape"),
        (_meta(2, 3).replace(b"\x04\x00\x11\x00", b"\x04\x00\x00\x00", 1), "no fields"),
        (packed(_meta(2, 3)[:HEADER_BYTES] + bytes(MOST_BYTES + 1)), "more than 64 MiB"),
    ],
    ids=["empty", "nothing", "cut", "packed, cut", "long", "negative", "no fields", "bomb"],
)
def test_damage_and_bombs_are_refused(data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_table(data, "synsets")
