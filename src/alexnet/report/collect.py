"""What the stages left on disk → the contents of the report."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.comparison.results_on_disk import collected
from alexnet.comparison.tables import comparison
from alexnet.dataset.checksummed import read_checksummed_json
from alexnet.dataset.index import Index, load_index
from alexnet.dataset.shards import Shards
from alexnet.evaluate.result import read_result
from alexnet.figures.confusion import Counts, confusion
from alexnet.model.model_file import read_model
from alexnet.report import samples
from alexnet.report.dag_diagram import Stage
from alexnet.report.page import Report
from alexnet.report.samples import Row, read_rows
from alexnet.runtime.errors import InputError

ARCHIVES = 4  # at most, that are named
STAGES = (  # (name, what it does, what it reads as dvc.yaml tells it, files that stand for all)
    ("index", "where each image lies, and its label", ("archives",),
     ("index/train.npy", "index/val.npy", "index/classes.csv")),
    ("resize", "256×256 RGB, in shards", ("archives", "index"),
     ("shards/train/manifest.json", "shards/val/manifest.json")),  # holds its shards' hashes
    ("moments", "the mean image and the colour axes", ("resize",),
     ("moments/mean_image.npy", "moments/moments.json")),
    ("train", "the net, from random weights", ("index", "resize", "moments"),
     ("train/model.safetensors", "train/model.json")),
    ("evaluate", "ten views of each test image", ("index", "resize", "train"),
     ("evaluate/predictions.csv",)),
    ("retrieve", "what its last hidden layer finds alike", ("resize", "train"),
     ("retrieve/neighbours.csv", "retrieve/codes.csv")),
)  # fmt: skip


def gathered(root: Path) -> Report:
    """Read root/data and root/metrics.json. Raises InputError where what it shows is missing."""
    try:
        return _gathered(root, root / "data")
    except (OSError, ValueError, LookupError) as error:
        raise InputError(f"{root} lacks what the report shows: {error!r}", "dvc repro") from None


def _gathered(root: Path, data: Path) -> Report:
    weights, moments, model = read_model(data / "train")
    colour = read_checksummed_json(data / "moments/moments.json")
    index = load_index(data / "index")
    result = read_result(root / "metrics.json")
    shards = {split: Shards(data / "shards" / split) for split in index.splits}
    train, val, tested = (shards[split] for split in ("train", "val", result["run"]["split"]))
    rows = read_rows(data / "evaluate/predictions.csv")
    return Report(
        result=result,
        comparison=comparison(collected(root)),
        train_images=len(train),
        settings=list(_settings({"model": asdict(model.net), "recipe": model.recipe})),
        stages=_stages(data, index),
        mean_image=moments.mean_image,
        channel_means=np.array(colour["channel_means"]),
        eigenvalues=moments.eigenvalues,
        eigenvectors=moments.eigenvectors,
        photo=train.read(train.records[0]),
        draws=samples.draws(model, moments.eigenvalues, moments.eigenvectors),
        history=_history(data / "train/history.csv"),
        conv1=weights["conv1.weight"],
        towers=model.net.towers,
        features=len(weights["fc7.bias"]),
        predictions=samples.predictions(rows, tested, index),
        mistakes=samples.mistakes(rows, tested, index),
        ranks=samples.ranks(rows),
        confusion=_confusion(rows, len(index.synsets)),
        words=[synset.words for synset in index.synsets],
        shelves=samples.shelves(train, index),
        odd_files=samples.odd_files(shards.values()),
        odd=sum(len(split.manifest.odd) for split in shards.values()),
        queries=samples.queries(data / "retrieve/neighbours.csv", train, val, index),
        codes=read_rows(data / "retrieve/codes.csv"),
    )


def _stages(data: Path, index: Index) -> list[Stage]:
    """The archives with their sizes, the stages with the hashes of what they left, this page."""
    named = [(path, _size(size)) for path, size in index.archives[:ARCHIVES]]
    more = len(index.archives) - ARCHIVES
    does = f"as downloaded; {more:,} more" if more > 0 else "as downloaded"
    found = [
        Stage(name, what, reads, [(path, _hash(data / path)) for path in paths])
        for name, what, reads, paths in STAGES
    ]
    page = Stage("report", "this page, of them all", [stage.name for stage in found], [])
    return [Stage("archives", does, (), named), *found, page]


def _size(size: int) -> str:
    """1.2 GB, 94.6 MB …"""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _hash(path: Path) -> str:
    """The first 12 digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _settings(values: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, str]]:
    """Every value under its dotted name."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _settings(value, f"{within}{name}.")
        else:
            yield f"{within}{name}", json.dumps(value)


def _confusion(rows: Sequence[Row], classes: int) -> Counts:
    labels, guesses = ([int(row[name]) for row in rows] for name in ("label", "label1"))
    return confusion(labels, guesses, classes)


def _history(path: Path) -> list[dict[str, float]]:
    """The rows as numbers, errors as fractions."""
    rows = [{name: float(value) for name, value in row.items()} for row in read_rows(path)]
    return [row | {f"top{k}_error": row[f"top{k}_error"] / 100 for k in (1, 5)} for row in rows]
