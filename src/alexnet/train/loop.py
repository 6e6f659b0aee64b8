"""The loop of section 5: epochs of batches, the update rule, the rate lowered, checkpoints."""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.dataset.moments import Moments
from alexnet.dataset.shards import Shards
from alexnet.inference.ten_views import centre_errors, check_labels
from alexnet.input.epoch import batch_parts
from alexnet.model.alexnet import AlexNet, layers_of
from alexnet.model.precision import pick_autocast
from alexnet.model.towers import all_reduce_sum, any_rank, barrier
from alexnet.runtime.errors import InputError
from alexnet.runtime.processes import Stop
from alexnet.runtime.progress import Advance, progress
from alexnet.train.checkpoint import Position, resume, save
from alexnet.train.dropout import dropout_masks
from alexnet.train.inputs import Feed, inputs
from alexnet.train.optimizer import update
from alexnet.train.recipe import Group, Recipe, groups_of

Row = dict[str, float]
STEPS_A_LOOK = 50  # at the loss, which stays on the device between, and at the other ranks
FLAT = 0.005  # so near to ln(classes) after two epochs, the loss has not begun to fall


def train(
    net: AlexNet,
    shards: Shards,
    val_shards: Shards,
    moments: Moments,
    recipe: Recipe,
    seed: int,
    folder: Path,
    checkpoint_steps: int = 1000,
) -> list[Row]:
    """Train `net` in place, on the device it is on, and return a row for each epoch.

    A checkpoint after every epoch, every `checkpoint_steps` and on SIGTERM goes to `folder`; a run
    that finds one goes on from it to the same end, byte for byte on a CPU. Of several ranks each
    does what its net's place says, and all return at once. Raises InputError when the loss is no
    longer a number or `net` lacks classes, SystemExit on SIGTERM.
    """
    if min(recipe.epochs, recipe.batch_size, checkpoint_steps) < 1:
        what = "recipe.epochs, recipe.batch_size and launcher.checkpoint_steps must be 1 or more"
        raise InputError(what, "raise them")
    for some in (shards, val_shards):
        check_labels(some, net.classes)
    run = _Run.of(net, Feed.of(shards, moments, recipe, seed, net.conv1.weight.device))
    at = resume(folder, net, run.velocities, run.loss, Position(0, 0, 0, recipe.schedule, []))
    left = (recipe.epochs - at.epoch) * len(shards) - at.batch * recipe.batch_size
    with progress(left, "train", note=run.feed.clock.status) as advance, Stop() as stop:
        while at.epoch < recipe.epochs and not at.schedule.ended:
            for after in _epoch(run, at, advance):
                at = after
                asked = _asked(run, stop.requested, at)
                if asked or at.step % checkpoint_steps == 0:
                    _look(run, at)
                    save(folder, net, run.velocities, run.loss, at)
                if asked:
                    barrier(net.place)  # the checkpoint is written
                    stop.exit(at.step)
            at = _after_epoch(run, at, val_shards)
            save(folder, net, run.velocities, run.loss, at)
            if net.place.first:  # to be looked at while it goes on
                write_history(folder / "history.csv", at.history)
    return at.history


@dataclass(frozen=True)
class _Run:
    """The net and what moves with it; `loss`, added up over an epoch, stays on the device."""

    net: AlexNet
    velocities: dict[str, Tensor]
    loss: Tensor
    feed: Feed
    autocast: torch.autocast

    @classmethod
    def of(cls, net: AlexNet, feed: Feed) -> "_Run":
        velocities = {name: torch.zeros_like(weight) for name, weight in net.named_parameters()}
        loss = torch.zeros((), dtype=torch.float64, device=feed.mean.device)
        autocast = pick_autocast(feed.recipe.precision, feed.mean.device)
        return cls(net, velocities, loss, feed, autocast)

    @property
    def recipe(self) -> Recipe:
        return self.feed.recipe


def _epoch(run: _Run, at: Position, advance: Advance) -> Iterator[Position]:
    """The rest of an epoch: after each step, where the run stands."""
    groups = groups_of(run.net, run.recipe, at.epoch, run.recipe.lr * at.schedule.factor)
    run.net.train()
    run.feed.clock.start()
    for x, labels in inputs(run.feed, at.epoch, at.batch, run.net.place):
        images = min(run.recipe.batch_size, len(run.feed.shards) - at.batch * run.recipe.batch_size)
        run.loss.add_(_step(run, groups, x, labels, images, at.step) * images)
        at = at.stepped()
        run.feed.clock.images += images
        if at.step % STEPS_A_LOOK == 0:
            _look(run, at)
        advance(images)
        yield at
    _look(run, at)


