"""Ten views, the mean of their softmax outputs, top-1 and top-5 errors (section 4.1)."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor

from alexnet.augment import CENTRE_VIEW, centre_view, ten_views
from alexnet.batches import squares
from alexnet.model import AlexNet
from alexnet.progress import progress
from alexnet.shards import Integers, Shards
from alexnet.towers import add_up

BATCH = 32


@dataclass(frozen=True)
class Predictions:
    """Of each image of a split: its record, label, and class probabilities by two rules.

    records, labels (n,) int64; ten_views, centre (n, classes) float64.
    """

    records: Tensor
    labels: Tensor
    ten_views: Tensor
    centre: Tensor


def top_k_wrong(probabilities: Tensor, labels: Tensor, k: int) -> int:
    """How many labels (n,) are not among the k most probable of (n, classes).

    Of equal probabilities the class of lower label is taken to be the more probable.
    """
    return int(_wrong(probabilities, labels, k).sum())


def _wrong(probabilities: Tensor, labels: Tensor, k: int) -> Tensor:
    order = probabilities.argsort(dim=1, descending=True, stable=True)[:, :k]
    return (order != labels[:, None]).all(dim=1)


def view_probabilities(net: AlexNet, images: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of the softmax outputs of ten views, and the centre view's: (n, classes) float64.

    images (n, 256, 256, 3) uint8; mean (256, 256, 3), 0–255. Of logits the mean is never taken.
    """
    logits = net(ten_views(images, mean, net.crop).flatten(0, 1)).double()
    views = F.softmax(logits, dim=1).view(len(images), 10, -1)
    return views.mean(dim=1), views[:, CENTRE_VIEW]


@torch.no_grad()
def predict(net: AlexNet, shards: Shards, mean: Tensor) -> Predictions:
    """The mean of the softmax outputs of ten views, and the centre view's, for every image."""
    net.eval()
    ten, centre = [], []
    with progress(len(shards), "evaluate") as advance:
        for images, _ in _batches(shards, shards.records, mean.device):
            means, centres = view_probabilities(net, images, mean)
            ten.append(means.cpu())
            centre.append(centres.cpu())
            advance(len(images))
    records = torch.from_numpy(shards.records)
    labels = torch.from_numpy(shards.labels[shards.records]).long()
    return Predictions(records, labels, torch.cat(ten), torch.cat(centre))


@torch.no_grad()
def centre_errors(net: AlexNet, shards: Shards, mean: Tensor) -> dict[str, float]:
    """val_loss, top1_error and top5_error in % on the centre view: what the schedule looks at.

    Of several ranks each part takes whole batches in turn, and what is found of each image is put
    together before it is added up: the same numbers on all, to the bit, as in one process.
    """
    net.eval()
    labels = torch.from_numpy(shards.labels[shards.records]).long()
    batch_of = np.arange(len(labels)) // BATCH
    here = np.flatnonzero(batch_of % net.place.parts == net.place.part)
    found = torch.zeros(len(labels), 3, dtype=torch.float64)
    for images, part in _batches(shards, shards.records[here], mean.device):
        logits, own = net(centre_view(images, mean, net.crop)).double().cpu(), here[part]
        wrong = (_wrong(logits, labels[own], k).double() for k in (1, 5))
        loss = F.cross_entropy(logits, labels[own], reduction="none")
        found[own] = torch.stack([loss, *wrong], dim=1)
    found = found.to(mean.device)
    add_up([found], net.place.along)
    loss, top1, top5 = (found.sum(dim=0) / len(labels)).tolist()
    return {"val_loss": loss, "top1_error": 100 * top1, "top5_error": 100 * top5}


def metrics(predictions: Predictions) -> dict[str, float]:
    """Errors in % by both rules, and the counts they come from."""
    n = len(predictions.labels)
    rules = {"": predictions.ten_views, "center_": predictions.centre}
    wrong = {
        f"{rule}top{k}": top_k_wrong(probabilities, predictions.labels, k)
        for rule, probabilities in rules.items()
        for k in (1, 5)
    }
    errors = {f"{name}_error": 100 * count / n for name, count in wrong.items()}
    return errors | {f"{name}_wrong": count for name, count in wrong.items()} | {"images": n}


def print_table(errors: Mapping[str, float]) -> None:
    """The errors of `metrics` as the paper sets them out."""
    table = Table("error on the validation images", "top-1", "top-5")
    for name, rule in (("ten views, mean of softmax", ""), ("centre view", "center_")):
        cells = (f"{errors[f'{rule}top{k}_error']:.1f} %" for k in (1, 5))
        table.add_row(name, *cells)
    Console().print(table, f"{errors['images']:,} images")


def write_predictions(path: Path, predictions: Predictions) -> None:
    """A CSV row an image: record, label, and its five most probable labels with probabilities."""
    top = predictions.ten_views.sort(dim=1, descending=True, stable=True)
    labels, probabilities = top.indices[:, :5].tolist(), top.values[:, :5].tolist()
    ranks = range(1, len(labels[0]) + 1)
    header = [f"{what}{rank}" for rank in ranks for what in ("label", "probability")]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["record", "label", *header])
        for n, pair in enumerate(zip(labels, probabilities, strict=True)):
            five = [value for label, p in zip(*pair, strict=True) for value in (label, f"{p:.6f}")]
            writer.writerow([int(predictions.records[n]), int(predictions.labels[n]), *five])


def _batches(
    shards: Shards, records: Integers, device: torch.device
) -> Iterator[tuple[Tensor, slice]]:
    for images, part in squares(shards, records.tolist(), BATCH):
        yield images.to(device), part
