"""The order of an epoch, its random choices, and its images in batches of uint8."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from alexnet import philox
from alexnet.shards import SIDE, Shards

CROP = 224
CENTRE = (SIDE - CROP) // 2
RING = 3  # buffers: one in use, one filled, one being filled


@dataclass(frozen=True)
class Choices:
    """What chance decides for each image of an epoch, in the order of use.

    order (n,) int64 into the split's records; tops, lefts (n,) int64, 0–31; mirrored (n,) bool;
    alphas (n, 3) float64.
    """

    order: Tensor
    tops: Tensor
    lefts: Tensor
    mirrored: Tensor
    alphas: Tensor


def choose(
    seed: int, epoch: int, images: int, random_crops: bool, reflections: bool, alpha_std: float
) -> Choices:
    """All random choices of one epoch, each a function of (seed, epoch, place in the order) alone.

    Section 4.1: random 224×224 patches (32 offsets each way), reflections, and α ~ N(0, alpha_std)
    drawn once for each use of an image.
    """
    places = torch.arange(images)
    sort, _, _, _ = philox.words(seed, philox.ORDER, epoch, places).unbind(1)
    tops, lefts, mirrored, _ = philox.words(seed, philox.CROP, epoch, places).unbind(1)
    offsets = SIDE - CROP
    return Choices(
        order=torch.argsort(sort, stable=True),
        tops=tops % offsets if random_crops else torch.full_like(places, CENTRE),
        lefts=lefts % offsets if random_crops else torch.full_like(places, CENTRE),
        mirrored=(mirrored % 2 == 1) & reflections,
        alphas=philox.normal(seed, philox.ALPHA, epoch, places)[:, :3] * alpha_std,
    )


def crops(shards: Shards, choices: Choices, size: int, pin: bool) -> Iterator[tuple[Tensor, slice]]:
    """The epoch's crops: (up to size, 224, 224, 3) uint8, with the part of `choices` they are.

    A batch is good until the next but one is asked for. The last one may be smaller.
    """
    tops, lefts = choices.tops.tolist(), choices.lefts.tolist()
    records = shards.records[choices.order.numpy()].tolist()

    def fill(buffer: Tensor, part: slice) -> None:
        pixels = buffer.numpy()
        for n, (record, top, left) in enumerate(
            zip(records[part], tops[part], lefts[part], strict=True)
        ):
            pixels[n] = shards.read(record)[top : top + CROP, left : left + CROP]

    return _ring(fill, len(records), size, CROP, pin)


def squares(shards: Shards, records: Sequence[int], size: int) -> Iterator[tuple[Tensor, slice]]:
    """The whole 256×256 images of `records` in batches, as `crops` gives them."""

    def fill(buffer: Tensor, part: slice) -> None:
        pixels = buffer.numpy()
        for n, record in enumerate(records[part]):
            pixels[n] = shards.read(record)

    return _ring(fill, len(records), size, SIDE, pin=False)


def _ring(
    fill: Callable[[Tensor, slice], None], images: int, size: int, side: int, pin: bool
) -> Iterator[tuple[Tensor, slice]]:
    """Fill reused buffers one batch ahead, in a thread: fresh ones would cost page faults."""
    shape = (min(size, images), side, side, 3)
    ring = [torch.empty(shape, dtype=torch.uint8, pin_memory=pin) for _ in range(RING)]
    parts = [slice(start, min(start + size, images)) for start in range(0, images, size)]
    with ThreadPoolExecutor(1) as pool:
        coming = [pool.submit(fill, ring[n % RING], part) for n, part in enumerate(parts[:1])]
        for n, part in enumerate(parts):
            coming.pop().result()
            if n + 1 < len(parts):
                coming.append(pool.submit(fill, ring[(n + 1) % RING], parts[n + 1]))
            yield ring[n % RING][: part.stop - part.start], part
