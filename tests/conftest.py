"""Fixtures shared by all tests, process setup, and markers."""

import os
import sys
from pathlib import Path

import pytest
import torch

from alexnet.dataset.shards import Shards
from alexnet.miniature import generate
from alexnet.runtime.processes import keep_freed_memory
from checkout import Checkout
from images import Images, random_images, write_split

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # pytest-xdist already keeps every core busy
    sys.modules["__main__"].__file__ = __file__  # xdist sets none; the script of a stage has one

keep_freed_memory()  # as in every process that trains

LONGEST = ["sweeps", "torchrun", "pipeline", "interrupted", "commands", "sharing"]  # run first


@pytest.fixture(scope="session")
def images() -> Images:
    return random_images(20)


@pytest.fixture(scope="session")
def split(tmp_path_factory: pytest.TempPathFactory, images: Images) -> Shards:
    """Return a split of 20 noise images with labels 0–4, in shards of 8."""
    folder = tmp_path_factory.mktemp("shards") / "train"
    return write_split(folder, images, [n % 5 for n in range(20)])


@pytest.fixture(scope="session")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes of 3 training and 2 validation images, as downloaded."""
    folder = tmp_path_factory.mktemp("raw") / "ilsvrc"
    generate.write_miniature(folder, seed=3, train_per_class=3, val_per_class=2, classes=4)
    return folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Return a checkout with all stages run and committed, a copy per test file."""
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    reproduced = Checkout.reproduced(shared / "reproduced")
    return reproduced.copied(tmp_path_factory.mktemp("checkout") / "copy")


@pytest.fixture(autouse=True)
def _deterministic() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests in tests/robustness, and run the longest test files first."""
    order = {f"test_{name}.py": position for position, name in enumerate(LONGEST)}
    for item in items:
        if item.path.parent.name == "robustness":
            item.add_marker("robustness")
    items.sort(key=lambda item: order.get(item.path.name, len(order)))
