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
from alexnet.input.augment import EpochPlan

BATCHES_AHEAD = 2  # batches filled while one is in use
BUFFERS = BATCHES_AHEAD + 2  # the previous batch stays valid too
RECORDS_AHEAD = 32  # records requested from the disk before they are copied: 6 MB

LoadedBatch = tuple[Tensor, slice]


def load_crops(
    shards: Shards, plan: EpochPlan, parts: Sequence[slice], crop: int, pin: bool
) -> Iterator[LoadedBatch]:
    """Yield the crops of each part of the epoch, with that part.

    Crops: (n, crop, crop, 3) uint8, valid until the next batch but one is requested. parts:
    positions in the plan's order. pin: use pinned memory, for copies to a GPU. Raises InputError
    if a record is corrupt.
    """
    records = shards.records[plan.order.numpy()]
    return _fill_buffers(
        _Crops(shards, records, plan.tops.numpy(), plan.lefts.numpy(), crop), parts, pin
    )


def load_images(
    shards: Shards, records: Integers, parts: Sequence[slice], pin: bool = False
) -> Iterator[LoadedBatch]:
    """Yield the whole images of each part of `records`, with that part.

    Images: (n, 256, 256, 3) uint8. Otherwise as `load_crops`.
    """
    zeros = np.zeros(len(records), np.int64)
    return _fill_buffers(_Crops(shards, records, zeros, zeros, SIDE), parts, pin)


def move_batches(batches: Iterator[LoadedBatch], device: torch.device) -> Iterator[LoadedBatch]:
    """Move the batches to `device`; copies to a GPU overlap its work.

    The copies have a stream of their own. The loader refills a buffer two batches later, so its
    copy has to be complete by then.
    """
    if device.type != "cuda":
        yield from batches
        return
    copy_stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    work_stream = torch.cuda.current_stream(device)
    copied: list[torch.cuda.Event] = []
    for batch, part in batches:
        with torch.cuda.stream(copy_stream):
            moved = batch.to(device, non_blocking=True)
            copied.append(copy_stream.record_event())
        work_stream.wait_event(copied[-1])
        moved.record_stream(work_stream)
        yield moved, part
        if len(copied) == 2:
            copied.pop(0).synchronize()


@dataclass(frozen=True)
class _Crops:
    """Crops in the order of use: records, tops, lefts (n,) int64; their side."""

    shards: Shards
    records: Integers
    tops: Integers
    lefts: Integers
    side: int

    def select(self, parts: Sequence[slice]) -> "_Crops":
        """Return the crops of these parts alone, one after another."""
        positions = np.concatenate([np.arange(0), *(np.arange(p.start, p.stop) for p in parts)])
        corners = self.tops[positions], self.lefts[positions]
        return _Crops(self.shards, self.records[positions], *corners, self.side)

    def fill(self, batch: Tensor, first: int) -> Tensor:
        """Copy the crops from position `first` on into `batch`, with constant read-ahead."""
        if first == 0:
            self.shards.prefetch(self.records[:RECORDS_AHEAD])
        for n in range(0, len(batch), RECORDS_AHEAD):
            chunk = batch[n : n + RECORDS_AHEAD].numpy()
            now = slice(first + n, first + n + len(chunk))
            ahead = slice(now.start + RECORDS_AHEAD, now.stop + RECORDS_AHEAD)
            self.shards.prefetch(self.records[ahead])
            self.shards.gather(self.records[now], self.tops[now], self.lefts[now], chunk)
        return batch


def _fill_buffers(crops: _Crops, parts: Sequence[slice], pin: bool) -> Iterator[LoadedBatch]:
    """Fill a ring of buffers in a thread; new buffers would cost page faults."""
    crops = crops.select(parts)
    counts = [part.stop - part.start for part in parts]
    firsts = np.cumsum([0, *counts]).tolist()
    shape = (max(counts, default=0), crops.side, crops.side, 3)
    buffers = [_allocate(shape, pin) for _ in range(BUFFERS)]
    pool = ThreadPoolExecutor(1, "loader")
    fills: deque[Future[Tensor]] = deque()

    def start_fill(n: int) -> None:
        if n < len(parts):
            fills.append(pool.submit(crops.fill, buffers[n % BUFFERS][: counts[n]], firsts[n]))

    try:
        for n in range(BATCHES_AHEAD):
            start_fill(n)
        for n, part in enumerate(parts):
            batch = fills.popleft().result()
            start_fill(n + BATCHES_AHEAD)
            yield batch, part
    finally:
        pool.shutdown(cancel_futures=True)


def _allocate(shape: tuple[int, ...], pin: bool) -> Tensor:
    """Allocate a uint8 buffer, in huge pages where available, which PyTorch does not use."""
    if pin:
        return torch.empty(shape, dtype=torch.uint8, pin_memory=True)
    return torch.from_numpy(np.empty(shape, np.uint8))
