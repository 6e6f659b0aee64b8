"""From a folder of files to shards: the same bytes however many workers and interruptions."""

import io
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from alexnet.dataset.index import load_index, save_index
from alexnet.dataset.manifest import Manifest
from alexnet.dataset.shards import Shards
from alexnet.index.layouts import read_index
from alexnet.resize import jobs as jobs_module
from alexnet.resize.jobs import Job, join, resize, resize_shard, shard_jobs
from alexnet.resize.shard_writer import summary
from alexnet.runtime.errors import InputError

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


def prepared(root: Path, work: Path, pool: Executor, **how: Any) -> Manifest:
    jobs = jobs_of(root, work, **how)
    done: list[int] = []
    with pool:
        resize(pool, jobs, done.append)
    assert sum(done) == 12
    return join(work / "shards/train", load_index(jobs[0].index).splits["train"], jobs)


def jobs_of(root: Path, work: Path, **how: Any) -> list[Job]:
    """The jobs of four shards of three images, with their index beside the photos."""
    folder = root.with_name(f"{root.name}-index")
    if not folder.exists():
        folder.mkdir()
        save_index(read_index(root, "folder", seed=1, held_out=0.5), folder)
    where = {"root": root, "index": folder, "split": "train"}
    (work / "shards/train").mkdir(parents=True, exist_ok=True)
    return shard_jobs(work, load_index(folder).splits["train"], records=3, **where, **HOW | how)


def test_an_index_that_took_the_place_of_the_one_that_was_read_is_refused(
    root: Path, tmp_path: Path
) -> None:
    """Its rows in shards beside the labels of the other would be a mixture of both."""
    job = jobs_of(root, tmp_path)[1]
    index = load_index(job.index)
    other = index.splits | {"train": index.splits["train"][::-1]}
    (tmp_path / "index").mkdir()
    save_index(replace(index, splits=other), tmp_path / "index")
    with pytest.raises(InputError, match=r"index was replaced while it was read; fix: dvc repro"):
        resize_shard(replace(job, index=tmp_path / "index"))
    assert not job.path.exists()
    with pytest.raises(InputError, match=r"gone holds no valid index: .*fix: "):
        resize_shard(replace(job, index=tmp_path / "gone"))


def test_a_worker_reads_the_index_once(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, read = jobs_of(root, tmp_path), []
    monkeypatch.setattr(
        jobs_module, "load_index", lambda path: read.append(path) or load_index(path)
    )
    jobs_module._index.cache_clear()
    for job in jobs:
        resize_shard(job)
    assert read == [jobs[0].index]


@pytest.fixture(scope="module")
def straight(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return prepared(root, tmp_path_factory.mktemp("straight"), ThreadPoolExecutor(1))


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, ProcessPoolExecutor])
@pytest.mark.parametrize("workers", [2, 3])
def test_any_workers_write_the_same_bytes(
    root: Path, tmp_path: Path, straight: Manifest, pool: type[Any], workers: int
) -> None:
    assert prepared(root, tmp_path, pool(workers)) == straight


def test_an_interrupted_run_ends_in_the_same_bytes(
    root: Path, tmp_path: Path, straight: Manifest
) -> None:
    """One shard was finished, one was being written when the first run died."""
    first, *_ = jobs_of(root, tmp_path)
    resize_shard(first)
    written = first.path.stat().st_mtime_ns
    killed = tmp_path / "train-unfinished" / "0123456789abcdef"
    killed.write_bytes(b"half a shard")
    assert prepared(root, tmp_path, ThreadPoolExecutor(1)) == straight
    assert first.path.stat().st_mtime_ns == written
    assert not killed.exists()


def test_a_shard_that_has_moved_away_is_written_again(
    root: Path, tmp_path: Path, straight: Manifest
) -> None:
    """A run killed while it handed its results over."""
    for job in jobs_of(root, tmp_path):
        resize_shard(job)
        job.path.unlink()
    assert prepared(root, tmp_path, ThreadPoolExecutor(1)) == straight
    assert len(list((tmp_path / "shards/train").glob("*.lmdb"))) == 4


def test_nothing_readable_is_refused(tmp_path: Path) -> None:
    root, work = tmp_path / "photos", tmp_path / "work"
    for name in [f"{split}/a/{n}.heic" for split in ("train", "val") for n in range(12)]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"no format known here")
    work.mkdir()
    jobs = jobs_of(root, work)
    resize(ThreadPoolExecutor(1), jobs, lambda n: None)
    with pytest.raises(InputError, match="no image of train is readable: not an image"):
        join(work / "shards/train", load_index(jobs[0].index).splits["train"], jobs)


def test_the_ledger_names_every_odd_file(root: Path, tmp_path: Path, straight: Manifest) -> None:
    assert {(file.archive, file.name, file.done) for file in straight.odd} == {
        ("train/cat", "2.jpg", "kept"),
        ("train/dog", "2.jpg", "kept"),
        ("train/dog", "4.jpg", "skipped"),
    }
    assert summary(straight).startswith("11 images in 4 shards")
    prepared(root, tmp_path, ThreadPoolExecutor(1))
    shards = Shards(tmp_path / "shards/train")
    (skipped,) = [file for file in straight.odd if file.done == "skipped"]
    assert shards.labels[skipped.record] == -1
    assert len(shards) == 11


def test_an_unreadable_image_fails_by_name(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train/dog: 4.jpg is unreadable: .*on_error: skip"):
        prepared(root, tmp_path, ProcessPoolExecutor(2), on_error="fail")


def test_a_disk_too_small_is_told_before_work_begins(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2_000_000))
    with pytest.raises(InputError, match=r"0.00 GB to write, 0.00 GB free; fix: free the disk"):
        prepared(root, tmp_path, ThreadPoolExecutor(1))
    assert not list((tmp_path / "shards/train").iterdir())


@pytest.mark.parametrize("limit", [300_000, 1_000_000])
def test_a_disk_that_fills_up_leaves_no_half_shard(
    root: Path, tmp_path: Path, straight: Manifest, limit: int
) -> None:
    """A limit on the size of a file stands for the disk; then there is room again."""
    jobs = jobs_of(root, tmp_path)
    (tmp_path / "jobs").write_bytes(pickle.dumps(jobs))
    program = (
        "import pickle, resource, sys; from pathlib import Path\n"
        "from alexnet.resize.jobs import resize_shard\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "for job in pickle.loads(Path(sys.argv[1]).read_bytes()): resize_shard(job)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "jobs")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    finished = {path.stem for path in (tmp_path / "shards/train").iterdir()}
    if limit < 600_000:  # three records of 196 KB do not fit
        assert "free disk space, rerun" in ran.stderr
        assert finished == set()
    else:
        assert (ran.returncode, len(finished)) == (0, 4)
    assert not list((tmp_path / "train-unfinished").iterdir())
    assert prepared(root, tmp_path, ThreadPoolExecutor(1)) == straight
