"""The B-tree of an LMDB file: its pages that hold no pixels, by which it finds its records.

LMDB notices no damage, and to follow a damaged page can end the process: this is looked at first.
"""

import mmap
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import xxhash

# LMDB's format, as lmdb.h and mdb.c of 0.9 define it
PAGE_HEADER = struct.Struct("<10xHI")  # its flags and, where it overflows, how many pages it takes
OVERFLOWS = 4  # the flag of a page that holds, with those behind it, the value of one record
META_ROOT, META_TRANSACTION = struct.Struct("<128xQ"), struct.Struct("<144xQ")
PAGE_NODES = struct.Struct("<10xHH")  # a page's flags, and where the places of its nodes end
PAGE_HEADER_BYTES = 16
NODE = struct.Struct("<HHHH")  # a value's length, or with the flags a child's page; flags; key's
NO_PAGE = (1 << 64) - 1  # the root of a file without records
BRANCH, ELSEWHERE = 1, 1  # flags: of a page; of a node whose value has pages of its own


def tree_of(file: BinaryIO, page_bytes: int) -> dict[str, Any]:
    """Which pages lead to the records of an undamaged file, and their checksum, for a manifest."""
    pages = _pages(file, page_bytes)
    return {
        "page_bytes": page_bytes,
        "pages": pages,
        "xxh3": _checksum(file, page_bytes, pages),
    }


def is_whole(file: BinaryIO, tree: dict[str, Any]) -> bool:
    """Whether those pages are as they were."""
    return bool(_checksum(file, tree["page_bytes"], tree["pages"]) == tree["xxh3"])


def _pages(file: BinaryIO, page_bytes: int) -> list[int]:
    pages, page = [], 0
    while file.seek(page * page_bytes) >= 0 and (header := file.read(PAGE_HEADER.size)):
        flags, length = PAGE_HEADER.unpack(header)
        if not flags & OVERFLOWS:
            pages.append(page)
        page += length if flags & OVERFLOWS else 1
    return pages


def _checksum(file: BinaryIO, page_bytes: int, pages: list[int]) -> str:
    digest = xxhash.xxh3_64()
    for page in pages:
        file.seek(page * page_bytes)
        digest.update(file.read(page_bytes))
    return digest.hexdigest()


def values_of(mapped: mmap.mmap, tree: dict[str, Any]) -> Iterator[tuple[bytes, int, int]]:
    """Each key of an LMDB file whose tree is whole, and from where to where its value lies.

    Of a forged tree too it ends: it follows the pages listed alone, each once. Raises struct.error
    or LookupError where one leads elsewhere; what it says of a value is for the caller to doubt.
    """
    page_bytes, others = tree["page_bytes"], set(tree["pages"])
    newest = max((0, page_bytes), key=lambda meta: META_TRANSACTION.unpack_from(mapped, meta))
    (root,) = META_ROOT.unpack_from(mapped, newest)
    pages = [root] if root != NO_PAGE else []
    others.difference_update(pages)
    while pages:
        page = pages.pop() * page_bytes
        flags, end = PAGE_NODES.unpack_from(mapped, page)
        count = (end - PAGE_HEADER_BYTES) // 2
        for place in struct.unpack_from(f"<{count}H", mapped, page + PAGE_HEADER_BYTES):
            if flags & BRANCH:
                low, middle, high, _ = NODE.unpack_from(mapped, page + place)
                pages.append(low | middle << 16 | high << 32)
                others.remove(pages[-1])
            else:
                yield _value(mapped, page + place, page_bytes)


def _value(mapped: mmap.mmap, node: int, page_bytes: int) -> tuple[bytes, int, int]:
    low, high, flags, key_bytes = NODE.unpack_from(mapped, node)
    start = node + NODE.size + key_bytes
    key = mapped[node + NODE.size : start]
    if flags & ELSEWHERE:
        start = int.from_bytes(mapped[start : start + 8], "little") * page_bytes + PAGE_HEADER_BYTES
    return key, start, start + (low | high << 16)
