"""The update rule of section 5."""

import torch
from torch import Tensor


def update(
    weights: list[Tensor],
    gradients: list[Tensor],
    velocities: list[Tensor],
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> None:
    """Update weights and velocities in place by section 5's two lines.

    The learning rate ε is inside the velocity: after lr falls, the old velocity keeps its length,
    unlike in torch.optim.SGD.
    """
    if not weights:
        return
    # v ← momentum · v − weight_decay · ε · w − ε · ∂L/∂w
    torch._foreach_mul_(velocities, momentum)
    if weight_decay:
        torch._foreach_add_(velocities, weights, alpha=-weight_decay * lr)
    torch._foreach_add_(velocities, gradients, alpha=-lr)
    # w ← w + v
    torch._foreach_add_(weights, velocities)
