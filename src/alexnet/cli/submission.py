"""Images without labels, as ILSVRC-2012's test tar → the file that its server takes (section 6)."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from alexnet.archives.reader import read_image
from alexnet.cli.photos import Rule, read_ahead
from alexnet.dataset.shards import SIDE, Pixels
from alexnet.index.class_archives import Archives, flat_rows
from alexnet.inference.ten_views import view_probabilities
from alexnet.inference.top_k import FIVE, likeliest
from alexnet.model.alexnet import AlexNet
from alexnet.model.precision import pick_autocast
from alexnet.model.weights import load_model
from alexnet.resize.decode import UnreadableImageError, square
from alexnet.runtime.errors import InputError
from alexnet.runtime.files import write_atomically
from alexnet.runtime.progress import progress

BATCH = 32


class Voter(NamedTuple):
    """A net, its mean image (256, 256, 3) on the same device, and what its file tells of it."""

    net: AlexNet
    mean: Tensor
    described: dict[str, Any]


def load_voters(paths: Sequence[Path], device: torch.device) -> list[Voter]:
    """The models of these files, or folders. Raises InputError where their classes differ."""
    voters = []
    for path in paths:
        net, moments, described = load_model(path)
        mean = torch.from_numpy(moments.mean_image).to(device)
        voters.append(Voter(net.to(device).eval(), mean, described))
        for part in ("synsets", "input"):
            if described[part] != voters[0].described[part]:
                what = f"{path} and {paths[0]} differ in their {part}"
                raise InputError(what, "name models that were trained on the same classes")
    return voters


def write_submission(path: Path, voters: Sequence[Voter], images: Path) -> list[str]:
    """Write a line for each of `images`, a tar or folder, in order of their names: five class ids.

    Of several voters the mean of their probabilities counts. An image that cannot be read keeps its
    line, of zeros, which are no class; returned is what was wrong with each. Raises InputError
    where there is no image, or the classes are not ILSVRC's.
    """
    ids = np.array([synset["devkit_id"] for synset in voters[0].described["synsets"]])
    if not ids.all():
        raise InputError("the model's classes have no ILSVRC ids", "name a model trained on ILSVRC")
    if not images.exists():
        raise InputError(f"{images} does not exist", "name the tar of the test images")
    archives: Archives = []
    rows = flat_rows(images.parent, images.name, archives)
    if not len(rows):
        raise InputError(f"{images} holds no image", "name the tar of the test images")
    rows = rows[np.argsort(rows["name"], kind="stable")]
    told = voters[0].described["input"]
    rule = Rule(told["resample"], told["apply_exif"])
    read = partial(_read, root=images.parent, archives=archives, rule=rule)
    lines, wrong = [], []
    with progress(len(rows), "submit") as advance:
        for some in read_ahead(rows, read, BATCH):
            lines += [" ".join(map(str, ids_of)) for ids_of in _answers(voters, some, ids)]
            wrong += [why for why in some if isinstance(why, str)]
            advance(len(some))
    write_atomically(path, ("\n".join(lines) + "\n").encode())
    return wrong


def _read(row: Any, root: Path, archives: Archives, rule: Rule) -> Pixels | str:
    """A row of the index → its pixels, or why there are none."""
    name = bytes(row["name"]).decode(errors="replace")
    try:
        data = read_image(root, archives, row)
        return square(data, SIDE, suffix=Path(name).suffix, **rule._asdict())[0]
    except UnreadableImageError as error:
        return f"{name}: {' '.join(str(error).split())}"


@torch.inference_mode()
def _answers(
    voters: Sequence[Voter], some: list[Pixels | str], ids: npt.NDArray[np.integer[Any]]
) -> Iterator[list[int]]:
    """Of each image the ids of its five likeliest classes, or zeros."""
    count = min(FIVE, len(ids))
    seen = [pixels for pixels in some if not isinstance(pixels, str)]
    answers = iter(ids[_ranked(voters, np.array(seen))].tolist() if seen else [])
    for each in some:
        yield [0] * count if isinstance(each, str) else next(answers)


def _ranked(voters: Sequence[Voter], images: Pixels) -> npt.NDArray[np.int64]:
    """(n, 256, 256, 3) → (n, 5) labels."""
    device = voters[0].mean.device
    pixels = torch.from_numpy(images).to(device)
    total = torch.zeros((), dtype=torch.float64, device=device)
    for voter in voters:
        with pick_autocast(voter.described["recipe"]["precision"], device):
            total = total + view_probabilities(voter.net, pixels, voter.mean)[0]
    labels: npt.NDArray[np.int64] = likeliest((total / len(voters)).float())[0].cpu().numpy()
    return labels
