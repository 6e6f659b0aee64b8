"""Classify photos from files, as the evaluation stage classifies a split."""

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
    """A photo's most probable labels, in descending order, with their probabilities.

    odd: what was unusual about the file, and how it was handled.
    """

    photo: Path
    labels: list[int]
    probabilities: list[float]
    odd: list[str]


class Photo(NamedTuple):
    """A photo as (256, 256, 3) uint8 RGB, and what was odd about its file."""

    path: Path
    pixels: Pixels
    odd: list[str]


class UnreadablePhoto(NamedTuple):
    """A file without an answer, and the reason."""

    photo: Path
    reason: str


class ResizeRule(NamedTuple):
    """How a photo becomes 256×256: dataset.resample and dataset.apply_exif."""

    resample: str
    apply_exif: bool


def find_photos(paths: Iterable[Path]) -> Iterator[Path | UnreadablePhoto]:
    """Yield files, and all files below folders, sorted, except hidden ones."""
    for path in paths:
        if "\0" in str(path):
            yield UnreadablePhoto(path, "invalid file name")
        elif _is_folder(path):
            yield from list(_files_below(path)) or [UnreadablePhoto(path, "folder without files")]
        else:
            yield path


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # name too long, or no access: opening it gives the reason
        return False


def _files_below(folder: Path) -> Iterator[Path | UnreadablePhoto]:
    unreadable: list[UnreadablePhoto] = []

    def note(error: OSError) -> None:
        unreadable.append(UnreadablePhoto(Path(error.filename), str(error.strerror)))

    for parent, folders, names in os.walk(folder, onerror=note):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))
    yield from unreadable


@torch.inference_mode()
def classify(
    net: AlexNet,
    mean: Tensor,
    photos: Iterable[Path | UnreadablePhoto],
    rule: ResizeRule,
    batch: int,
    top: int = 5,
    centre: bool = False,
) -> Iterator[Answer | UnreadablePhoto]:
    """Yield an answer for each photo, in order.

    The next batch is read meanwhile. mean (256, 256, 3) on the net's device. `centre`: use the
    centre view, not the mean of ten views. The other photos of a batch affect an answer by rounding
    only. Raises InputError if the net outputs NaN or infinity.
    """
    net.eval()
    for chunk in read_ahead(photos, partial(_read, rule=rule), batch):
        readable = [photo for photo in chunk if isinstance(photo, Photo)]
        images = torch.from_numpy(np.array([photo.pixels for photo in readable], np.uint8))
        ranked = iter(_rank(net, images.to(mean.device), mean, top, centre) if readable else [])
        for photo in chunk:
            if isinstance(photo, Photo):
                labels, probabilities = next(ranked)
                yield Answer(photo.path, labels, probabilities, photo.odd)
            else:
                yield photo


def _rank(
    net: AlexNet, images: Tensor, mean: Tensor, top: int, centre: bool
) -> Iterator[tuple[list[int], list[float]]]:
    """Yield the most probable labels of each image and their probabilities."""
    if centre:
        found = F.softmax(net(crop_centre_view(images, mean, net.config.crop)).double(), dim=1)
    else:
        found, _ = predict_views(net, images, mean)
    if not bool(found.isfinite().all()):
        raise InputError("the model outputs NaN or infinity", "dvc repro -f train")
    labels, probabilities = rank_labels(found.float(), top)  # ranked as the evaluation stage does
    return zip(labels.tolist(), probabilities.tolist(), strict=True)


def read_ahead(items: Iterable[S], read: Callable[[S], T], batch: int) -> Iterator[list[T]]:
    """Yield batches of `read(item)`; a thread fills the next one meanwhile.

    One thread only: decoding a photo may need half a gigabyte.
    """
    source = iter(items)

    def fill() -> list[T]:
        return [read(item) for item in islice(source, batch)]

    with ThreadPoolExecutor(1, "reader") as pool:
        ahead = pool.submit(fill)
        while chunk := ahead.result():
            ahead = pool.submit(fill)
            yield chunk


def _read(photo: Path | UnreadablePhoto, rule: ResizeRule) -> Photo | UnreadablePhoto:
    if isinstance(photo, UnreadablePhoto):
        return photo
    try:
        with photo.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            return UnreadablePhoto(photo, f"larger than {MAX_FILE_BYTES >> 20} MiB")
        pixels, odd = decode_image(data, apply_exif=rule.apply_exif, suffix=photo.suffix)
        return Photo(photo, resize_and_crop(pixels, SIDE, rule.resample), odd)
    except OSError as error:
        return UnreadablePhoto(photo, error.strerror or str(error))
    except UnreadableImageError as error:
        return UnreadablePhoto(photo, " ".join(str(error).split()))
