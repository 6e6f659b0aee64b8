"""predictions.csv: the five most probable labels of each evaluated image."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alexnet.evaluate.intervals import Wrong, pack_bits
from alexnet.runtime.errors import InputError

CSV = "predictions.csv"
GUESSES = 5
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PredictionRows:
    """The rows of predictions.csv, one an image.

    n images, k guesses each, k = min(5, classes). records and labels (n,); names of the n source
    files; guesses (n, k) labels, most probable first, with their probabilities (n, k) in 0–1.
    """

    records: Integers
    names: Sequence[str]
    labels: Integers
    guesses: Integers
    probabilities: npt.NDArray[np.floating]

    @property
    def images(self) -> list[tuple[int, str, int]]:
        """Record, file name and label of each image."""
        return list(zip(self.records.tolist(), self.names, self.labels.tolist(), strict=True))

    @property
    def ranks(self) -> Integers:
        """Rank of the true label, (n,): 1 … k, or k + 1."""
        hits = self.guesses == self.labels[:, None]
        ranks: Integers = np.where(hits.any(axis=1), hits.argmax(axis=1), hits.shape[1]) + 1
        return ranks

    def wrong(self, k: int) -> Wrong:
        """Return whether the first k guesses lack the true label, (n,) bool."""
        wrong: Wrong = self.ranks > min(k, self.guesses.shape[1])
        return wrong

    def wrong_images(self) -> dict[str, str]:
        """Return the wrong images under "top1" and "top5", as packed bits."""
        return {f"top{k}": pack_bits(self.wrong(k)) for k in (1, GUESSES)}


def write_rows(path: Path, rows: PredictionRows) -> None:
    """Write predictions.csv; probabilities have six decimals."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_columns(rows.guesses.shape[1]))
        pairs = zip(rows.guesses.tolist(), rows.probabilities.tolist(), strict=True)
        for image, (guesses, probabilities) in zip(rows.images, pairs, strict=True):
            cells = zip(guesses, (f"{p:.6f}" for p in probabilities), strict=True)
            writer.writerow([*image, *(cell for pair in cells for cell in pair)])


def read_predictions(path: Path) -> PredictionRows:
    """Read predictions.csv. Raises InputError if it is missing, empty or malformed."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        return _parse(header, rows)
    except (OSError, ValueError, OverflowError, csv.Error) as error:
        raise InputError(
            f"{path} is not a valid predictions file: {error}", "dvc repro -f evaluate"
        ) from None


def _columns(guesses: int) -> list[str]:
    pairs = [f"{name}{rank}" for rank in range(1, guesses + 1) for name in ("label", "probability")]
    return ["record", "name", "label", *pairs]


def _parse(header: list[str], rows: list[list[str]]) -> PredictionRows:
    """Convert the cells to arrays. Raises ValueError if one is missing or invalid."""
    if header not in [_columns(k) for k in range(1, GUESSES + 1)]:
        raise ValueError(f"invalid columns {','.join(header)[:80]!r}")
    if not rows:
        raise ValueError("it has no rows")
    for line, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise ValueError(f"line {line} has {len(row)} of {len(header)} cells")
    records, names, labels, *pairs = zip(*rows, strict=True)
    numbers = np.array([records, labels, *pairs[::2]]).astype(np.int64)
    probabilities = np.array(pairs[1::2]).astype(np.float64)
    if numbers.min() < 0 or not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("a record or label is below 0, or a probability is outside 0–1")
    return PredictionRows(numbers[0], names, numbers[1], numbers[2:].T, probabilities.T)
