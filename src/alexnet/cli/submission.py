"""Classify ILSVRC's unlabelled test images for its server (section 6)."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from alexnet.archives.reader import Archives, read_image
from alexnet.cli.photos import ResizeRule, read_ahead
from alexnet.dataset.shards import SIDE, Pixels
from alexnet.index.class_archives import index_flat
from alexnet.inference.ten_views import predict_views
from alexnet.inference.top_k import TOP_K, rank_labels
from alexnet.model.alexnet import AlexNet
from alexnet.model.description import ModelDescription
from alexnet.model.precision import pick_autocast
from alexnet.model.weights import load_model
from alexnet.resize.decode import UnreadableImageError, decode_image
from alexnet.resize.resample import resize_and_crop
from alexnet.runtime.errors import InputError
from alexnet.runtime.files import write_atomically
from alexnet.runtime.progress import progress

BATCH = 32


class EnsembleMember(NamedTuple):
    """A net, its mean image (256, 256, 3) on the same device, and its description."""

    net: AlexNet
    mean: Tensor
    description: ModelDescription


def load_ensemble(paths: Sequence[Path], device: torch.device) -> list[EnsembleMember]:
    """Load models. Raises InputError if their classes or input rules differ."""
    members: list[EnsembleMember] = []
    for path in paths:
        net, moments, description = load_model(path)
        mean = moments.to(device).mean_image
        members.append(EnsembleMember(net.to(device).eval(), mean, description))
        for part in ("synsets", "input"):
            if getattr(description, part) != getattr(members[0].description, part):
                problem = f"{path} and {paths[0]} differ in their {part}"
                raise InputError(problem, "choose models that were trained on the same classes")
    return members


def write_submission(path: Path, ensemble: Sequence[EnsembleMember], images: Path) -> list[str]:
    """Write a line of five class ids for each image.

    The images of a tar or folder are sorted by name.

    Averages the probabilities of the ensemble. The line of an unreadable image holds zeros, which
    stand for no class; the problems of these images are returned. Raises InputError if there are no
    images, or the classes are not ILSVRC's.
    """
    ids = np.array([synset.devkit_id for synset in ensemble[0].description.synsets])
    if not ids.all():
        problem = "the model's classes have no ILSVRC ids"
        raise InputError(problem, "choose a model trained on ILSVRC")
    if not images.exists():
        raise InputError(f"{images} does not exist", "name the tar of the test images")
    archives: Archives = []
    rows = index_flat(images.parent, images.name, archives)
    if not len(rows):
        raise InputError(f"{images} contains no images", "name the tar of the test images")
    rows = rows[np.argsort(rows["name"], kind="stable")]
    input_rule = ensemble[0].description.input
    rule = ResizeRule(input_rule.resample, input_rule.apply_exif)
    read = partial(_read, root=images.parent, archives=archives, rule=rule)
    lines, problems = [], []
    with progress(len(rows), "submit") as advance:
        for chunk in read_ahead(rows, read, BATCH):
            lines += [" ".join(map(str, line)) for line in _top_ids(ensemble, chunk, ids)]
            problems += [image for image in chunk if isinstance(image, str)]
            advance(len(chunk))
    write_atomically(path, ("\n".join(lines) + "\n").encode())
    return problems


def _read(row: Any, root: Path, archives: Archives, rule: ResizeRule) -> Pixels | str:
    """Return the pixels of an index row, or why it is unreadable."""
    name = bytes(row["name"]).decode(errors="replace")
    try:
        data = read_image(root, archives, row)
        pixels, _ = decode_image(data, apply_exif=rule.apply_exif, suffix=Path(name).suffix)
        return resize_and_crop(pixels, SIDE, rule.resample)
    except UnreadableImageError as error:
        return f"{name}: {' '.join(str(error).split())}"


@torch.inference_mode()
def _top_ids(
    ensemble: Sequence[EnsembleMember],
    chunk: list[Pixels | str],
    ids: npt.NDArray[np.integer[Any]],
) -> Iterator[list[int]]:
    """Yield each image's five most probable class ids, or zeros."""
    count = min(TOP_K, len(ids))
    readable = [image for image in chunk if not isinstance(image, str)]
    ranked = iter(ids[_rank(ensemble, np.array(readable))].tolist() if readable else [])
    for image in chunk:
        yield [0] * count if isinstance(image, str) else next(ranked)


def _rank(ensemble: Sequence[EnsembleMember], images: Pixels) -> npt.NDArray[np.int64]:
    """(n, 256, 256, 3) uint8 → (n, 5) labels."""
    device = ensemble[0].mean.device
    pixels = torch.from_numpy(images).to(device)
    total = torch.zeros((), dtype=torch.float64, device=device)
    for member in ensemble:
        with pick_autocast(member.description.precision, device):
            total = total + predict_views(member.net, pixels, member.mean)[0]
    labels: npt.NDArray[np.int64] = rank_labels((total / len(ensemble)).float())[0].cpu().numpy()
    return labels
