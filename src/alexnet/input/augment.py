"""Data augmentation of section 4.1: random crops, reflections and colour shifts."""

from dataclasses import dataclass

import torch
from torch import Tensor

from alexnet.dataset.shards import SIDE
from alexnet.input import philox
from alexnet.input.epoch import shuffle_images
from alexnet.runtime.errors import InputError


@dataclass(frozen=True)
class AugmentSettings:
    """The random choices made for each training image, and their ranges.

    crop: side of a crop in pixels. crop_offsets: number of positions in each direction, from 0 on;
    32 gives the 2048 patches of the paper (32² and their reflections), the 2012 code has 33.
    images_per_crop: consecutive images that share a crop and a reflection, 32 in the 2012 code.
    random_crops: if false, every crop is the centre. alpha_std: standard deviation of α.
    Raises InputError if a crop could leave the image.
    """

    crop: int = 224
    crop_offsets: int = 32
    images_per_crop: int = 1
    random_crops: bool = True
    reflections: bool = True
    alpha_std: float = 0.1

    def __post_init__(self) -> None:
        for name in ("crop", "crop_offsets", "images_per_crop"):
            if (value := getattr(self, name)) < 1:
                raise InputError(f"{name} is {value}, but must be 1 or more", f"increase {name}")
        if self.crop > SIDE:
            what = f"crop is {self.crop}, larger than the image"
            raise InputError(what, f"set model.crop to {SIDE} or less")
        if self.crop_offsets > SIDE - self.crop + 1:
            what = f"crop_offsets is {self.crop_offsets}: crops of {self.crop} leave the image"
            fix = f"set recipe.crop_offsets to {SIDE - self.crop + 1} or less"
            raise InputError(f"{what} of {SIDE}", fix)


@dataclass(frozen=True)
class EpochPlan:
    """The random choices for each image of an epoch, in order of use.

    order (n,) int64: indices into the records of the split; tops, lefts (n,) int64: corners of the
    crops, 0 … crop_offsets − 1; mirrored (n,) bool; alphas (n, 3) float64.
    """

    order: Tensor
    tops: Tensor
    lefts: Tensor
    mirrored: Tensor
    alphas: Tensor


def plan_epoch(seed: int, epoch: int, images: int, settings: AugmentSettings) -> EpochPlan:
    """Draw all random choices of one epoch.

    Each depends on (seed, epoch, position in the order) alone. Section 4.1: random patches,
    reflections, and α ~ N(0, alpha_std²), drawn once for each use of an image.
    """
    positions = torch.arange(images)
    units = positions // settings.images_per_crop
    tops, lefts, mirrored, _ = philox.draw_words(seed, philox.CROP, epoch, units).unbind(1)
    centre = torch.full_like(positions, centre_offset(settings.crop))
    return EpochPlan(
        order=shuffle_images(seed, epoch, images),
        tops=tops % settings.crop_offsets if settings.random_crops else centre,
        lefts=lefts % settings.crop_offsets if settings.random_crops else centre,
        mirrored=(mirrored % 2 == 1) & settings.reflections,
        alphas=philox.draw_normal(seed, philox.ALPHA, epoch, positions)[:, :3] * settings.alpha_std,
    )


def augment(crops: Tensor, means: Tensor, mirrored: Tensor, shifts: Tensor) -> Tensor:
    """Subtract the mean, reflect the mirrored images, add the colour shift.

    crops (n, 224, 224, 3) uint8; means of the same shape, or (224, 224, 3), float32; mirrored (n,)
    bool; shifts (n, 3) float32 → (n, 3, 224, 224) float32, channels last in memory, 0–255 scale.
    """
    x = reflect(crops.float().sub_(means), mirrored)
    return x.add_(shifts[:, None, None, :]).permute(0, 3, 1, 2)


def reflect(x: Tensor, mirrored: Tensor) -> Tensor:
    """Reflect the images that `mirrored` marks; on a CPU in place.

    x (n, H, W, 3), mirrored (n,) bool.
    """
    if x.device.type != "cpu":
        return torch.where(mirrored[:, None, None, None], x.flip(2), x)
    for n in mirrored.nonzero().flatten().tolist():  # one image at a time stays in the cache
        x[n] = x[n].flip(1)
    return x


def compute_colour_shifts(
    alphas: Tensor, eigenvalues: Tensor, eigenvectors: Tensor, colour_scale: str
) -> Tensor:
    """Return the colour added to every pixel of each image.

    (n, 3) RGB, 0–255 units: [p1 p2 p3][α1 s1, α2 s2, α3 s3]ᵀ, with eigenvectors p as rows.
    `colour_scale` "sqrt_eigenvalue": s = √λ, as in the 2012 code; "eigenvalue": s = λ, as the paper
    is worded, which shifts 0–255 pixels by about ±1500 along p1.
    """
    scale = eigenvalues.sqrt() if colour_scale == "sqrt_eigenvalue" else eigenvalues
    return (alphas * scale) @ eigenvectors


def crop_mean_image(mean: Tensor, tops: Tensor, lefts: Tensor, crop: int) -> Tensor:
    """Cut the patch of the mean image under each crop.

    mean (256, 256, 3) → (n, 224, 224, 3). Gathers whole rows, which is faster than single pixels.
    """
    windows = mean.reshape(SIDE, SIDE * 3).unfold(1, crop * 3, 3)  # (256, 33, 672), a view
    rows = tops[:, None] + torch.arange(crop, device=mean.device)
    return windows[rows, lefts[:, None]].view(len(tops), crop, crop, 3)


def centre_offset(crop: int) -> int:
    """Return the top and left of the centre crop."""
    return (SIDE - crop) // 2


def centre_crop(x: Tensor, crop: int) -> Tensor:
    """Return the centre of x as a view: (…, 256, 256, 3) → (…, 224, 224, 3)."""
    centre = slice(centre_offset(crop), centre_offset(crop) + crop)
    return x[..., centre, centre, :]
