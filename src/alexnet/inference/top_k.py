"""Rank labels by probability, and mark the images whose label is not in the top k."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # commands that only count need no torch
    from torch import Tensor


TOP_K = 5


def rank_labels(probabilities: Tensor, k: int = TOP_K) -> tuple[Tensor, Tensor]:
    """Return the k most probable labels of each image and their probabilities.

    probabilities (n, classes) → two tensors (n, min(k, classes)). Of equal probabilities the lower
    label ranks first, so that error counts are integers and reproducible; the paper does not say,
    and cuda-convnet, the authors' code, counted such an image as correct by 1 / (number of labels
    tied for the first place). Means of ten views are hardly ever equal; logits of one view
    sometimes are, in bf16.
    """
    order = probabilities.sort(dim=1, descending=True, stable=True)
    return order.indices[:, :k], order.values[:, :k]


def is_error(top: Tensor, labels: Tensor, k: int) -> Tensor:
    """Return whether each label is missing from its top k: (n,) bool.

    top (n, 5), as from rank_labels; labels (n,).
    """
    return (top[:, :k] != labels[:, None]).all(dim=1)
