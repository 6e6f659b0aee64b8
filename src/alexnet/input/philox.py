"""The random numbers of training: Philox 4×32-10, a generator without state.

Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011). The key is (seed, stream,
step, unit), so the numbers do not depend on the workers, ranks, devices or interruptions.
"""

import math

import torch
from torch import Tensor

ORDER, CROP, ALPHA, DROPOUT6, DROPOUT7 = range(5)  # streams

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
LOW = 0xFFFFFFFF


def draw_words(seed: int, stream: int, step: int, units: Tensor) -> Tensor:
    """Return four independent 32-bit numbers for each unit.

    (n, 4) int64, 0 … 2³² − 1. units: (n,) int64, on the device where the numbers are needed. step:
    below 2³².
    """
    constants = (torch.full_like(units, step), torch.full_like(units, stream))
    counter = (units & LOW, units >> 32, *constants)
    return torch.stack(philox4x32(counter, (seed & LOW, seed >> 32 & LOW)), dim=1)


def draw_uniform(seed: int, stream: int, step: int, units: Tensor) -> Tensor:
    """Return four numbers in (0, 1) for each unit.

    (n, 4) float64, the centres of 2³² equal bins.
    """
    return (draw_words(seed, stream, step, units).double() + 0.5) / 2**32


def draw_normal(seed: int, stream: int, step: int, units: Tensor) -> Tensor:
    """Return four N(0, 1) numbers for each unit.

    (n, 4) float64, by the Box–Muller transform.
    """
    u = draw_uniform(seed, stream, step, units)
    radius = torch.sqrt(-2 * torch.log(u[:, :2]))
    angle = 2 * math.pi * u[:, 2:]
    return torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1)


def philox4x32(counter: tuple[Tensor, ...], key: tuple[int, int]) -> tuple[Tensor, ...]:
    """Apply ten rounds to four 32-bit words, each an int64 tensor (n,)."""
    a, b, c, d = counter
    for n in range(10):
        first, second = ((key[i] + n * WEYL[i]) & LOW for i in range(2))
        # int64 products overflow, but their 64 bits equal those of the unsigned product
        left, right = a * MULTIPLIERS[0], c * MULTIPLIERS[1]
        a, b, c, d = (
            (right >> 32 & LOW) ^ b ^ first,
            right & LOW,
            (left >> 32 & LOW) ^ d ^ second,
            left & LOW,
        )
    return a, b, c, d
