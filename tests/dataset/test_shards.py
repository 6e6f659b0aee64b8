"""Records are read as they were written; damage never gives other pixels or a crash."""

import gc
import hashlib
import io
import json
import mmap
import multiprocessing
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import xxhash
from PIL import Image

from alexnet.dataset import manifest as manifest_module
from alexnet.dataset import shards
from alexnet.dataset.checksummed import read_checksummed_json, save_array, write_checksummed_json
from alexnet.dataset.manifest import RECORD, Manifest, read_manifest
from alexnet.dataset.shards import Shards
from alexnet.resize import shard_writer
from alexnet.resize.shard_writer import write_manifest, write_shard
from alexnet.runtime.errors import InputError
from images import Images, random_images, rewrite_manifest, write_split

FORK = multiprocessing.get_context("fork")


def test_a_split_without_images_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"labels\.npy labels no image"):
        write_split(tmp_path / "val", random_images(2), [-1, -1])


def test_every_record_is_read_as_written(split: Shards, images: Images) -> None:
    assert len(split) == 20
    for record in (0, 19, 7, 8, 3, 3):
        assert np.array_equal(split.read(record), images[record])
    assert split.records_in(1).tolist() == list(range(8, 16))
    assert split.labels.tolist() == [n % 5 for n in range(20)]


def test_an_image_stays_valid_after_its_shards_are_gone(tmp_path: Path, images: Images) -> None:
    folder = write_split(tmp_path / "split", images[:2], [0, 1]).folder
    views = [Shards(folder).read(record) for record in (0, 1)]
    gc.collect()
    assert np.array_equal(views, images[:2])


def test_gathered_crops_equal_slices(split: Shards, images: Images) -> None:
    """Crops from several shards, including the first and last bytes of a shard's records."""
    records, tops, lefts = np.array(
        [[19, 0, 7, 8, 3, 3], [32, 0, 31, 9, 0, 32], [0, 32, 1, 9, 0, 32]]
    )
    into = np.zeros((6, 224, 224, 3), np.uint8)
    split.gather(records, tops, lefts, into)
    for n, (record, top, left) in enumerate(zip(records, tops, lefts, strict=True)):
        assert np.array_equal(into[n], images[record, top : top + 224, left : left + 224])


@pytest.mark.parametrize(("top", "left"), [(33, 0), (0, 33), (-1, 0), (0, -1)])
def test_a_crop_outside_the_image_is_rejected(split: Shards, top: int, left: int) -> None:
    with pytest.raises(ValueError, match="a crop of 224 leaves the image"):
        split.gather(*np.array([[3], [top], [left]]), np.zeros((1, 224, 224, 3), np.uint8))


@pytest.mark.parametrize("pixels", ["raw", "jpeg"])
def test_a_record_is_verified_on_its_first_visit_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixels: str
) -> None:
    verified: list[int] = []
    checksum = xxhash.xxh3_64_intdigest

    def counting(stored: memoryview) -> int:
        result = checksum(stored)
        verified.extend(np.flatnonzero(table["xxh3"] == result).tolist())
        return result

    split = written(tmp_path / "split", random_images(6), pixels)
    table = np.load(split.folder / "records.npy")
    monkeypatch.setattr(shards.xxhash, "xxh3_64_intdigest", counting)
    corners, into = np.zeros(2, np.int64), np.zeros((2, 224, 224, 3), np.uint8)
    split.gather(np.array([5, 2]), corners, corners, into)
    split.gather(np.array([2, 3]), corners, corners, into)
    split.read(5)
    split.prefetch(split.records)
    assert verified == [5, 2, 3]


def test_gather_reports_damage_like_read(tmp_path: Path, split: Shards) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(split.folder, folder)
    _flip_a_pixel(folder / "00001.lmdb")
    damaged, corners = Shards(folder), np.zeros(8, np.int64)
    with pytest.raises(InputError, match=r"00001.lmdb: record \d+ is damaged; fix: .*dvc repro"):
        damaged.gather(np.arange(8, 16), corners, corners, np.zeros((8, 224, 224, 3), np.uint8))


