"""Results of evaluations, as the comparison reads them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from alexnet.comparison.tables import ComparisonRow
from alexnet.evaluate.result import Result, Run, write_result

MINIATURE = {"dataset": "miniature", "split": "val", "classes": 12}
ILSVRC2010 = {"dataset": "ilsvrc2010", "split": "test", "classes": 1000}
ILSVRC2012 = {"dataset": "ilsvrc2012", "split": "val", "classes": 1000}
PAPER = {"model": "paper", "recipe": "paper", "parameters": "0a1b2c3d", "seed": 0, "lr": 0.01}


def small_result(top1_wrong: int, top5_wrong: int, images: int = 1000, **run: Any) -> Result:
    """A result whose centre view has ten more wrong images; `run` overrides PAPER on MINIATURE."""
    counts = {"top1_wrong": top1_wrong, "top5_wrong": top5_wrong}
    centre = {f"center_{name}": min(count + 10, images) for name, count in counts.items()}
    return Result(counts | centre, images, Run(**MINIATURE | PAPER | run))


def write_small_result(root: Path, name: str, result: Result, row: str = "") -> None:
    """Write experiments/<folder>/results/<file> for the name "folder/file", or metrics.json."""
    experiment, _, file = name.rpartition("/")
    folder = root / "experiments" / experiment / "results" if experiment else root
    folder.mkdir(parents=True, exist_ok=True)
    write_result(folder / file, replace(result, row=row or result.row))


def find_row(rows: list[ComparisonRow], system: str, table: str = "") -> ComparisonRow:
    (row,) = [row for row in rows if row.system == system and row.table.startswith(table)]
    return row
