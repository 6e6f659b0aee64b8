"""Collect the contents of the report from what the stages left on disk."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from alexnet.comparison.results_on_disk import read_collected
from alexnet.comparison.tables import compare_with_paper
from alexnet.dataset.checksummed import read_checksummed_json
from alexnet.dataset.index import load_index
from alexnet.dataset.shards import Shards
from alexnet.evaluate.predictions import read_predictions
from alexnet.evaluate.result import read_result
from alexnet.figures.confusion import count_confusions
from alexnet.model.model_file import read_model
from alexnet.report import samples
from alexnet.report.dag_diagram import Stage
from alexnet.report.page import Report
from alexnet.runtime.errors import InputError

ARCHIVES = 4  # listed at most
ARCHIVE_CODE = "src/alexnet/archives"  # a stage that depends on it reads the raw archives
HASHED = {  # below data/, one or two files that stand for all of a stage's output
    "index": ("index/train.npy", "index/val.npy", "index/classes.csv"),
    "resize": ("shards/train/manifest.json", "shards/val/manifest.json"),  # with shards' hashes
    "moments": ("moments/mean_image.npy", "moments/moments.json"),
    "train": ("train/model.safetensors", "train/model.json"),
    "evaluate": ("evaluate/predictions.csv",),
    "retrieve": ("retrieve/neighbours.csv", "retrieve/codes.csv"),
}


def collect_report(root: Path) -> Report:
    """Read dvc.yaml, metrics.json, experiments/results.json and data/.

    Raises InputError if one of them is missing or invalid.
    """
    try:
        return _collect(root, root / "data")
    except (OSError, ValueError, LookupError, TypeError) as error:
        problem = f"{root} lacks data that the report shows: {error!r}"
        raise InputError(problem, "dvc repro") from None


def _collect(root: Path, data: Path) -> Report:
    weights, moments, model = read_model(data / "train")
    colour = read_checksummed_json(data / "moments/moments.json")
    index = load_index(data / "index")
    result = read_result(root / "metrics.json")
    shards = {split: Shards(data / "shards" / split) for split in index.splits}
    train, val, evaluated = (shards[split] for split in ("train", "val", result.run.split or ""))
    rows = read_predictions(data / "evaluate/predictions.csv")
    classes = len(index.synsets)
    return Report(
        result=result,
        comparison=compare_with_paper(read_collected(root)),
        train_images=len(train),
        settings=list(flatten({"model": asdict(model.net), "recipe": model.recipe})),
        stages=read_stages(root, index.archives),
        mean_image=moments.mean_image,
        channel_means=np.array(colour["channel_means"]),
        eigenvalues=moments.eigenvalues,
        eigenvectors=moments.eigenvectors,
        photo=train.read(train.records[0]),
        augmentation=samples.read_augmentation(data / "train/augmentation.csv"),
        history=_read_history(data / "train/history.csv"),
        conv1=weights["conv1.weight"],
        towers=model.net.towers,
        fc7_units=len(weights["fc7.bias"]),
        predictions=samples.sample_predictions(rows, evaluated, index),
        mistakes=samples.surest_mistakes(rows, evaluated, index),
        ranks=samples.count_ranks(rows),
        confusion=count_confusions(rows.labels, rows.guesses[:, 0], classes),
        words=[synset.words for synset in index.synsets],
        class_samples=samples.sample_classes(train, index),
        odd_files=samples.first_odd_files(shards.values()),
        odd_count=sum(len(split.manifest.odd) for split in shards.values()),
        queries=samples.read_queries(data / "retrieve/neighbours.csv", train, val, index),
        codes=samples.read_rows(data / "retrieve/codes.csv"),
    )


def read_stages(root: Path, archives: Sequence[tuple[str, int]]) -> list[Stage]:
    """Return the archives with sizes, then dvc.yaml's stages with hashes.

    DVC does not accept dvc.yaml as a dependency: after a change of a description only, run
    `dvc repro -f report`.
    """
    pipeline = yaml.safe_load((root / "dvc.yaml").read_text("utf-8"))["stages"]
    sizes = [(path, _format_size(size)) for path, size in archives[:ARCHIVES]]
    more = len(archives) - ARCHIVES
    description = f"as downloaded; {more:,} more" if more > 0 else "as downloaded"
    stages = [Stage("archives", description, (), sizes)]
    for name, stage in pipeline.items():
        hashes = [(path, _hash(root / "data" / path)) for path in HASHED.get(name, ())]
        stages.append(Stage(name, stage["desc"], _reads(stage["deps"], pipeline), hashes))
    return stages


def _reads(deps: Sequence[str], pipeline: Mapping[str, Any]) -> list[str]:
    """Return the names of the stages whose output `deps` contain."""
    paths = [Path(dep) for dep in deps]
    makers = [
        name
        for name, stage in pipeline.items()
        for out in map(Path, stage["outs"])
        if any(path.is_relative_to(out) or out.is_relative_to(path) for path in paths)
    ]
    return ["archives", *makers] if ARCHIVE_CODE in deps else makers


def _format_size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _hash(path: Path) -> str:
    """Return the first 12 digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield every value with its dotted name."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", json.dumps(value)


def _read_history(path: Path) -> list[dict[str, float]]:
    """Read history.csv as numbers, errors in 0–1."""
    rows = [{k: float(value) for k, value in row.items()} for row in samples.read_rows(path)]
    return [row | {f"top{k}_error": row[f"top{k}_error"] / 100 for k in (1, 5)} for row in rows]
