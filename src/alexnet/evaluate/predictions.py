"""The files of data/evaluate: what was said of each image, for people, servers and ensembles."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from alexnet.dataset.index import Index, Rows, Synset
from alexnet.dataset.shards import Shards
from alexnet.inference.predict import Predictions
from alexnet.model.description import ModelDescription
from alexnet.runtime.errors import InputError

CSV, TABLE, SUBMISSION = "predictions.csv", "probabilities.npy", "submission.txt"


def choose_split(data: Path, index: Index, model: ModelDescription) -> tuple[str, Shards]:
    """The split whose labels were never looked at, where the set has one: test, else val.

    On ILSVRC-2010's test images the paper's Table 1 was measured. Raises InputError where `data`
    holds images or classes of another set.
    """
    split = "test" if "test" in index.splits else "val"
    shards = Shards(data / "shards" / split)
    if len(shards.labels) != len(index.splits[split]):
        raise InputError(f"{shards.folder} is not of the images in {data / 'index'}", "dvc repro")
    if list(index.synsets) != list(model.synsets):
        raise InputError(
            f"the model was not trained on the classes of {data / 'index'}", "dvc repro"
        )
    return split, shards


def write_predictions(
    folder: Path, predictions: Predictions, rows: Rows, synsets: Sequence[Synset]
) -> None:
    """Write predictions.csv; probabilities.npy, where they were kept; submission.txt, for ILSVRC.

    rows: the split's index, a row for each record.
    """
    _write_csv(folder / CSV, predictions, rows)
    if predictions.probabilities is not None:
        with (folder / TABLE).open("w+b") as file:  # as in save_index: no byte lost in silence
            np.save(file, predictions.probabilities.numpy())
    if all(synset.devkit_id for synset in synsets):
        _write_submission(folder / SUBMISSION, predictions, rows, synsets)


def _write_csv(path: Path, predictions: Predictions, rows: Rows) -> None:
    """A row an image: record, file, label, and its five likeliest labels with probabilities."""
    told = zip(
        predictions.records.tolist(),
        predictions.labels.tolist(),
        predictions.top.tolist(),
        predictions.top_probabilities.tolist(),
        strict=True,
    )
    ranks = range(1, predictions.top.shape[1] + 1)
    header = [f"{what}{rank}" for rank in ranks for what in ("label", "probability")]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["record", "name", "label", *header])
        for record, label, top, values in told:
            name = bytes(rows["name"][record]).decode(errors="replace")
            pairs = zip(top, values, strict=True)
            five = [cell for guess, p in pairs for cell in (guess, f"{p:.6f}")]
            writer.writerow([record, name, label, *five])


def _write_submission(
    path: Path, predictions: Predictions, rows: Rows, synsets: Sequence[Synset]
) -> None:
    """A line an image in the order of their names, ILSVRC's: the ids of five classes.

    An image that could not be read keeps its line, of zeros, which are no class.
    """
    ids = np.array([synset.devkit_id for synset in synsets])
    five = np.zeros((len(rows), predictions.top.shape[1]), np.int64)
    five[predictions.records.numpy()] = ids[predictions.top.numpy()]
    lines = five[np.argsort(rows["name"], kind="stable")]
    path.write_text("".join(" ".join(map(str, line)) + "\n" for line in lines.tolist()), "ascii")