def test_a_shard_without_records_is_valid(tmp_path: Path, images: Images) -> None:
    empty = write_shard(tmp_path / "00000.lmdb", [], "raw", range(2))
    full = write_shard(tmp_path / "00001.lmdb", [(2, images[2])], "raw", range(2, 3))
    write_manifest(tmp_path, np.array([-1, -1, 0], np.int32), "raw", [empty, full])
    split = Shards(tmp_path)
    assert np.array_equal(split.read(2), images[2])
    with pytest.raises(InputError, match=r"00000\.lmdb lacks record 1"):
        split.read(1)


class SpiedMap(mmap.mmap):
    """A mapped file that records the advice given to the kernel."""

    calls: ClassVar[list[tuple[int, ...]]] = []

    def madvise(self, *advice: int) -> None:
        self.calls.append(advice)
        super().madvise(*advice)


@pytest.mark.parametrize("pixels", ["raw", "jpeg"])
def test_prefetch_requests_the_pages_of_its_records_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixels: str
) -> None:
    """A reader that does not prefetch keeps the kernel's readahead."""
    split = written(tmp_path / "split", random_images(6), pixels)
    monkeypatch.setattr(manifest_module.mmap, "mmap", SpiedMap)
    SpiedMap.calls.clear()
    split.read(0)
    assert SpiedMap.calls == []
    split.prefetch(np.array([3, 0]))
    readahead, *requests = SpiedMap.calls
    assert readahead == (mmap.MADV_RANDOM,)
    table = np.load(split.folder / "records.npy")
    for record, (advice, start, length) in zip((3, 0), requests, strict=True):
        offset, size, _ = table[record].tolist()
        assert advice == mmap.MADV_WILLNEED
        assert start == offset // mmap.PAGESIZE * mmap.PAGESIZE
        assert start + length == offset + size
    split.prefetch(np.array([2]))
    assert [advice for advice, *_ in SpiedMap.calls[3:]] == [mmap.MADV_WILLNEED]


def test_a_forked_child_can_continue_reading(split: Shards, images: Images) -> None:
    assert np.array_equal(split.read(0), images[0])
    assert in_a_child(_same, split, images)


def _same(split: Shards, images: Images) -> bool:
    return all(np.array_equal(split.read(record), images[record]) for record in range(20))


def test_too_many_open_files_is_reported_with_a_fix(
    split: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(manifest_module.mmap, "mmap", fail)
    with pytest.raises(InputError, match=r"cannot be mapped: .*Too many open files; fix: ulimit"):
        Shards(split.folder).read(0)


def test_the_manifest_describes_the_files(split: Shards) -> None:
    for shard in split.manifest.shards:
        data = (split.folder / shard.file).read_bytes()
        assert shard.bytes == len(data)
        assert shard.sha256 == hashlib.sha256(data).hexdigest()
    assert [shard.records for shard in split.manifest.shards] == [8, 8, 4]
    assert split.manifest.images == 20


def test_the_same_images_give_the_same_bytes(tmp_path: Path, split: Shards, images: Images) -> None:
    again = write_split(tmp_path / "again", images, [n % 5 for n in range(20)])
    assert again.manifest == split.manifest


def written(folder: Path, images: Images, pixels: str) -> Shards:
    """Write a split of one shard, of which every third row is skipped."""
    folder.mkdir()
    kept = [(n, image) for n, image in enumerate(images) if n % 3 != 1]
    shard = write_shard(folder / "00000.lmdb", kept, pixels, range(len(images)))
    labels = np.array([-1 if n % 3 == 1 else n for n in range(len(images))], np.int32)
    write_manifest(folder, labels, pixels, [shard])
    return Shards(folder)


@pytest.mark.parametrize("pixels", ["raw", "jpeg"])
def test_shards_are_read_back_and_their_bytes_are_reproducible(tmp_path: Path, pixels: str) -> None:
    """More records than one transaction holds: noise, and white paper, tiny as a JPEG.

    JPEG records are decoded to the same pixels as by Pillow.
    """
    images = np.concatenate([random_images(4), np.full((196, 256, 256, 3), 255, np.uint8)])
    split, again = (written(tmp_path / name, images, pixels) for name in ("split", "again"))
    assert split.records.tolist() == [n for n in range(200) if n % 3 != 1]
    for record in split.records.tolist():
        expected = images[record] if pixels == "raw" else through_jpeg(images[record])
        assert np.array_equal(split.read(record), expected)
    for name in ("00000.lmdb", "labels.npy", "records.npy", "manifest.json"):
        assert (split.folder / name).read_bytes() == (again.folder / name).read_bytes()
    assert list(split.find_damage(0)) == []


def through_jpeg(image: Images) -> Images:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=95, subsampling=0)
    return np.asarray(Image.open(file))


