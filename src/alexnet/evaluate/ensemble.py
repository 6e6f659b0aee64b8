"""Ensembles: the mean of the probabilities of several evaluated models (section 6, Table 2)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from alexnet.evaluate.outputs import PROBABILITIES
from alexnet.evaluate.predictions import CSV, PredictionRows, read_predictions
from alexnet.evaluate.result import RUN, Result, Run, read_result
from alexnet.inference.predict import Predictions, count_errors
from alexnet.inference.top_k import rank_labels
from alexnet.runtime.errors import InputError

# numpy parses the header of a .npy file as Python source: a damaged one may be invalid
DAMAGE = (OSError, ValueError, EOFError, KeyError, TypeError, SyntaxError, TokenError)


@dataclass(frozen=True)
class Member:
    """An evaluated model; probabilities (n, classes), in the order of `rows`."""

    folder: Path
    result: Result
    rows: PredictionRows
    probabilities: npt.NDArray[np.float32]


def load_member(folder: Path) -> Member:
    """Read a data/evaluate folder. Raises InputError if it is incomplete or damaged."""
    result = read_result(folder / "result.json")
    path = folder / PROBABILITIES
    if not path.exists():
        problem = f"{path} is missing: it is not kept above 1 GiB"
        raise InputError(problem, "evaluate on fewer images, or dvc repro -f evaluate")
    rows = read_predictions(folder / CSV)
    try:
        probabilities = np.load(path, mmap_mode="r")
        if probabilities.shape != (len(rows.records), result.run.classes):
            shape = "×".join(map(str, probabilities.shape))
            raise ValueError(f"its shape is {shape}, {CSV} has {len(rows.records)} images")
    except DAMAGE as error:
        raise InputError(f"{path} is damaged: {error}", "dvc repro -f evaluate") from None
    return Member(folder, result, rows, probabilities)


def ensemble(folders: Sequence[Path], row: str) -> tuple[Predictions, Result]:
    """Return the members' mean probabilities, ranked, and their result.

    folders: the output of each member's evaluate stage; row: of the comparison, such as "5 CNNs".
    The mean is taken in float64 and ranked as float32, like a single net's. The centre view is left
    out: its probabilities are not kept. Raises InputError if there is no member, one is named
    twice, or members were evaluated on other images, labels or classes.
    """
    if not folders or len({folder.resolve() for folder in folders}) < len(folders):
        raise InputError("no members, or a member given twice", "give each member once")
    members = [load_member(folder) for folder in folders]
    for member in members[1:]:
        _check_same_images(members[0], member)
    total = np.zeros(members[0].probabilities.shape)
    for member in members:
        total += member.probabilities
    mean = torch.from_numpy(total / len(members)).float()
    records, labels = map(torch.from_numpy, (members[0].rows.records, members[0].rows.labels))
    predictions = Predictions(records, labels, *rank_labels(mean), None, mean)
    runs = tuple(member.result.run for member in members)
    return predictions, Result(
        count_errors(predictions), len(labels), _common_run(runs), row=row, members=runs
    )


def _common_run(runs: Sequence[Run]) -> Run:
    """Return the values that all runs share; None where they differ."""
    first, *others = runs
    different: dict[str, Any] = {
        name: None
        for name in RUN
        if any(getattr(other, name) != getattr(first, name) for other in others)
    }
    return replace(first, **different)


def _check_same_images(first: Member, other: Member) -> None:
    """Raise InputError if their data sets, classes, images or labels differ."""
    pair = f"{first.folder} and {other.folder}"
    fix = "average models that were evaluated on the same images"
    for name in ("dataset", "split", "classes"):
        values = getattr(first.result.run, name), getattr(other.result.run, name)
        if values[0] != values[1]:
            raise InputError(f"{pair} differ in {name}: {values[0]} and {values[1]}", fix)
    images = first.rows.images, other.rows.images
    if len(images[0]) != len(images[1]):
        counts = f"{len(images[0]):,} and {len(images[1]):,}"
        raise InputError(f"{pair} differ in the number of images: {counts}", fix)
    for a, b in zip(*images, strict=True):
        if a != b:
            labels = f"{a[1]}, label {a[2]}, and {b[1]}, label {b[2]}"
            raise InputError(f"{pair} differ in record {a[0]}: {labels}", fix)
