"""Where a training run stands, on disk: to be stopped anywhere and gone on with, exactly."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alexnet.dataset.checksummed import is_count
from alexnet.model import tensor_file
from alexnet.model.alexnet import AlexNet
from alexnet.model.towers import all_ranks_equal, gather_rows, local_rows
from alexnet.runtime.errors import InputError
from alexnet.train.optimizer import Schedule

NEWEST, BEFORE = "checkpoint.safetensors", "before.safetensors"
MOVING = {"best", "waited", "dropped", "epoch"}  # of a schedule, with the epochs


@dataclass(frozen=True)
class Position:
    """After `epoch` whole epochs and `batch` batches of the next, `step` in all.

    With the weights, their velocities and the loss added up, all that a run needs.
    """

    epoch: int
    batch: int
    step: int
    schedule: Schedule
    history: list[dict[str, float]]

    def stepped(self) -> "Position":
        """One batch further."""
        return replace(self, batch=self.batch + 1, step=self.step + 1)

    def next_epoch(self, error: float, row: dict[str, float]) -> "Position":
        """At the beginning of the next epoch, with the validation error and its row of history."""
        schedule, history = self.schedule.after(error), [*self.history, row]
        return Position(self.epoch + 1, 0, self.step, schedule, history)


def save(
    folder: Path, net: AlexNet, velocities: dict[str, Tensor], loss: Tensor, at: Position
) -> None:
    """Write a checkpoint of the whole net; the one before stays, should this one come to harm.

    Of several ranks all call this at once, and the first writes.
    """
    if net.layout.replica:
        return
    moving = {f"velocity.{name}": velocity for name, velocity in velocities.items()}
    whole = gather_rows(net.state_dict() | moving, net.layout)
    if not net.layout.is_main:
        return
    newest = folder / NEWEST
    if newest.exists():
        newest.replace(folder / BEFORE)
    tensor_file.save_tensors(newest, whole | {"loss": loss}, asdict(at) | {"run": folder.name})


def resume(
    folder: Path, net: AlexNet, velocities: dict[str, Tensor], loss: Tensor, start: Position
) -> Position:
    """Take up the newest checkpoint of this run that can be read; without one, `start`.

    Of several ranks each takes its part of it. Raises InputError where they do not find the same.
    """
    at = _newest(folder, net, velocities, loss, start)
    if not all_ranks_equal(at.step, net.layout, loss.device):
        what = f"{folder} is not the same folder for all processes"
        raise InputError(what, "let all nodes share this checkout")
    return at


def _newest(
    folder: Path, net: AlexNet, velocities: dict[str, Tensor], loss: Tensor, start: Position
) -> Position:
    for path in (folder / NEWEST, folder / BEFORE):
        if path.exists():
            try:
                return _loaded(path, net, velocities, loss, start)
            except InputError as error:
                if net.layout.is_main:  # else the next save would keep it in place of the good one
                    path.unlink()
                print(f"{error}; going on from the one before, if there is one", flush=True)
    return start


def _loaded(
    path: Path, net: AlexNet, velocities: dict[str, Tensor], loss: Tensor, start: Position
) -> Position:
    tensors, saved = tensor_file.load_tensors(path)
    if saved.pop("run", None) != path.parent.name:  # of which the folder's name tells all
        raise InputError(f"{path} is of another run")
    try:
        at = _position(saved, start.schedule)
        found = {"loss": tensors.pop("loss"), **local_rows(tensors, net.layout)}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no checkpoint of a run: {error!r}") from None
    own = {f"velocity.{name}": velocity for name, velocity in velocities.items()}
    own |= {"loss": loss, **net.state_dict()}
    if _shapes(found) != _shapes(own):  # before the first of them is taken
        raise InputError(f"{path} is of another net")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(found[name])
    print(f"train: going on after epoch {at.epoch}, step {at.step}", flush=True)
    return at


def _position(saved: dict[str, Any], start: Any) -> Position:
    """What `save` told of it. Raises ValueError or TypeError, or KeyError, where it is no place.

    What does not move in a schedule is `start`'s own: the folder's name tells that it is.
    """
    told = saved.pop("schedule")
    moved = {field.name: told[field.name] for field in fields(start) if field.name in MOVING}
    at = Position(**saved, schedule=replace(start, **moved))
    counts = [at.epoch, at.batch, at.step, *(n for name, n in moved.items() if name != "best")]
    if not (all(map(is_count, counts)) and _are_numbers(*moved.values())):
        raise ValueError("it tells no place")
    rows = [dict(row) for row in at.history]
    if len(rows) != at.epoch or any(row.keys() != rows[0].keys() for row in rows):
        raise ValueError("its history is not that of its epochs")
    if not all(_are_numbers(*row.values()) for row in rows):
        raise ValueError("its history is not of numbers")
    return at


def _are_numbers(*values: Any) -> bool:
    return all(type(value) in (int, float) for value in values)


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}
