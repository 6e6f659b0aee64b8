"""Section 4.1 on the device: mean, reflection, colour shift; the ten views of a test image."""

import torch
from torch import Tensor

from alexnet.dataset.shards import SIDE


def views_of(crop: int) -> list[tuple[int, int]]:
    """Top and left of four corners and the centre of 256×256, in the order of the text."""
    far, centre = SIDE - crop, (SIDE - crop) // 2
    return [(0, 0), (0, far), (far, 0), (far, far), (centre, centre)]


def colour_shifts(
    alphas: Tensor, eigenvalues: Tensor, eigenvectors: Tensor, colour_scale: str
) -> Tensor:
    """What is added to every pixel of each image: (n, 3) RGB, 0–255 units.

    [p1 p2 p3][α1 s1, α2 s2, α3 s3]ᵀ, where s is √λ (`colour_scale` "sqrt_eigenvalue", as the 2012
    code) or λ itself ("eigenvalue", the text's letter: some ±1500 along p1 on 0–255 pixels).
    """
    scale = eigenvalues.sqrt() if colour_scale == "sqrt_eigenvalue" else eigenvalues
    return (alphas * scale) @ eigenvectors


def augment(crops: Tensor, means: Tensor, mirrored: Tensor, shifts: Tensor) -> Tensor:
    """Training input: (crop − its mean), perhaps reflected, + its colour shift.

    crops (n, 224, 224, 3) uint8, means the same or (224, 224, 3), shifts (n, 3), in float32 →
    (n, 3, 224, 224) float32, channels last in memory, on the 0–255 scale.
    """
    x = reflected(crops.float().sub_(means), mirrored)
    return x.add_(shifts[:, None, None, :]).permute(0, 3, 1, 2)


def reflected(x: Tensor, mirrored: Tensor) -> Tensor:
    """x (n, H, W, 3) with those images reflected that `mirrored` (n,) names; on a CPU in place."""
    if x.device.type != "cpu":
        return torch.where(mirrored[:, None, None, None], x.flip(2), x)
    for n in mirrored.nonzero().flatten().tolist():  # an image at a time stays in the cache
        x[n] = x[n].flip(1)
    return x


def mean_crops(mean: Tensor, tops: Tensor, lefts: Tensor, crop: int) -> Tensor:
    """The patches of the mean image under each crop, (n, 224, 224, 3): whole rows are gathered."""
    patches = mean.reshape(SIDE, SIDE * 3).unfold(1, crop * 3, 3)  # (256, 33, 672), a view
    rows = tops[:, None] + torch.arange(crop, device=mean.device)
    return patches[rows, lefts[:, None]].view(len(tops), crop, crop, 3)
