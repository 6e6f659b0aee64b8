"""Augmented batches and their labels, for each step of training."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from alexnet.dataset.moments import Moments
from alexnet.dataset.shards import Shards
from alexnet.inference import ten_views
from alexnet.input import augment
from alexnet.input.epoch import batch_parts, plan_epoch
from alexnet.input.loader import Batch, crops, moved
from alexnet.model.towers import SINGLE_PROCESS, RankLayout
from alexnet.train.recipe import Recipe


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
        mean = moments.to(device).mean_image
        pairs = moments.to("cpu")[1:]
        labels = torch.from_numpy(shards.labels[shards.records]).long()
        if recipe.shuffled_labels:
            generator = torch.Generator().manual_seed(seed)
            labels = labels[torch.randperm(len(labels), generator=generator)]
        return cls(shards, recipe, seed, mean, pairs, labels, Clock())


def inputs(
    feed: Feed, epoch: int, first_batch: int, place: RankLayout = SINGLE_PROCESS
) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented batches and their labels, on the device, from the epoch's `first_batch` on.

    Of each batch the part that `place` has.
    What chance decides is moved there once an epoch: a small copy a step would wait for the step.
    """
    recipe, device = feed.recipe, feed.mean.device
    coloured = recipe.colour_until is None or epoch < recipe.colour_until
    choices = plan_epoch(feed.seed, epoch, len(feed.shards), recipe.augmentation)
    shifts = augment.colour_shifts(choices.alphas, *feed.eigenpairs, recipe.colour_scale).float()
    drawn = choices.tops, choices.lefts, choices.mirrored, shifts, feed.labels[choices.order]
    tops, lefts, mirrored, shifts, labels = (each.to(device) for each in drawn)
    which = place.part, place.parts
    parts = batch_parts(len(labels), recipe.batch_size, first_batch, *which)
    batches = crops(feed.shards, choices, parts, recipe.augmentation.crop, device.type == "cuda")
    for batch, part in moved(feed.clock.time_waits(batches), device):
        means = _means(feed, tops[part], lefts[part])
        divisor = recipe.input_divisor if coloured else None
        yield _relit(batch, means, mirrored[part], shifts[part], divisor), labels[part]


def _means(feed: Feed, tops: Tensor, lefts: Tensor) -> Tensor:
    """The mean image under each crop, or as the 2012 code its centre for all."""
    crop = feed.recipe.augmentation.crop
    if feed.recipe.mean_under_crop:
        return augment.mean_crops(feed.mean, tops, lefts, crop)
    top, left = augment.views_of(crop)[ten_views.CENTRE_VIEW]
    return feed.mean[top : top + crop, left : left + crop]


def _relit(
    batch: Tensor, means: Tensor, mirrored: Tensor, shifts: Tensor, divisor: float | None
) -> Tensor:
    """The divisor goes with the colour shift, as in the 2012 code; without one there is neither."""
    if divisor is None:
        return augment.augment(batch, means, mirrored, torch.zeros_like(shifts))
    x = augment.augment(batch, means, mirrored, shifts)
    return x if divisor == 1 else x / divisor
