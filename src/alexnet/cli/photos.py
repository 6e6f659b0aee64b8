"""Photos of one's own → what a model takes them for: as the evaluation stage does, from files."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.dataset.shards import SIDE, Pixels
from alexnet.inference.ten_views import crop_centre_view, predict_views
from alexnet.inference.top_k import rank_labels
from alexnet.model.alexnet import AlexNet
from alexnet.resize.decode import MAX_FILE_BYTES, UnreadableImageError, decode_image
from alexnet.resize.resample import resize_and_crop
from alexnet.runtime.errors import InputError

S = TypeVar("S")
T = TypeVar("T")


class Answer(NamedTuple):
    """A photo's likeliest labels, the likeliest first, with their probabilities.

    odd: what was unusual about the file, and what was done about it.
    """

    photo: Path
    labels: list[int]
    probabilities: list[float]
    odd: list[str]


class Photo(NamedTuple):
    """A file that was read: (256, 256, 3) uint8 RGB, and what was odd about it."""

    path: Path
    pixels: Pixels
    odd: list[str]


class Refused(NamedTuple):
    """A file that gives no answer, and why."""

    photo: Path
    why: str


class Rule(NamedTuple):
    """How a photo becomes 256×256, as `images.square` takes it."""

    resample: str
    apply_exif: bool


def photos_in(paths: Iterable[Path]) -> Iterator[Path | Refused]:
    """The files named; of a folder all files in it and below it, in order, but hidden ones."""
    for path in paths:
        if "\0" in str(path):
            yield Refused(path, "a name that no file can have")
        elif _is_folder(path):
            found = list(_files_below(path))
            yield from found or [Refused(path, "a folder without any file")]
        else:
            yield path


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # too long a name, a folder that may not be entered: opening it tells
        return False


def _files_below(folder: Path) -> Iterator[Path | Refused]:
    unread: list[Path | Refused] = []

    def note(error: OSError) -> None:
        unread.append(Refused(Path(error.filename), str(error.strerror)))

    for at, folders, names in os.walk(folder, onerror=note):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(at, name) for name in sorted(names) if not name.startswith("."))
    yield from unread


@torch.inference_mode()
def answers(
    net: AlexNet,
    mean: Tensor,
    photos: Iterable[Path | Refused],
    rule: Rule,
    batch: int,
    top: int = 5,
    centre: bool = False,
) -> Iterator[Answer | Refused]:
    """What `net` takes each photo for, in their order; the next are read while it computes.

    mean (256, 256, 3) on the net's device. `centre`: by the centre view alone, not by the mean of
    ten views. A photo's answer depends on the others of its batch by rounding alone. Raises
    InputError where the net's outputs are no numbers.
    """
    net.eval()
    for some in read_ahead(photos, partial(_read, rule=rule), batch):
        seen = [photo for photo in some if isinstance(photo, Photo)]
        images = torch.from_numpy(np.array([photo.pixels for photo in seen], np.uint8))
        told = iter(_told(net, images.to(mean.device), mean, top, centre) if seen else [])
        for photo in some:
            if isinstance(photo, Photo):
                labels, probabilities = next(told)
                yield Answer(photo.path, labels, probabilities, photo.odd)
            else:
                yield photo


def _told(
    net: AlexNet, images: Tensor, mean: Tensor, top: int, centre: bool
) -> Iterator[tuple[list[int], list[float]]]:
    """Of each image the likeliest labels and their probabilities."""
    if centre:
        found = F.softmax(net(crop_centre_view(images, mean, net.config.crop)).double(), dim=1)
    else:
        found, _ = predict_views(net, images, mean)
    if not bool(found.isfinite().all()):
        raise InputError("the model gives no numbers", "train it anew: dvc repro -f train")
    labels, probabilities = rank_labels(found.float(), top)  # ranked as the evaluation stage does
    return zip(labels.tolist(), probabilities.tolist(), strict=True)


def read_ahead(items: Iterable[S], read: Callable[[S], T], batch: int) -> Iterator[list[T]]:
    """Batches of what is read: one is filled while another is in use.

    By one thread: a photo may take half a gigabyte on its way to 256×256.
    """
    source = iter(items)

    def fill() -> list[T]:
        return [read(item) for item in islice(source, batch)]

    with ThreadPoolExecutor(1, "reader") as pool:
        ahead = pool.submit(fill)
        while some := ahead.result():
            ahead = pool.submit(fill)
            yield some


def _read(photo: Path | Refused, rule: Rule) -> Photo | Refused:
    if isinstance(photo, Refused):
        return photo
    try:
        with photo.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            return Refused(photo, f"more than {MAX_FILE_BYTES >> 20} MiB")
        pixels, odd = decode_image(data, apply_exif=rule.apply_exif, suffix=photo.suffix)
        return Photo(photo, resize_and_crop(pixels, SIDE, rule.resample), odd)
    except OSError as error:
        return Refused(photo, error.strerror or str(error))
    except UnreadableImageError as error:
        return Refused(photo, " ".join(str(error).split()))
