"""The loop of section 5: epochs of batches, the update rule, the rate lowered on a plateau."""

import csv
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet import augment, checkpoint, philox
from alexnet.batches import choose, crops
from alexnet.device import keep_freed_memory, pick_autocast
from alexnet.errors import InputError
from alexnet.evaluation import centre_errors
from alexnet.model import AlexNet
from alexnet.moments import Moments
from alexnet.optim import Plateau, update
from alexnet.progress import Advance, progress
from alexnet.shards import Shards

Row = dict[str, float]
NEWEST, BEFORE = "checkpoint.safetensors", "before.safetensors"


@dataclass(frozen=True)
class Recipe:
    """The numbers of sections 4 and 5, under the names they have in conf/recipe; and lr."""

    lr: float
    batch_size: int
    epochs: int
    momentum: float
    weight_decay: float
    plateau: Plateau
    random_crops: bool
    reflections: bool
    alpha_std: float
    colour_scale: str
    shuffled_labels: bool
    precision: str


@dataclass
class State:
    """Where a run stands after a whole number of epochs; with the weights, all that it needs."""

    epoch: int
    step: int
    schedule: Plateau
    history: list[Row]


def train(
    net: AlexNet,
    shards: Shards,
    val_shards: Shards,
    moments: Moments,
    recipe: Recipe,
    seed: int,
    folder: Path,
) -> list[Row]:
    """Train `net` in place, on the device it is on, and return a row for each epoch.

    A checkpoint after every epoch goes to `folder`; a run that finds one goes on from it to the
    same end, byte for byte on a CPU. Raises InputError when the loss is no longer a number.
    """
    if recipe.epochs < 1 or recipe.batch_size < 1:
        raise InputError("recipe.epochs and recipe.batch_size must be 1 or more", "raise them")
    keep_freed_memory()
    run = _Run.of(net, shards, moments, recipe, seed)
    velocities = [torch.zeros_like(weight) for weight in net.parameters()]
    state = _resume(folder, net, velocities, State(0, 0, recipe.plateau, []))
    with progress((recipe.epochs - state.epoch) * len(shards), "train") as advance:
        while state.epoch < recipe.epochs and not state.schedule.ended:
            lr = recipe.lr * state.schedule.factor
            loss, steps = _epoch(run, velocities, state, lr, advance)
            with run.autocast:
                val = centre_errors(net, val_shards, run.mean)
            state = _after_epoch(state, steps, lr, loss, val)
            _save(folder, net, velocities, state)
            print(_line(state.history[-1], recipe.epochs), flush=True)
    return state.history


@dataclass(frozen=True)
class _Run:
    """What stays the same over a run; mean_image and labels (in the order of the records)."""

    net: AlexNet
    shards: Shards
    recipe: Recipe
    seed: int
    mean: Tensor
    eigenpairs: tuple[Tensor, Tensor]
    labels: Tensor
    autocast: torch.autocast

    @classmethod
    def of(
        cls, net: AlexNet, shards: Shards, moments: Moments, recipe: Recipe, seed: int
    ) -> "_Run":
        device = net.conv1.weight.device
        mean = torch.from_numpy(moments.mean_image).to(device)
        pairs = torch.from_numpy(moments.eigenvalues), torch.from_numpy(moments.eigenvectors)
        labels = torch.from_numpy(shards.labels[shards.records]).long()
        if recipe.shuffled_labels:
            generator = torch.Generator().manual_seed(seed)
            labels = labels[torch.randperm(len(labels), generator=generator)]
        autocast = pick_autocast(recipe.precision, device)
        return cls(net, shards, recipe, seed, mean, pairs, labels, autocast)


def _epoch(
    run: _Run, velocities: list[Tensor], state: State, lr: float, advance: Advance
) -> tuple[float, int]:
    """One pass over the training set: the mean loss and the number of steps."""
    total, step = 0.0, state.step
    run.net.train()
    for x, labels in _inputs(run, state.epoch):
        total += _step(run, velocities, x, labels, step, lr) * len(x)
        step += 1
        if not math.isfinite(total):
            raise InputError(f"the loss is no number any more at step {step}", f"lower lr ({lr:g})")
        advance(len(x))
    return total / len(run.shards), step - state.step


