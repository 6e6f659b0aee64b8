"""What was written comes back, and no damage gives other pixels or ends the process."""

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

import lmdb
import numpy as np
import pytest
from PIL import Image

from alexnet.dataset import btree, shards
from alexnet.dataset.checksummed import read_sealed, write_sealed
from alexnet.dataset.shards import Shards
from alexnet.resize import shard_writer
from alexnet.resize.shard_writer import write_manifest, write_shard
from alexnet.runtime.errors import InputError
from images import Images, random_images, write_split

PAGE = 4096
FORK = multiprocessing.get_context("fork")


def test_a_split_without_an_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"labels\.npy is of no image"):
        write_split(tmp_path / "val", random_images(2), [-1, -1])


def test_every_record_comes_back(split: Shards, images: Images) -> None:
    assert len(split) == 20
    for record in (0, 19, 7, 8, 3, 3):
        assert np.array_equal(split.read(record), images[record])
    assert split.records_of(1).tolist() == list(range(8, 16))
    assert split.labels.tolist() == [n % 5 for n in range(20)]


def test_a_picture_outlives_its_reader(tmp_path: Path, images: Images) -> None:
    folder = write_split(tmp_path / "split", images[:2], [0, 1]).folder
    pictures = [Shards(folder).read(record) for record in (0, 1)]
    gc.collect()
    assert np.array_equal(pictures, images[:2])


def test_gathered_crops_are_slices(split: Shards, images: Images) -> None:
    """Of records from several shards, the first and the last bytes of a file's records too."""
    records, tops, lefts = np.array(
        [[19, 0, 7, 8, 3, 3], [32, 0, 31, 9, 0, 32], [0, 32, 1, 9, 0, 32]]
    )
    into = np.zeros((6, 224, 224, 3), np.uint8)
    split.gather(records, tops, lefts, into)
    for n, (record, top, left) in enumerate(zip(records, tops, lefts, strict=True)):
        assert np.array_equal(into[n], images[record, top : top + 224, left : left + 224])


@pytest.mark.parametrize(("top", "left"), [(33, 0), (0, 33), (-1, 0), (0, -1)])
def test_a_crop_that_leaves_the_image_is_refused(split: Shards, top: int, left: int) -> None:
    with pytest.raises(ValueError, match="a square of 224 leaves the image"):
        split.gather(*np.array([[3], [top], [left]]), np.zeros((1, 224, 224, 3), np.uint8))


@pytest.mark.parametrize("pixels", ["raw", "jpeg"])
def test_a_record_is_checked_on_its_first_visit_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixels: str
) -> None:
    checked: list[int] = []
    checksum = shards.checksum_of

    def counting(record: int, stored: bytes | memoryview) -> bytes:
        checked.append(record)
        return checksum(record, stored)

    split = written(tmp_path / "split", random_images(6), pixels)
    monkeypatch.setattr(shards, "checksum_of", counting)
    corners, into = np.zeros(2, np.int64), np.zeros((2, 224, 224, 3), np.uint8)
    split.gather(np.array([5, 2]), corners, corners, into)
    split.gather(np.array([2, 3]), corners, corners, into)
    split.read(5)
    split.prefetch(split.records)
    assert checked == [5, 2, 3]


def test_gathering_finds_damage_as_reading_does(tmp_path: Path, split: Shards) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(split.folder, folder)
    _flip_a_pixel(folder / "00001.lmdb")
    harmed, corners = Shards(folder), np.zeros(8, np.int64)
    with pytest.raises(InputError, match=r"00001.lmdb: record \d+ is damaged; fix: .*dvc repro"):
        harmed.gather(np.arange(8, 16), corners, corners, np.zeros((8, 224, 224, 3), np.uint8))


