"""Several evaluated models as one: the mean of their probabilities (section 6, Table 2)."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from alexnet.evaluate.predictions import CSV, TABLE
from alexnet.evaluate.result import RUN, Result, read_result, result_of
from alexnet.inference.predict import Predictions, count_errors
from alexnet.inference.top_k import rank_labels
from alexnet.runtime.errors import InputError

# numpy reads the header of a table as Python's words: damaged, it may be none
DAMAGE = (OSError, ValueError, EOFError, KeyError, TypeError, csv.Error, SyntaxError, TokenError)


@dataclass(frozen=True)
class Member:
    """An evaluated model: of each image record, file and label, and probabilities (n, classes)."""

    folder: Path
    result: Result
    images: list[tuple[int, str, int]]
    probabilities: npt.NDArray[np.float32]


def load_member(folder: Path) -> Member:
    """What the evaluate stage left in `folder`, a data/evaluate or a copy. Raises InputError."""
    result = read_result(folder / "result.json")
    if not (folder / TABLE).exists():
        what = f"{folder} has no {TABLE}: of so many images and classes none is kept"
        raise InputError(what, "average models on a smaller set, or dvc repro -f evaluate")
    try:
        with (folder / CSV).open(newline="", encoding="utf-8") as file:
            told = csv.DictReader(file)
            images = [(int(row["record"]), row["name"], int(row["label"])) for row in told]
        probabilities = np.load(folder / TABLE, mmap_mode="r")
        if probabilities.shape != (len(images), result["run"]["classes"]):
            raise ValueError(f"{TABLE} is {probabilities.shape}, {CSV} has {len(images)} images")
    except DAMAGE as error:
        raise InputError(f"{folder} is no evaluation: {error}", "dvc repro -f evaluate") from None
    return Member(folder, result, images, probabilities)


def ensemble(folders: Sequence[Path], row: str) -> tuple[Predictions, Result]:
    """The mean of the members' probabilities, and its result, to stand in `row` of the comparison.

    folders: of each member what its evaluate stage left; row: such as "5 CNNs". The mean is taken
    in float64 and ranked as float32, as a single net's is; of the centre view nothing is kept, so
    nothing is told. Raises InputError where members are missing, named twice, or were not evaluated
    on the same images with the same labels.
    """
    if not folders or len({folder.resolve() for folder in folders}) < len(folders):
        raise InputError(f"{len(folders)} members, some of them twice", "name each member once")
    members = [load_member(folder) for folder in folders]
    for member in members[1:]:
        _check_alike(members[0], member)
    total = np.zeros(members[0].probabilities.shape)
    for member in members:
        total += member.probabilities
    records, labels = (torch.tensor([image[n] for image in members[0].images]) for n in (0, 2))
    mean = torch.from_numpy(total / len(members)).float()
    predictions = Predictions(records, labels, *rank_labels(mean), None, mean)
    runs = [member.result["run"] for member in members]
    result = result_of(count_errors(predictions), len(labels), _shared(runs))
    return predictions, result | {"row": row, "members": runs}


def _shared(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is the same of all runs; None for what differs."""
    first = runs[0]
    return {
        name: first[name] if all(r[name] == first[name] for r in runs) else None for name in RUN
    }


def _check_alike(first: Member, other: Member) -> None:
    """Raise InputError where they do not speak of the same images, labels and classes."""
    pair = f"{first.folder} and {other.folder}"
    fix = "average models that were evaluated on one data set"
    for name in ("dataset", "split", "classes"):
        here, there = first.result["run"][name], other.result["run"][name]
        if here != there:
            raise InputError(f"{pair} differ in {name}: {here} and {there}", fix)
    if len(first.images) != len(other.images):
        counts = f"{len(first.images):,} and {len(other.images):,}"
        raise InputError(f"{pair} differ in the number of images: {counts}", fix)
    for one, another in zip(first.images, other.images, strict=True):
        if one != another:
            what = f"{one[1]}, label {one[2]}, and {another[1]}, label {another[2]}"
            raise InputError(f"{pair} differ in record {one[0]}: {what}", fix)
