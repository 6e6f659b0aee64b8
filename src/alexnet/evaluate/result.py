"""What an evaluation came to: errors, the counts behind them, and of which run they are.

The same JSON is metrics.json, data/evaluate/result.json and each file of experiments/*/results.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from alexnet.evaluate.intervals import unpacked
from alexnet.model.description import ModelDescription
from alexnet.runtime.errors import InputError
from alexnet.runtime.files import write_atomically
from alexnet.runtime.scratch import fingerprint

Result = dict[str, Any]
RULES = {"": "ten views, mean of softmax", "center_": "centre view"}
RUN = ("dataset", "split", "classes", "model", "recipe", "parameters", "seed", "lr")


def result_of(counts: Mapping[str, int], images: int, run: Mapping[str, Any]) -> Result:
    """Errors in %, the counts of wrong images that they come from, how many were looked at, `run`.

    counts: top1_wrong and top5_wrong, with "center_" before them those of the centre view. run: the
    values of RUN; nested, since DVC shows metrics and parameters of one name side by side.
    """
    errors = {f"{name.removesuffix('wrong')}error": 100 * c / images for name, c in counts.items()}
    return {**errors, **counts, "images": images, "run": dict(run)}


def run_of(model: ModelDescription, split: str) -> dict[str, Any]:
    """Of which run a result is: what model.json says of the model, and the split looked at.

    parameters: 8 digits of all that the names model and recipe stood for, overrides included, but
    not of where the run lies that this one began with: another for each seed.
    """
    values = model.to_json()
    recipe = values["recipe"]
    if recipe.get("init_from"):
        recipe["init_from"] = "another run"
    run = {"split": split, "classes": model.net.classes, **model.choices}
    run |= {"seed": model.seed, "lr": model.lr}
    run["parameters"] = fingerprint([values["net"], recipe, values["input"]])[:8]
    return {name: run[name] for name in RUN}


def write_result(path: Path, result: Result) -> None:
    """As JSON, whole or not at all."""
    write_atomically(path, (json.dumps(result, indent=1, ensure_ascii=False) + "\n").encode())


def read_result(path: Path) -> Result:
    """What `write_result` wrote, and what experiments/ add to it. Raises InputError.

    Added: "row", of the comparison; "members" of an ensemble; "wrong_images" (pairing.py); the data
    set that the run was "first_trained_on".
    """
    try:
        return checked(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"{path} is no result: {error!r}", "dvc repro -f evaluate, and copy it from there"
        ) from None


def checked(result: Any) -> Result:
    """`result`, as `write_result` takes it. Raises ValueError, LookupError or TypeError if not."""
    for name in ("top1_error", "top5_error", "top1_wrong", "top5_wrong", "images"):
        result[name] + 0
    if result["images"] < 1 or not isinstance(result["run"]["classes"], int):
        raise ValueError("images or run.classes is no count")
    for name, digits in dict(result.get("wrong_images", {})).items():
        if unpacked(digits, result["images"]).sum() != result[f"{name}_wrong"]:
            raise ValueError(f"wrong_images.{name} is not of {name}_wrong images")
    lacking = [name for name in RUN if name not in result["run"]]
    if lacking:
        raise KeyError(f"run.{lacking[0]}")
    return dict(result)


def wilson(rate: float, n: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of `rate` (0–1) counted on n images."""
    if n == 0:
        return 0.0, 1.0
    z2 = 1.959964**2
    middle = (rate + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (rate * (1 - rate) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def interval(result: Result, name: str) -> tuple[float, float]:
    """The 95 % interval, in %, of an error such as "center_top5"."""
    low, high = wilson(result[f"{name}_wrong"] / result["images"], result["images"])
    return 100 * low, 100 * high


def errors_table(result: Result) -> Table:
    """The errors with their 95 % intervals, as the paper sets them out."""
    images, split = result["images"], result["run"]["split"]
    table = Table(f"error on {images:,} {split} images", "top-1", "top-5")
    for rule, words in RULES.items():
        if f"{rule}top1_error" in result:
            table.add_row(words, *(_cell(result, f"{rule}top{k}") for k in (1, 5)))
    return table


def _cell(result: Result, name: str) -> str:
    low, high = interval(result, name)
    return f"{result[f'{name}_error']:.1f} % ({low:.1f}–{high:.1f})"
