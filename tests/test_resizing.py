"""From a folder of files to shards: the same bytes however many workers and interruptions."""

import io
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from alexnet.archives import index_folder
from alexnet.errors import InputError
from alexnet.index import Index
from alexnet.resizing import Job, join, resize, resize_shard, shard_jobs
from alexnet.shards import Shards, summary

HOW: dict[str, Any] = {
    "resample": "bicubic",
    "pixels": "raw",
    "apply_exif": False,
    "on_error": "skip",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of six small photos each; one is cut short, one is grey."""
    top = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for split, name in (("train", "cat"), ("train", "dog"), ("val", "cat"), ("val", "dog")):
        folder = top / split / name
        folder.mkdir(parents=True)
        for n in range(6):
            noise = rng.integers(0, 256, (3 + n, 5, 3), np.uint8)
            file = io.BytesIO()
            picture = Image.fromarray(noise).resize((60 + n, 50))
            (picture.convert("L") if n == 2 else picture).save(file, "JPEG")
            data = file.getvalue()
            (folder / f"{n}.jpg").write_bytes(data[:-200] if (n, name) == (4, "dog") else data)
    return top


def prepared(root: Path, folder: Path, pool: Executor, **how: Any) -> dict[str, Any]:
    index = index_folder(root, seed=1)
    jobs = _jobs(index, root, folder, **how)
    done: list[int] = []
    with pool:
        resize(pool, jobs, done.append)
    assert sum(done) == 12
    return join(folder, index.splits["train"], jobs)


def _jobs(index: Index, root: Path, folder: Path, **how: Any) -> list[Job]:
    folder.mkdir(exist_ok=True)
    where = {"root": root, "archives": index.archives}
    return shard_jobs(folder, index.splits["train"], records=3, **where, **HOW | how)


@pytest.fixture(scope="module")
def straight(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return prepared(root, tmp_path_factory.mktemp("straight") / "train", ThreadPoolExecutor(1))


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, ProcessPoolExecutor])
@pytest.mark.parametrize("workers", [2, 3])
def test_any_workers_write_the_same_bytes(
    root: Path, tmp_path: Path, straight: dict[str, Any], pool: type[Any], workers: int
) -> None:
    assert prepared(root, tmp_path / "train", pool(workers)) == straight


def test_an_interrupted_run_ends_in_the_same_bytes(
    root: Path, tmp_path: Path, straight: dict[str, Any]
) -> None:
    """One shard was finished, one was being written when the first run died."""
    folder = tmp_path / "train"
    first, second, *_ = _jobs(index_folder(root, seed=1), root, folder)
    resize_shard(first)
    second.path.with_suffix(".part").write_bytes(b"half a shard")
    written = first.path.stat().st_mtime_ns
    assert prepared(root, folder, ThreadPoolExecutor(1)) == straight
    assert first.path.stat().st_mtime_ns == written
    assert not list(folder.glob("*.part"))


def test_a_shard_that_has_moved_away_is_written_again(
    root: Path, tmp_path: Path, straight: dict[str, Any]
) -> None:
    """A run killed while it handed its results over."""
    folder = tmp_path / "train"
    for job in _jobs(index_folder(root, seed=1), root, folder):
        resize_shard(job)
        job.path.unlink()
    assert prepared(root, folder, ThreadPoolExecutor(1)) == straight
    assert len(list(folder.glob("*.lmdb"))) == 4


def test_nothing_readable_is_refused(tmp_path: Path) -> None:
    for name in ("train/a/1.heic", "val/a/1.heic"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"no format known here")
    index = index_folder(tmp_path, seed=0)
    jobs = _jobs(index, tmp_path, tmp_path / "shards")
    resize(ThreadPoolExecutor(1), jobs, lambda n: None)
    with pytest.raises(InputError, match="no image of shards is readable: not an image"):
        join(tmp_path / "shards", index.splits["train"], jobs)


def test_the_ledger_names_every_odd_file(
    root: Path, tmp_path: Path, straight: dict[str, Any]
) -> None:
    told = {(entry["archive"], entry["name"], entry["done"]) for entry in straight["odd"]}
    assert told == {
        ("train/cat", "2.jpg", "kept"),
        ("train/dog", "2.jpg", "kept"),
        ("train/dog", "4.jpg", "skipped"),
    }
    assert summary(straight).startswith("11 images in 4 shards")
    prepared(root, tmp_path / "train", ThreadPoolExecutor(1))
    shards = Shards(tmp_path / "train")
    (skipped,) = [entry for entry in straight["odd"] if entry["done"] == "skipped"]
    assert shards.labels[skipped["record"]] == -1
    assert len(shards) == 11


def test_an_unreadable_image_fails_by_name(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train/dog: 4.jpg is unreadable: .*on_error: skip"):
        prepared(root, tmp_path / "train", ProcessPoolExecutor(2), on_error="fail")
