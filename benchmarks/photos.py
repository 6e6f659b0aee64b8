"""Photos for the benchmarks: ALEXNET_PHOTOS, else ../shared/data/dogs, else the miniature."""

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
    """JPEG files (RGB or grey) that any decoder reads. `odd`: number of files left out."""

    source: str
    files: list[bytes]
    odd: int

    def __str__(self) -> str:
        pixels = [np.prod(Image.open(io.BytesIO(file)).size) for file in self.files]
        size = f"median {np.median(pixels) / 1e3:.0f} kilopixels"
        weight = f"{np.median([len(file) for file in self.files]) / 1e3:.0f} kB"
        return (
            f"{len(self.files)} photos ({self.source}; {size}, {weight}; {self.odd} odd left out)"
        )


def load(limit: int) -> Photos:
    """Return at most `limit` photos, evenly spaced in all that there are."""
    source, files = _read(limit)
    plain = [file for file in files if is_plain(file)]
    return Photos(source, plain, len(files) - len(plain))


def is_plain(file: bytes) -> bool:
    """Return whether a file is an intact JPEG in RGB or grey."""
    try:
        picture = Image.open(io.BytesIO(file))
        picture.load()
    except (OSError, SyntaxError):
        return False
    return picture.format == "JPEG" and picture.mode in ("RGB", "L")


def pick_evenly(items: Sequence[T], limit: int) -> list[T]:
    """Return at most `limit` of the items, evenly spaced."""
    count = min(limit, len(items))
    return [items[n * len(items) // count] for n in range(count)]


def _read(limit: int) -> tuple[str, list[bytes]]:
    dogs = CHECKOUT.parent / "shared/data/dogs"
    if "ALEXNET_PHOTOS" in os.environ:
        return "ALEXNET_PHOTOS", _read_folder(Path(os.environ["ALEXNET_PHOTOS"]), limit)
    if dogs.is_dir():
        return "dogs", _read_folder(dogs, limit)
    return "the drawn miniature", _read_miniature(limit)


def _read_folder(folder: Path, limit: int) -> list[bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise SystemExit(f"error: {folder} has no *.jpeg or *.jpg files; fix: set ALEXNET_PHOTOS")
    return [path.read_bytes() for path in pick_evenly(paths, limit)]


def _read_miniature(limit: int) -> list[bytes]:
    conf = OmegaConf.load(CHECKOUT / "conf/dataset/miniature.yaml")
    counts = {str(name): int(count) for name, count in conf.drawn.items()}
    root = open_raw(conf.root, conf.seed, counts)
    with tarfile.open(root / "ILSVRC2012_img_train.tar") as outer, ExitStack() as stack:
        tars = [
            stack.enter_context(tarfile.open(fileobj=outer.extractfile(member))) for member in outer
        ]
        files = [(tar, member) for tar in tars for member in tar]
        return [_read_member(*file) for file in pick_evenly(files, limit)]


def _read_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None  # a regular file
    return file.read()
