"""Read and write a table in a MATLAB 5 file, as in ILSVRC's devkits: a struct array.

scipy.io.loadmat crashes the process on some corrupt files. This reader checks every length against
the bytes that are there, so it allocates no memory that a corrupt file merely claims to need.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

HEADER_BYTES = 128
BYTE_ORDERS = {b"IM": "<", b"MI": ">"}  # the last two bytes of the header
INT8, UINT8, UINT16, INT32, UINT32 = 1, 2, 4, 5, 6  # types of an element
MATRIX, COMPRESSED, UTF8, UTF16 = 14, 15, 16, 17
NUMBERS = {INT8: "i1", UINT8: "u1", 3: "i2", UINT16: "u2", INT32: "i4", UINT32: "u4", 7: "f4"}
NUMBERS |= {9: "f8", 12: "i8", 13: "u8"}
TYPES = {np.dtype(kind): code for code, kind in NUMBERS.items()}
STRUCT, CHAR = 2, 4  # classes of an array
NUMERIC = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4"}
NUMERIC |= {14: "i8", 15: "u8"}
CLASSES = {np.dtype(kind): code for code, kind in NUMERIC.items()}
MAX_BYTES = 64 << 20  # of one array after decompression; ImageNet's takes 1 MB

Numbers = npt.NDArray[np.number]
Value = str | Numbers | None  # a string, numbers in one row, or None for any other kind
Element = tuple[int, memoryview]  # type, data


def read_table(data: bytes, name: str) -> list[dict[str, Value]]:
    """Return the rows of the struct array `name` as dicts of its fields.

    Raises ValueError if the file is corrupt or has no such array.
    """
    order = BYTE_ORDERS.get(data[HEADER_BYTES - 2 : HEADER_BYTES])
    if order is None:
        raise ValueError("not a MATLAB 5 file")
    for element in _elements(memoryview(data)[HEADER_BYTES:], order):
        kind, body = _decompress(element[1], order) if element[0] == COMPRESSED else element
        if kind == MATRIX:
            array_class, count, found, parts = _array(body, order)
            if (array_class, found) == (STRUCT, name):
                return list(_rows(parts, count, order))
    raise ValueError(f"no table {name!r}")


def _elements(data: memoryview, order: str) -> Iterator[Element]:
    """Yield the consecutive elements of `data`."""
    at = 0
    while at < len(data):
        if len(data) - at < 8:
            raise ValueError("truncated")
        kind, size = struct.unpack_from(f"{order}II", data, at)
        start = at + 8
        if kind >> 16:  # small element: at most 4 bytes, stored in place of the size
            kind, size, start = kind & 0xFFFF, min(kind >> 16, 4), at + 4
        if start + size > len(data):
            raise ValueError("truncated")
        at = start + size + (0 if kind == COMPRESSED else -(start + size - at) % 8)
        yield kind, data[start : start + size]


def _decompress(packed: memoryview, order: str) -> Element:
    decompressor = zlib.decompressobj()
    try:
        data = decompressor.decompress(packed, MAX_BYTES)
    except zlib.error as error:
        raise ValueError(f"cannot be decompressed: {error}") from None
    if not decompressor.eof:
        raise ValueError(f"truncated, or decompresses to more than {MAX_BYTES >> 20} MiB")
    return _next(_elements(memoryview(data), order))


def _next(elements: Iterator[Element]) -> Element:
    for element in elements:
        return element
    raise ValueError("truncated")


def _array(body: memoryview, order: str) -> tuple[int, int, str, Iterator[Element]]:
    """Return an array's class, number of elements, name, and the elements of its content."""
    parts = _elements(body, order)
    flags, shape = (_numbers(_next(parts), order).tolist() for _ in range(2))
    name = bytes(_next(parts)[1]).decode("ascii")
    count = 1
    for length in shape:
        count *= int(length)
    if not flags or not shape or count < 0:
        raise ValueError("an array has no class or an invalid shape")
    return int(flags[0]) & 0xFF, count, name, parts


def _rows(parts: Iterator[Element], count: int, order: str) -> Iterator[dict[str, Value]]:
    (width,) = _numbers(_next(parts), order).tolist()
    names = bytes(_next(parts)[1])
    if width < 1 or not names:
        raise ValueError("the table has no fields")
    fields = [
        names[at : at + width].partition(b"\0")[0].decode("ascii")
        for at in range(0, len(names), width)
    ]
    for _ in range(count):  # a wrong count ends where the data ends
        yield dict(zip(fields, [_value(_next(parts), order) for _ in fields], strict=True))


def _value(element: Element, order: str) -> Value:
    kind, body = element
    if kind != MATRIX:
        raise ValueError("a value of the table is not an array")
    if not body:
        return None
    array_class, _, _, parts = _array(body, order)
    if array_class == CHAR:
        return "".join(_text(part, order) for part in islice(parts, 1))
    return _numbers(_next(parts), order) if array_class in NUMERIC else None


def _text(element: Element, order: str) -> str:
    wide = "utf-16-le" if order == "<" else "utf-16-be"
    codecs = {INT8: "latin-1", UINT8: "latin-1", UINT16: wide, UTF8: "utf-8", UTF16: wide}
    kind, data = element
    if kind not in codecs:
        raise ValueError("a string of the table has an invalid type")
    return bytes(data).decode(codecs[kind])


def _numbers(element: Element, order: str) -> Numbers:
    kind, data = element
    if kind not in NUMBERS:
        raise ValueError("numbers of the table have an invalid type")
    numbers: Numbers = np.frombuffer(data, order + NUMBERS[kind])
    return numbers


def write_table(name: str, rows: Sequence[Mapping[str, str | Numbers]]) -> bytes:
    """Return a MATLAB 5 file with the struct array `name`, (N, 1): all rows have the same fields.

    Strings are ASCII, numbers one-dimensional. The bytes are those of scipy.io.savemat, without
    its date: little-endian, uncompressed.
    """
    fields = list(rows[0])
    width = max(map(len, fields)) + 1  # fields end in a zero byte
    names = b"".join(field.encode("ascii").ljust(width, b"\0") for field in fields)
    values = b"".join(_pack_value(row[field]) for row in rows for field in fields)
    content = _pack(INT32, struct.pack("<i", width)) + _pack(INT8, names) + values
    header = b"MATLAB 5.0 MAT-file".ljust(HEADER_BYTES - 12) + struct.pack("<8xH2s", 0x0100, b"IM")
    return header + _pack_array(STRUCT, (len(rows), 1), name, content)


def _pack_value(value: str | Numbers) -> bytes:
    if isinstance(value, str):
        return _pack_array(CHAR, (1, len(value)), "", _pack(UTF8, value.encode("ascii")))
    content = _pack(TYPES[value.dtype], value.tobytes())
    return _pack_array(CLASSES[value.dtype], (1, len(value)), "", content)


def _pack_array(array_class: int, shape: tuple[int, int], name: str, content: bytes) -> bytes:
    flags = _pack(UINT32, struct.pack("<II", array_class, 0))
    head = flags + _pack(INT32, struct.pack("<ii", *shape)) + _pack(INT8, name.encode("ascii"))
    return _pack(MATRIX, head + content)


def _pack(kind: int, data: bytes) -> bytes:
    """Return an element, padded to a multiple of 8 bytes."""
    if len(data) <= 4:
        return struct.pack("<HH", kind, len(data)) + data.ljust(4, b"\0")
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)
