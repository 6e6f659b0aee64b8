"""Ten views of a test image, and the mean of their softmax outputs (section 4.1)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.dataset.shards import SIDE
from alexnet.input.augment import centre_crop, centre_offset
from alexnet.model.alexnet import AlexNet

FIVE_VIEWS = ("top left", "top right", "bottom left", "bottom right", "centre")
VIEWS = (*FIVE_VIEWS, *(f"{view}, reflected" for view in FIVE_VIEWS))  # in the paper's order
CENTRE_VIEW = VIEWS.index("centre")


def view_corners(crop: int) -> list[tuple[int, int]]:
    """Return top and left of each of FIVE_VIEWS in 256×256."""
    far, centre = SIDE - crop, centre_offset(crop)
    return [(0, 0), (0, far), (far, 0), (far, far), (centre, centre)]


def crop_ten_views(images: Tensor, mean: Tensor, crop: int = 224) -> Tensor:
    """Cut the ten VIEWS of each image, mean subtracted.

    images (n, 256, 256, 3) uint8; mean (256, 256, 3), 0–255 → (n, 10, 3, 224, 224) float32.
    torchvision's `ten_crop` gives the same pixels, its reflections in another order, but importing
    torchvision takes 5 CPU-seconds, more than torch itself.
    """
    x = images.float() - mean
    five = [x[:, top : top + crop, left : left + crop] for top, left in view_corners(crop)]
    views = torch.stack([*five, *(view.flip(2) for view in five)], dim=1)
    return views.permute(0, 1, 4, 2, 3)


def crop_centre_view(images: Tensor, mean: Tensor, crop: int = 224) -> Tensor:
    """Cut the centre view of each image, as crop_ten_views: (n, 3, 224, 224)."""
    return centre_crop(images.float() - mean, crop).permute(0, 3, 1, 2)


def predict_views(net: AlexNet, images: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Return class probabilities by ten views, and by the centre view.

    images (n, 256, 256, 3) uint8; mean (256, 256, 3), 0–255 → two tensors (n, classes) float64.
    The softmax outputs of the ten views are averaged, as in the paper, not their logits.
    """
    logits = net(crop_ten_views(images, mean, net.config.crop).flatten(0, 1)).double()
    views = F.softmax(logits, dim=1).view(len(images), len(VIEWS), net.config.classes)
    return views.mean(dim=1), views[:, CENTRE_VIEW]