@pytest.mark.parametrize("pixels", ["raw", "jpeg"])
def test_records_lie_where_lmdb_finds_them(tmp_path: Path, pixels: str) -> None:
    """Noise as JPEG has pages of its own, paper fits into the tree; 400 records fill many pages."""
    images = np.full((400, 256, 256, 3), 255, np.uint8)
    images[:40] = random_images(40)
    path = tmp_path / "00000.lmdb"
    tree = shard_writer.write_shard(path, enumerate(images), pixels)["tree"]
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        ours = {key: mapped[start:stop] for key, start, stop in btree.values_of(mapped, tree)}
    with lmdb.open(str(path), subdir=False, readonly=True, lock=False) as env, env.begin() as all_:
        assert ours == dict(all_.cursor())


def test_a_shard_without_records_is_read(tmp_path: Path, images: Images) -> None:
    empty = write_shard(tmp_path / "00000.lmdb", [], "raw") | {"first": 0}
    full = write_shard(tmp_path / "00001.lmdb", [(2, images[2])], "raw") | {"first": 2}
    write_manifest(tmp_path, np.array([-1, -1, 0], np.int32), "raw", [empty, full], [])
    split = Shards(tmp_path)
    assert np.array_equal(split.read(2), images[2])
    with pytest.raises(InputError, match=r"00000\.lmdb lacks record 1"):
        split.read(1)


class SpiedMap(mmap.mmap):
    """A mapped file that tells what it is asked for."""

    told: ClassVar[list[tuple[int, ...]]] = []

    def madvise(self, *advice: int) -> None:
        self.told.append(advice)
        super().madvise(*advice)


@pytest.mark.parametrize("pixels", ["raw", "jpeg"])
def test_the_kernel_is_asked_for_the_pages_of_the_records_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixels: str
) -> None:
    """Whoever reads in order leaves the kernel its readahead."""
    split = written(tmp_path / "split", random_images(6), pixels)
    monkeypatch.setattr(shards.mmap, "mmap", SpiedMap)
    SpiedMap.told.clear()
    split.read(0)
    assert SpiedMap.told == []
    split.prefetch(np.array([3, 0]))
    readahead, *asked = SpiedMap.told
    assert readahead == (mmap.MADV_RANDOM,)
    data = (split.folder / "00000.lmdb").read_bytes()
    for record, (advice, start, length) in zip((3, 0), asked, strict=True):
        value = _stored(split.folder / "00000.lmdb", record)
        at = data.index(value)
        assert advice == mmap.MADV_WILLNEED
        assert start == at // mmap.PAGESIZE * mmap.PAGESIZE
        assert start + length == at + len(value)
    split.prefetch(np.array([2]))
    assert [advice for advice, *_ in SpiedMap.told[3:]] == [mmap.MADV_WILLNEED]


def _stored(path: Path, record: int) -> bytes:
    with lmdb.open(str(path), subdir=False, readonly=True, lock=False) as env, env.begin() as all_:
        (value,) = (v for key, v in all_.cursor() if key[:8] == record.to_bytes(8, "big"))
        return bytes(value)


def test_pictures_are_read_on_in_a_forked_child(split: Shards, images: Images) -> None:
    assert np.array_equal(split.read(0), images[0])
    assert in_a_child(_same, split, images)


def _same(split: Shards, images: Images) -> bool:
    return all(np.array_equal(split.read(record), images[record]) for record in range(20))


