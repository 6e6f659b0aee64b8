"""Section 4.1 on the device: mean, reflection, colour shift; the ten views of a test image."""

import torch
from torch import Tensor

from alexnet.batches import CENTRE, CROP
from alexnet.shards import SIDE

CORNERS = ((0, 0), (0, SIDE - CROP), (SIDE - CROP, 0), (SIDE - CROP, SIDE - CROP))
VIEWS = (*CORNERS, (CENTRE, CENTRE))  # the order of the text: four corners, then the centre
CENTRE_VIEW = VIEWS.index((CENTRE, CENTRE))


def colour_shifts(
    alphas: Tensor, eigenvalues: Tensor, eigenvectors: Tensor, colour_scale: str
) -> Tensor:
    """What is added to every pixel of each image: (n, 3) RGB, 0–255 units.

    [p1 p2 p3][α1 s1, α2 s2, α3 s3]ᵀ, where s is √λ (`colour_scale` "sqrt_eigenvalue", as the 2012
    code) or λ itself ("eigenvalue", the text's letter: some ±1500 along p1 on 0–255 pixels).
    """
    scale = eigenvalues.sqrt() if colour_scale == "sqrt_eigenvalue" else eigenvalues
    return (alphas * scale) @ eigenvectors


def augment(
    crops: Tensor, mean: Tensor, tops: Tensor, lefts: Tensor, mirrored: Tensor, shifts: Tensor
) -> Tensor:
    """Training input: (crop − its part of the mean image), perhaps reflected, + its colour shift.

    crops (n, 224, 224, 3) uint8, shifts (n, 3), mean (256, 256, 3) → (n, 3, 224, 224) float32,
    channels last in memory, on the 0–255 scale.
    """
    x = crops.float().sub_(mean_crops(mean, tops, lefts))
    x = torch.where(mirrored[:, None, None, None], x.flip(2), x)
    return x.add_(shifts[:, None, None, :]).permute(0, 3, 1, 2)


def mean_crops(mean: Tensor, tops: Tensor, lefts: Tensor) -> Tensor:
    """The patches of the mean image under each crop, (n, 224, 224, 3): whole rows are gathered."""
    patches = mean.reshape(SIDE, SIDE * 3).unfold(1, CROP * 3, 3)  # (256, 33, 672), a view
    rows = tops[:, None] + torch.arange(CROP, device=mean.device)
    return patches[rows, lefts[:, None]].view(len(tops), CROP, CROP, 3)


def ten_views(images: Tensor, mean: Tensor) -> Tensor:
    """Four corners, the centre, then the reflections of these five: (n, 10, 3, 224, 224) float32.

    images (n, 256, 256, 3) uint8; mean (256, 256, 3). Section 4.1.
    """
    x = images.float() - mean
    views = torch.stack([x[:, top : top + CROP, left : left + CROP] for top, left in VIEWS], dim=1)
    return torch.cat([views, views.flip(3)], dim=1).permute(0, 1, 4, 2, 3)


def centre_view(images: Tensor, mean: Tensor) -> Tensor:
    """The centre 224×224, (n, 3, 224, 224) float32."""
    x = images.float() - mean
    return x[:, CENTRE : CENTRE + CROP, CENTRE : CENTRE + CROP].permute(0, 3, 1, 2)
