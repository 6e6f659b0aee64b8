"""Dropout masks (section 4.2)."""

import torch
from torch import Tensor

from alexnet.input import philox


def draw_dropout_masks(
    seed: int, step: int, images: slice, neurons: slice, dropout: float, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the masks of fc6 and fc7 for one step.

    Two tensors (images, neurons) float32: 1 keeps an output, 0 drops it. `dropout` is the
    probability of 0, in the paper 0.5. images: positions in the batch; neurons: indices in the
    layer. Each value depends on seed, step, position and neuron alone.
    """
    rows = torch.arange(images.start, images.stop, device=device)
    quads = torch.arange(neurons.start // 4, -(-neurons.stop // 4), device=device)
    units = ((rows[:, None] << 32) + quads).flatten()  # one draw gives words for four neurons
    columns = slice(neurons.start % 4, neurons.start % 4 + neurons.stop - neurons.start)
    threshold = round(dropout * 2**32)
    words = (philox.draw_words(seed, s, step, units) for s in (philox.DROPOUT6, philox.DROPOUT7))
    fc6, fc7 = ((w >= threshold).view(len(rows), 4 * len(quads))[:, columns].float() for w in words)
    return fc6, fc7
