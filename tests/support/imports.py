"""Which modules and packages a file imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/alexnet"
NOT_DEPS = {"config", "launch"}  # config acts through the parameters, launch decides speed alone


def imports_of(path: Path) -> set[Path]:
    """The modules of this project that a file itself imports, packages' `__init__` aside."""
    places = ROOT / "src", path.parent
    found = (
        place / f"{name.replace('.', '/')}.py"
        for name in names(ast.parse(path.read_text()))
        for place in places
    )
    return {module for module in found if module.exists()}


def imported(path: Path) -> set[Path]:
    """The modules that a file imports, directly or through others; those of NOT_DEPS left out."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        new = {each for each in imports_of(waiting.pop()) if package(each) not in NOT_DEPS} - found
        found |= new
        waiting += new
    return found


def package(path: Path) -> str:
    """The package of alexnet that a module is in; "" for a script."""
    return path.relative_to(SOURCE).parts[0] if SOURCE in path.parents else ""


def packages(path: Path) -> set[str]:
    """The packages that a script imports from, directly or through others."""
    return {package(module) for module in imported(path)} - {""}


def names(tree: ast.AST) -> Iterator[str]:
    """Every module name that an import statement may mean."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
