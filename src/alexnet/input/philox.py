"""The randomness of training: Philox 4×32-10, without state.

Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011). Keyed by (seed, stream, step,
unit), so any number of workers, ranks, devices and resumes draws the same numbers.
"""

import math

import torch
from torch import Tensor

ORDER, CROP, ALPHA, DROPOUT6, DROPOUT7 = range(5)  # the streams

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
LOW = 0xFFFFFFFF


def words(seed: int, stream: int, step: int, units: Tensor) -> Tensor:
    """Four independent 32-bit numbers for each unit: (len(units), 4) int64, 0 … 2³² − 1.

    `units` is (n,) int64, on the device where the numbers are wanted; `step` is below 2³².
    """
    where = (torch.full_like(units, step), torch.full_like(units, stream))
    counter = (units & LOW, units >> 32, *where)
    return torch.stack(_rounds(counter, (seed & LOW, seed >> 32 & LOW)), dim=1)


def uniform(seed: int, stream: int, step: int, units: Tensor) -> Tensor:
    """As `words`, each a float64 in (0, 1): the middles of 2³² equal steps."""
    return (words(seed, stream, step, units).double() + 0.5) / 2**32


def normal(seed: int, stream: int, step: int, units: Tensor) -> Tensor:
    """Four N(0, 1) numbers for each unit, (n, 4) float64, by Box and Muller's transform."""
    u = uniform(seed, stream, step, units)
    radius = torch.sqrt(-2 * torch.log(u[:, :2]))
    angle = 2 * math.pi * u[:, 2:]
    return torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1)


def _rounds(counter: tuple[Tensor, ...], key: tuple[int, int]) -> tuple[Tensor, ...]:
    a, b, c, d = counter
    for n in range(10):
        first, second = ((key[i] + n * WEYL[i]) & LOW for i in range(2))
        # int64 products wrap, but their 64 bits are those of the unsigned product
        left, right = a * MULTIPLIERS[0], c * MULTIPLIERS[1]
        a, b, c, d = (
            (right >> 32 & LOW) ^ b ^ first,
            right & LOW,
            (left >> 32 & LOW) ^ d ^ second,
            left & LOW,
        )
    return a, b, c, d
