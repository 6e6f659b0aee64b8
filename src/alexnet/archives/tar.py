"""Find the files in a tar by offset: only the headers are read, and nothing is unpacked."""

import os
import posixpath
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from alexnet.dataset.index import FileEntry
from alexnet.runtime.errors import InputError

DOWNLOAD = "download it again"
EXTENDED_HEADERS = (  # not files: they hold a long name or other data of the next member
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)
MAX_EXTENDED_BYTES = 1 << 20  # of one extended header: tarfile reads it whole
SHOWN_CHARACTERS = 100  # of a member's name, in messages


class _Member(tarfile.TarInfo):
    """A tar member; sparse files and oversized extended headers are rejected.

    Both could cost memory or time out of proportion to the size of the tar.
    """

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.ReadError(f"{self.name[:80]!r} is a sparse file")
        if self.type in EXTENDED_HEADERS and not 0 <= self.size <= MAX_EXTENDED_BYTES:
            raise tarfile.ReadError(f"an extended header has {self.size:,} bytes")
        member: tarfile.TarInfo = super()._proc_member(tar)  # type: ignore[misc]
        return member


def list_tar(path: Path, start: int = 0, size: int | None = None) -> list[FileEntry]:
    """Return base name, offset and size of each file in a tar.

    Offsets are relative to the start of the file `path`. The tar is the file `path`, or the `size`
    bytes at `start` in it if it is nested in another tar. Links, devices, folders and hidden files
    are skipped. Of members with the same path the last counts, as when unpacking. Names are never
    used as paths. Raises InputError if the tar is damaged or truncated.
    """
    found: dict[str, FileEntry] = {}  # of this tar only: at most 150,000 at a time
    end = path.stat().st_size if size is None else start + size
    with path.open("rb") as file:
        file.seek(start)
        for member in iterate_members(file, path, end, nested=size is not None):
            name = posixpath.basename(member.name)
            if name and member.isreg() and not name.startswith("."):
                entry = os.fsencode(name), member.offset_data, member.size
                found[posixpath.normpath(member.name)] = entry
    return list(found.values())


def iterate_members(
    file: BinaryIO, path: Path, end: int, *, nested: bool = False
) -> Iterator[tarfile.TarInfo]:
    """Yield the members of the tar at the current position of `file`.

    `end` is where the tar ends, in bytes from the start of the file. `path` is only used in
    messages. Raises InputError if the tar is damaged or truncated.
    """
    last = file.tell()
    try:
        with tarfile.TarFile(fileobj=file, tarinfo=_Member) as opened:
            tar: Any = opened  # `members`, `firstmember` and `offset` have no types
            # beyond the `end` of a nested tar, the outer tar continues with headers of its own
            while (tar.firstmember or tar.offset < end) and (member := tar.next()) is not None:
                tar.members = []  # tarfile would keep all of them in memory
                name = member.name[-SHOWN_CHARACTERS:]
                if member.issparse() or not last < tar.offset:
                    raise InputError(f"{path} is damaged at {name!r}", DOWNLOAD)
                if member.offset_data + (member.size if member.isreg() else 0) > end:
                    raise InputError(f"{path} is truncated: it ends inside {name!r}", DOWNLOAD)
                last = tar.offset
                yield member
            _check_end(file, path, tar.offset, end, nested)
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {error}", DOWNLOAD) from None


def _check_end(file: BinaryIO, path: Path, offset: int, end: int, nested: bool) -> None:
    """Raise InputError unless a block of zeros ends the tar at `offset`.

    tarfile stops without an error at a damaged header and at the end of a truncated file. A nested
    tar may lack the block: the outer tar says how long it is.
    """
    if nested and offset >= end:
        return
    file.seek(offset)
    block = file.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE:
        raise InputError(f"{path} is truncated: its end-of-archive block is missing", DOWNLOAD)
    if any(block):
        raise InputError(f"{path} is damaged at byte {offset:,}: invalid tar header", DOWNLOAD)
