"""Training of a small net on images that fit in memory, one epoch at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.index.cifar10 import Pixels
from alexnet.inference.top_k import is_error, rank_labels
from alexnet.input import philox
from alexnet.model.precision import pick_autocast
from alexnet.runtime.progress import progress
from alexnet.train.optimizer import update

BATCH = 128
MOMENTUM = 0.9


@dataclass(frozen=True)
class Images:
    """Images on a device: pixels (N, 3, 32, 32) uint8, labels (N,) int64."""

    pixels: Tensor
    labels: Tensor

    @property
    def mean(self) -> Tensor:
        """The mean image, (3, 32, 32) float32, 0–255."""
        return self.pixels.double().mean(dim=0).float()


def in_memory(pixels: Pixels, labels: Pixels, device: torch.device) -> Images:
    """Copy arrays (N, 3, 32, 32) and (N,) of uint8 to `device`."""
    return Images(torch.from_numpy(pixels).to(device), torch.from_numpy(labels).long().to(device))


def train_epochs(
    net: nn.Module, images: Images, rates: Iterable[float], seed: int, weight_decay: float = 0.0
) -> Iterator[float]:
    """Train `net` for an epoch at each rate; yield its error.

    The error is that on `images`, 0–1. The update rule of section 5 in batches of 128, in a new
    order each epoch; `weight_decay` is the only regularisation.
    """
    mean = images.mean
    weights: list[Tensor] = list(net.parameters())
    velocities = [torch.zeros_like(weight) for weight in weights]
    rule = {"momentum": MOMENTUM, "weight_decay": weight_decay}
    for epoch, lr in enumerate(rates):
        with progress(len(images.labels), f"epoch {epoch + 1}") as advance:
            for batch in torch.split(epoch_order(images, seed, epoch), BATCH):
                gradients = batch_gradients(net, images, batch, mean)
                with torch.no_grad():
                    update(weights, gradients, velocities, lr=lr, **rule)
                advance(len(batch))
        yield error_rate(net, images, mean)


def epoch_order(images: Images, seed: int, epoch: int) -> Tensor:
    """Return the order of the images in an epoch, (N,) int64."""
    units = torch.arange(len(images.labels), device=images.labels.device)
    return philox.draw_uniform(seed, philox.ORDER, epoch, units)[:, 0].argsort(stable=True)


def batch_gradients(net: nn.Module, images: Images, batch: Tensor, mean: Tensor) -> list[Tensor]:
    """Return the gradients of the mean loss of the images numbered `batch`."""
    with pick_autocast("auto", mean.device):
        logits = net(_inputs(images.pixels[batch], mean))
    loss = F.cross_entropy(logits.float(), images.labels[batch])
    return list(torch.autograd.grad(loss, list(net.parameters())))


def error_rate(net: nn.Module, images: Images, mean: Tensor) -> float:
    """Return the fraction of images that are classified wrongly."""
    top = most_probable_labels(net, images, mean)
    return float(is_error(top, images.labels, 1).double().mean())


@torch.no_grad()
def most_probable_labels(net: nn.Module, images: Images, mean: Tensor) -> Tensor:
    """Return the five most probable labels of each image, (N, 5) int64."""
    top = []
    for batch in torch.split(torch.arange(len(images.labels), device=mean.device), 1000):
        with pick_autocast("auto", mean.device):
            logits = net(_inputs(images.pixels[batch], mean))
        top.append(rank_labels(logits.float())[0])
    return torch.cat(top)


def _inputs(pixels: Tensor, mean: Tensor) -> Tensor:
    return (pixels.float() - mean).contiguous(memory_format=torch.channels_last)