def test_too_many_open_files_is_told_with_its_mend(
    split: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(shards.mmap, "mmap", refuse)
    with pytest.raises(InputError, match=r"cannot be mapped: .*Too many open files; fix: ulimit"):
        Shards(split.folder).read(0)


def test_manifest_tells_the_truth_of_the_files(split: Shards) -> None:
    for shard in split.manifest["shards"]:
        data = (split.folder / shard["file"]).read_bytes()
        assert shard["bytes"] == len(data)
        assert shard["sha256"] == hashlib.sha256(data).hexdigest()
    assert [shard["records"] for shard in split.manifest["shards"]] == [8, 8, 4]


def test_the_same_images_give_the_same_bytes(tmp_path: Path, split: Shards, images: Images) -> None:
    again = write_split(tmp_path / "again", images, [n % 5 for n in range(20)])
    assert again.manifest == split.manifest


def written(folder: Path, images: Images, pixels: str) -> Shards:
    """A split of one shard, its records skipped where they are not of three in a row."""
    folder.mkdir()
    kept = [(n, image) for n, image in enumerate(images) if n % 3 != 1]
    shard = write_shard(folder / "00000.lmdb", kept, pixels) | {"first": 0}
    labels = np.array([-1 if n % 3 == 1 else n for n in range(len(images))], np.int32)
    write_manifest(folder, labels, pixels, [shard], [])
    return Shards(folder)


@pytest.mark.parametrize("pixels", ["raw", "jpeg"])
def test_both_ways_to_store_pixels_come_back_in_the_same_bytes(tmp_path: Path, pixels: str) -> None:
    """More records than one transaction holds, of noise and of paper, which is tiny as a JPEG."""
    images = np.concatenate([random_images(4), np.full((196, 256, 256, 3), 255, np.uint8)])
    split, again = (written(tmp_path / name, images, pixels) for name in ("split", "again"))
    assert split.records.tolist() == [n for n in range(200) if n % 3 != 1]
    for record in split.records.tolist():
        expected = images[record] if pixels == "raw" else through_jpeg(images[record])
        assert np.array_equal(split.read(record), expected)
    for name in ("00000.lmdb", "labels.npy", "manifest.json"):
        assert (split.folder / name).read_bytes() == (again.folder / name).read_bytes()
    assert list(split.damage(0)) == []


def through_jpeg(image: Images) -> Images:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=95, subsampling=0)
    return np.asarray(Image.open(file))


def test_jpeg_records_are_close_and_smaller(tmp_path: Path) -> None:
    smooth = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None], (256, 256, 3)).copy()
    shard = write_shard(tmp_path / "00000.lmdb", [(0, smooth)], "jpeg") | {"first": 0}
    write_manifest(tmp_path, np.zeros(1, np.int32), "jpeg", [shard], [])
    assert np.abs(Shards(tmp_path).read(0).astype(int) - smooth).max() <= 3
    assert shard["bytes"] < 50_000


def test_skipped_rows_leave_a_gap(tmp_path: Path) -> None:
    images = random_images(3)
    kept = [(0, images[0]), (2, images[2])]
    shard = write_shard(tmp_path / "00000.lmdb", kept, "raw") | {"first": 0}
    write_manifest(tmp_path, np.array([4, -1, 5], np.int32), "raw", [shard], [])
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
    ("harm", "says"),
    [
        (_flip_a_pixel, "record .* is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-4096]), "bytes"),
        (lambda path: path.unlink(), "missing"),
        (lambda path: path.write_bytes(bytes(path.stat().st_size)), "damaged"),
    ],
    ids=["flipped bit", "truncated", "missing", "zeroed"],
)
def test_damage_is_one_clear_error(
    tmp_path: Path, split: Shards, harm: Callable[[Path], None], says: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(split.folder, folder)
    harm(folder / "00001.lmdb")
    harmed = Shards(folder)
    with pytest.raises(InputError, match=f"00001.lmdb.*{says}.*fix: .*dvc repro -f resize"):
        [harmed.read(record) for record in harmed.records.tolist()]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("shards", value) for value in ([], {}, None, "x", [0], [{}])],
        ("pixels", "jpeg"),
        *[("file", value) for value in ("", "..", "\0", "labels.npy", "../val/00000.lmdb", None)],
        *[("bytes", value) for value in (None, "many", 2**70)],
        *[("first", value) for value in (-1, 3, 2**70, 0.5)],
        *[("page_bytes", value) for value in (0, -1, 0.5, 2**70, None)],
        *[("pages", value) for value in (None, [None], [-1], [2**70], {})],
    ],
)
def test_a_manifest_of_untruths_is_one_clear_error(
    tmp_path: Path, split: Shards, name: str, value: Any
) -> None:
    """Its seal is whole, as if a program of somebody's had written it."""
    folder = tmp_path / "copy"
    shutil.copytree(split.folder, folder)
    content = read_sealed(folder / "manifest.json")
    shard = content["shards"][0]
    (part,) = (part for part in (content, shard, shard["tree"]) if name in part)
    part[name] = value
    write_sealed(folder / "manifest.json", content)
    with pytest.raises(InputError, match=r"copy is not a whole split|manifest says|0000"):
        Shards(folder).read(0)


