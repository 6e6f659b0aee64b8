"""The result of an evaluation: errors, the counts behind them, and the run they belong to.

The same JSON is metrics.json, data/evaluate/result.json and each file of experiments/*/results.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from rich.table import Table

from alexnet.dataset.checksummed import is_count
from alexnet.evaluate.intervals import unpack_bits, wilson_interval
from alexnet.model.description import ModelDescription
from alexnet.runtime.errors import InputError
from alexnet.runtime.files import write_atomically
from alexnet.runtime.scratch import fingerprint

RULES = {"": "ten views, mean of softmax", "center_": "centre view"}
COUNTS = [f"{rule}top{k}_wrong" for rule in RULES for k in (1, 5)]
INVALID = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Run:
    """The run that a result belongs to.

    Values are None where the members of an ensemble differ. parameters: 8 digits of a hash of all
    values that the names `model` and `recipe` stand for, overrides included.
    """

    dataset: str | None
    split: str | None
    classes: int
    model: str | None
    recipe: str | None
    parameters: str | None
    seed: int | None
    lr: float | None

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """Check and convert the entries of a JSON file.

        Raises ValueError, LookupError or TypeError if one is missing or invalid.
        """
        values = {name: content[name] for name in RUN}
        for name, value in values.items():
            if not isinstance(value, str | int | float | None):
                raise ValueError(f"run.{name} is {str(value)[:40]}")
        if not is_count(values["classes"]):
            raise ValueError(f"run.classes is {values['classes']!r}")
        return cls(**values)


RUN = [entry.name for entry in fields(Run)]


@dataclass(frozen=True)
class Result:
    """The counts of an evaluation on `images` images.

    counts: wrong images under top1_wrong, top5_wrong (ten views) and, if the centre view was
    evaluated, center_top1_wrong, center_top5_wrong. Results of experiments/ also have: row, the key
    of a row of the comparison; members, the runs of an ensemble; wrong_images, packed bits under
    "top1" and "top5"; first_trained_on, the data set of a pretrained model.
    """

    counts: Mapping[str, int]
    images: int
    run: Run
    row: str = ""
    members: tuple[Run, ...] = ()
    wrong_images: Mapping[str, str] = field(default_factory=dict)
    first_trained_on: str = ""

    @property
    def has_centre(self) -> bool:
        """Whether the centre view was evaluated too."""
        return COUNTS[-1] in self.counts

    def error(self, name: str) -> float:
        """Return an error in %; name: "top1", "center_top5" …"""
        return 100 * self.counts[f"{name}_wrong"] / self.images

    def interval(self, name: str) -> tuple[float, float]:
        """Return the 95 % interval of an error, in %."""
        low, high = wilson_interval(self.counts[f"{name}_wrong"] / self.images, self.images)
        return 100 * low, 100 * high

    def to_json(self) -> dict[str, Any]:
        """Return the entries of the JSON file.

        Empty optional entries are left out. `run` is nested because DVC shows metrics and
        parameters of one name side by side.
        """
        names = [name.removesuffix("_wrong") for name in self.counts]
        optional = {
            "row": self.row,
            "members": [asdict(run) for run in self.members],
            "wrong_images": dict(self.wrong_images),
            "first_trained_on": self.first_trained_on,
        }
        return {
            **{f"{name}_error": self.error(name) for name in names},
            **self.counts,
            "images": self.images,
            "run": asdict(self.run),
            **{name: value for name, value in optional.items() if value},
        }

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """Check and convert what `to_json` returned.

        Raises ValueError, LookupError, TypeError or AttributeError if it is not a valid result.
        """
        names = COUNTS if any(name in content for name in COUNTS[2:]) else COUNTS[:2]
        result = cls(
            {name: content[name] for name in names},
            content["images"],
            Run.from_json(content["run"]),
            content.get("row", ""),
            tuple(Run.from_json(run) for run in content.get("members", ())),
            dict(content.get("wrong_images", {})),
            content.get("first_trained_on", ""),
        )
        result._check(content)
        return result

    def _check(self, content: Mapping[str, Any]) -> None:
        if not is_count(self.images) or not self.images:
            raise ValueError(f"images is {self.images!r}, not a positive count")
        for name, count in self.counts.items():
            if not is_count(count) or count > self.images:
                raise ValueError(f"{name} is {count!r} of {self.images} images")
            error = name.replace("_wrong", "_error")
            if content[error] != self.error(name.removesuffix("_wrong")):
                raise ValueError(f"{error} is not {name} / images, in %")
        for name, digits in self.wrong_images.items():
            if unpack_bits(digits, self.images).sum() != self.counts[f"{name}_wrong"]:
                raise ValueError(f"wrong_images.{name} does not hold {name}_wrong images")
        if not (isinstance(self.row, str) and isinstance(self.first_trained_on, str)):
            raise ValueError("row or first_trained_on is not text")


def run_of(model: ModelDescription, split: str) -> Run:
    """Return the run of a model that was evaluated on `split`.

    `parameters` leaves out the path of the run that training was initialised from: it differs with
    each seed.
    """
    values = model.to_json()
    recipe = values["recipe"]
    if recipe.get("init_from"):
        recipe["init_from"] = "another run"
    run: dict[str, Any] = {"split": split, "classes": model.net.classes, **model.choices}
    run |= {"seed": model.seed, "lr": model.lr}
    run["parameters"] = fingerprint([values["net"], recipe, values["input"]])[:8]
    return Run(**{name: run[name] for name in RUN})


def write_result(path: Path, result: Result) -> None:
    """Write a result as JSON, atomically."""
    text = json.dumps(result.to_json(), indent=1, ensure_ascii=False) + "\n"
    write_atomically(path, text.encode())


def read_result(path: Path) -> Result:
    """Read what `write_result` wrote. Raises InputError if it is missing or invalid."""
    try:
        return Result.from_json(json.loads(path.read_text(encoding="utf-8")))
    except INVALID as error:
        problem = f"{path} is not a valid result: {error!r}"
        raise InputError(problem, "dvc repro -f evaluate, then copy the file again") from None


def errors_table(result: Result) -> Table:
    """Return a table of the errors with their 95 % intervals."""
    table = Table(f"error on {result.images:,} {result.run.split} images", "top-1", "top-5")
    for rule, words in RULES.items():
        if not rule or result.has_centre:
            table.add_row(words, *(_format_error(result, f"{rule}top{k}") for k in (1, 5)))
    return table


def _format_error(result: Result, name: str) -> str:
    low, high = result.interval(name)
    return f"{result.error(name):.1f} % ({low:.1f}–{high:.1f})"
