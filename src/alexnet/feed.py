"""What each step of training is fed: augmented batches, their labels, and dropout's masks."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from alexnet import augment, philox
from alexnet.batches import Batch, batch_parts, choose, crops, moved
from alexnet.moments import Moments
from alexnet.recipe import Recipe
from alexnet.shards import Shards
from alexnet.towers import ALONE, Place


@dataclass
class Clock:
    """One epoch's images done, its start, seconds spent waiting for data, and mean loss so far.

    loss: None until it was first fetched.
    """

    begun: float = 0.0
    waited: float = 0.0
    images: int = 0
    loss: float | None = None

    def start(self) -> None:
        """Begin a new epoch."""
        self.begun, self.waited, self.images = time.monotonic(), 0.0, 0

    def status(self) -> str:
        """The loss, once it is known, and the share of time spent waiting for data."""
        loss = "" if self.loss is None else f"loss {self.loss:.3f}, "
        return f"{loss}{self._waiting()}"

    def epoch_rate(self) -> str:
        """Images a second and the share of time spent waiting for data, over the epoch so far."""
        return f"{self.images / self._seconds():,.0f} images/s, {self._waiting()}"

    def _waiting(self) -> str:
        return f"{self.waited / self._seconds():.0%} waiting for data"

    def _seconds(self) -> float:
        return max(time.monotonic() - self.begun, 1e-9)

    def time_waits(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Pass `batches` on, adding up how long each was waited for."""
        while True:
            before = time.monotonic()
            batch = next(batches, None)
            self.waited += time.monotonic() - before
            if batch is None:
                return
            yield batch


@dataclass(frozen=True)
class Feed:
    """What stays the same over a run: labels stand in the order of the records."""

    shards: Shards
    recipe: Recipe
    seed: int
    mean: Tensor
    eigenpairs: tuple[Tensor, Tensor]
    labels: Tensor
    clock: Clock

    @classmethod
    def of(
        cls, shards: Shards, moments: Moments, recipe: Recipe, seed: int, device: torch.device
    ) -> "Feed":
        """With `moments` on `device`, and the labels shuffled if `recipe` says so."""
        mean = torch.from_numpy(moments.mean_image).to(device)
        pairs = torch.from_numpy(moments.eigenvalues), torch.from_numpy(moments.eigenvectors)
        labels = torch.from_numpy(shards.labels[shards.records]).long()
        if recipe.shuffled_labels:
            generator = torch.Generator().manual_seed(seed)
            labels = labels[torch.randperm(len(labels), generator=generator)]
        return cls(shards, recipe, seed, mean, pairs, labels, Clock())


def inputs(
    feed: Feed, epoch: int, first_batch: int, place: Place = ALONE
) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented batches and their labels, on the device, from the epoch's `first_batch` on.

    Of each batch the part that `place` has.
    What chance decides is moved there once an epoch: a small copy a step would wait for the step.
    """
    recipe, device = feed.recipe, feed.mean.device
    coloured = recipe.colour_until is None or epoch < recipe.colour_until
    choices = choose(feed.seed, epoch, len(feed.shards), recipe.chances)
    shifts = augment.colour_shifts(choices.alphas, *feed.eigenpairs, recipe.colour_scale).float()
    drawn = choices.tops, choices.lefts, choices.mirrored, shifts, feed.labels[choices.order]
    tops, lefts, mirrored, shifts, labels = (each.to(device) for each in drawn)
    which = place.part, place.parts
    parts = batch_parts(len(labels), recipe.batch_size, first_batch, *which)
    batches = crops(feed.shards, choices, parts, recipe.chances.crop, device.type == "cuda")
    for batch, part in moved(feed.clock.time_waits(batches), device):
        means = _means(feed, tops[part], lefts[part])
        divisor = recipe.input_divisor if coloured else None
        yield _relit(batch, means, mirrored[part], shifts[part], divisor), labels[part]


def _means(feed: Feed, tops: Tensor, lefts: Tensor) -> Tensor:
    """The mean image under each crop, or as the 2012 code its centre for all."""
    crop = feed.recipe.chances.crop
    if feed.recipe.mean_under_crop:
        return augment.mean_crops(feed.mean, tops, lefts, crop)
    top, left = augment.views_of(crop)[augment.CENTRE_VIEW]
    return feed.mean[top : top + crop, left : left + crop]


def _relit(
    batch: Tensor, means: Tensor, mirrored: Tensor, shifts: Tensor, divisor: float | None
) -> Tensor:
    """The divisor goes with the colour shift, as in the 2012 code; without one there is neither."""
    if divisor is None:
        return augment.augment(batch, means, mirrored, torch.zeros_like(shifts))
    x = augment.augment(batch, means, mirrored, shifts)
    return x if divisor == 1 else x / divisor


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
