"""Small splits of shards that tests share, written without any raw data."""

import os
import sys
from collections.abc import Callable

import pytest
import torch

from alexnet.dataset.shards import Shards
from alexnet.runtime.processes import keep_freed_memory
from checkout import Checkout
from images import Images, random_images, write_split

if "PYTEST_XDIST_WORKER" in os.environ:  # a file of tests on each core: a second thread of each
    os.environ["OMP_NUM_THREADS"] = "1"  # process they start would wait for the others
    sys.modules["__main__"].__file__ = __file__  # which it has not; a stage's script has one

keep_freed_memory()  # as every process that trains

LONGEST = ["sweeps", "torchrun", "pipeline", "interrupted", "commands", "sharing"]  # begun first

MakeSplit = Callable[..., Shards]


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


@pytest.fixture(autouse=True)
def _same_every_time() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    first = {f"test_{name}.py": place for place, name in enumerate(LONGEST)}
    for item in items:
        if item.path.parent.name == "robustness":
            item.add_marker("robustness")
    items.sort(key=lambda item: first.get(item.path.name, len(first)))
