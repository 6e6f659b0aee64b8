"""Section 6.1's closing remark: short binary codes of the last hidden layer by an auto-encoder.

As Krizhevsky and Hinton, "Using very deep autoencoders for content-based image retrieval" (2011),
in small: one hidden layer each way, and a logistic bottleneck whose outputs are rounded to 0 and 1
on the way forward, while the gradient passes as if they were not. Random hyperplanes, which learn
nothing, stand beside it as a control.
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

SAMPLE = 50_000  # training images at most that are coded, and searched
QUERIES = 1_000  # validation images at most whose neighbours are looked for
NEAREST = 10  # Euclidean neighbours that should be found again
BITS = (32, 64, 128)
CANDIDATES = (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)

HIDDEN, EPOCHS, BATCH, RATE = 256, 8, 64, 3e-3  # by trial, on the miniature
ROWS = 64  # queries whose distances to all rows are held at once
MANY = 4096  # rows whose distances from all queries are

Coder = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Recall:
    """How much of the nearest `candidates` nearest by Hamming distance hold; `recall` in 0–1."""

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
        """(n, inputs) → the same, made again from its code."""
        logistic = torch.sigmoid(self.encoder(x))
        rounded = logistic + (logistic.round() - logistic).detach()
        out: Tensor = self.decoder(rounded)
        return out

    @torch.no_grad()
    def code(self, x: Tensor) -> Tensor:
        """(n, inputs) → (n, bits) bool."""
        out: Tensor = self.encoder(x) > 0
        return out


def autoencoder(x: Tensor, bits: int, seed: int) -> Coder:
    """Codes learnt from x (n, d), to make it again with the least squared error."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Autoencoder(x.shape[1], bits).to(x.device)
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    steps = EPOCHS * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, steps)
    for _ in range(EPOCHS):
        for some in _parts(torch.randperm(len(x), generator=generator).to(x.device), BATCH):
            optimizer.zero_grad()
            loss = F.mse_loss(net(x[some]), x[some])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return net.code


def hyperplanes(x: Tensor, bits: int, seed: int) -> Coder:
    """The sides of random hyperplanes through the origin on which x (n, d) lies."""
    generator = torch.Generator().manual_seed(seed)
    normals = torch.randn(x.shape[1], bits, generator=generator).to(x.device)
    return lambda some: some @ normals > 0


def recalls(rows: Tensor, queries: Tensor, seed: int) -> Iterator[Recall]:
    """Of each kind and length of code, and number of candidates, what they find again.

    rows (n, d) are coded, learnt from and searched; queries (q, d) are not among them. Both are
    first centred on the mean of the rows and divided by one number, which moves no neighbour.
    """
    mean = rows.mean(dim=0)
    unit = (rows - mean).square().mean().sqrt().clamp_min(1e-12)
    x, q = (rows - mean) / unit, (queries - mean) / unit
    nearest = euclidean(rows, queries)
    for name, learn in (("auto-encoder", autoencoder), ("hyperplanes", hyperplanes)):
        for bits in BITS:
            coder = learn(x, bits, seed)
            places = places_of(nearest, hamming_orders(coder(q), coder(x)))
            for candidates in (c for c in CANDIDATES if c < len(rows)):
                found = (places < candidates).double().mean().item()
                yield Recall(name, bits, candidates, found)


def _parts(x: Tensor, size: int) -> tuple[Tensor, ...]:
    return x.split(size)  # type: ignore[no-untyped-call,no-any-return]


def euclidean(rows: Tensor, queries: Tensor) -> Tensor:
    """The numbers of the rows nearest to each query, the nearest first: (q, NEAREST) int64."""
    nearest = Nearest.of(queries)
    numbers = torch.arange(len(rows))
    for some, theirs in zip(_parts(rows, MANY), _parts(numbers, MANY), strict=True):
        nearest = nearest.among(some, theirs, NEAREST)
    return nearest.records


def hamming_orders(queries: Tensor, rows: Tensor) -> Iterator[Tensor]:
    """Of some queries at a time all rows, the nearest first: (≤ ROWS, n) int64.

    queries (q, bits), rows (n, bits) bool. Of equal distances the lower row comes first; the
    training set is shuffled, so that this favours none.
    """
    ones = rows.float()
    for some in _parts(queries.float(), ROWS):
        differing = some.sum(dim=1)[:, None] + ones.sum(dim=1) - 2 * some @ ones.T
        yield differing.argsort(dim=1, stable=True)


def places_of(nearest: Tensor, orders: Iterable[Tensor]) -> Tensor:
    """Where in each query's order its neighbours stand, (q, k) int64, 0 being the first."""
    parts = zip(_parts(nearest, ROWS), orders, strict=True)
    return torch.cat([order.argsort(dim=1).gather(1, some) for some, order in parts])


def write_codes(path: Path, found: Iterable[Recall]) -> None:
    """A CSV row each: code, bits, candidates, recall."""
    rows = (f"{r.code},{r.bits},{r.candidates},{r.recall:.6f}" for r in found)
    write_atomically(path, "\n".join(["code,bits,candidates,recall", *rows]).encode() + b"\n")


def print_table(found: Sequence[Recall], rows: int) -> None:
    """The recall of each code, in %, by the number of candidates."""
    tried = sorted({each.candidates for each in found})
    table = Table("found again, %, among", "bits", *(f"{candidates:,}" for candidates in tried))
    for (code, bits), some in groupby(found, key=lambda each: (each.code, each.bits)):
        table.add_row(code, str(bits), *(f"{100 * each.recall:.0f}" for each in some))
    Console().print(table, f"{rows:,} images, of which {NEAREST} are nearest to each query")
