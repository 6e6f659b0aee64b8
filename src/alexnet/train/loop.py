"""The training loop of section 5."""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.dataset.moments import Moments
from alexnet.dataset.shards import Shards
from alexnet.inference.predict import check_labels, evaluate_centre_view
from alexnet.input.epoch import split_batches
from alexnet.model.alexnet import AlexNet
from alexnet.model.precision import pick_autocast
from alexnet.model.towers import all_reduce_sum, any_rank, barrier
from alexnet.runtime.errors import InputError
from alexnet.runtime.processes import Stop
from alexnet.runtime.progress import progress
from alexnet.train.checkpoint import resume, save
from alexnet.train.dropout import draw_dropout_masks
from alexnet.train.history import flat_loss_warning, format_row, mean_magnitudes, write_csv
from alexnet.train.inputs import Batch, TrainingSet, load_batches
from alexnet.train.optimizer import update
from alexnet.train.recipe import ParameterGroup, Recipe, group_parameters
from alexnet.train.state import Row, TrainState
from alexnet.train.throughput import Throughput

STEPS_PER_CHECK = 50  # of the loss, which is on the device, and of the other ranks


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
    """Train `net` in place, and return a row of history for each epoch.

    Saves a checkpoint in `folder` after every epoch, every `checkpoint_steps` steps and on SIGTERM;
    resumes from one if present, on a CPU to the same bytes. All ranks call this at once. Raises
    InputError if the loss becomes NaN or infinite or `net` has too few classes, SystemExit on
    SIGTERM.
    """
    _check_arguments(net, shards, val_shards, recipe, checkpoint_steps)
    data = TrainingSet.load(shards, moments, recipe, seed, net.conv1.weight.device)
    autocast = pick_autocast(recipe.precision, data.mean.device)
    state = resume(folder, TrainState.start(net, recipe.schedule))
    throughput = Throughput()
    images_left = (recipe.epochs - state.epoch) * len(shards) - state.batch * recipe.batch_size
    with progress(images_left, "train", note=throughput.status) as advance, Stop() as stop:
        for epoch in range(state.epoch, recipe.epochs):
            if state.schedule.ended:
                break
            lr = recipe.lr * state.schedule.factor
            groups = group_parameters(net, recipe, epoch, lr)
            net.train()
            for batch in load_batches(data, epoch, state.batch, net.layout, throughput):
                loss = train_step(state, groups, batch, seed, autocast)
                state.advance(loss * batch.images)
                advance(batch.images)
                stopping = _stop_requested(stop.requested, state)
                save_due = stopping or state.step % checkpoint_steps == 0
                if save_due or state.step % STEPS_PER_CHECK == 0:
                    throughput.loss = _check_loss(state, data, lr)
                if save_due:
                    save(folder, state)
                if stopping:
                    barrier(net.layout)  # the checkpoint is written
                    stop.exit(state.step)
            _finish_epoch(state, data, val_shards, autocast, lr, throughput, folder)
    return state.history


def train_step(
    state: TrainState,
    groups: list[ParameterGroup],
    batch: Batch,
    seed: int,
    autocast: torch.autocast,
) -> Tensor:
    """Update the weights once, and return the loss before the update.

    The loss is the mean of the whole batch on every rank, float64, on the device.
    """
    net, layout = state.net, state.net.layout
    parameters = dict(net.named_parameters())
    (rows,) = split_batches(batch.images, batch.images, 0, layout.replica, layout.replicas)
    neurons, device = layout.local_slice(net.config.layer_neurons), batch.x.device
    masks = draw_dropout_masks(seed, state.step, rows, neurons, net.config.dropout, device)
    with autocast:
        logits = net(batch.x, masks)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    loss = F.cross_entropy(logits, batch.labels, reduction="sum") / batch.images
    names = [name for group in groups for name in group.names]
    grads = torch.autograd.grad(loss, [parameters[name] for name in names])
    loss = loss.detach()
    all_reduce_sum([*grads, loss], layout.replica_group)
    gradients = dict(zip(names, grads, strict=True))
    with torch.no_grad():
        for group in groups:
            update(
                [parameters[name] for name in group.names],
                [gradients[name] for name in group.names],
                [state.velocities[name] for name in group.names],
                lr=group.lr,
                momentum=group.momentum,
                weight_decay=group.weight_decay,
            )
    return loss.double()


def _check_arguments(
    net: AlexNet, shards: Shards, val_shards: Shards, recipe: Recipe, checkpoint_steps: int
) -> None:
    counts = {
        "recipe.epochs": recipe.epochs,
        "recipe.batch_size": recipe.batch_size,
        "launcher.checkpoint_steps": checkpoint_steps,
    }
    for name, count in counts.items():
        if count < 1:
            raise InputError(
                f"{name} is {count}, but must be 1 or more", f"set {name} to 1 or more"
            )
    check_labels(shards, net.config.classes)
    check_labels(val_shards, net.config.classes)


def _stop_requested(on_this_rank: bool, state: TrainState) -> bool:
    """Return whether any rank received SIGTERM; all stop after the same step.

    Ranks on GPUs exchange this only every STEPS_PER_CHECK steps, because they have to wait for it.
    """
    layout, device = state.net.layout, state.loss_sum.device
    if layout.is_single or device.type == "cpu" or state.step % STEPS_PER_CHECK == 0:
        return any_rank(on_this_rank, layout, device)
    return False


def _check_loss(state: TrainState, data: TrainingSet, lr: float) -> float:
    """Fetch the mean loss of the epoch so far. Raises InputError if it is NaN or infinite.

    Called before each checkpoint, so that none holds such weights.
    """
    images = min(state.batch * data.recipe.batch_size, len(data.shards))
    loss = float(state.loss_sum) / max(images, 1)
    if not math.isfinite(loss):
        what = f"the loss became NaN or infinite in epoch {state.epoch + 1}, step {state.step}"
        what += f", at lr {lr:g}; earlier checkpoints are kept"
        raise InputError(what, f"lower lr: dvc exp run -S lr={data.recipe.lr / 10:g}")
    return loss


def _finish_epoch(
    state: TrainState,
    data: TrainingSet,
    val_shards: Shards,
    autocast: torch.autocast,
    lr: float,
    throughput: Throughput,
    folder: Path,
) -> None:
    """Evaluate the validation images, record the epoch, save a checkpoint."""
    throughput.loss = _check_loss(state, data, lr)
    rate = throughput.epoch_rate()
    train_loss = float(state.loss_sum) / len(data.shards)
    row: Row = {"epoch": state.epoch + 1, "step": state.step, "lr": lr, "train_loss": train_loss}
    with autocast:
        row |= evaluate_centre_view(state.net, val_shards, data.mean)
    row |= mean_magnitudes(state)
    print(f"{format_row(row, data.recipe.epochs)}  {rate}", flush=True)
    if warning := flat_loss_warning(row, state.net.config.classes):
        print(warning, flush=True)
    state.end_epoch(row)
    save(folder, state)
    if state.net.layout.is_main:  # for users who follow the training
        write_csv(folder / "history.csv", state.history)