def test_jpeg_records_are_smaller_and_nearly_the_same(tmp_path: Path) -> None:
    smooth = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None], (256, 256, 3)).copy()
    split = write_split(tmp_path / "split", smooth[None], [0], pixels="jpeg")
    assert np.abs(split.read(0).astype(int) - smooth).max() <= 3
    assert split.manifest.bytes < 50_000


@pytest.mark.parametrize(
    ("mode", "size", "options"),
    [
        ("RGB", (255, 256), {"subsampling": 0}),
        ("RGB", (256, 256), {"subsampling": 2}),
        ("RGB", (256, 256), {"keep_rgb": True}),
        ("L", (256, 256), {}),
        ("CMYK", (256, 256), {}),
    ],
)
def test_a_jpeg_record_of_another_kind_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, size: Any, options: Any
) -> None:
    file = io.BytesIO()
    Image.new(mode, size).save(file, "JPEG", **options)
    monkeypatch.setattr(shard_writer, "_jpeg", lambda image: file.getvalue())
    split = write_split(tmp_path / "split", random_images(1), [0], pixels="jpeg")
    with pytest.raises(InputError, match=r"00000.lmdb: record 0 is not jpeg pixels of 256×256"):
        split.read(0)


def test_a_jpeg_record_that_cannot_be_decoded_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = shard_writer._jpeg(random_images(1)[0])
    for stored in (whole[: len(whole) // 2], b"not a JPEG", whole[:300] + bytes(100) + whole[400:]):
        monkeypatch.setattr(shard_writer, "_jpeg", lambda image, stored=stored: stored)
        split = write_split(tmp_path / str(len(stored)), random_images(1), [0], pixels="jpeg")
        with pytest.raises(InputError, match="record 0 is not jpeg pixels of 256×256"):
            split.read(0)


def test_skipped_rows_leave_a_gap(tmp_path: Path) -> None:
    images = random_images(3)
    kept = [(0, images[0]), (2, images[2])]
    shard = write_shard(tmp_path / "00000.lmdb", kept, "raw", range(3))
    write_manifest(tmp_path, np.array([4, -1, 5], np.int32), "raw", [shard])
    split = Shards(tmp_path)
    assert split.records.tolist() == [0, 2]
    assert np.array_equal(split.read(2), images[2])
    with pytest.raises(InputError, match="lacks record 1"):
        split.read(1)


def _flip_a_pixel(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_flip_a_pixel, "record .* is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-4096]), "bytes"),
        (lambda path: path.unlink(), "missing"),
        (lambda path: path.write_bytes(bytes(path.stat().st_size)), "record 8 is damaged"),
    ],
    ids=["flipped bit", "truncated", "missing", "zeroed"],
)
def test_damage_is_one_clear_error(
    tmp_path: Path, split: Shards, damage: Callable[[Path], None], message: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(split.folder, folder)
    damage(folder / "00001.lmdb")
    damaged = Shards(folder)
    with pytest.raises(InputError, match=f"00001.lmdb.*{message}.*fix: .*dvc repro -f resize"):
        [damaged.read(record) for record in damaged.records.tolist()]


def test_damage_outside_the_records_is_found_by_a_full_check_only(
    tmp_path: Path, split: Shards, images: Images
) -> None:
    """No page of LMDB's tree is followed: readers find every record without it."""
    folder = tmp_path / "copy"
    shutil.copytree(split.folder, folder)
    table, path = np.load(folder / "records.npy")[:8], folder / "00000.lmdb"
    data = np.fromfile(path, np.uint8)
    outside = np.ones(len(data), bool)
    for row in table:
        outside[row["offset"] : row["offset"] + row["size"]] = False
    data[outside] = 0xFF
    path.write_bytes(data.tobytes())
    damaged = Shards(folder)
    assert all(np.array_equal(damaged.read(n), images[n]) for n in range(20))
    assert "none of its records" in next(damaged.find_damage(0))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("shards", value) for value in ([], {}, None, "x", [0], [{}])],
        *[("odd", value) for value in ({}, None, [0], [{}], [{"record": 0}])],
        ("pixels", "png"),
        ("pixels", "jpeg"),
        *[("side", value) for value in (255, 256.0, "256", None)],
        *[("rows", value) for value in (0, 19, 2**70, True, None)],
        *[("labels", value) for value in ("", None, 0, [])],
        *[("file", value) for value in ("", "..", "\0", "labels.npy", "../val/00000.lmdb", None)],
        *[("bytes", value) for value in (0, None, "many", 2**70)],
        *[("first", value) for value in (-1, 3, 2**70, 0.5)],
        *[("records", value) for value in (-1, 7, 9, 2**70, None)],
        *[("sha256", value) for value in ("", "0" * 63, None)],
    ],
)
def test_a_manifest_of_invalid_values_is_one_clear_error(
    tmp_path: Path, split: Shards, name: str, value: Any
) -> None:
    """Its checksum is right, as if another program had written it."""
    folder = tmp_path / "copy"
    shutil.copytree(split.folder, folder)
    content = read_checksummed_json(folder / "manifest.json")
    part = content["shards"][0] if name in content["shards"][0] else content
    part[name] = value
    write_checksummed_json(folder / "manifest.json", content)
    with pytest.raises(InputError, match=r"copy is not a valid split|in its manifest|0000"):
        Shards(folder).read(0)


