"""What the stages left on disk → the contents of the report."""

import csv
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.checkpoint import load
from alexnet.errors import InputError
from alexnet.figures import Guess
from alexnet.index import Index, load_index
from alexnet.moments import load_moments
from alexnet.report import Prediction, Report, Sample
from alexnet.shards import Shards

PREDICTIONS = 8  # as many as the paper's figure 4 has
SAMPLES = 12
OUTPUTS = {  # files that stand for a stage's whole output: a manifest holds its shards' hashes
    "index": ("index/train.npy", "index/val.npy", "index/classes.csv"),
    "resize": ("shards/train/manifest.json", "shards/val/manifest.json"),
    "moments": ("moments/mean_image.npy", "moments/moments.json"),
    "train": ("train/model.safetensors", "train/model.json"),
    "evaluate": ("evaluate/predictions.csv",),
}


def gathered(data: Path, metrics: Path) -> Report:
    """Read the outputs under `data` and metrics.json. Raises InputError where one is missing."""
    try:
        return _gathered(data, json.loads(metrics.read_text()))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{data} lacks what the report shows: {error}", "dvc repro") from None


def _gathered(data: Path, errors: Mapping[str, float]) -> Report:
    tensors, model = load(data / "train/model.safetensors")
    moments = load_moments(data / "moments")
    colour = json.loads((data / "moments/moments.json").read_text())
    index = load_index(data / "index")
    train, val = Shards(data / "shards/train"), Shards(data / "shards/val")
    rates = (f"{rule}top{k}_error" for rule in ("", "center_") for k in (1, 5))
    return Report(
        dataset=model["chosen"]["dataset"],
        classes=len(index.synsets),
        train_images=len(train),
        images=int(errors["images"]),
        model=model["chosen"]["model"],
        recipe=model["chosen"]["recipe"],
        seed=model["seed"],
        lr=model["lr"],
        **{rate: errors[rate] / 100 for rate in rates},
        stages=[(stage, [(p, _hash(data / p)) for p in paths]) for stage, paths in OUTPUTS.items()],
        mean_image=moments.mean_image,
        channel_means=np.array(colour["channel_means"]),
        eigenvalues=moments.eigenvalues,
        eigenvectors=moments.eigenvectors,
        photo=train.read(train.records[0]),
        history=_history(data / "train/history.csv"),
        conv1=tensors["conv1.weight"].numpy(),
        towers=model["net"]["towers"],
        predictions=_predictions(data / "evaluate/predictions.csv", val, index),
        samples=[_sample(train, index, record) for record in train.records[:SAMPLES]],
        odd_files=train.manifest["odd"] + val.manifest["odd"],
    )


def _hash(path: Path) -> str:
    """The first 12 digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _history(path: Path) -> list[dict[str, float]]:
    """The rows as numbers, errors as fractions."""
    with path.open(newline="") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    return [row | {f"top{k}_error": row[f"top{k}_error"] / 100 for k in (1, 5)} for row in rows]


def _predictions(path: Path, val: Shards, index: Index) -> list[Prediction]:
    """The first few of evenly spaced validation images."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [_prediction(row, val, index) for row in rows[:: -(-len(rows) // PREDICTIONS)]]


def _prediction(row: Mapping[str, str], val: Shards, index: Index) -> Prediction:
    label = int(row["label"])
    five = [
        (int(row[f"label{rank}"]), float(row[f"probability{rank}"]))
        for rank in range(1, 6)
        if f"label{rank}" in row
    ]
    guesses = [Guess(index.synsets[guess].words, p, guess == label) for guess, p in five]
    return Prediction(val.read(int(row["record"])), index.synsets[label].words, guesses)


def _sample(shards: Shards, index: Index, record: Any) -> Sample:
    row = index.splits["train"][record]
    synset = index.synsets[row["label"]]
    name = bytes(row["name"]).decode(errors="replace")
    return Sample(shards.read(record), synset.wnid, synset.words, name)
