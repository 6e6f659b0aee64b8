"""Figure 4, right: the training images nearest to a query in the last hidden layer, and in pixels.

All training images pass by once, in batches; of each query only the nearest so far are kept.
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

QUERIES = 5  # as many rows as the paper's figure has
NEAREST = 6  # and as many columns beside the query
BATCH = 32


@dataclass(frozen=True)
class Nearest:
    """The k rows nearest to each query among all that were seen, the nearest first.

    queries (q, d) float64; squared (q, k) float64, Euclidean distances squared; records (q, k)
    int64. Of equal distances the one seen first is nearer.
    """

    queries: Tensor
    squared: Tensor
    records: Tensor

    @classmethod
    def of(cls, queries: Tensor) -> "Nearest":
        """Nothing seen yet. queries (q, d) of any type."""
        nothing = torch.empty(len(queries), 0, device=queries.device)
        return cls(queries.double(), nothing.double(), nothing.long())

    def among(self, rows: Tensor, records: Tensor, k: int = NEAREST) -> "Nearest":
        """What is nearest when rows (n, d), whose numbers are `records` (n,), were seen, too."""
        numbers = records.to(rows.device).expand(len(self.queries), -1)
        squared = torch.cat([self.squared, squared_distances(self.queries, rows)], dim=1)
        order = squared.argsort(dim=1, stable=True)[:, :k]
        numbers = torch.cat([self.records, numbers], dim=1).gather(1, order)
        return replace(self, squared=squared.gather(1, order), records=numbers)


def squared_distances(queries: Tensor, rows: Tensor) -> Tensor:
    """|q − r|² of each pair, (q, n) float64. Of pixel values 0–255 it is exact.

    By |q|² − 2 q·r + |r|²: of pixels every term is an integer below 2⁵³.
    """
    q, r = queries.double(), rows.double()
    squared = q.square().sum(dim=1)[:, None] - 2 * q @ r.T + r.square().sum(dim=1)
    return squared.clamp_min(0)


def evenly(records: Integers, count: int) -> Integers:
    """`count` of these records, or all where there are fewer, the same distance apart."""
    count = min(count, len(records))
    return records[np.arange(count) * len(records) // max(count, 1)]


def hidden(net: AlexNet, shards: Shards, records: Integers, mean: Tensor) -> Tensor:
    """The last hidden layer's activations of some records: (n, 4096) float32, on the CPU."""
    batches = [features.cpu() for _, features, _ in _seen(net, shards, records, mean)]
    return torch.cat(batches) if batches else torch.empty(0, net.neurons)


def search(
    net: AlexNet, train: Shards, val: Shards, queries: Integers, mean: Tensor, sample: int
) -> tuple[dict[str, Nearest], Tensor]:
    """What is nearest to the val records `queries` among train's, in "features" and in "pixels".

    Features are those of `hidden`, pixels the centre crop that the net saw, 0–255. Beside them the
    activations of the first `sample` training records, which were shuffled once for all.
    """
    asked = [(some, patches.clone()) for patches, some, _ in _seen(net, val, queries, mean)]
    features, pixels = (Nearest.of(torch.cat(some)) for some in zip(*asked, strict=True))
    first = torch.empty(min(sample, len(train)), net.neurons)
    with progress(len(train), "retrieve") as advance:
        for patches, activations, part in _seen(net, train, train.records, mean):
            records = torch.from_numpy(train.records[part])
            features = features.among(activations, records)
            pixels = pixels.among(patches, records)
            kept = first[part]
            kept.copy_(activations[: len(kept)])
            advance(len(records))
    return {"features": features, "pixels": pixels}, first


def write_neighbours(path: Path, queries: Integers, found: Mapping[str, Nearest]) -> None:
    """A CSV row a neighbour: query (record of val), space, rank, record (of train), distance."""
    lines = ["query,space,rank,record,distance"]
    for n, query in enumerate(queries.tolist()):
        for space, nearest in found.items():
            pairs = zip(nearest.records[n].tolist(), nearest.squared[n].tolist(), strict=True)
            for rank, (record, squared) in enumerate(pairs, 1):
                lines.append(f"{query},{space},{rank},{record},{squared**0.5:.6g}")
    write_atomically(path, "\n".join(lines).encode() + b"\n")


@torch.no_grad()
def _seen(
    net: AlexNet, shards: Shards, records: Integers, mean: Tensor
) -> Iterator[tuple[Tensor, Tensor, slice]]:
    """Of each batch the centre crops (n, 224 · 224 · 3) uint8, and what the net makes of them.

    The crops are good until the next batch but one, as those of `loader.load_crops`.
    """
    net.eval()
    with _last_hidden(net) as outputs:
        parts = split_batches(len(records), BATCH)
        pin = mean.device.type == "cuda"
        for there, part in move_batches(load_images(shards, records, parts, pin), mean.device):
            net(crop_centre_view(there, mean, net.crop))
            yield centre_crop(there, net.crop).flatten(1), net.active(outputs.pop()).float(), part


@contextmanager
def _last_hidden(net: AlexNet) -> Iterator[list[Tensor]]:
    """Collects what fc7 gives out, before its activation, and before dropout's factor at test."""
    outputs: list[Tensor] = []
    hook = net.fc7.register_forward_hook(lambda _layer, _input, output: outputs.append(output))
    try:
        yield outputs
    finally:
        hook.remove()
