"""Ten views, the mean of their softmax outputs, top-1 and top-5 errors (section 4.1)."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor

from alexnet.augment import CENTRE_VIEW, centre_view, ten_views
from alexnet.batches import squares
from alexnet.model import AlexNet
from alexnet.progress import progress
from alexnet.shards import Shards

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
    order = probabilities.argsort(dim=1, descending=True, stable=True)[:, :k]
    return int((order != labels[:, None]).all(dim=1).sum())


@torch.no_grad()
def predict(net: AlexNet, shards: Shards, mean: Tensor) -> Predictions:
    """The mean of the softmax outputs of ten views, and the centre view's, for every image."""
    net.eval()
    ten, centre = [], []
    with progress(len(shards), "evaluate") as advance:
        for images, _ in _batches(shards, mean.device):
            logits = net(ten_views(images, mean).flatten(0, 1)).double()
            views = F.softmax(logits, dim=1).view(len(images), 10, -1)
            ten.append(views.mean(dim=1).cpu())
            centre.append(views[:, CENTRE_VIEW].cpu())
            advance(len(images))
    records = torch.from_numpy(shards.records)
    labels = torch.from_numpy(shards.labels[shards.records]).long()
    return Predictions(records, labels, torch.cat(ten), torch.cat(centre))


@torch.no_grad()
def centre_errors(net: AlexNet, shards: Shards, mean: Tensor) -> dict[str, float]:
    """val_loss, top1_error and top5_error in % on the centre view: what the schedule looks at."""
    net.eval()
    labels = torch.from_numpy(shards.labels[shards.records]).long()
    logits = torch.cat(
        [
            net(centre_view(images, mean)).float().cpu()
            for images, _ in _batches(shards, mean.device)
        ]
    )
    return {
        "val_loss": float(F.cross_entropy(logits, labels)),
        "top1_error": 100 * top_k_wrong(logits, labels, 1) / len(labels),
        "top5_error": 100 * top_k_wrong(logits, labels, 5) / len(labels),
    }


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


def _batches(shards: Shards, device: torch.device) -> Iterator[tuple[Tensor, slice]]:
    for images, part in squares(shards, shards.records.tolist(), BATCH):
        yield images.to(device), part
