"""The files stored in a tar, by offset: the headers alone are read, and nothing is unpacked."""

import os
import posixpath
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from alexnet.dataset.index import FileEntry
from alexnet.runtime.errors import InputError

AGAIN = "download it again"
NOTES = (  # members that hold not a file but a name or more about the next one
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)
SHOWN = 100  # characters of a name, in words
MOST_NOTES = 1 << 20  # bytes of one: tarfile reads it whole


class _Member(tarfile.TarInfo):
    """A member none of whose notes takes memory, or time, beyond what a file's name needs."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.ReadError(f"{self.name[:80]!r} is sparse")
        if self.type in NOTES and not 0 <= self.size <= MOST_NOTES:
            raise tarfile.ReadError(f"{self.size:,} bytes of notes on one member")
        found: tarfile.TarInfo = super()._proc_member(tar)  # type: ignore[misc]
        return found


def stored_files(path: Path, start: int = 0, size: int | None = None) -> list[FileEntry]:
    """Last name component, offset in `path` and size of each regular file of the tar at `start`.

    `size`: of a tar that lies in another. Links, devices, folders and hidden files don't count.
    Of two members of one name the last is taken, as unpacking would leave it. A name is never used
    as a path. Raises InputError where the tar is damaged, or ends before its last member does.
    """
    found: dict[str, FileEntry] = {}  # of this tar alone: at most 150,000 at a time
    end = path.stat().st_size if size is None else start + size
    with path.open("rb") as file:
        file.seek(start)
        for member in members(file, path, end, nested=size is not None):
            name = posixpath.basename(member.name)
            if name and member.isreg() and not name.startswith("."):
                place = os.fsencode(name), member.offset_data, member.size
                found[posixpath.normpath(member.name)] = place
    return list(found.values())


def members(
    file: BinaryIO, path: Path, end: int, *, nested: bool = False
) -> Iterator[tarfile.TarInfo]:
    """The members of the tar that starts where `file` stands and must not reach beyond `end`.

    `path` is for words alone. Raises InputError as `stored_files`.
    """
    last = file.tell()
    try:
        with tarfile.TarFile(fileobj=file, tarinfo=_Member) as opened:
            tar: Any = opened  # `members`, `firstmember` and `offset` have no types
            # beyond the `end` of a tar in a tar the outer one goes on, with headers of its own
            while (tar.firstmember or tar.offset < end) and (member := tar.next()) is not None:
                tar.members = []  # else it would keep every one of them
                name = member.name[-SHOWN:]
                if member.issparse() or not last < tar.offset:
                    raise InputError(f"{path} is damaged at {name!r}", AGAIN)
                if member.offset_data + (member.size if member.isreg() else 0) > end:
                    raise InputError(f"{path} is cut short: it ends in {name!r}", AGAIN)
                last = tar.offset
                yield member
            _check_end(file, path, tar.offset, end, nested)
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {error}", AGAIN) from None


def _check_end(file: BinaryIO, path: Path, offset: int, end: int, nested: bool) -> None:
    """tarfile takes a damaged header for the end, and a missing end for one: neither is right.

    What lies in another tar has its length from there, and needs no mark at its end.
    """
    if nested and offset >= end:
        return
    file.seek(offset)
    block = file.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE:
        raise InputError(f"{path} is cut short: the mark at a tar's end is missing", AGAIN)
    if any(block):
        raise InputError(f"{path} is damaged at byte {offset:,}: no tar header", AGAIN)