def _step(
    run: _Run, velocities: list[Tensor], x: Tensor, labels: Tensor, step: int, lr: float
) -> float:
    """Forward, backward, update; the loss before it."""
    net, recipe = run.net, run.recipe
    weights: list[Tensor] = list(net.parameters())
    masks = dropout_masks(run.seed, step, len(x), net.fc7.out_features, net.dropout, x.device)
    with run.autocast:
        loss = F.cross_entropy(net(x, masks).float(), labels)
    gradients = list(torch.autograd.grad(loss, weights))
    rule = {"momentum": recipe.momentum, "weight_decay": recipe.weight_decay}
    with torch.no_grad():
        update(weights, gradients, velocities, lr=lr, **rule)
    return float(loss.detach())


def _inputs(run: _Run, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented batches and their labels, on the device."""
    recipe, device = run.recipe, run.mean.device
    ways = recipe.random_crops, recipe.reflections, recipe.alpha_std
    choices = choose(run.seed, epoch, len(run.shards), *ways)
    shifts = augment.colour_shifts(choices.alphas, *run.eigenpairs, recipe.colour_scale)
    labels = run.labels[choices.order]
    for batch, part in crops(run.shards, choices, recipe.batch_size, device.type == "cuda"):
        chosen = choices.tops[part], choices.lefts[part], choices.mirrored[part], shifts[part]
        x, *chances = (each.to(device, non_blocking=True) for each in (batch, *chosen))
        yield augment.augment(x, run.mean, *chances), labels[part].to(device)


def dropout_masks(
    seed: int, step: int, images: int, neurons: int, dropout: float, device: torch.device
) -> tuple[Tensor, Tensor]:
    """What fc6 and fc7 keep in one step: (images, neurons) float32 of 0 and 1 (section 4.2)."""
    units = torch.arange(images * neurons // 4, device=device)
    dropped = round(dropout * 2**32)
    six, seven = (
        (philox.words(seed, stream, step, units) >= dropped).view(images, neurons).float()
        for stream in (philox.DROPOUT6, philox.DROPOUT7)
    )
    return six, seven


def write_history(path: Path, history: list[Row]) -> None:
    """One row an epoch, as CSV; floats as their shortest exact decimals."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


def _after_epoch(state: State, steps: int, lr: float, loss: float, val: Row) -> State:
    epoch, step = state.epoch + 1, state.step + steps
    row = {"epoch": epoch, "step": step, "lr": lr, "train_loss": loss} | val
    schedule = state.schedule.after(val["top1_error"])
    return State(epoch, step, schedule, [*state.history, row])


def _line(row: Row, epochs: int) -> str:
    return (
        f"epoch {row['epoch']:3}/{epochs}  lr {row['lr']:g}  loss {row['train_loss']:.3f}  "
        f"val loss {row['val_loss']:.3f}  "
        f"top-1 error {row['top1_error']:.1f} %  top-5 {row['top5_error']:.1f} %"
    )


def _save(folder: Path, net: AlexNet, velocities: list[Tensor], state: State) -> None:
    names = [name for name, _ in net.named_parameters()]
    moving = {f"velocity.{name}": v for name, v in zip(names, velocities, strict=True)}
    newest = folder / NEWEST
    if newest.exists():
        newest.replace(folder / BEFORE)
    checkpoint.save(newest, net.state_dict() | moving, asdict(state))


def _resume(folder: Path, net: AlexNet, velocities: list[Tensor], start: State) -> State:
    """Take up the newest checkpoint that can be read; without one, start."""
    for path in (folder / NEWEST, folder / BEFORE):
        if path.exists():
            try:
                return _loaded(path, net, velocities)
            except InputError as error:
                path.unlink()  # else the next save would keep it in the place of the good one
                print(f"{error}; going on from the one before, if there is one", flush=True)
    return start


def _loaded(path: Path, net: AlexNet, velocities: list[Tensor]) -> State:
    tensors, saved = checkpoint.load(path)
    names = [name for name, _ in net.named_parameters()]
    for name, velocity in zip(names, velocities, strict=True):
        velocity.copy_(tensors.pop(f"velocity.{name}"))
    net.load_state_dict(tensors)
    print(f"train: going on after epoch {saved['epoch']}", flush=True)
    return State(saved["epoch"], saved["step"], Plateau(**saved["schedule"]), saved["history"])