def test_a_shard_that_finds_no_room_says_so(
    tmp_path: Path, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_writer, "MAP_BYTES", 400_000)
    with pytest.raises(InputError, match=r"cannot be written.*free the disk"):
        write_shard(tmp_path / "00000.lmdb", enumerate(images), "raw")


def test_no_split_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a whole split"):
        Shards(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({})[:-1])
    with pytest.raises(InputError, match="not a whole split"):
        Shards(tmp_path)


# Faults


@dataclass
class Copy:
    """A split to be damaged: what it holds, and where in a file its pixels lie."""

    folder: Path
    images: Images

    def shard(self, n: int) -> Path:
        return self.folder / f"{n:05d}.lmdb"

    def places(self, n: int) -> dict[int, int]:
        """Where the pixels of each record of a shard begin."""
        data = self.shard(n).read_bytes()
        records = range(n * 4, min(n * 4 + 4, len(self.images)))
        return {record: data.index(self.images[record].tobytes()) for record in records}


@dataclass
class Seen:
    """What a reader made of a split: whole records, refused ones, and words from `damage`."""

    whole: list[int]
    refused: dict[int, str]
    told: list[str]


def look(folder: Path, images: Images) -> Seen:
    """Read every record, then ask for damage; other pixels or another exception end it badly."""
    try:
        split = Shards(folder)
    except InputError as error:
        return Seen([], dict.fromkeys(range(len(images)), str(error)), [str(error)])
    seen = Seen([], {}, [])
    for record in range(len(images)):
        try:
            assert np.array_equal(split.read(record), images[record]), f"other pixels: {record}"
            seen.whole.append(record)
        except InputError as error:
            seen.refused[record] = str(error)
    for n in range(3):
        seen.told += split.damage(n)
    return seen


def in_a_child(work: Callable[..., Any], *args: Any) -> Any:
    """What `work` gives in a forked process, which must end well."""
    mine, its = FORK.Pipe(duplex=False)
    child = FORK.Process(target=lambda: its.send(work(*args)))
    child.start()
    its.close()
    try:
        result = mine.recv()
    except EOFError:
        result = None
    child.join()
    assert child.exitcode == 0
    return result


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """Nine images in three shards."""
    top = tmp_path_factory.mktemp("faults")
    images = random_images(9, seed=3)
    write_split(top / "whole", images, list(range(9)), records=4)
    return Copy(top / "whole", images)


def test_a_whole_split_has_no_faults(small: Copy) -> None:
    seen = in_a_child(look, small.folder, small.images)
    assert (seen.whole, seen.refused, seen.told) == (list(range(9)), {}, [])


def test_a_fault_in_one_record_costs_no_other(small: Copy, tmp_path: Path) -> None:
    """Nor where it lies in the header of the record's pages, which LMDB would look at."""
    noticed = 0
    for back in range(-1, 17):
        copy = Copy(tmp_path / "copy", small.images)
        shutil.copytree(small.folder, copy.folder)
        data = bytearray(copy.shard(0).read_bytes())
        data[copy.places(0)[1] - back] ^= 0xFF
        copy.shard(0).write_bytes(data)
        seen = in_a_child(look, copy.folder, copy.images)
        assert set(seen.refused) <= {1}
        assert seen.refused or back > 0  # a header's byte may be one that nobody reads
        assert seen.told
        noticed += len(seen.refused)
        shutil.rmtree(copy.folder)
    assert noticed >= 2
