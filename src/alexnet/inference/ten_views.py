"""Ten views, the mean of their softmax outputs (section 4.1), on one device or several."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.dataset.shards import SIDE, Shards
from alexnet.inference.top_k import FIVE, likeliest, wrong
from alexnet.input.augment import views_of
from alexnet.input.epoch import batch_parts
from alexnet.input.loader import moved, squares
from alexnet.model.alexnet import AlexNet
from alexnet.model.towers import all_reduce_sum
from alexnet.runtime.errors import InputError
from alexnet.runtime.progress import Advance, progress

BATCH = 32
KEPT = 2**30  # bytes of a table of probabilities: ILSVRC's are 200 and 600 MB, Fall 2011's 600 GB

RowsOf = Callable[[Tensor, slice], list[Tensor]]


@dataclass(frozen=True)
class Predictions:
    """What a net says of each image of a split, in the order of the records.

    records, labels (n,) int64. top (n, 5) int64 and top_probabilities (n, 5) float32: the
    likeliest labels by the mean of the ten views' softmax outputs; centre_top (n, 5) int64: by the
    centre view, where that was looked at. probabilities (n, classes) float32: the means
    themselves, None where they would take more than KEPT bytes.
    """

    records: Tensor
    labels: Tensor
    top: Tensor
    top_probabilities: Tensor
    centre_top: Tensor | None
    probabilities: Tensor | None


def view_probabilities(net: AlexNet, images: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of the softmax outputs of ten views, and the centre view's: (n, classes) float64.

    images (n, 256, 256, 3) uint8; mean (256, 256, 3), 0–255. Of logits the mean is never taken.
    """
    logits = net(ten_views(images, mean, net.config.crop).flatten(0, 1)).double()
    views = F.softmax(logits, dim=1).view(len(images), 10, net.config.classes)
    return views.mean(dim=1), views[:, CENTRE_VIEW]


@torch.no_grad()
def predict(net: AlexNet, shards: Shards, mean: Tensor, batch: int = BATCH) -> Predictions:
    """What `net` says of every image of `shards`: the same on all ranks, each image counted once.

    Labels are ranked by the float32 probabilities that are kept: whoever reads them counts the
    same. Raises InputError where the net's outputs are no numbers, or it lacks classes.
    """
    check_labels(shards, net.config.classes)
    keeps = 4 * len(shards) * net.config.classes <= KEPT

    def rows_of(images: Tensor, _: slice) -> list[Tensor]:
        ten, centre = (each.float() for each in view_probabilities(net, images, mean))
        found = [*likeliest(ten), likeliest(centre)[0]]
        return [*found, ten] if keeps else found

    with progress(len(shards), "evaluate") as advance:
        tables = [t.cpu() for t in _tables(net, shards, mean, batch, rows_of, advance)]
    if not bool(tables[1].isfinite().all()):
        raise InputError("the model in data/train gives no numbers", "dvc repro -f train")
    kept = tables[3] if keeps else None
    records = torch.from_numpy(shards.records)
    return Predictions(records, _labels(shards), tables[0], tables[1], tables[2], kept)


def counts_of(predictions: Predictions) -> dict[str, int]:
    """How many labels are not the likeliest, and not among the five likeliest, by each rule.

    top1_wrong, top5_wrong and, where the centre view was looked at, the same with "center_".
    """
    tops = {"": predictions.top, "center_": predictions.centre_top}
    return {
        f"{rule}top{k}_wrong": int(wrong(top, predictions.labels, k).sum())
        for rule, top in tops.items()
        if top is not None
        for k in (1, FIVE)
    }


@torch.no_grad()
def centre_errors(
    net: AlexNet, shards: Shards, mean: Tensor, batch: int = BATCH
) -> dict[str, float]:
    """val_loss, top1_error and top5_error in % on the centre view: what the schedule looks at.

    The same numbers on all ranks, to the bit, as in one process.
    """
    labels = _labels(shards).to(mean.device)

    def rows_of(images: Tensor, rows: slice) -> list[Tensor]:
        logits = net(centre_view(images, mean, net.config.crop)).double()
        loss = F.cross_entropy(logits, labels[rows], reduction="none")
        top, _ = likeliest(logits)
        missed = (wrong(top, labels[rows], k).double() for k in (1, FIVE))
        return [torch.stack([loss, *missed], dim=1)]

    (found,) = _tables(net, shards, mean, batch, rows_of)
    loss, top1, top5 = (found.sum(dim=0) / len(labels)).tolist()
    return {"val_loss": loss, "top1_error": 100 * top1, "top5_error": 100 * top5}


def check_labels(shards: Shards, classes: int) -> None:
    """Raise InputError where `shards` have images of more classes than the net has."""
    if (last := int(shards.labels.max())) >= classes:
        what = f"{shards.folder} has images of label {last}, and the net {classes} classes"
        raise InputError(what, "dvc repro")


def _labels(shards: Shards) -> Tensor:
    return torch.from_numpy(shards.labels[shards.records]).long()


def _tables(
    net: AlexNet,
    shards: Shards,
    mean: Tensor,
    batch: int,
    rows_of: RowsOf,
    advance: Advance = lambda _: None,
) -> list[Tensor]:
    """Tables of what `rows_of` tells of the images (n, 256, 256, 3) and their rows, on the device.

    Of several ranks each part takes whole batches in turn, and the tables, zero elsewhere, are
    added up: no image is padded or seen twice, and its neighbours are those of one process.
    """
    net.eval()
    count, done, device = len(shards), 0, mean.device
    parts = batch_parts(count, batch)[net.layout.replica :: net.layout.replicas]
    nothing = torch.zeros(0, SIDE, SIDE, 3, dtype=torch.uint8, device=device)
    shapes = rows_of(nothing, slice(0, 0))
    pin = device.type == "cuda"
    tables = [one.new_zeros(count, *one.shape[1:]) for one in shapes]
    for images, rows in moved(squares(shards, shards.records, parts, pin), device):
        for table, found in zip(tables, rows_of(images, rows), strict=True):
            table[rows] = found
        advance(rows.stop - done)  # the others are as far
        done = rows.stop
    for table in tables:
        all_reduce_sum([table], net.layout.replica_group)
    advance(count - done)
    return tables


CENTRE_VIEW = 4  # of ten, after the corners


def ten_views(images: Tensor, mean: Tensor, crop: int = 224) -> Tensor:
    """Four corners, the centre, then the reflections of these five: (n, 10, 3, 224, 224) float32.

    images (n, 256, 256, 3) uint8; mean (256, 256, 3). Section 4.1.
    """
    x = images.float() - mean
    views = [x[:, top : top + crop, left : left + crop] for top, left in views_of(crop)]
    five = torch.stack(views, dim=1)
    return torch.cat([five, five.flip(3)], dim=1).permute(0, 1, 4, 2, 3)


def centre_view(images: Tensor, mean: Tensor, crop: int = 224) -> Tensor:
    """The centre 224×224, (n, 3, 224, 224) float32."""
    top, left = views_of(crop)[CENTRE_VIEW]
    x = images.float() - mean
    return x[:, top : top + crop, left : left + crop].permute(0, 3, 1, 2)
