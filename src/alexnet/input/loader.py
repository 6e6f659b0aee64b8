"""Load batches of uint8 images ahead of their use."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from alexnet.dataset.manifest import Integers
from alexnet.dataset.shards import SIDE, Shards
from alexnet.input.epoch import EpochPlan

AHEAD = 2  # batches that are filled while one is in use
RING = AHEAD + 2  # buffers: the one before is still good
PREFETCHED = 32  # records asked of the disk ahead of the one that is copied: 6 MB

Batch = tuple[Tensor, slice]


def crops(
    shards: Shards, choices: EpochPlan, parts: Sequence[slice], crop: int, pin: bool
) -> Iterator[Batch]:
    """The crops of these parts of the epoch, (n, crop, crop, 3) uint8, each with its part.

    A batch is good until the next but one is asked for. Raises InputError where a record is
    damaged.
    """
    records = shards.records[choices.order.numpy()]
    return _ring(shards, records, choices.tops.numpy(), choices.lefts.numpy(), parts, crop, pin)


def squares(
    shards: Shards, records: Integers, parts: Sequence[slice], pin: bool = False
) -> Iterator[Batch]:
    """The whole 256×256 images of these parts of `records`, as `crops` gives them."""
    corners = np.zeros(len(records), np.int64)
    return _ring(shards, records, corners, corners, parts, SIDE, pin)


def moved(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """The batches on `device`. To a GPU they go beside its work, on a stream of their own.

    The loader fills a buffer again two batches later: by then its copy must have left it.
    """
    if device.type != "cuda":
        yield from batches
        return
    copying = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    working = torch.cuda.current_stream(device)
    copied: list[torch.cuda.Event] = []
    for batch, part in batches:
        with torch.cuda.stream(copying):
            there = batch.to(device, non_blocking=True)
            copied.append(copying.record_event())
        working.wait_event(copied[-1])
        there.record_stream(working)
        yield there, part
        if len(copied) == 2:
            copied.pop(0).synchronize()


def _ring(
    shards: Shards,
    records: Integers,
    tops: Integers,
    lefts: Integers,
    parts: Sequence[slice],
    side: int,
    pin: bool,
) -> Iterator[Batch]:
    """Fill reused buffers ahead, in a thread: fresh ones would cost page faults."""
    places = np.concatenate([np.arange(part.start, part.stop) for part in parts] or [tops[:0]])
    work = _Work(shards, records[places], tops[places], lefts[places])
    counts = [part.stop - part.start for part in parts]
    firsts = np.cumsum([0, *counts])
    shape = (max(counts, default=0), side, side, 3)
    ring = [_buffer(shape, pin) for _ in range(RING)]
    pool = ThreadPoolExecutor(1, "loader")
    fills: deque[Future[Tensor]] = deque()

    def begin(n: int) -> None:
        if n < len(parts):
            fills.append(pool.submit(work.fill, ring[n % RING][: counts[n]], int(firsts[n])))

    try:
        for n in range(AHEAD):
            begin(n)
        for n, part in enumerate(parts):
            batch = fills.popleft().result()
            begin(n + AHEAD)
            yield batch, part
    finally:
        pool.shutdown(cancel_futures=True)


def _buffer(shape: tuple[int, ...], pin: bool) -> Tensor:
    """Numpy's memory comes in huge pages where the system has them, PyTorch's does not."""
    if pin:
        return torch.empty(shape, dtype=torch.uint8, pin_memory=True)
    return torch.from_numpy(np.empty(shape, np.uint8))


@dataclass(frozen=True)
class _Work:
    """What is to be copied, in turn: of records (n,) the squares at tops, lefts (n,), all int64."""

    shards: Shards
    records: Integers
    tops: Integers
    lefts: Integers

    def fill(self, batch: Tensor, first: int) -> Tensor:
        """Copy what comes from place `first` on, the disk always the same way ahead."""
        if first == 0:
            self.shards.prefetch(self.records[:PREFETCHED])
        for n in range(0, len(batch), PREFETCHED):
            some = batch[n : n + PREFETCHED].numpy()
            now = slice(first + n, first + n + len(some))
            self.shards.prefetch(self.records[now.start + PREFETCHED : now.stop + PREFETCHED])
            self.shards.gather(self.records[now], self.tops[now], self.lefts[now], some)
        return batch
