"""dvc.yaml against the code: what each stage depends on is what it imports."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def imported(path: Path) -> set[Path]:
    """The package's modules that a file imports, directly or through others; not config."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        for name in _names(ast.parse(waiting.pop().read_text())):
            module = ROOT / "src" / (name.replace(".", "/") + ".py")
            if module.exists() and module.name != "config.py" and module not in found:
                found.add(module)
                waiting.append(module)
    return found


def _names(tree: ast.AST) -> list[str]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


@pytest.mark.parametrize("stage", STAGES)
def test_deps_are_the_modules_a_stage_imports(stage: str) -> None:
    script = ROOT / f"stages/{stage}.py"
    expected = {str(path.relative_to(ROOT)) for path in {script, *imported(script)}}
    listed = {dep for dep in STAGES[stage]["deps"] if dep.endswith(".py")}
    assert listed == expected
    templates = {str(path.relative_to(ROOT)) for path in (ROOT / "src").rglob("*.jinja")}
    uses = templates if ROOT / "src/alexnet/report.py" in imported(script) else set()
    assert {dep for dep in STAGES[stage]["deps"] if dep.endswith(".jinja")} == uses


def test_no_library_module_imports_config() -> None:
    """But for what the command line looks at, which is an edge, as the stages are."""
    for path in (ROOT / "src/alexnet").glob("*.py"):
        imports = "alexnet.config" in _names(ast.parse(path.read_text()))
        assert imports is (path.name == "checkups.py"), path.name


def test_workers_of_resize_need_no_torch() -> None:
    """A worker starts in a fraction of a second, and is killed as cheaply."""
    known = "import sys, alexnet.resizing; print('torch' in sys.modules, 'hydra' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", known], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("stage", STAGES)
def test_params_are_the_configuration_a_stage_reads(stage: str) -> None:
    """config.<group> in a script ↔ its file in dvc.yaml; what only decides speed is not there."""
    read = set(re.findall(r"\bconfig\.(\w+)", (ROOT / f"stages/{stage}.py").read_text()))
    listed = {re.sub(r"conf/(\w+)/.*", r"\1", next(iter(p)) if isinstance(p, dict) else p)
              for p in STAGES[stage].get("params", [])}  # fmt: skip
    names = {"dataset", "model", "recipe"} if "choices" in read else set()
    assert listed == (read - {"executor", "launcher", "choices", "data", "into"}) | names
