"""Class probabilities → the likeliest labels → which images are wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the commands that only count need no torch
    from torch import Tensor


FIVE = 5


def likeliest(probabilities: Tensor, k: int = FIVE) -> tuple[Tensor, Tensor]:
    """(n, classes) → the k likeliest labels of each image and what they were given, (n, k).

    Of fewer classes there are fewer. Of equal probabilities the lower label comes first, so that
    counts are whole numbers and the same anywhere; the paper does not say, and cuda-convnet, the
    authors' code, counted such an image as right by 1 / (labels that share the first place). The
    means of ten views are hardly ever equal; one view's logits now and then are, in bf16.
    """
    order = probabilities.sort(dim=1, descending=True, stable=True)
    return order.indices[:, :k], order.values[:, :k]


def wrong(top: Tensor, labels: Tensor, k: int) -> Tensor:
    """Whether each label (n,) is missing among the first k of its likeliest, top (n, 5): bool."""
    return (top[:, :k] != labels[:, None]).all(dim=1)
