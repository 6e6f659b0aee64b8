"""A table of a MATLAB 5 file, as the devkits of ILSVRC have one: a struct array of words, numbers.

scipy.io.loadmat ends the process by a signal on some damaged files. Here nothing is believed that
the file's own bytes do not bear out: no memory is taken for what it only tells of.
"""

import struct
import zlib
from collections.abc import Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt

HEADER_BYTES = 128
ORDERS = {b"IM": "<", b"MI": ">"}  # at the header's end, as the bytes lie in the file
INT8, UINT8, UINT16, UTF8, UTF16, MATRIX, COMPRESSED = 1, 2, 4, 16, 17, 14, 15
NUMBERS = {INT8: "i1", UINT8: "u1", 3: "i2", UINT16: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"}
NUMBERS |= {12: "i8", 13: "u8"}
STRUCT, CHAR = 2, 4  # classes of an array; 6 to 15 are numbers
NUMERIC = range(6, 16)
MOST_BYTES = 64 << 20  # of one array, inflated; ImageNet's is of 1 MB

Numbers = npt.NDArray[np.number]
Value = str | Numbers | None  # words, or numbers in one row; None: of another kind
Element = tuple[int, memoryview]


def read_table(data: bytes, name: str) -> list[dict[str, Value]]:
    """The rows of the struct array `name`, by field. Raises ValueError: damaged, or not there."""
    order = ORDERS.get(data[HEADER_BYTES - 2 : HEADER_BYTES])
    if order is None:
        raise ValueError("it is no MATLAB 5 file")
    for element in _elements(memoryview(data)[HEADER_BYTES:], order):
        kind, body = _inflated(element[1], order) if element[0] == COMPRESSED else element
        if kind == MATRIX:
            array, count, found, parts = _array(body, order)
            if (array, found) == (STRUCT, name):
                return list(_rows(parts, count, order))
    raise ValueError(f"it holds no table {name!r}")


def _elements(data: memoryview, order: str) -> Iterator[Element]:
    """The pieces that lie one behind the other: what each is of, and its bytes."""
    at = 0
    while at < len(data):
        if len(data) - at < 8:
            raise ValueError("it is cut short")
        kind, size = struct.unpack_from(f"{order}II", data, at)
        start = at + 8
        if kind >> 16:  # at most four bytes, in the place of the size
            kind, size, start = kind & 0xFFFF, min(kind >> 16, 4), at + 4
        if start + size > len(data):
            raise ValueError("it is cut short")
        at = start + size + (0 if kind == COMPRESSED else -(start + size - at) % 8)
        yield kind, data[start : start + size]


def _inflated(packed: memoryview, order: str) -> Element:
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(packed, MOST_BYTES)
    except zlib.error as error:
        raise ValueError(f"it cannot be inflated: {error}") from None
    if not inflater.eof:
        raise ValueError(f"it is cut short, or inflates to more than {MOST_BYTES >> 20} MiB")
    return _next(_elements(memoryview(data), order))


def _next(elements: Iterator[Element]) -> Element:
    for element in elements:
        return element
    raise ValueError("it is cut short")


def _array(body: memoryview, order: str) -> tuple[int, int, str, Iterator[Element]]:
    """An array's class, how many elements it has, its name, and the pieces that follow."""
    parts = _elements(body, order)
    flags, shape = (_numbers(_next(parts), order).tolist() for _ in range(2))
    name = bytes(_next(parts)[1]).decode("ascii")
    count = 1
    for length in shape:
        count *= int(length)
    if not flags or not shape or count < 0:
        raise ValueError("an array in it has no class or no shape")
    return int(flags[0]) & 0xFF, count, name, parts


def _rows(parts: Iterator[Element], count: int, order: str) -> Iterator[dict[str, Value]]:
    (width,) = _numbers(_next(parts), order).tolist()
    names = bytes(_next(parts)[1])
    if width < 1 or not names:
        raise ValueError("its table has no fields")
    fields = [
        names[at : at + width].partition(b"\0")[0].decode("ascii")
        for at in range(0, len(names), width)
    ]
    for _ in range(count):  # each takes a piece of the file: a wrong count ends with it
        yield dict(zip(fields, [_value(_next(parts), order) for _ in fields], strict=True))


def _value(element: Element, order: str) -> Value:
    kind, body = element
    if kind != MATRIX:
        raise ValueError("a value of its table is no array")
    if not body:
        return None
    array, _, _, parts = _array(body, order)
    if array == CHAR:
        return "".join(_text(piece, order) for piece in islice(parts, 1))
    return _numbers(_next(parts), order) if array in NUMERIC else None


def _text(element: Element, order: str) -> str:
    wide = "utf-16-le" if order == "<" else "utf-16-be"
    codes = {INT8: "latin-1", UINT8: "latin-1", UINT16: wide, UTF8: "utf-8", UTF16: wide}
    kind, data = element
    if kind not in codes:
        raise ValueError("words of its table are no text")
    return bytes(data).decode(codes[kind])


def _numbers(element: Element, order: str) -> Numbers:
    kind, data = element
    if kind not in NUMBERS:
        raise ValueError("numbers of its table are none")
    numbers: Numbers = np.frombuffer(data, order + NUMBERS[kind])
    return numbers
