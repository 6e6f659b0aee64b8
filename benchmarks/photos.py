"""Where the photos come from: ALEXNET_PHOTOS, else ../shared/data/dogs, else the miniature."""

import io
import os
import tarfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from omegaconf import OmegaConf
from PIL import Image

from alexnet.archives.root import open_raw
from benchmarks import CHECKOUT

SUFFIXES = (".jpeg", ".jpg")
T = TypeVar("T")


@dataclass(frozen=True)
class Photos:
    """Files that any decoder reads, JPEG of RGB or grey, and how many odd ones were left out."""

    where: str
    files: list[bytes]
    odd: int

    def __str__(self) -> str:
        pixels = [np.prod(Image.open(io.BytesIO(file)).size) for file in self.files]
        size = f"median {np.median(pixels) / 1e3:.0f} kilopixels"
        weight = f"{np.median([len(file) for file in self.files]) / 1e3:.0f} kB"
        return f"{len(self.files)} photos ({self.where}; {size}, {weight}; {self.odd} odd left out)"


def load(most: int) -> Photos:
    """At most so many photos, spread over all that there are."""
    where, files = _source(most)
    plain = [file for file in files if is_plain(file)]
    return Photos(where, plain, len(files) - len(plain))


def is_plain(file: bytes) -> bool:
    """Whether the file is a whole JPEG that needs no conversion of colours."""
    try:
        picture = Image.open(io.BytesIO(file))
        picture.load()
    except (OSError, SyntaxError):
        return False
    return picture.format == "JPEG" and picture.mode in ("RGB", "L")


def spread(things: Sequence[T], most: int) -> list[T]:
    """At most so many of the things, at even distances."""
    count = min(most, len(things))
    return [things[n * len(things) // count] for n in range(count)]


def _source(most: int) -> tuple[str, list[bytes]]:
    dogs = CHECKOUT.parent / "shared/data/dogs"
    if "ALEXNET_PHOTOS" in os.environ:
        return "ALEXNET_PHOTOS", _of_folder(Path(os.environ["ALEXNET_PHOTOS"]), most)
    if dogs.is_dir():
        return "dogs", _of_folder(dogs, most)
    return "the drawn miniature", _of_miniature(most)


def _of_folder(folder: Path, most: int) -> list[bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise SystemExit(f"error: {folder} holds no *.JPEG or *.jpg; fix: set ALEXNET_PHOTOS")
    return [path.read_bytes() for path in spread(paths, most)]


def _of_miniature(most: int) -> list[bytes]:
    conf = OmegaConf.load(CHECKOUT / "conf/dataset/miniature.yaml")
    counts = {str(name): int(count) for name, count in conf.drawn.items()}
    root = open_raw(conf.root, conf.seed, counts)
    with tarfile.open(root / "ILSVRC2012_img_train.tar") as outer, ExitStack() as opened:
        tars = [
            opened.enter_context(tarfile.open(fileobj=outer.extractfile(member)))
            for member in outer
        ]
        files = [(tar, member) for tar in tars for member in tar]
        return [_bytes_of(*file) for file in spread(files, most)]


def _bytes_of(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None  # a regular file
    return file.read()
