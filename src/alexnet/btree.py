"""The B-tree of an LMDB file: its pages that hold no pixels, by which it finds its records.

LMDB notices no damage, and to follow a damaged page can end the process: this is looked at first.
"""

import struct
from typing import Any, BinaryIO

import xxhash

PAGE_HEADER = struct.Struct("<10xHI")  # its flags and, where it overflows, how many pages it takes
OVERFLOWS = 4  # the flag of a page that holds, with those behind it, the value of one record


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
