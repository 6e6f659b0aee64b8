"""One training step of the full net on one core: ours, plain PyTorch and torchvision."""

import argparse
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.launch.gpus import pick_device
from alexnet.model.alexnet import AlexNet
from alexnet.model.net_config import NetConfig
from alexnet.runtime.processes import keep_freed_memory
from alexnet.train.dropout import draw_dropout_masks
from alexnet.train.optimizer import update
from benchmarks.clock import Costs, cpu_seconds, measure_interleaved
from benchmarks.table import Goal, Row, make_installed, missing_rows, ratio_row, show

BATCH, CLASSES = 64, 1000
LR, MOMENTUM, WEIGHT_DECAY = 0.01, 0.9, 0.0005
PLAIN = "plain PyTorch, float32"
GOALS = {"ours, float32": Goal(at_least=1.5), "ours, bfloat16": Goal(at_least=2.5)}
Batch = tuple[Tensor, Tensor]
Step = Callable[[Batch], Tensor]


class Plain(nn.Module):
    """The same net written directly with torch.nn, with inverted dropout."""

    def __init__(self, dropout: float = 0.5) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11, stride=4)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=2)
        self.fc6, self.fc7 = nn.Linear(9216, 4096), nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, CLASSES)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, 1000) of images (N, 3, 224, 224)."""
        x = F.relu(self.conv1(F.pad(x, (0, 3, 0, 3))))
        x = F.max_pool2d(lrn_per_tower(x), 3, 2)
        x = F.max_pool2d(lrn_per_tower(F.relu(self.conv2(x))), 3, 2)
        x = F.relu(self.conv4(F.relu(self.conv3(x))))
        x = F.max_pool2d(F.relu(self.conv5(x)), 3, 2).flatten(1)
        x = self.drop(F.relu(self.fc7(self.drop(F.relu(self.fc6(x))))))
        logits: Tensor = self.fc8(x)
        return logits


def lrn_per_tower(x: Tensor) -> Tensor:
    """Return torch's LRN of each tower with the paper's constants; torch divides α by n."""
    towers = x.reshape(-1, x.shape[1] // 2, *x.shape[2:])
    return F.local_response_norm(towers, 5, alpha=5e-4, beta=0.75, k=2.0).view_as(x)


def ours(
    device: torch.device, dtype: torch.dtype, width_divisor: int = 1, classes: int = CLASSES
) -> Step:
    """Return a step as alexnet.train.loop computes it."""
    net = AlexNet(NetConfig(classes, width_divisor))
    net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    weights: list[Tensor] = list(net.parameters())
    velocities = [torch.zeros_like(weight) for weight in weights]
    return partial(_our_step, net, weights, velocities, autocast(device, dtype))


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Return autocast to bfloat16, disabled for float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16)


def _our_step(
    net: AlexNet,
    weights: list[Tensor],
    velocities: list[Tensor],
    precision: AbstractContextManager[object],
    batch: Batch,
) -> Tensor:
    images, labels = batch
    x = images.contiguous(memory_format=torch.channels_last)
    everywhere = slice(0, len(x)), slice(0, net.config.layer_neurons)
    masks = draw_dropout_masks(0, 0, *everywhere, net.config.dropout, x.device)
    with precision:
        loss = F.cross_entropy(net(x, masks).float(), labels)
    gradients = list(torch.autograd.grad(loss, weights))
    with torch.no_grad():
        update(weights, gradients, velocities, lr=LR, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    return loss.detach()


def theirs(net: nn.Module, device: torch.device, dtype: torch.dtype) -> Step:
    """Return a step as in a typical tutorial."""
    net = net.to(device).train()
    sgd = torch.optim.SGD(net.parameters(), LR, MOMENTUM, weight_decay=WEIGHT_DECAY)
    return partial(_their_step, net, sgd, device, dtype)


def _their_step(
    net: nn.Module, sgd: torch.optim.SGD, device: torch.device, dtype: torch.dtype, batch: Batch
) -> Tensor:
    images, labels = batch
    sgd.zero_grad()
    with autocast(device, dtype):
        loss = F.cross_entropy(net(images), labels)
    loss.backward()  # type: ignore[no-untyped-call]
    sgd.step()
    return loss.detach()


def _torchvision(device: torch.device, dtype: torch.dtype) -> Step:
    from torchvision.models import alexnet

    return theirs(alexnet(num_classes=CLASSES), device, dtype)


def makers(device: torch.device) -> dict[str, Callable[[], Step]]:
    """Return a function per way that builds its step."""
    full, half = torch.float32, torch.bfloat16
    return {
        "ours, float32": partial(ours, device, full),
        "ours, bfloat16": partial(ours, device, half),
        PLAIN: lambda: theirs(Plain(), device, full),
        "torchvision.models.alexnet (no LRN, no towers), float32": partial(
            _torchvision, device, full
        ),
        "torchvision.models.alexnet, bfloat16": partial(_torchvision, device, half),
    }


def rows(photos: list[bytes], rounds: int, device: str = "cpu", size: int = BATCH) -> list[Row]:
    """Measure steps on one random batch, interleaved. `photos` is not used."""
    at = pick_device(device)
    keep_freed_memory()  # for all ways
    ways, missing = make_installed(makers(at))
    images = 60 * torch.randn(size, 3, 224, 224, device=at)
    labels = torch.randint(CLASSES, (size,), device=at)
    costs = measure_interleaved(ways, [(images, labels)], rounds, clock_for(at))
    return [*(_row(name, costs, size) for name in costs), *missing_rows(missing)]


def _row(name: str, costs: Costs, size: int) -> Row:
    milliseconds = 1e3 * float(np.median(costs[name])) / size
    cost = f"{milliseconds:,.2f} ms per image, {1e3 / milliseconds:,.0f} images/s"
    if name == PLAIN:
        return Row(name, cost)
    return ratio_row(name, cost, costs[PLAIN] / costs[name], GOALS.get(name, Goal()))


def clock_for(device: torch.device) -> Callable[[], float]:
    """Return a clock: CPU time, or on a GPU wall time after all work is done."""
    return cpu_seconds if device.type == "cpu" else partial(_synchronized_time, device)


def _synchronized_time(device: torch.device) -> float:
    torch.cuda.synchronize(device)
    return time.perf_counter()


def parse_arguments(about: str, batch: int) -> argparse.Namespace:
    """Return the command line's `device`, `rounds` and `batch`."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto (default cpu)")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds (default 5)")
    parser.add_argument(
        "--batch", type=int, default=batch, help=f"images per step (default {batch})"
    )
    parser.add_argument("--quick", action="store_true", help="same as --rounds 3 --batch 16")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.batch = 3, 16
    return args


def main(
    about: str, batch: int, measure: Callable[[list[bytes], int, str, int], Iterable[Row]]
) -> None:
    """Run one benchmark of the net from the command line."""
    args = parse_arguments(about, batch)
    settings = f"{args.batch} images, {args.rounds} rounds, {torch.get_num_threads()} threads"
    table = measure([], args.rounds, args.device, args.batch)
    show(f"{about.splitlines()[0]}\n{args.device}, {settings}, torch {torch.__version__}", table)


if __name__ == "__main__":
    main(f"{__doc__} Ratio: {PLAIN} ÷ this.", BATCH, rows)
