"""Integer sums over the training set → its mean image and its RGB eigenpairs.

They are exact: the same bits in any order and any split over workers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alexnet.dataset.shards import SIDE, Pixels, Shards
from alexnet.runtime.processes import exit_with_parent

FEW = 257  # images whose sum 16 bits just hold: 257 · 255 = 2¹⁶ − 1
SHIFT = 128  # makes int8 of uint8
BLOCK = 1024  # rows of products whose sum float32 just holds: 1,024 · 2¹⁴ = 2²⁴
INT8_PAYS = 50_000  # images: below, to import torch takes longer than int8 products save
Table = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Sums:
    """Of `count` images: of pixel values, (256, 256, 3); of RGB products, (3, 3); uint64.

    Both fit in 64 bits up to 14 M images: 255² · 256² · 14·10⁶ < 2⁶⁴.
    """

    count: int
    pixels: npt.NDArray[np.uint64]
    products: npt.NDArray[np.uint64]

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.count + other.count, self.pixels + other.pixels, self.products + other.products
        )


NOTHING = Sums(0, np.zeros((SIDE, SIDE, 3), np.uint64), np.zeros((3, 3), np.uint64))


def sums_of(images: Iterable[Pixels], many: bool = False) -> Sums:
    """The sums over images, each (256, 256, 3) uint8: a few at a time in fast small numbers.

    `many`: with torch, which takes seconds to import and half the time an image; the same bits.
    """
    fold = _fold_int8 if many and int8_is_exact() else _fold_float32
    sums, count = NOTHING, 0
    few, folded = np.zeros((SIDE, SIDE, 3), np.uint16), np.zeros((), np.int64)
    for image in images:
        np.add(few, image, out=few)
        folded = folded + fold(image)
        count += 1
        if count == FEW:
            sums, count = sums + _exact(count, few, folded), 0
            few[:], folded = 0, np.zeros((), np.int64)
    return sums + _exact(count, few, folded) if count else sums


def _fold_int8(image: Pixels) -> Table:
    """Products of pixel values minus SHIFT, sixteen pixels a row: (48, 48) int32.

    Sixteen pixels make a square that fills the processor's int8 units. 4,096 rows of products of at
    most 2¹⁴ stay below 2³¹.
    """
    import torch

    shifted = (image ^ SHIFT).view(np.int8)  # as integers of 8 bits, to flip the top one is − 128
    rows = torch.from_numpy(shifted.reshape(-1, 48))
    folded: Table = torch._int_mm(rows.T, rows).numpy()
    return folded


def _fold_float32(image: Pixels) -> Table:
    """The same of four pixels a row, (12, 12) int64: float32 is exact up to 2²⁴, a block's sum."""
    rows = (image.astype(np.float32) - np.float32(SHIFT)).reshape(-1, BLOCK, 12)
    folded: Table = (rows.transpose(0, 2, 1) @ rows).astype(np.int64).sum(axis=0)
    return folded


@cache
def int8_is_exact() -> bool:
    """Whether this processor multiplies int8 without saturating: without VNNI it does, silently.

    Tried on values of the whole range, and on the extremes alone, against products in 64 bits.
    """
    draw = np.random.default_rng(0)
    shape = 4096, 48
    tried = (
        draw.integers(-128, 128, shape, np.int8),
        draw.choice(np.array([-128, 127], np.int8), shape),
    )
    return all(_int8_agrees(rows) for rows in tried)


def _int8_agrees(rows: npt.NDArray[np.int8]) -> bool:
    import torch

    fast = torch._int_mm(torch.from_numpy(rows).T, torch.from_numpy(rows)).numpy()
    wide = rows.astype(np.float64)
    return bool(np.array_equal(fast, wide.T @ wide))


def _exact(count: int, few: npt.NDArray[np.uint16], folded: Table) -> Sums:
    """Σ(x − s)(y − s) = Σxy − s(Σx + Σy) + s² for each pixel, s = SHIFT: from it, Σxy."""
    pixels = len(folded) // 3
    products = np.einsum("aiaj->ij", folded.reshape(pixels, 3, pixels, 3)).astype(np.int64)
    totals = few.reshape(-1, 3).sum(axis=0, dtype=np.int64)
    products += SHIFT * (totals[:, None] + totals) - SHIFT**2 * count * SIDE**2
    return Sums(count, few.astype(np.uint64), products.astype(np.uint64))


def sums_of_shard(folder: Path, n: int) -> Sums:
    """The sums over shard `n` of the split in `folder`. Raises InputError where it is damaged."""
    exit_with_parent()
    shards = Shards(folder)
    many = len(shards) > INT8_PAYS
    if many:
        _use_one_thread()
    return sums_of((shards.read(record) for record in shards.records_of(n)), many)


def _use_one_thread() -> None:
    """There is a worker for every core."""
    import torch

    torch.set_num_threads(1)