def test_a_manifest_with_other_keys_is_rejected(tmp_path: Path, split: Shards) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(split.folder, folder)
    content = read_checksummed_json(folder / "manifest.json")
    for changed in (content | {"more": 0}, {k: v for k, v in content.items() if k != "records"}):
        write_checksummed_json(folder / "manifest.json", changed)
        with pytest.raises(InputError, match=r"copy is not a valid split .*: invalid manifest"):
            Shards(folder)


FORGED_RECORDS: dict[str, Callable[[Any], None]] = {
    "before the file": lambda table: table["offset"].__setitem__(0, -1),
    "beyond the file": lambda table: table["offset"].__setitem__(0, 1 << 40),
    "beyond the range": lambda table: table["offset"].__setitem__(0, (1 << 63) - 1),
    "an end beyond the file": lambda table: table["size"].__setitem__(7, 1 << 30),
    "a negative size": lambda table: table["size"].__setitem__(3, -196_608),
    "an overlap": lambda table: table["offset"].__setitem__(1, table["offset"][0] + 1),
    "the same place twice": lambda table: table.__setitem__(1, table[0]),
    "too few": lambda table: table["size"].__setitem__(2, 0),
}


@pytest.mark.parametrize("forge", FORGED_RECORDS.values(), ids=FORGED_RECORDS.keys())
def test_a_forged_record_table_is_one_clear_error(
    tmp_path: Path, split: Shards, forge: Callable[[Any], None]
) -> None:
    """The checksums are right, as if another program had written them."""
    folder = tmp_path / "copy"
    shutil.copytree(split.folder, folder)
    table = np.load(folder / "records.npy")
    forge(table)
    rewrite_manifest(folder, records=save_array(folder / "records.npy", table))
    forged = Shards(folder)
    corners, into = np.zeros(1, np.int64), np.zeros((1, 224, 224, 3), np.uint8)
    for use in (
        lambda: forged.read(0),
        lambda: forged.gather(corners, corners, corners, into),
        lambda: forged.prefetch(corners),
    ):
        with pytest.raises(InputError, match=r"records\.npy: invalid records of 00000\.lmdb; fix:"):
            use()
    assert np.array_equal(forged.read(8), split.read(8))


def test_a_forged_record_of_another_size_is_rejected(tmp_path: Path, split: Shards) -> None:
    """Its place and checksum are right, but it is not an image."""
    folder = tmp_path / "copy"
    shutil.copytree(split.folder, folder)
    table, data = np.load(folder / "records.npy"), (folder / "00000.lmdb").read_bytes()
    start = int(table["offset"][0])
    table[0] = start, 1000, xxhash.xxh3_64_intdigest(data[start : start + 1000])
    rewrite_manifest(folder, records=save_array(folder / "records.npy", table))
    forged, corners = Shards(folder), np.zeros(1, np.int64)
    for _ in range(2):
        with pytest.raises(InputError, match="record 0 is not raw pixels of 256×256; fix:"):
            forged.gather(corners, corners, corners, np.zeros((1, 224, 224, 3), np.uint8))


