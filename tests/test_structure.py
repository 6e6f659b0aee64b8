"""The packages of src/alexnet: each imports only from those listed before it, without cycles."""

from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from imports import ROOT, SOURCE, imports_of, package

PACKAGES = [
    "runtime",
    "dataset",
    "miniature",
    "archives",
    "index",
    "resize",
    "moments",
    "input",
    "model",
    "inference",
    "train",
    "evaluate",
    "retrieve",
    "figures",
    "comparison",
    "report",
    "config",
    "launch",
    "cli",
]
MODULES = sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE)


def test_the_packages_are_those_listed() -> None:
    assert {path.parent.name for path in SOURCE.glob("*/__init__.py")} == set(PACKAGES)
    assert {path.name for path in SOURCE.glob("*.py")} == {"__init__.py", "__main__.py"}
    assert len(MODULES) > 50


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_imports_only_packages_listed_before_it(name: str) -> None:
    before = set(PACKAGES[: PACKAGES.index(name) + 1])
    for module in MODULES:
        if package(module) == name:
            used = {package(other) for other in imports_of(module)}
            assert used <= before, module.relative_to(ROOT)


def test_no_cycle_between_files() -> None:
    TopologicalSorter({module: imports_of(module) for module in MODULES}).prepare()


def test_a_package_itself_holds_only_a_docstring() -> None:
    for path in SOURCE.glob("*/__init__.py"):
        assert len(Path(path).read_text().splitlines()) == 1, path
