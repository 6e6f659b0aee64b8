"""What is on disk against what was written: reads every byte and recomputes the moments."""

import json
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.dataset.checksummed import read_checksummed_json
from alexnet.dataset.index import Index, load_index
from alexnet.dataset.moments import load_moments
from alexnet.dataset.shards import Shards
from alexnet.model.model_file import MODEL, read_model
from alexnet.moments.pca import compute_colour_moments, compute_mean_image
from alexnet.moments.sums import ZERO, Sums, sum_shard
from alexnet.runtime.errors import InputError, rebuild_command
from alexnet.runtime.progress import track


@dataclass(frozen=True)
class ShardCheck:
    """A shard's problems, one line each, and its sums, None if damaged."""

    problems: list[str]
    sums: Sums | None


def check_data(pool: Executor, data: Path) -> Iterator[str]:
    """Yield one line per problem of index, shards, moments and model."""
    try:
        yield from check_splits(pool, data, load_index(data / "index"))
    except InputError as error:  # in the index: the model can still be checked
        yield str(error)
    yield from check_model(data / "train")


def check_splits(pool: Executor, data: Path, index: Index) -> Iterator[str]:
    """Yield one line per problem of shards, labels and moments."""
    for split, rows in index.splits.items():
        folder = data / "shards" / split
        try:
            yield from _check_files(folder)
            yield from _check_labels(folder, rows["label"])
            sums = []
            for shard in _check_shards(pool, folder):
                yield from shard.problems
                sums.append(shard.sums)
            if split == "train":
                yield from _check_moments(data / "moments", sums)
        except InputError as error:
            yield str(error)


def check_shard(folder: Path, n: int) -> ShardCheck:
    """Check a shard's SHA-256 and each record's checksum, then sum its pixels."""
    problems = list(Shards(folder).find_damage(n))
    return ShardCheck(problems, None if problems else sum_shard(folder, n))


def check_model(folder: Path) -> Iterator[str]:
    """Yield a line if the model file is damaged or contradicts model.json."""
    if not folder.exists():
        return
    text = folder / "model.json"
    fix = rebuild_command(text, "train")
    try:
        *_, description = read_model(folder)
        if json.loads(text.read_bytes()) != description.to_json():
            yield f"{text} does not describe {MODEL}; fix: {fix}"
    except InputError as error:
        problem, *_ = str(error).partition("; fix: ")
        yield f"{problem}; fix: {rebuild_command(folder / MODEL, 'train')}"
    except (OSError, ValueError) as error:
        yield f"{text} cannot be read: {error}; fix: {fix}"


def _check_files(folder: Path) -> Iterator[str]:
    """Report the shards that the manifest does not list."""
    listed = {shard.file for shard in Shards(folder).manifest.shards}
    for path in sorted(folder.glob("*.lmdb")):
        if path.name not in listed:
            yield f"{path} is not in manifest.json; fix: rm {path}"


def _check_labels(folder: Path, labels: npt.NDArray[np.integer[Any]]) -> Iterator[str]:
    shards = Shards(folder)
    if len(labels) != len(shards.labels):
        yield f"{folder} has {len(shards.labels):,} rows, its index {len(labels):,}"
    elif (shards.labels[shards.records] != labels[shards.records]).any():
        yield f"{folder / 'labels.npy'} differs from the labels in data/index"


def _check_shards(pool: Executor, folder: Path) -> Iterator[ShardCheck]:
    count = len(Shards(folder).manifest.shards)
    checks = pool.map(partial(check_shard, folder), range(count))
    return track(checks, count, f"verify {folder.name}", "shards")


def _check_moments(folder: Path, sums: list[Sums | None]) -> Iterator[str]:
    """Recompute the moments from integer sums: the same images give equal bits."""
    written, colour = load_moments(folder), read_checksummed_json(folder / "moments.json")
    intact = [shard for shard in sums if shard is not None]
    if len(intact) < len(sums):
        return  # a damaged shard cannot be summed
    total = sum(intact, start=ZERO)
    same_colour = colour | compute_colour_moments(total) == colour
    if not same_colour or not np.array_equal(written.mean_image, compute_mean_image(total)):
        name = "mean_image.npy" if same_colour else "moments.json"
        fix = rebuild_command(folder / name, "moments")
        yield f"{folder} was not computed from these shards: {name} differs; fix: {fix}"
