"""Sum pixel values and RGB products over images, exactly, in integers.

The sums have the same bits in any order and with any split over workers.
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

BLOCK = 257  # images whose sum 16 bits can hold: 257 · 255 = 2¹⁶ − 1
SHIFT = 128  # subtracted from pixel values, so that int8 can hold them
FLOAT32_ROWS = 1024  # rows of products whose sum float32 can hold: 1,024 · 2¹⁴ = 2²⁴
INT8_MIN_IMAGES = 50_000  # below this, importing torch takes longer than int8 products save
Table = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Sums:
    """Sums over `count` images.

    `pixels`: sums of pixel values, (256, 256, 3) uint64. `products`: sums over all pixels of the
    product of two channels, (3, 3) uint64. Both fit in 64 bits up to 14 M images:
    255² · 256² · 14·10⁶ < 2⁶⁴.
    """

    count: int
    pixels: npt.NDArray[np.uint64]
    products: npt.NDArray[np.uint64]

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.count + other.count, self.pixels + other.pixels, self.products + other.products
        )


ZERO = Sums(0, np.zeros((SIDE, SIDE, 3), np.uint64), np.zeros((3, 3), np.uint64))


def sum_shard(folder: Path, n: int) -> Sums:
    """Return the sums over shard `n` of the split in `folder`. Raises InputError if damaged."""
    exit_with_parent()
    shards = Shards(folder)
    use_torch = len(shards) > INT8_MIN_IMAGES
    if use_torch:
        _use_one_thread()
    return sum_images((shards.read(record) for record in shards.records_in(n)), use_torch)


def sum_images(images: Iterable[Pixels], use_torch: bool = False) -> Sums:
    """Return the sums over `images`, (256, 256, 3) uint8 each.

    Blocks of images are first added up in small integers, which is fast. `use_torch` gives the same
    bits in half the time an image, after an import that takes seconds.
    """
    multiply = _multiply_int8 if use_torch and int8_is_exact() else _multiply_float32
    sums, count = ZERO, 0
    block_sum, products = np.zeros((SIDE, SIDE, 3), np.uint16), np.zeros((), np.int64)
    for image in images:
        np.add(block_sum, image, out=block_sum)
        products = products + multiply(image)
        count += 1
        if count == BLOCK:
            sums, count = sums + _combine(count, block_sum, products), 0
            block_sum[:], products = 0, np.zeros((), np.int64)
    return sums + _combine(count, block_sum, products) if count else sums


def _multiply_int8(image: Pixels) -> Table:
    """Return the summed products of shifted pixels, (48, 48) int32.

    A row of the factors holds 16 pixels: its 48 values fill the processor's int8 units. The sum of
    4,096 products of at most 2¹⁴ stays below 2³¹.
    """
    import torch

    shifted = (image ^ SHIFT).view(np.int8)  # flipping the top bit subtracts 128
    rows = torch.from_numpy(shifted.reshape(-1, 48))
    products: Table = torch._int_mm(rows.T, rows).numpy()
    return products


def _multiply_float32(image: Pixels) -> Table:
    """Return the same for rows of 4 pixels, (12, 12) int64. float32 is exact up to 2²⁴."""
    rows = (image.astype(np.float32) - np.float32(SHIFT)).reshape(-1, FLOAT32_ROWS, 12)
    products: Table = (rows.transpose(0, 2, 1) @ rows).astype(np.int64).sum(axis=0)
    return products


@cache
def int8_is_exact() -> bool:
    """Return whether this processor multiplies int8 exactly.

    Without VNNI it saturates silently. Products are compared with those in float64, for random
    values of the whole range and for the two extremes.
    """
    random = np.random.default_rng(0)
    shape = 4096, 48
    samples = (
        random.integers(-128, 128, shape, np.int8),
        random.choice(np.array([-128, 127], np.int8), shape),
    )
    return all(_int8_matches_float64(rows) for rows in samples)


def _int8_matches_float64(rows: npt.NDArray[np.int8]) -> bool:
    import torch

    products = torch._int_mm(torch.from_numpy(rows).T, torch.from_numpy(rows)).numpy()
    wide = rows.astype(np.float64)
    return bool(np.array_equal(products, wide.T @ wide))


def _combine(count: int, block_sum: npt.NDArray[np.uint16], shifted: Table) -> Sums:
    """Return a block's sums, given its pixel sum and `shifted` products.

    For each pixel Σ(x − s)(y − s) = Σxy − s(Σx + Σy) + s² with s = SHIFT, which gives Σxy.
    """
    pixels = (
        len(shifted) // 3
    )  # in a row; the 3×3 blocks on the diagonal are products within a pixel
    products = np.einsum("aiaj->ij", shifted.reshape(pixels, 3, pixels, 3)).astype(np.int64)
    totals = block_sum.reshape(-1, 3).sum(axis=0, dtype=np.int64)
    products += SHIFT * (totals[:, None] + totals) - SHIFT**2 * count * SIDE**2
    return Sums(count, block_sum.astype(np.uint64), products.astype(np.uint64))


def _use_one_thread() -> None:
    """Limit torch to one thread: there is a worker for each core."""
    import torch

    torch.set_num_threads(1)
