"""From a folder of files to shards: the same bytes with any workers and interruptions."""

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

from alexnet.dataset.index import Rows, load_index, save_index
from alexnet.dataset.manifest import Manifest
from alexnet.dataset.shards import Shards
from alexnet.index.layouts import read_index
from alexnet.resize import jobs as jobs_module
from alexnet.resize.jobs import (
    Job,
    ResizeOptions,
    Source,
    join_shards,
    plan_jobs,
    resize_shard,
    run_jobs,
)
from alexnet.resize.shard_writer import summary
from alexnet.runtime.errors import InputError

OPTIONS = ResizeOptions("bicubic", "raw", apply_exif=False, on_error="skip")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of six small photos for each split; one is truncated, one of each is grey."""
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


def resize_all(
    root: Path, work: Path, pool: Executor, options: ResizeOptions = OPTIONS
) -> dict[str, Any]:
    """Run all jobs and return the manifest."""
    jobs = make_jobs(root, work, options)
    done: list[int] = []
    with pool:
        run_jobs(pool, jobs, done.append)
    assert sum(done) == 12
    return join_shards(work / "shards/train", train_rows(jobs), jobs)


def make_jobs(root: Path, work: Path, options: ResizeOptions = OPTIONS) -> list[Job]:
    """Return the jobs of four shards of three images; index the photos if necessary."""
    folder = root.with_name(f"{root.name}-index")
    if not folder.exists():
        folder.mkdir()
        save_index(read_index(root, "folder", seed=1, held_out=0.5), folder)
    (work / "shards/train").mkdir(parents=True, exist_ok=True)
    rows = load_index(folder).splits["train"]
    return plan_jobs(work, rows, Source(folder, root, "train"), options, records=3)


def train_rows(jobs: list[Job]) -> Rows:
    return load_index(jobs[0].source.index).splits["train"]


def test_a_replaced_or_missing_index_is_rejected(root: Path, tmp_path: Path) -> None:
    """Its rows would be stored beside the labels of the index that was replaced."""
    job = make_jobs(root, tmp_path)[1]
    index = load_index(job.source.index)
    other = index.splits | {"train": index.splits["train"][::-1]}
    (tmp_path / "index").mkdir()
    save_index(replace(index, splits=other), tmp_path / "index")
    replaced = replace(job, source=replace(job.source, index=tmp_path / "index"))
    with pytest.raises(InputError, match=r"index was replaced while being read; fix: dvc repro"):
        resize_shard(replaced)
    assert not job.path.exists()
    missing = replace(job, source=replace(job.source, index=tmp_path / "gone"))
    with pytest.raises(InputError, match=r"gone holds no valid index: .*fix: "):
        resize_shard(missing)


def test_a_worker_reads_the_index_once(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, read = make_jobs(root, tmp_path), []
    monkeypatch.setattr(
        jobs_module, "load_index", lambda path: read.append(path) or load_index(path)
    )
    jobs_module._load_index.cache_clear()
    for job in jobs:
        resize_shard(job)
    assert read == [jobs[0].source.index]


@pytest.fixture(scope="module")
def uninterrupted(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return resize_all(root, tmp_path_factory.mktemp("uninterrupted"), ThreadPoolExecutor(1))


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, ProcessPoolExecutor])
@pytest.mark.parametrize("workers", [2, 3])
def test_any_number_of_workers_writes_the_same_bytes(
    root: Path, tmp_path: Path, uninterrupted: Manifest, pool: type[Any], workers: int
) -> None:
    assert resize_all(root, tmp_path, pool(workers)) == uninterrupted


def test_an_interrupted_run_resumes_to_the_same_bytes(
    root: Path, tmp_path: Path, uninterrupted: Manifest
) -> None:
    """One shard was finished and one half-written when the first run was killed."""
    first, *_ = make_jobs(root, tmp_path)
    resize_shard(first)
    written = first.path.stat().st_mtime_ns
    killed = tmp_path / "train-unfinished" / "0123456789abcdef"
    killed.write_bytes(b"half a shard")
    assert resize_all(root, tmp_path, ThreadPoolExecutor(1)) == uninterrupted
    assert first.path.stat().st_mtime_ns == written
    assert not killed.exists()


def test_a_shard_that_was_moved_away_is_written_again(
    root: Path, tmp_path: Path, uninterrupted: Manifest
) -> None:
    """A run was killed while it moved its results to data/."""
    for job in make_jobs(root, tmp_path):
        resize_shard(job)
        job.path.unlink()
    assert resize_all(root, tmp_path, ThreadPoolExecutor(1)) == uninterrupted
    assert len(list((tmp_path / "shards/train").glob("*.lmdb"))) == 4


def test_a_split_without_readable_images_is_rejected(tmp_path: Path) -> None:
    root, work = tmp_path / "photos", tmp_path / "work"
    for name in [f"{split}/a/{n}.heic" for split in ("train", "val") for n in range(12)]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"an unknown format")
    work.mkdir()
    jobs = make_jobs(root, work)
    run_jobs(ThreadPoolExecutor(1), jobs, lambda n: None)
    with pytest.raises(
        InputError, match=r"no image of train is readable: \d+\.heic: not an image; fix: "
    ):
        join_shards(work / "shards/train", train_rows(jobs), jobs)


def test_every_odd_file_is_listed(root: Path, tmp_path: Path, uninterrupted: Manifest) -> None:
    odd = {(file.archive, file.name, file.done) for file in uninterrupted.odd}
    assert odd == {
        ("train/cat", "2.jpg", "kept"),
        ("train/dog", "2.jpg", "kept"),
        ("train/dog", "4.jpg", "skipped"),
    }
    assert summary(uninterrupted).startswith("11 images in 4 shards")
    resize_all(root, tmp_path, ThreadPoolExecutor(1))
    shards = Shards(tmp_path / "shards/train")
    (skipped,) = [file for file in uninterrupted.odd if file.done == "skipped"]
    assert shards.labels[skipped.record] == -1
    assert len(shards) == 11


def test_an_unreadable_image_is_reported_by_name(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train/dog: 4.jpg is unreadable: .*on_error: skip"):
        resize_all(root, tmp_path, ProcessPoolExecutor(2), replace(OPTIONS, on_error="fail"))


def test_a_disk_that_is_too_small_is_reported_before_any_work(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2_000_000))
    with pytest.raises(InputError, match=r"0.00 GB to write, 0.00 GB free; fix: free disk space"):
        resize_all(root, tmp_path, ThreadPoolExecutor(1))
    assert not list((tmp_path / "shards/train").iterdir())


@pytest.mark.parametrize("limit", [300_000, 1_000_000])
def test_a_disk_that_fills_up_leaves_no_partial_shard(
    root: Path, tmp_path: Path, uninterrupted: Manifest, limit: int
) -> None:
    """A limit on file sizes simulates the full disk; then there is space again."""
    jobs = make_jobs(root, tmp_path)
    (tmp_path / "jobs").write_bytes(pickle.dumps(jobs))
    program = (
        "import pickle, resource, sys; from pathlib import Path\n"
        "from alexnet.resize.jobs import resize_shard\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "for job in pickle.loads(Path(sys.argv[1]).read_bytes()): resize_shard(job)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "jobs")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    finished = {path.stem for path in (tmp_path / "shards/train").iterdir()}
    if limit < 600_000:  # three records of 196 KB do not fit
        assert "free disk space, rerun" in result.stderr
        assert finished == set()
    else:
        assert (result.returncode, len(finished)) == (0, 4)
    assert not list((tmp_path / "train-unfinished").iterdir())
    assert resize_all(root, tmp_path, ThreadPoolExecutor(1)) == uninterrupted
