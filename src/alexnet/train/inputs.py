"""Augmented batches and their labels, for each step of training."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from alexnet.dataset.moments import Moments
from alexnet.dataset.shards import Shards
from alexnet.inference.predict import record_labels
from alexnet.input.augment import (
    EpochPlan,
    augment,
    centre_crop,
    compute_colour_shifts,
    crop_mean_image,
    plan_epoch,
)
from alexnet.input.epoch import split_batches
from alexnet.input.loader import load_crops, move_batches
from alexnet.model.towers import SINGLE_PROCESS, RankLayout
from alexnet.train.recipe import Recipe
from alexnet.train.state import Row
from alexnet.train.throughput import Throughput

EXAMPLE_EPOCHS = 4


class Batch(NamedTuple):
    """One rank's part of a batch.

    x (n, 3, 224, 224) float32, 0–255 scale; labels (n,) int64; both on the device. images: size of
    the whole batch.
    """

    x: Tensor
    labels: Tensor
    images: int


@dataclass(frozen=True)
class TrainingSet:
    """What stays the same during a run.

    labels (n,) int64, in the order of the records; mean (256, 256, 3) float32, on the device;
    eigenvalues (3,) and eigenvectors (3, 3) float64, on the CPU.
    """

    shards: Shards
    labels: Tensor
    mean: Tensor
    eigenvalues: Tensor
    eigenvectors: Tensor
    recipe: Recipe
    seed: int

    @classmethod
    def load(
        cls, shards: Shards, moments: Moments, recipe: Recipe, seed: int, device: torch.device
    ) -> "TrainingSet":
        """Move the mean to `device`; with recipe.shuffled_labels, shuffle the labels."""
        labels = record_labels(shards)
        if recipe.shuffled_labels:
            generator = torch.Generator().manual_seed(seed)
            labels = labels[torch.randperm(len(labels), generator=generator)]
        mean = moments.to(device).mean_image
        axes = torch.from_numpy(moments.eigenvalues), torch.from_numpy(moments.eigenvectors)
        return cls(shards, labels, mean, *axes, recipe, seed)


def load_batches(
    data: TrainingSet,
    epoch: int,
    first_batch: int = 0,
    layout: RankLayout = SINGLE_PROCESS,
    throughput: Throughput | None = None,
) -> Iterator[Batch]:
    """Yield the augmented batches of an epoch from `first_batch` on.

    Of each batch, only the part of this rank. Restarts `throughput`, and counts images and waiting
    time there. The random choices are copied to the device once an epoch: a small copy in each step
    would wait for that step.
    """
    throughput = throughput or Throughput()
    throughput.start_epoch()
    recipe, images, device = data.recipe, len(data.shards), data.mean.device
    plan = plan_epoch(data.seed, epoch, images, recipe.augmentation)
    choices = plan.tops, plan.lefts, plan.mirrored, _colour_shifts(data, plan, epoch)
    tops, lefts, mirrored, shifts = (choice.to(device) for choice in choices)
    labels = data.labels[plan.order].to(device)
    divisor = recipe.input_divisor if recipe.shifts_colours(epoch) else 1.0  # as in the 2012 code
    size = recipe.batch_size
    parts = split_batches(images, size, first_batch, layout.replica, layout.replicas)
    crops = load_crops(data.shards, plan, parts, recipe.augmentation.crop, device.type == "cuda")
    crops = throughput.time_waits(crops)
    for n, (batch, part) in enumerate(move_batches(crops, device), first_batch):
        means = _means(data, tops[part], lefts[part])
        x = augment(batch, means, mirrored[part], shifts[part])
        x = x if divisor == 1 else x / divisor
        whole = min(size, images - n * size)
        throughput.images += whole
        yield Batch(x, labels[part], whole)


def augmentation_examples(shards: Shards, moments: Moments, recipe: Recipe, seed: int) -> list[Row]:
    """Return how the first record is augmented in the first four epochs.

    Even if the recipe has fewer. Keys: epoch, from 1; top, left and crop, the side, in pixels;
    mirrored, 0 or 1; red, green and blue, the colour shift added, in 0–255 units.
    """
    data = TrainingSet.load(shards, moments, recipe, seed, torch.device("cpu"))
    rows = []
    for epoch in range(EXAMPLE_EPOCHS):
        plan = plan_epoch(seed, epoch, len(shards), recipe.augmentation)
        n = int((plan.order == 0).nonzero())
        shift = _colour_shifts(data, plan, epoch)[n].tolist()
        row = {"epoch": epoch + 1, "top": int(plan.tops[n]), "left": int(plan.lefts[n])}
        row |= {"crop": recipe.augmentation.crop, "mirrored": int(plan.mirrored[n])}
        rows.append(row | dict(zip(("red", "green", "blue"), shift, strict=True)))
    return rows


def _colour_shifts(data: TrainingSet, plan: EpochPlan, epoch: int) -> Tensor:
    """Return the colour shifts, (n, 3) float32; zero once the recipe ends them."""
    axes = data.eigenvalues, data.eigenvectors
    shifts = compute_colour_shifts(plan.alphas, *axes, data.recipe.colour_scale).float()
    return shifts if data.recipe.shifts_colours(epoch) else torch.zeros_like(shifts)


def _means(data: TrainingSet, tops: Tensor, lefts: Tensor) -> Tensor:
    """Return the mean under each crop, or (2012 code) its centre for all."""
    crop = data.recipe.augmentation.crop
    if data.recipe.mean_under_crop:
        return crop_mean_image(data.mean, tops, lefts, crop)
    return centre_crop(data.mean, crop)