def _look(run: _Run, at: Position) -> None:
    """Fetch the loss; stop where it is no number, before any checkpoint of such weights."""
    done = min(at.batch * run.recipe.batch_size, len(run.feed.shards))
    loss = run.feed.clock.loss = float(run.loss) / max(done, 1)
    if not math.isfinite(loss):
        what = f"the loss is no number any more in epoch {at.epoch + 1}, step {at.step}"
        lr = run.recipe.lr * at.schedule.factor
        raise InputError(f"{what}; checkpoints before it are kept", f"lower lr ({lr:g})")


def _asked(run: _Run, here: bool, at: Position) -> bool:
    """Whether any rank was asked to stop: all stop after the same step.

    On a GPU they ask each other seldom, since the answer has to be waited for.
    """
    place, device = run.net.place, run.loss.device
    if place.alone or device.type == "cpu" or at.step % STEPS_A_LOOK == 0:
        return any_rank(here, place, device)
    return False


def _step(
    run: _Run, groups: list[Group], x: Tensor, labels: Tensor, images: int, step: int
) -> Tensor:
    """Forward, backward, update; the loss before it, of all `images` of the batch, on the device.

    x, labels: the part of the batch that is here.
    """
    net, place, weights = run.net, run.net.place, dict(run.net.named_parameters())
    (rows,) = batch_parts(images, images, 0, place.part, place.parts)
    neurons = place.own(net.neurons)
    masks = dropout_masks(run.feed.seed, step, rows, neurons, net.dropout, x.device)
    with run.autocast:
        logits = net(x, masks)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    loss = F.cross_entropy(logits, labels, reduction="sum") / images
    learning = [name for group in groups for name in group.names]
    gradients = torch.autograd.grad(loss, [weights[name] for name in learning])
    loss = loss.detach()
    all_reduce_sum([*gradients, loss], place.along)
    by_name = dict(zip(learning, gradients, strict=True))
    with torch.no_grad():
        for group in groups:
            update(
                [weights[name] for name in group.names],
                [by_name[name] for name in group.names],
                [run.velocities[name] for name in group.names],
                lr=group.lr,
                momentum=run.recipe.momentum,
                weight_decay=group.weight_decay,
            )
    return loss.double()


def _after_epoch(run: _Run, at: Position, val_shards: Shards) -> Position:
    """Look at the validation images, add a row to the history, and tell it."""
    rate = run.feed.clock.epoch_rate()
    with run.autocast:
        val = centre_errors(run.net, val_shards, run.feed.mean)
    train_loss = float(run.loss) / len(run.feed.shards)
    run.loss.zero_()
    lr = run.recipe.lr * at.schedule.factor
    row: Row = {"epoch": at.epoch + 1, "step": at.step, "lr": lr, "train_loss": train_loss}
    row |= val | _sizes(run)
    print(f"{_line(row, run.recipe.epochs)}  {rate}", flush=True)
    flat = math.log(run.net.classes)
    if at.epoch and abs(train_loss / flat - 1) < FLAT:
        print(_flat(train_loss, flat), flush=True)
    return at.next_epoch(val["top1_error"], row)


def _sizes(run: _Run) -> Row:
    """Mean |w| and |Δw| of each layer's weights, as the authors' program printed them."""
    tensors: dict[str, Tensor] = {}
    for layer, module in layers_of(run.net).items():
        tensors[f"w_{layer}"] = module.weight.detach()
        tensors[f"dw_{layer}"] = run.velocities[f"{layer}.weight"]
    sums = torch.stack([tensor.abs().sum(dtype=torch.float64) for tensor in tensors.values()])
    counts = sums.new_tensor([tensor.numel() for tensor in tensors.values()])
    all_reduce_sum([sums, counts], run.net.place.across)
    return dict(zip(tensors, (sums / counts).tolist(), strict=True))


def _line(row: Row, epochs: int) -> str:
    return (
        f"epoch {row['epoch']:3}/{epochs}  lr {row['lr']:g}  loss {row['train_loss']:.3f}  "
        f"val loss {row['val_loss']:.3f}  "
        f"top-1 error {row['top1_error']:.1f} %  top-5 {row['top5_error']:.1f} %"
    )


def _flat(loss: float, flat: float) -> str:
    return (
        f"warning: the loss, {loss:.3f}, is still that of a guess, ln(classes) = {flat:.3f}: "
        "the images do not reach the logits. Likely causes: 0.01 for conv3 to conv5 "
        "(model=original has 0.03), biases of 1 in a narrow net (model=quick has 0.1), too small "
        "an lr, or inputs that are not on the 0–255 scale"
    )


def write_history(path: Path, history: list[Row]) -> None:
    """One row an epoch, as CSV; floats as their shortest exact decimals."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
