"""Short binary codes of fc7's activations by an auto-encoder (the last remark of section 6.1).

After Krizhevsky and Hinton, "Using very deep autoencoders for content-based image retrieval"
(2011), in small: one hidden layer each way and a logistic bottleneck. Its outputs are rounded to 0
and 1 in the forward pass; the gradient ignores the rounding. Codes by random hyperplanes, which
learn nothing, are the control.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from alexnet.retrieve.neighbours import Nearest
from alexnet.runtime.files import write_atomically

MAX_ROWS = 50_000  # training images that are coded and searched
MAX_QUERIES = 1_000  # validation images whose neighbours are searched
NEIGHBOURS = 10  # Euclidean neighbours of a query that a code should find
BITS = (32, 64, 128)
CANDIDATES = (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)

HIDDEN, EPOCHS, BATCH, LR = 256, 8, 64, 3e-3  # chosen by trial on the miniature
QUERY_CHUNK = 64  # queries whose distances to all rows are in memory at once
ROW_CHUNK = 4096  # rows whose distances to all queries are

Coder = Callable[[Tensor], Tensor]  # (n, d) → (n, bits) bool


@dataclass(frozen=True)
class Recall:
    """The share (0–1) of the nearest neighbours among the `candidates` nearest by the code."""

    code: str
    bits: int
    candidates: int
    recall: float


class Autoencoder(nn.Module):
    """inputs → HIDDEN → bits → HIDDEN → inputs."""

    def __init__(self, inputs: int, bits: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, bits))
        self.decoder = nn.Sequential(nn.Linear(bits, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, inputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return the reconstruction of x (n, inputs) from its code."""
        logistic = torch.sigmoid(self.encoder(x))
        rounded = logistic + (logistic.round() - logistic).detach()
        out: Tensor = self.decoder(rounded)
        return out

    @torch.no_grad()
    def code(self, x: Tensor) -> Tensor:
        """Return the codes of x (n, inputs): (n, bits) bool."""
        out: Tensor = self.encoder(x) > 0
        return out


def train_autoencoder(x: Tensor, bits: int, seed: int) -> Coder:
    """Return the encoder of an auto-encoder trained on x (n, d) with squared error."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Autoencoder(x.shape[1], bits).to(x.device)
    optimizer = torch.optim.Adam(net.parameters(), LR)
    steps = EPOCHS * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, steps)
    for _ in range(EPOCHS):
        for batch in _split(torch.randperm(len(x), generator=generator).to(x.device), BATCH):
            optimizer.zero_grad()
            loss = F.mse_loss(net(x[batch]), x[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return net.code


def random_hyperplanes(x: Tensor, bits: int, seed: int) -> Coder:
    """Return a coder by sides of random hyperplanes in the space of x (n, d)."""
    generator = torch.Generator().manual_seed(seed)
    normals = torch.randn(x.shape[1], bits, generator=generator).to(x.device)
    return lambda points: points @ normals > 0


def compute_recalls(rows: Tensor, queries: Tensor, seed: int) -> Iterator[Recall]:
    """Yield the recall of each code for each number of candidates.

    Codes are learnt from rows (n, d), which are searched; queries (q, d) are other images. Both are
    centred on the mean of the rows and divided by one number, which changes no neighbour.
    """
    mean = rows.mean(dim=0)
    scale = (rows - mean).square().mean().sqrt().clamp_min(1e-12)
    x, q = (rows - mean) / scale, (queries - mean) / scale
    nearest = find_euclidean_neighbours(rows, queries)
    for name, learn in (("auto-encoder", train_autoencoder), ("hyperplanes", random_hyperplanes)):
        for bits in BITS:
            coder = learn(x, bits, seed)
            ranks = rank_neighbours(nearest, order_by_hamming_distance(coder(q), coder(x)))
            for candidates in (count for count in CANDIDATES if count < len(rows)):
                recall = (ranks < candidates).double().mean().item()
                yield Recall(name, bits, candidates, recall)


def _split(x: Tensor, size: int) -> tuple[Tensor, ...]:
    return x.split(size)  # type: ignore[no-untyped-call,no-any-return]


def find_euclidean_neighbours(rows: Tensor, queries: Tensor) -> Tensor:
    """Return the indices of the rows nearest to each query, nearest first: (q, NEIGHBOURS)."""
    nearest = Nearest.of_no_rows(queries)
    indices = torch.arange(len(rows))
    for chunk, of_chunk in zip(_split(rows, ROW_CHUNK), _split(indices, ROW_CHUNK), strict=True):
        nearest = nearest.updated(chunk, of_chunk, NEIGHBOURS)
    return nearest.records


def order_by_hamming_distance(queries: Tensor, rows: Tensor) -> Iterator[Tensor]:
    """Yield all rows ordered by Hamming distance, nearest first: (≤ QUERY_CHUNK, n) int64.

    queries (q, bits), rows (n, bits) bool. Among equal distances the lower row comes first, which
    favours no image since the training set is shuffled.
    """
    ones = rows.float()
    for chunk in _split(queries.float(), QUERY_CHUNK):
        differing = chunk.sum(dim=1)[:, None] + ones.sum(dim=1) - 2 * chunk @ ones.T
        yield differing.argsort(dim=1, stable=True)


def rank_neighbours(nearest: Tensor, orders: Iterable[Tensor]) -> Tensor:
    """Return the ranks, from 0, of the neighbours `nearest` in each query's order.

    nearest (q, k); orders as by `order_by_hamming_distance`. The result is (q, k) int64.
    """
    pairs = zip(_split(nearest, QUERY_CHUNK), orders, strict=True)
    return torch.cat([order.argsort(dim=1).gather(1, chunk) for chunk, order in pairs])


def write_recalls(path: Path, found: Iterable[Recall]) -> None:
    """Write a CSV with the columns code, bits, candidates and recall."""
    rows = (f"{r.code},{r.bits},{r.candidates},{r.recall:.6f}" for r in found)
    write_atomically(path, "\n".join(["code,bits,candidates,recall", *rows]).encode() + b"\n")


def print_recalls(found: Sequence[Recall], rows: int) -> None:
    """Print each code's recall in %, by number of candidates."""
    candidates = sorted({r.candidates for r in found})
    table = Table("recall (%) among", "bits", *(f"{count:,}" for count in candidates))
    for (code, bits), of_code in groupby(found, key=lambda r: (r.code, r.bits)):
        table.add_row(code, str(bits), *(f"{100 * r.recall:.0f}" for r in of_code))
    Console().print(table, f"{rows:,} images; the {NEIGHBOURS} nearest to each query are searched")
