"""dvc.yaml against the code: what each stage depends on is what it imports."""

import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from checkout import Checkout
from imports import ROOT, SOURCE, imports_of, package, packages

STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
EVERYTHING = """
import importlib, pkgutil, alexnet
for module in pkgutil.walk_packages(alexnet.__path__, "alexnet."):
    importlib.import_module(module.name)
"""


@pytest.mark.parametrize("stage", STAGES)
def test_deps_are_the_packages_a_stage_imports(stage: str) -> None:
    script = f"stages/{stage}.py"
    expected = {script, *(f"src/alexnet/{name}" for name in packages(ROOT / script))}
    assert {dep for dep in STAGES[stage]["deps"] if dep.startswith(("src", "stages"))} == expected


def test_only_an_edge_imports_config() -> None:
    """The stages and the command line turn the configuration into arguments."""
    modules = list(SOURCE.rglob("*.py"))
    assert len(modules) > 50
    users = {package(path) for path in modules if "config" in map(package, imports_of(path))}
    assert users == {"config", "cli"}


def test_importing_and_running_leaves_dependencies_unchanged(checkout: Checkout) -> None:
    """DVC hashes every file in a folder that a stage depends on, unless .dvcignore names it."""
    checkout.run("python", "-c", EVERYTHING, PYTHONPATH="src", PYTHONDONTWRITEBYTECODE="")
    for name in ("__pycache__/x.pyc", "loop.pyc", ".loop.py.swp", "loop.py~", ".DS_Store"):
        path = checkout.folder / "src/alexnet/train" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    assert any((checkout.folder / "src").rglob("*.pyc"))
    assert "up to date" in checkout.run("dvc", "status", "dvc.yaml")


def test_workers_of_resize_need_no_torch() -> None:
    """A worker starts in a fraction of a second, and is killed as cheaply."""
    known = "import sys, alexnet.resize.jobs; print('torch' in sys.modules, 'hydra' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", known], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("stage", STAGES)
def test_params_are_the_configuration_a_stage_reads(stage: str) -> None:
    """config.<group> in a script ↔ its file in dvc.yaml; what only decides speed is not there."""
    read = set(
        re.findall(r"(?<!alexnet\.)\bconfig\.(\w+)", (ROOT / f"stages/{stage}.py").read_text())
    )
    listed = {re.sub(r"conf/(\w+)/.*", r"\1", next(iter(p)) if isinstance(p, dict) else p)
              for p in STAGES[stage].get("params", [])}  # fmt: skip
    names = {"dataset", "model", "recipe"} if "choices" in read else set()
    assert listed == (read - {"executor", "launcher", "choices", "data", "into"}) | names
