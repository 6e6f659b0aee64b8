"""Predict every image of a split, on one process or several."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.dataset.shards import SIDE, Shards
from alexnet.inference.ten_views import crop_centre_view, predict_views
from alexnet.inference.top_k import TOP_K, is_error, rank_labels
from alexnet.input.epoch import split_batches
from alexnet.input.loader import load_images, move_batches
from alexnet.model.alexnet import AlexNet
from alexnet.model.towers import all_reduce_sum
from alexnet.runtime.errors import InputError
from alexnet.runtime.progress import Advance, progress

BATCH = 32
MAX_TABLE_BYTES = 2**30  # of probabilities: ILSVRC's take 200 and 600 MB, Fall 2011's 600 GB

PredictBatch = Callable[[Tensor, slice], list[Tensor]]


@dataclass(frozen=True)
class Predictions:
    """Predictions for the images of a split, in record order.

    records, labels (n,) int64. top (n, 5) int64, top_probabilities (n, 5) float32: the most
    probable labels by the mean softmax output of ten views. centre_top (n, 5) int64: by the centre
    view, None if not evaluated. probabilities (n, classes) float32: the means themselves, None if
    they would take more than MAX_TABLE_BYTES.
    """

    records: Tensor
    labels: Tensor
    top: Tensor
    top_probabilities: Tensor
    centre_top: Tensor | None
    probabilities: Tensor | None


@torch.no_grad()
def predict(net: AlexNet, shards: Shards, mean: Tensor, batch: int = BATCH) -> Predictions:
    """Predict every image by ten views and by the centre view.

    The result is the same on all ranks and counts each image once. Labels are ranked by the
    float32 probabilities that are kept, so that a reader of the table gets the same counts. Raises
    InputError if the net outputs NaN or infinity, or has fewer classes than `shards`.
    """
    check_labels(shards, net.config.classes)
    keep_table = 4 * len(shards) * net.config.classes <= MAX_TABLE_BYTES

    def predict_batch(images: Tensor, _: slice) -> list[Tensor]:
        ten, centre = (p.float() for p in predict_views(net, images, mean))
        found = [*rank_labels(ten), rank_labels(centre)[0]]
        return [*found, ten] if keep_table else found

    with progress(len(shards), "evaluate") as advance:
        tables = _predict_split(net, shards, mean, batch, predict_batch, advance)
        top, top_probabilities, centre_top, *probabilities = [table.cpu() for table in tables]
    if not bool(top_probabilities.isfinite().all()):
        what = "the model in data/train outputs NaN or infinity"
        raise InputError(what, "dvc repro -f train")
    return Predictions(
        records=torch.from_numpy(shards.records),
        labels=record_labels(shards),
        top=top,
        top_probabilities=top_probabilities,
        centre_top=centre_top,
        probabilities=probabilities[0] if keep_table else None,
    )


def count_errors(predictions: Predictions) -> dict[str, int]:
    """Count top-1 and top-5 errors.

    Keys: top1_wrong and top5_wrong by ten views, and, if evaluated, center_top1_wrong and
    center_top5_wrong by the centre view.
    """
    tops = {"": predictions.top, "center_": predictions.centre_top}
    return {
        f"{prefix}top{k}_wrong": int(is_error(top, predictions.labels, k).sum())
        for prefix, top in tops.items()
        if top is not None
        for k in (1, TOP_K)
    }


@torch.no_grad()
def evaluate_centre_view(
    net: AlexNet, shards: Shards, mean: Tensor, batch: int = BATCH
) -> dict[str, float]:
    """Return loss and errors on the centre view, for the schedule.

    Keys: val_loss, top1_error and top5_error in %. The same bits on all ranks, and in one process.
    """
    labels = record_labels(shards).to(mean.device)

    def measure_batch(images: Tensor, rows: slice) -> list[Tensor]:
        logits = net(crop_centre_view(images, mean, net.config.crop)).double()
        loss = F.cross_entropy(logits, labels[rows], reduction="none")
        top, _ = rank_labels(logits)
        errors = (is_error(top, labels[rows], k).double() for k in (1, TOP_K))
        return [torch.stack([loss, *errors], dim=1)]

    (table,) = _predict_split(net, shards, mean, batch, measure_batch)
    loss, top1, top5 = (table.sum(dim=0) / len(labels)).tolist()
    return {"val_loss": loss, "top1_error": 100 * top1, "top5_error": 100 * top5}


def check_labels(shards: Shards, classes: int) -> None:
    """Raise InputError if `shards` have a label that the net lacks."""
    if (last := int(shards.labels.max())) >= classes:
        what = f"{shards.folder} has label {last}, but the net has only {classes} classes"
        raise InputError(what, "dvc repro")


def record_labels(shards: Shards) -> Tensor:
    """Return the label of each record, in order, (n,) int64."""
    return torch.from_numpy(shards.labels[shards.records]).long()


def _predict_split(
    net: AlexNet,
    shards: Shards,
    mean: Tensor,
    batch: int,
    predict_batch: PredictBatch,
    advance: Advance = lambda _: None,
) -> list[Tensor]:
    """Collect the outputs of `predict_batch` in tables, a row for each image.

    It gets images (n, 256, 256, 3) uint8 and their rows; all is on the device. Whole batches are
    dealt out to the parts in turn, and their tables, zero elsewhere, are added up: no image is
    padded or seen twice, and each is computed in the same batch as in one process.
    """
    net.eval()
    count, done, device = len(shards), 0, mean.device
    parts = split_batches(count, batch)[net.layout.replica :: net.layout.replicas]
    no_images = torch.zeros(0, SIDE, SIDE, 3, dtype=torch.uint8, device=device)
    outputs = predict_batch(no_images, slice(0, 0))
    tables = [output.new_zeros(count, *output.shape[1:]) for output in outputs]
    batches = load_images(shards, shards.records, parts, pin=device.type == "cuda")
    for images, rows in move_batches(batches, device):
        for table, output in zip(tables, predict_batch(images, rows), strict=True):
            table[rows] = output
        advance(rows.stop - done)  # counts the batches of the other parts too
        done = rows.stop
    for table in tables:
        all_reduce_sum([table], net.layout.replica_group)
    advance(count - done)
    return tables
