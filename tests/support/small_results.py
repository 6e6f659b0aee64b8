"""Results of evaluations, as the comparison reads them."""

from pathlib import Path
from typing import Any

from alexnet.comparison.tables import (
    Row,
)
from alexnet.evaluate.result import result_of, write_result

MINIATURE = {"dataset": "miniature", "split": "val", "classes": 12}
ILSVRC2012 = {"dataset": "ilsvrc2012", "split": "val", "classes": 1000}
PLAIN = {"model": "paper", "recipe": "paper", "parameters": "0a1b2c3d", "seed": 0, "lr": 0.01}


def result(wrong1: int, wrong5: int, images: int = 1000, **run: Any) -> dict[str, Any]:
    counts = {"top1_wrong": wrong1, "top5_wrong": wrong5}
    centre = {f"center_{name}": count + 10 for name, count in counts.items()}
    return result_of(counts | centre, images, MINIATURE | PLAIN | run)


def put(root: Path, name: str, made: dict[str, Any], row: str = "") -> None:
    """As the experiment's name/file, or as metrics.json."""
    experiment, _, file = name.rpartition("/")
    folder = root / "experiments" / experiment / "results" if experiment else root
    folder.mkdir(parents=True, exist_ok=True)
    write_result(folder / file, made | ({"row": row} if row else {}))


def found(rows: list[Row], what: str, table: str = "") -> Row:
    (row,) = [row for row in rows if row.what == what and row.table.startswith(table)]
    return row
