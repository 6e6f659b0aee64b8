"""Small splits of shards that tests share, written without any raw data."""

import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from alexnet.device import keep_freed_memory
from alexnet.sharding import write_manifest, write_shard
from alexnet.shards import SIDE, Shards
from checkout import Checkout

if "PYTEST_XDIST_WORKER" in os.environ:  # a file of tests on each core: a second thread of each
    os.environ["OMP_NUM_THREADS"] = "1"  # process they start would wait for the others
    sys.modules["__main__"].__file__ = __file__  # which it has not; a stage's script has one

keep_freed_memory()  # as every process that trains

LONGEST = ["sweeps", "launching", "pipeline", "interrupted", "commands", "sharing"]  # begun first

Images = npt.NDArray[np.uint8]
MakeSplit = Callable[..., Shards]


def write_split(
    folder: Path, images: Images, labels: list[int], records: int = 8, pixels: str = "raw"
) -> Shards:
    """A split of shards of `records` images each, holding `images` in order."""
    folder.mkdir(parents=True)
    entries = []
    for n, first in enumerate(range(0, len(images), records)):
        some = list(enumerate(images[first : first + records], first))
        entries.append(write_shard(folder / f"{n:05d}.lmdb", some, pixels) | {"first": first})
    write_manifest(folder, np.array(labels, np.int32), pixels, entries, [])
    return Shards(folder)


def random_images(count: int, seed: int = 0) -> Images:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def smooth_images(count: int) -> Images:
    """Of large spots, so that they differ for a net."""
    coarse = np.random.default_rng(1).integers(0, 256, (count, 5, 5, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(few).resize((SIDE, SIDE))) for few in coarse])


@pytest.fixture(scope="session")
def images() -> Images:
    return random_images(20)


@pytest.fixture(scope="session")
def split(tmp_path_factory: pytest.TempPathFactory, images: Images) -> Shards:
    """20 images of noise with the labels 0 … 4, in shards of 8."""
    folder = tmp_path_factory.mktemp("shards") / "train"
    return write_split(folder, images, [n % 5 for n in range(20)])


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """All stages run and committed: a copy for each file of tests."""
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    whole = Checkout.reproduced(shared / "reproduced")
    return whole.copied(tmp_path_factory.mktemp("checkout") / "copy")


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """Every file, as on a full disk: what is written behind these many bytes fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(autouse=True)
def _same_every_time() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    first = {f"test_{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: first.get(item.path.name, len(first)))
