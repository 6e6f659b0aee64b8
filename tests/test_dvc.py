"""dvc.yaml lists what each stage imports and reads."""

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


def test_only_the_command_line_imports_config() -> None:
    """Stages and commands turn the configuration into arguments of all other packages."""
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
    """A worker that imports neither torch nor Hydra starts in a fraction of a second."""
    known = "import sys, alexnet.resize.jobs; print('torch' in sys.modules, 'hydra' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", known], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("stage", STAGES)
def test_params_are_the_configuration_a_stage_reads(stage: str) -> None:
    """Each config.<group> in a script is listed, except what only affects speed, and no other.

    A stage that lists single keys of the dataset reads them as config.dataset.<key>, and it never
    uses config.dataset in another way.
    """
    text = (ROOT / f"stages/{stage}.py").read_text()
    read = set(re.findall(r"(?<!alexnet\.)\bconfig\.(\w+)", text))
    listed, keys = set(), None
    for param in STAGES[stage].get("params", []):
        name = next(iter(param)) if isinstance(param, dict) else param
        listed.add(re.sub(r"conf/(\w+)/.*", r"\1", name))
        if name == "conf/dataset/${dataset}.yaml":
            keys = param[name]  # None: the whole file
    names = {"dataset", "model", "recipe"} if "choices" in read else set()
    assert listed == (read - {"executor", "launcher", "choices", "data", "into"}) | names
    if keys:
        assert set(re.findall(r"config\.dataset(?:\.(\w+))?", text)) == set(keys)
