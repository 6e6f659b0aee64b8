"""The order of an epoch and its random choices."""

from dataclasses import dataclass

import torch
from torch import Tensor

from alexnet.dataset.shards import SIDE
from alexnet.input import philox
from alexnet.runtime.errors import InputError


@dataclass(frozen=True)
class AugmentSettings:
    """What chance decides about an image, and within which bounds.

    crop: side of a patch. crop_offsets: its places each way, 0 … crop_offsets − 1: 32 as the text's
    2048 patches, 33 as the 2012 code. images_per_crop: consecutive images that share a crop and a
    reflection, 32 in that code. Without random_crops every patch is the centre. alpha_std:
    of the colours' α. Raises InputError where a patch would leave the image.
    """

    crop: int = 224
    crop_offsets: int = 32
    images_per_crop: int = 1
    random_crops: bool = True
    reflections: bool = True
    alpha_std: float = 0.1

    def __post_init__(self) -> None:
        if min(self.crop, self.crop_offsets, self.images_per_crop) < 1:
            raise InputError(
                "crop, crop_offsets and images_per_crop must be 1 or more", "raise them"
            )
        if self.crop + self.crop_offsets - 1 > SIDE:
            most = SIDE - self.crop + 1
            what = f"{self.crop_offsets} offsets of a crop of {self.crop} leave the image of {SIDE}"
            raise InputError(what, f"at most {most} offsets" if most > 0 else "a smaller crop")


@dataclass(frozen=True)
class EpochPlan:
    """What chance decides for each image of an epoch, in the order of use.

    order (n,) int64 into the split's records; tops, lefts (n,) int64, 0 … offsets − 1; mirrored
    (n,) bool; alphas (n, 3) float64.
    """

    order: Tensor
    tops: Tensor
    lefts: Tensor
    mirrored: Tensor
    alphas: Tensor


def plan_epoch(seed: int, epoch: int, images: int, settings: AugmentSettings) -> EpochPlan:
    """All random choices of one epoch, each a function of (seed, epoch, place in the order) alone.

    Section 4.1: random patches, reflections, and α ~ N(0, alpha_std) drawn once for each use of an
    image.
    """
    places = torch.arange(images)
    sort, _, _, _ = philox.words(seed, philox.ORDER, epoch, places).unbind(1)
    units = places // settings.images_per_crop
    tops, lefts, mirrored, _ = philox.words(seed, philox.CROP, epoch, units).unbind(1)
    centre = torch.full_like(places, (SIDE - settings.crop) // 2)
    return EpochPlan(
        order=torch.argsort(sort, stable=True),
        tops=tops % settings.crop_offsets if settings.random_crops else centre,
        lefts=lefts % settings.crop_offsets if settings.random_crops else centre,
        mirrored=(mirrored % 2 == 1) & settings.reflections,
        alphas=philox.normal(seed, philox.ALPHA, epoch, places)[:, :3] * settings.alpha_std,
    )


def batch_parts(
    images: int, size: int, first_step: int = 0, rank: int = 0, ranks: int = 1
) -> list[slice]:
    """The part of each batch of an epoch, from `first_step` on, that one rank is to load.

    Batch k is order[k·size:(k + 1)·size], the last one perhaps smaller; the parts of its `ranks`
    are contiguous, in turn, and differ by at most one image. One of fewer images has empty parts.
    """
    parts = []
    for start in range(first_step * size, images, size):
        length = min(size, images - start)
        first, last = (start + length * each // ranks for each in (rank, rank + 1))
        parts.append(slice(first, last))
    return parts
