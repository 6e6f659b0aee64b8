"""Section 5: the update rule, and when the rate falls."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from alexnet.runtime.errors import InputError


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
    if not weights:
        return
    torch._foreach_mul_(velocities, momentum)
    if weight_decay:
        torch._foreach_add_(velocities, weights, alpha=-weight_decay * lr)
    torch._foreach_add_(velocities, gradients, alpha=-lr)
    torch._foreach_add_(weights, velocities)


class Schedule(Protocol):
    """When the rate falls: a value that each epoch's validation error gives another value of."""

    def after(self, error: float) -> "Schedule":
        """The schedule after one more epoch, with that validation error."""

    @property
    def factor(self) -> float:
        """What the initial rate is multiplied by now."""

    @property
    def ended(self) -> bool:
        """Whether training ends before its epochs are over."""


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
        """A better error starts the wait anew."""
        if error < self.best:
            return replace(self, best=error, waited=0)
        if self.waited + 1 < self.patience:
            return replace(self, waited=self.waited + 1)
        return replace(self, waited=0, dropped=self.dropped + 1)

    @property
    def factor(self) -> float:
        """A tenth for each drop."""
        return 10.0 ** -min(self.dropped, self.drops)

    @property
    def ended(self) -> bool:
        """At the plateau after the last drop."""
        return self.dropped > self.drops


@dataclass(frozen=True)
class Multistep:
    """Divide by ten after each of `epochs`: what the authors did by hand."""

    epochs: Sequence[int]
    epoch: int = 0

    def after(self, error: float) -> "Multistep":
        """Whatever the error is."""
        return replace(self, epoch=self.epoch + 1)

    @property
    def factor(self) -> float:
        """A tenth for each of `epochs` that is over."""
        return 10.0 ** -sum(self.epoch >= end for end in self.epochs)

    @property
    def ended(self) -> bool:
        """Never."""
        return False


@dataclass(frozen=True)
class Dexp:
    """In `steps` parts of the run down by equal factors, to 1 / `span`: as in cuda-convnet2."""

    span: float
    steps: int
    epochs: int
    epoch: int = 0

    def after(self, error: float) -> "Dexp":
        """Whatever the error is."""
        return replace(self, epoch=self.epoch + 1)

    @property
    def factor(self) -> float:
        """1 in the first part, 1 / span in the last."""
        part = min(self.epoch * self.steps // self.epochs, self.steps - 1)
        return float(self.span ** (-part / max(self.steps - 1, 1)))

    @property
    def ended(self) -> bool:
        """Never."""
        return False


def schedule_of(
    plateau: dict[str, int] | None,
    multistep: Sequence[int] | None,
    dexp: dict[str, float] | None,
    epochs: int,
) -> Schedule:
    """The one that is not None. Raises InputError unless just one is."""
    if [plateau, multistep, dexp].count(None) != 2:
        fix = "set one of plateau, multistep and dexp in the conf/recipe file, the others to null"
        raise InputError("the recipe has no schedule of the rate, or more than one", fix)
    if plateau is not None:
        return Plateau(**plateau)
    if multistep is not None:
        return Multistep(tuple(multistep))
    assert dexp is not None
    return Dexp(dexp["span"], int(dexp["steps"]), epochs)
