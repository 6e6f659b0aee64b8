"""Section 5: the update rule, and when the rate is divided by ten."""

from dataclasses import dataclass, replace

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
    """v ← momentum · v − weight_decay · lr · w − lr · g;  w ← w + v, in place.

    The rate is inside the velocity, as in the text: after a drop the old velocity keeps its length,
    unlike torch.optim.SGD's.
    """
    torch._foreach_mul_(velocities, momentum)
    torch._foreach_add_(velocities, weights, alpha=-weight_decay * lr)
    torch._foreach_add_(velocities, gradients, alpha=-lr)
    torch._foreach_add_(weights, velocities)


@dataclass(frozen=True)
class Plateau:
    """ "Divide the learning rate by 10 when the validation error rate stopped improving".

    `patience` epochs without a better error are a plateau; the one after `drops` drops ends it.
    """

    patience: int
    drops: int
    best: float = float("inf")
    waited: int = 0
    dropped: int = 0

    def after(self, error: float) -> "Plateau":
        """The schedule after one more epoch, with that validation error."""
        if error < self.best:
            return replace(self, best=error, waited=0)
        if self.waited + 1 < self.patience:
            return replace(self, waited=self.waited + 1)
        return replace(self, waited=0, dropped=self.dropped + 1)

    @property
    def factor(self) -> float:
        """What the initial rate is multiplied by now."""
        return 10.0 ** -min(self.dropped, self.drops)

    @property
    def ended(self) -> bool:
        return self.dropped > self.drops
