"""Members by offset, as tarfile reads them; every truncation and damage is reported."""

import io
import os
import tarfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from alexnet.archives.tar import list_tar
from alexnet.runtime.errors import InputError

SIZES = [0, 1, 511, 512, 513, 2000, 7]
FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE) -> tuple[object, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.type = len(data), kind
    return info, data


def tar_of(*members: tuple[object, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))  # type: ignore[arg-type]
    return file.getvalue()


@pytest.fixture(scope="module")
def images() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    return {f"n{n}.JPEG": rng.bytes(size) for n, size in enumerate(SIZES)}


def read(path: Path, start: int = 0, size: int | None = None) -> dict[str, bytes]:
    whole = path.read_bytes()
    files = list_tar(path, start, size)
    return {os.fsdecode(name): whole[offset : offset + n] for name, offset, n in files}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("folder", ["", "./", "a/b/", "long/" * 30], ids=len)
def test_offsets_lead_to_the_bytes_of_each_file(
    tmp_path: Path, images: dict[str, bytes], form: int, folder: str
) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of(*(member(folder + n, d) for n, d in images.items()), form=form))
    assert read(path) == images


def test_a_nested_tar_ends_where_the_outer_tar_says(
    tmp_path: Path, images: dict[str, bytes]
) -> None:
    """Even without an end-of-archive block: the next header belongs to the outer tar."""
    inner = tar_of(*(member(n, d) for n, d in images.items()), form=tarfile.USTAR_FORMAT)
    unterminated = inner[: inner.rindex(images["n6.JPEG"]) + 512]
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of(*(member(f"{n}.tar", unterminated) for n in range(3))))
    for _, offset, size in list_tar(path):
        assert read(path, offset, size) == images


def test_hostile_names_are_never_used_as_paths(tmp_path: Path) -> None:
    names = ["/etc/a.JPEG", "../../b.JPEG", "c/../../d.JPEG", "/", "..", "e/..", ".hidden"]
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of(*(member(name, b"x") for name in names)))
    assert sorted(read(path)) == ["a.JPEG", "b.JPEG", "d.JPEG"]
    assert list(tmp_path.iterdir()) == [path]


def test_only_regular_files_are_listed(tmp_path: Path) -> None:
    kinds = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
    others = [member(f"{n}.JPEG", kind=kind) for n, kind in enumerate(kinds)]
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of(*others, member("real.JPEG", b"x")))
    assert read(path) == {"real.JPEG": b"x"}


def test_the_last_member_with_a_path_wins(tmp_path: Path) -> None:
    """As when unpacking; the same name in another folder is another file."""
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of(member("a", b"old"), member("b", b"b"), member("./a", b"new")))
    assert read(path) == {"a": b"new", "b": b"b"}
    path.write_bytes(tar_of(member("1/a", b"1"), member("2/a", b"2")))
    assert [name for name, *_ in list_tar(path)] == [b"a", b"a"]


def test_every_truncation_is_reported(tmp_path: Path, images: dict[str, bytes]) -> None:
    whole = tar_of(*(member(n, d) for n, d in images.items()))
    path = tmp_path / "a.tar"
    end = len(whole.rstrip(b"\0"))
    for length in range(0, end, 61):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"a\.tar is (damaged|truncated).*fix: download"):
            list_tar(path)
    ends = [offset + -(-size // 512) * 512 for _, offset, size in _whole(path, whole)]
    for length in ends:  # between two members: only the missing end-of-archive block shows it
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"truncated: its end-of-archive block is missing"):
            list_tar(path)


def _whole(path: Path, whole: bytes) -> list[tuple[bytes, int, int]]:
    path.write_bytes(whole)
    return list_tar(path)


def test_a_truncated_nested_tar_is_reported(tmp_path: Path, images: dict[str, bytes]) -> None:
    inner = tar_of(*(member(n, d) for n, d in images.items()))
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of(member("n1.tar", inner[:3000]), member("n2.tar", inner)))
    (_, offset, size), _ = list_tar(path)
    with pytest.raises(InputError, match=r"a\.tar is (damaged|truncated)"):
        list_tar(path, offset, size)


def test_a_damaged_header_is_not_taken_for_the_end(
    tmp_path: Path, images: dict[str, bytes]
) -> None:
    """tarfile stops there without an error."""
    whole = tar_of(*(member(n, d) for n, d in images.items()))
    path = tmp_path / "a.tar"
    for _, offset, _ in _whole(path, whole)[1:]:
        damaged = bytearray(whole)
        damaged[offset - 500] ^= 0x55
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"is damaged at byte [\d,]+: invalid tar header"):
            list_tar(path)


@pytest.mark.parametrize("data", [b"", b"x" * 100, b"x" * 5000, bytes(range(256)) * 8], ids=len)
def test_other_files_are_rejected(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.tar is damaged"):
        list_tar(path)


def test_an_empty_tar_has_no_files(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of())
    assert list_tar(path) == []


def test_names_that_are_not_utf8_keep_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_of(member("\udcff.JPEG", b"x"), form=tarfile.GNU_FORMAT))
    assert [name for name, *_ in list_tar(path)] == [b"\xff.JPEG"]


def test_random_damage_raises_nothing_but_input_errors(
    tmp_path: Path, images: dict[str, bytes]
) -> None:
    whole = tar_of(*(member("x" * 120 + n, d) for n, d in images.items()), form=tarfile.PAX_FORMAT)
    path = tmp_path / "a.tar"
    rng = np.random.default_rng(1)
    for _ in range(200):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 4):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        with suppress(InputError):
            list_tar(path)
