"""What lies on disk against what was written: every byte read again, every number made again."""

import json
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.dataset.checksummed import read_sealed
from alexnet.dataset.index import Index
from alexnet.dataset.moments import load_moments
from alexnet.dataset.shards import Shards
from alexnet.model.model_file import MODEL, read_model
from alexnet.moments.pca import colour_moments, mean_image
from alexnet.moments.sums import NOTHING, Sums, sums_of_shard
from alexnet.runtime.errors import InputError, rebuild_command
from alexnet.runtime.progress import track


@dataclass(frozen=True)
class Checked:
    """A shard read again: its damage, line by line; the sums over it, or None if there is any."""

    damage: list[str]
    sums: Sums | None


def verify_shard(folder: Path, n: int) -> Checked:
    """Check shard `n` of the split in `folder` by its SHA-256 and, where that fails, by record."""
    damage = list(Shards(folder).damage(n))
    return Checked(damage, None if damage else sums_of_shard(folder, n))


def verify(pool: Executor, data: Path, index: Index) -> Iterator[str]:
    """Each of the shards, labels and moments under `data` that is not as it was written, a line."""
    for split, rows in index.splits.items():
        folder = data / "shards" / split
        try:
            yield from _labels(folder, rows["label"])
            all_sums = []
            for checked in _shards(pool, folder):
                yield from checked.damage
                all_sums.append(checked.sums)
            if split == "train":
                yield from _moments(data / "moments", all_sums)
        except InputError as error:
            yield str(error)


def verify_model(folder: Path) -> Iterator[str]:
    """What is wrong with data/train: its model, sealed, and model.json, which repeats it."""
    if not folder.exists():
        return
    text = folder / "model.json"
    fix = rebuild_command(text, "train")
    try:
        *_, described = read_model(folder)
        if json.loads(text.read_bytes()) != described:
            yield f"{text} is not that of its model; fix: {fix}"
    except InputError as error:
        what, *_ = str(error).partition("; fix: ")
        yield f"{what}; fix: {rebuild_command(folder / MODEL, 'train')}"
    except (OSError, ValueError) as error:
        yield f"{text} cannot be read: {error}; fix: {fix}"


def _shards(pool: Executor, folder: Path) -> Iterator[Checked]:
    count = len(Shards(folder).manifest["shards"])
    checked = pool.map(partial(verify_shard, folder), range(count))
    return track(checked, count, f"verify {folder.name}", "shards")


def _labels(folder: Path, labels: npt.NDArray[np.integer[Any]]) -> Iterator[str]:
    shards = Shards(folder)
    if len(labels) != len(shards.labels):
        yield f"{folder} has {len(shards.labels):,} rows, its index {len(labels):,}"
    elif (shards.labels[shards.records] != labels[shards.records]).any():
        yield f"{folder / 'labels.npy'} does not agree with data/index"


def _moments(folder: Path, sums: list[Sums | None]) -> Iterator[str]:
    """Integers leave no room for doubt: the same images give the same bits."""
    written, colour = load_moments(folder), read_sealed(folder / "moments.json")
    whole = [some for some in sums if some is not None]
    if len(whole) < len(sums):
        return  # what was summed over is no longer there
    total = sum(whole, start=NOTHING)
    same_colour = colour | colour_moments(total) == colour
    if not same_colour or not np.array_equal(written.mean_image, mean_image(total)):
        name = "mean_image.npy" if same_colour else "moments.json"
        fix = rebuild_command(folder / name, "moments")
        yield f"{folder} is not of these shards: {name}; fix: {fix}"
