"""Masks of dropout (section 4.2)."""

import torch
from torch import Tensor

from alexnet.input import philox


def dropout_masks(
    seed: int, step: int, images: slice, neurons: slice, dropout: float, device: torch.device
) -> tuple[Tensor, Tensor]:
    """What fc6 and fc7 keep in one step: (images, neurons) float32 of 0 and 1 (section 4.2).

    Of the places `images` in the batch and of the layer's `neurons`: wherever they are computed,
    the same.
    """
    rows = torch.arange(images.start, images.stop, device=device)
    fours = torch.arange(neurons.start // 4, -(-neurons.stop // 4), device=device)
    units = ((rows[:, None] << 32) + fours).flatten()
    ours = slice(neurons.start % 4, neurons.start % 4 + neurons.stop - neurons.start)
    dropped = round(dropout * 2**32)
    drawn = (philox.words(seed, s, step, units) for s in (philox.DROPOUT6, philox.DROPOUT7))
    six, seven = ((w >= dropped).view(len(rows), len(fours) * 4)[:, ours].float() for w in drawn)
    return six, seven
