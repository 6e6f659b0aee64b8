"""Images to store in shards, and disks that fill up."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from alexnet.dataset.shards import SIDE, Shards
from alexnet.resize.shard_writer import write_manifest, write_shard

Images = npt.NDArray[np.uint8]


def write_split(
    folder: Path, images: Images, labels: list[int], records: int = 8, pixels: str = "raw"
) -> Shards:
    """A split of shards of `records` images each, holding `images` in order."""
    folder.mkdir(parents=True)
    entries = []
    for n, first in enumerate(range(0, len(images), records)):
        some = list(enumerate(images[first : first + records], first))
        entries.append(write_shard(folder / f"{n:05d}.lmdb", some, pixels) | {"first": first})
    write_manifest(folder, np.array(labels, np.int32), pixels, entries, [])
    return Shards(folder)


def random_images(count: int, seed: int = 0) -> Images:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def smooth_images(count: int) -> Images:
    """Of large spots, so that they differ for a net."""
    coarse = np.random.default_rng(1).integers(0, 256, (count, 5, 5, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(few).resize((SIDE, SIDE))) for few in coarse])


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """Every file, as on a full disk: what is written behind these many bytes fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
