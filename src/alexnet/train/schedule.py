"""When the learning rate falls (section 5), and when training ends early.

A schedule is immutable. `after(error)` returns the schedule after an epoch with this validation
error, `factor` is the current learning rate as a multiple of the initial one, and `ended` says
whether training ends before its last epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from alexnet.runtime.errors import InputError


@dataclass(frozen=True)
class Plateau:
    """ "Divide the learning rate by 10 when the validation error rate stopped improving".

    A plateau is `patience` epochs without a lower error. The rate falls at each of the first
    `drops` plateaus; the next one ends training.
    """

    patience: int
    drops: int
    best: float = float("inf")
    waited: int = 0
    dropped: int = 0

    def after(self, error: float) -> "Plateau":
        """Restart the wait if the error is the lowest so far, or count the epoch."""
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
        """True from the plateau after the last drop on."""
        return self.dropped > self.drops


@dataclass(frozen=True)
class _ByEpoch:
    """A schedule that only counts the epochs done, and never ends training early."""

    epoch: int = field(default=0, kw_only=True)
    ended: ClassVar[bool] = False

    def after(self, error: float) -> Self:
        """Count the epoch; the error does not matter."""
        return replace(self, epoch=self.epoch + 1)


@dataclass(frozen=True)
class Multistep(_ByEpoch):
    """Divide by ten after each of `epochs`, as the authors did by hand."""

    epochs: Sequence[int]

    @property
    def factor(self) -> float:
        """A tenth for each of `epochs` that has passed."""
        return 10.0 ** -sum(self.epoch >= end for end in self.epochs)


@dataclass(frozen=True)
class Dexp(_ByEpoch):
    """Fall to 1 / `span` by equal factors in `steps` parts, as in cuda-convnet2."""

    span: float
    steps: int
    epochs: int

    @property
    def factor(self) -> float:
        """From 1 in the first part to 1 / span in the last."""
        part = min(self.epoch * self.steps // self.epochs, self.steps - 1)
        return float(self.span ** (-part / max(self.steps - 1, 1)))


Schedule = Plateau | Multistep | Dexp


def make_schedule(
    plateau: dict[str, int] | None,
    multistep: Sequence[int] | None,
    dexp: dict[str, float] | None,
    epochs: int,
) -> Schedule:
    """Make the schedule that is not None. Raises InputError unless exactly one is."""
    if [plateau, multistep, dexp].count(None) != 2:
        fix = "in the conf/recipe file set one of plateau, multistep and dexp, the others to null"
        raise InputError("the recipe sets no learning-rate schedule, or more than one", fix)
    if plateau is not None:
        return Plateau(**plateau)
    if multistep is not None:
        return Multistep(tuple(multistep))
    assert dexp is not None
    return Dexp(dexp["span"], int(dexp["steps"]), epochs)
