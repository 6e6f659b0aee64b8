"""Random images, splits and moments made of them, and full disks."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from alexnet.dataset.checksummed import save_array, write_checksummed_json
from alexnet.dataset.manifest import read_manifest
from alexnet.dataset.moments import save_moments
from alexnet.dataset.shards import SIDE, Shards
from alexnet.moments.pca import compute_colour_moments, compute_mean_image
from alexnet.moments.sums import Sums
from alexnet.resize.shard_writer import write_manifest, write_shard

Images = npt.NDArray[np.uint8]


def write_split(
    folder: Path, images: Images, labels: list[int], records: int = 8, pixels: str = "raw"
) -> Shards:
    """Write a split of `images` in order, in shards of `records` images."""
    folder.mkdir(parents=True)
    shards = []
    for n, first in enumerate(range(0, len(images), records)):
        rows = range(first, min(first + records, len(images)))
        numbered = ((row, images[row]) for row in rows)
        shards.append(write_shard(folder / f"{n:05d}.lmdb", numbered, pixels, rows))
    write_manifest(folder, np.array(labels, np.int32), pixels, shards)
    return Shards(folder)


def rewrite_manifest(folder: Path, **changes: Any) -> None:
    """Write a split's manifest again with other values, and a valid checksum."""
    manifest = replace(read_manifest(folder), **changes)
    write_checksummed_json(folder / "manifest.json", manifest.to_json())


def relabel(folder: Path, labels: list[int]) -> None:
    """Give a split's rows other labels."""
    checksum = save_array(folder / "labels.npy", np.array(labels, np.int32))
    rewrite_manifest(folder, labels=checksum)


def save_moments_of(folder: Path, sums: Sums) -> dict[str, Any]:
    """Write the moments of these sums, and return the colour moments."""
    colour = compute_colour_moments(sums)
    save_moments(folder, compute_mean_image(sums), colour)
    return colour


def random_images(count: int, seed: int = 0) -> Images:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def smooth_images(count: int) -> Images:
    """Return images of large spots, which a net can tell apart."""
    coarse = np.random.default_rng(1).integers(0, 256, (count, 5, 5, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(grid).resize((SIDE, SIDE))) for grid in coarse])


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """Limit the size of every file, as a full disk does: writes beyond it fail."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
