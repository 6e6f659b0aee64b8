"""Training of a small net on images that fit in memory, as figure 1 needs it: epoch by epoch."""

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
    """pixels (N, 3, 32, 32) uint8, labels (N,) int64, on the device where they are used."""

    pixels: Tensor
    labels: Tensor

    @property
    def mean(self) -> Tensor:
        """(3, 32, 32) float32, of the 0–255 scale."""
        return self.pixels.double().mean(dim=0).float()


def in_memory(pixels: Pixels, labels: Pixels, device: torch.device) -> Images:
    """Arrays (N, 3, 32, 32) and (N,) of uint8 → Images on `device`."""
    return Images(torch.from_numpy(pixels).to(device), torch.from_numpy(labels).long().to(device))


def epochs(
    net: nn.Module, images: Images, rates: Iterable[float], seed: int, weight_decay: float = 0.0
) -> Iterator[float]:
    """Train `net` in place, an epoch at each rate: after each its error on `images`, 0–1.

    Section 5's update in batches of 128, in a new order each epoch; no other regularisation than
    `weight_decay`.
    """
    mean = images.mean
    weights: list[Tensor] = list(net.parameters())
    velocities = [torch.zeros_like(weight) for weight in weights]
    for epoch, lr in enumerate(rates):
        with progress(len(images.labels), f"epoch {epoch + 1}") as advance:
            for batch in torch.split(_order(images, seed, epoch), BATCH):
                gradients = _gradients(net, images, batch, mean)
                with torch.no_grad():
                    how = {"momentum": MOMENTUM, "weight_decay": weight_decay}
                    update(weights, gradients, velocities, lr=lr, **how)
                advance(len(batch))
        yield error(net, images, mean)


def _order(images: Images, seed: int, epoch: int) -> Tensor:
    units = torch.arange(len(images.labels), device=images.labels.device)
    return philox.draw_uniform(seed, philox.ORDER, epoch, units)[:, 0].argsort(stable=True)


def _gradients(net: nn.Module, images: Images, batch: Tensor, mean: Tensor) -> list[Tensor]:
    with pick_autocast("auto", mean.device):
        logits = net(_inputs(images.pixels[batch], mean))
    loss = F.cross_entropy(logits.float(), images.labels[batch])
    return list(torch.autograd.grad(loss, list(net.parameters())))


def error(net: nn.Module, images: Images, mean: Tensor) -> float:
    """The share of `images` whose most probable class is not their label."""
    return float(is_error(guesses(net, images, mean), images.labels, 1).double().mean())


@torch.no_grad()
def guesses(net: nn.Module, images: Images, mean: Tensor) -> Tensor:
    """The five most probable labels of each image, (N, 5) int64."""
    found = []
    for part in torch.split(torch.arange(len(images.labels), device=mean.device), 1000):
        with pick_autocast("auto", mean.device):
            logits = net(_inputs(images.pixels[part], mean))
        found.append(rank_labels(logits.float())[0])
    return torch.cat(found)


def _inputs(pixels: Tensor, mean: Tensor) -> Tensor:
    return (pixels.float() - mean).contiguous(memory_format=torch.channels_last)
