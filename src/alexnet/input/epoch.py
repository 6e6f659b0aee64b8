"""The order of images in an epoch, and each rank's share of every batch."""

import torch
from torch import Tensor

from alexnet.input import philox


def shuffle_images(seed: int, epoch: int, images: int) -> Tensor:
    """Return the order in which an epoch visits its images, (images,) int64."""
    words = philox.draw_words(seed, philox.ORDER, epoch, torch.arange(images))
    return torch.argsort(words[:, 0], stable=True)


def split_batches(
    images: int, size: int, first_batch: int = 0, rank: int = 0, ranks: int = 1
) -> list[slice]:
    """Return the positions that one rank loads for each batch.

    Batch k holds the positions [k·size, (k + 1)·size); the last batch may be smaller. Its shares
    are contiguous, in the order of the ranks, and differ by at most one image; in a batch of fewer
    images than ranks some are empty.
    """
    shares = []
    for start in range(first_batch * size, images, size):
        length = min(size, images - start)
        first, last = (start + length * boundary // ranks for boundary in (rank, rank + 1))
        shares.append(slice(first, last))
    return shares
