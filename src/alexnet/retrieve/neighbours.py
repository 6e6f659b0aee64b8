"""Figure 4, right: the training images nearest to a query by fc7's activations and by pixels.

All training images are read once, in batches; only the nearest so far are kept for each query.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from alexnet.dataset.manifest import Integers
from alexnet.dataset.shards import Shards
from alexnet.inference.ten_views import crop_centre_view
from alexnet.input.augment import centre_crop
from alexnet.input.epoch import split_batches
from alexnet.input.loader import load_images, move_batches
from alexnet.model.alexnet import AlexNet
from alexnet.runtime.files import write_atomically
from alexnet.runtime.progress import progress

QUERIES = 5  # rows of the paper's figure
NEIGHBOURS = 6  # columns beside the query
BATCH = 32


@dataclass(frozen=True)
class Nearest:
    """The rows nearest to each query among all rows so far, nearest first.

    queries (q, d) float64; squared (q, k) float64, squared Euclidean distances; records (q, k)
    int64. Among equal distances the row that came first is nearer.
    """

    queries: Tensor
    squared: Tensor
    records: Tensor

    @classmethod
    def of_no_rows(cls, queries: Tensor) -> "Nearest":
        """Return the state before the first row. queries (q, d), any dtype."""
        empty = torch.empty(len(queries), 0, device=queries.device)
        return cls(queries.double(), empty.double(), empty.long())

    def updated(self, rows: Tensor, records: Tensor, k: int = NEIGHBOURS) -> "Nearest":
        """Return the k nearest after rows (n, d), whose record numbers are `records` (n,)."""
        numbers = records.to(rows.device).expand(len(self.queries), -1)
        squared = torch.cat([self.squared, squared_distances(self.queries, rows)], dim=1)
        order = squared.argsort(dim=1, stable=True)[:, :k]
        numbers = torch.cat([self.records, numbers], dim=1).gather(1, order)
        return replace(self, squared=squared.gather(1, order), records=numbers)


def squared_distances(queries: Tensor, rows: Tensor) -> Tensor:
    """Return the squared Euclidean distance of each pair, (q, n) float64.

    Computed as |q|² − 2 q·r + |r|², which is exact for pixel values 0–255: every term is an integer
    below 2⁵³.
    """
    q, r = queries.double(), rows.double()
    squared = q.square().sum(dim=1)[:, None] - 2 * q @ r.T + r.square().sum(dim=1)
    return squared.clamp_min(0)


def pick_evenly_spaced(records: Integers, count: int) -> Integers:
    """Return `count` of the records at equal distances, or all if there are fewer."""
    count = min(count, len(records))
    return records[np.arange(count) * len(records) // max(count, 1)]


def fc7_activations(net: AlexNet, shards: Shards, records: Integers, mean: Tensor) -> Tensor:
    """Return fc7's activations of the records' centre views: (n, 4096) float32, on the CPU."""
    batches = [features.cpu() for _, features, _ in _features(net, shards, records, mean)]
    return torch.cat(batches) if batches else torch.empty(0, net.config.layer_neurons)


def find_nearest(
    net: AlexNet, train: Shards, val: Shards, queries: Integers, mean: Tensor, sample: int
) -> tuple[dict[str, Nearest], Tensor]:
    """Return the training records nearest to val's records `queries`, in two spaces.

    "features" are fc7's activations; "pixels" the centre crop that the net sees, 0–255. The second
    result is fc7's activations of the first `sample` training records (training records are
    shuffled), (sample, 4096) float32 on the CPU.
    """
    batches = [(pixels.clone(), f) for pixels, f, _ in _features(net, val, queries, mean)]
    pixels, features = (Nearest.of_no_rows(torch.cat(x)) for x in zip(*batches, strict=True))
    first = torch.empty(min(sample, len(train)), net.config.layer_neurons)
    with progress(len(train), "retrieve") as advance:
        for crops, activations, part in _features(net, train, train.records, mean):
            records = torch.from_numpy(train.records[part])
            features = features.updated(activations, records)
            pixels = pixels.updated(crops, records)
            kept = first[part]
            kept.copy_(activations[: len(kept)])
            advance(len(records))
    return {"features": features, "pixels": pixels}, first


def write_neighbours(path: Path, queries: Integers, nearest: Mapping[str, Nearest]) -> None:
    """Write a CSV row per neighbour: query (val record), space, rank, train record, distance."""
    lines = ["query,space,rank,record,distance"]
    for n, query in enumerate(queries.tolist()):
        for space, found in nearest.items():
            pairs = zip(found.records[n].tolist(), found.squared[n].tolist(), strict=True)
            for rank, (record, squared) in enumerate(pairs, 1):
                lines.append(f"{query},{space},{rank},{record},{squared**0.5:.6g}")
    write_atomically(path, "\n".join(lines).encode() + b"\n")


@torch.no_grad()
def _features(
    net: AlexNet, shards: Shards, records: Integers, mean: Tensor
) -> Iterator[tuple[Tensor, Tensor, slice]]:
    """Yield batches of centre crops, fc7's activations and positions in `records`.

    Crops are (n, 224 · 224 · 3) uint8, activations (n, 4096) float32. A batch's crops are
    overwritten by the batch after the next, as those of `load_crops`.
    """
    net.eval()
    crop = net.config.crop
    with _fc7_outputs(net) as outputs:
        parts = split_batches(len(records), BATCH)
        pin = mean.device.type == "cuda"
        for images, part in move_batches(load_images(shards, records, parts, pin), mean.device):
            net(crop_centre_view(images, mean, crop))
            activations = net.activation(outputs.pop()).float()
            yield centre_crop(images, crop).flatten(1), activations, part


@contextmanager
def _fc7_outputs(net: AlexNet) -> Iterator[list[Tensor]]:
    """Collect fc7's outputs, before its activation and before dropout's factor at test."""
    outputs: list[Tensor] = []
    hook = net.fc7.register_forward_hook(lambda _layer, _input, output: outputs.append(output))
    try:
        yield outputs
    finally:
        hook.remove()
