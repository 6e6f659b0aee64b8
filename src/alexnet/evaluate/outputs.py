"""The files of data/evaluate, for people, ILSVRC's server and ensembles."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from alexnet.dataset.index import Index, Rows, Synset
from alexnet.dataset.shards import Shards
from alexnet.evaluate.predictions import CSV, PredictionRows, write_rows
from alexnet.inference.predict import Predictions
from alexnet.model.description import ModelDescription
from alexnet.runtime.errors import InputError

PROBABILITIES, SUBMISSION = "probabilities.npy", "submission.txt"


def choose_split(data: Path, index: Index, model: ModelDescription) -> tuple[str, Shards]:
    """Return the split to evaluate: test if there is one, else val.

    No decision of training looked at test's labels; Table 1 of the paper is on ILSVRC-2010's test
    images. Raises InputError if `data` or the model belong to another set.
    """
    split = "test" if "test" in index.splits else "val"
    shards = Shards(data / "shards" / split)
    if len(shards.labels) != len(index.splits[split]):
        problem = f"{shards.folder} and {data / 'index'} hold different numbers of images"
        raise InputError(problem, "dvc repro")
    if list(index.synsets) != list(model.synsets):
        raise InputError(
            f"the model was trained on classes other than {data / 'index'}'s", "dvc repro"
        )
    return split, shards


def write_outputs(
    folder: Path, predictions: Predictions, rows: Rows, synsets: Sequence[Synset]
) -> None:
    """Write predictions.csv, probabilities.npy if they were kept, submission.txt for ILSVRC.

    rows: the split's index, one row a record.
    """
    write_rows(folder / CSV, _prediction_rows(predictions, rows))
    if predictions.probabilities is not None:
        with (folder / PROBABILITIES).open("w+b") as file:  # as in save_index: reports a full disk
            np.save(file, predictions.probabilities.numpy())
    if all(synset.devkit_id for synset in synsets):
        _write_submission(folder / SUBMISSION, predictions, rows, synsets)


def _prediction_rows(predictions: Predictions, rows: Rows) -> PredictionRows:
    records = predictions.records.numpy()
    return PredictionRows(
        records,
        [bytes(name).decode(errors="replace") for name in rows["name"][records]],
        predictions.labels.numpy(),
        predictions.top.numpy(),
        predictions.top_probabilities.numpy(),
    )


def _write_submission(
    path: Path, predictions: Predictions, rows: Rows, synsets: Sequence[Synset]
) -> None:
    """Write one line an image: the ids of five classes.

    Lines are sorted by file name, as ILSVRC's server expects. An image that could not be read gets
    a line of zeros, which are the id of no class.
    """
    ids = np.array([synset.devkit_id for synset in synsets])
    guesses = np.zeros((len(rows), predictions.top.shape[1]), np.int64)
    guesses[predictions.records.numpy()] = ids[predictions.top.numpy()]
    lines = guesses[np.argsort(rows["name"], kind="stable")]
    path.write_text("".join(" ".join(map(str, line)) + "\n" for line in lines.tolist()), "ascii")