@pytest.mark.parametrize(
    "table", [np.zeros(19, RECORD), np.zeros((20, 20), np.uint8), np.zeros(20)]
)
def test_a_record_table_of_another_shape_or_type_is_rejected(
    tmp_path: Path, split: Shards, table: Any
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(split.folder, folder)
    rewrite_manifest(folder, records=save_array(folder / "records.npy", table))
    with pytest.raises(InputError, match=r"records\.npy is not an array of shape \(20,\)"):
        Shards(folder)


def test_a_changed_record_table_is_rejected(tmp_path: Path, split: Shards) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(split.folder, folder)
    _flip_a_pixel(folder / "records.npy")
    with pytest.raises(InputError, match=r"records\.npy was changed after it was written; fix: "):
        Shards(folder)


def test_the_manifest_is_read_as_it_was_written(split: Shards) -> None:
    assert read_manifest(split.folder) == split.manifest
    assert Manifest.from_json(split.manifest.to_json()) == split.manifest


def test_a_folder_without_a_split_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a valid split"):
        Shards(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({})[:-1])
    with pytest.raises(InputError, match="not a valid split"):
        Shards(tmp_path)


# Damage, read in a child process that must survive it


@dataclass
class Copy:
    """A split to be damaged, and the images it holds."""

    folder: Path
    images: Images

    def shard(self, n: int) -> Path:
        return self.folder / f"{n:05d}.lmdb"


@dataclass
class Outcome:
    """What a reader found in a split: intact records, rejected ones, and lines of damage."""

    intact: list[int]
    rejected: dict[int, str]
    damage: list[str]


def read_all(folder: Path, images: Images) -> Outcome:
    """Read every record, then look for damage. Fails on wrong pixels or another exception."""
    try:
        split = Shards(folder)
    except InputError as error:
        return Outcome([], dict.fromkeys(range(len(images)), str(error)), [str(error)])
    outcome = Outcome([], {}, [])
    for record in range(len(images)):
        try:
            assert np.array_equal(split.read(record), images[record]), f"wrong pixels: {record}"
            outcome.intact.append(record)
        except InputError as error:
            outcome.rejected[record] = str(error)
    for n in range(3):
        outcome.damage += split.find_damage(n)
    return outcome


def in_a_child(work: Callable[..., Any], *args: Any) -> Any:
    """Return what `work` returns in a forked process, which must exit normally."""
    receiver, sender = FORK.Pipe(duplex=False)
    child = FORK.Process(target=lambda: sender.send(work(*args)))
    child.start()
    sender.close()
    try:
        result = receiver.recv()
    except EOFError:
        result = None
    child.join()
    assert child.exitcode == 0
    return result


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """Nine images in three shards."""
    top = tmp_path_factory.mktemp("damage")
    images = random_images(9, seed=3)
    write_split(top / "intact", images, list(range(9)), records=4)
    return Copy(top / "intact", images)


def test_an_intact_split_has_no_damage(small: Copy) -> None:
    outcome = in_a_child(read_all, small.folder, small.images)
    assert (outcome.intact, outcome.rejected, outcome.damage) == (list(range(9)), {}, [])


def test_damage_in_one_record_affects_no_other(small: Copy, tmp_path: Path) -> None:
    """Bytes just before a record belong to a page header, which LMDB would follow."""
    start = int(np.load(small.folder / "records.npy")["offset"][1])
    for before in range(-1, 17):
        copy = Copy(tmp_path / "copy", small.images)
        shutil.copytree(small.folder, copy.folder)
        data = bytearray(copy.shard(0).read_bytes())
        data[start - before] ^= 0xFF
        copy.shard(0).write_bytes(data)
        outcome = in_a_child(read_all, copy.folder, copy.images)
        assert list(outcome.rejected) == ([1] if before <= 0 else [])
        assert outcome.damage
        shutil.rmtree(copy.folder)
