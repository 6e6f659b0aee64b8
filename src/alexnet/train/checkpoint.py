"""Checkpoints of a training run: resume it after any interruption, to the same bytes."""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alexnet.dataset.checksummed import is_count
from alexnet.model import tensor_file
from alexnet.model.towers import all_ranks_equal, gather_rows, local_rows
from alexnet.runtime.errors import InputError
from alexnet.train.schedule import Schedule
from alexnet.train.state import TrainState

NEWEST, PREVIOUS = "checkpoint.safetensors", "previous.safetensors"
COUNTERS = ("epoch", "batch", "step")
SCHEDULE_STATE = {"best", "waited", "dropped", "epoch"}  # the fields of a schedule that change


def save(folder: Path, state: TrainState) -> None:
    """Write a checkpoint of the whole net, and keep the previous one.

    All ranks call this at once; the first one writes.
    """
    layout = state.net.layout
    if layout.replica:
        return
    tensors = gather_rows(state.tensors(), layout)
    if not layout.is_main:
        return
    newest = folder / NEWEST
    if newest.exists():
        newest.replace(folder / PREVIOUS)
    progress = {name: getattr(state, name) for name in (*COUNTERS, "history")}
    progress |= {"schedule": asdict(state.schedule), "run": folder.name}
    tensor_file.save_tensors(newest, tensors | {"loss": state.loss_sum}, progress)


def resume(folder: Path, state: TrainState) -> TrainState:
    """Load the newest intact checkpoint of this run.

    Without one, returns `state` itself. Tensors are loaded into those of `state`, each rank its
    rows. Raises InputError if ranks find different checkpoints.
    """
    resumed = _load_newest(folder, state)
    if not all_ranks_equal(resumed.step, state.net.layout, state.loss_sum.device):
        what = f"{folder} is not the same folder for all processes"
        raise InputError(what, "let all nodes share this checkout")
    return resumed


def _load_newest(folder: Path, state: TrainState) -> TrainState:
    for path in (folder / NEWEST, folder / PREVIOUS):
        if path.exists():
            try:
                return _load(path, state)
            except InputError as error:
                if state.net.layout.is_main:  # or the next save would keep it as the previous one
                    path.unlink()
                print(f"{error}; falling back to the previous checkpoint, if any", flush=True)
    return state


def _load(path: Path, state: TrainState) -> TrainState:
    tensors, saved = tensor_file.load_tensors(path)
    if saved.pop("run", None) != path.parent.name:  # the folder's name identifies the run
        raise InputError(f"{path} is a checkpoint of another run")
    try:
        progress = _check_progress(saved, state.schedule)
        found = {"loss": tensors.pop("loss"), **local_rows(tensors, state.net.layout)}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a training checkpoint: {error!r}") from None
    own = state.tensors() | {"loss": state.loss_sum}
    if _shapes(found) != _shapes(own):  # compare all before loading any
        raise InputError(f"{path} is a checkpoint of another net")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(found[name])
    resumed = replace(state, **progress)
    print(f"train: resuming after epoch {resumed.epoch}, step {resumed.step}", flush=True)
    return resumed


def _check_progress(saved: Mapping[str, Any], schedule: Schedule) -> dict[str, Any]:
    """Return counters, schedule and history of a checkpoint, as fields of TrainState.

    What never changes in a schedule is taken from `schedule`: the folder's name guarantees that it
    is the same. Raises ValueError, TypeError or KeyError if anything is invalid.
    """
    if saved.keys() != {*COUNTERS, "schedule", "history"}:
        raise ValueError("unexpected keys")
    counters = {name: saved[name] for name in COUNTERS}
    names = [field.name for field in fields(schedule) if field.name in SCHEDULE_STATE]
    changed = {name: saved["schedule"][name] for name in names}
    counts = [*counters.values(), *(n for name, n in changed.items() if name != "best")]
    if not (all(map(is_count, counts)) and _are_numbers(*changed.values())):
        raise ValueError("invalid counters")
    history = [dict(row) for row in saved["history"]]
    if len(history) != saved["epoch"] or any(row.keys() != history[0].keys() for row in history):
        raise ValueError("the history does not match the epochs")
    if not all(_are_numbers(*row.values()) for row in history):
        raise ValueError("the history holds other values than numbers")
    return counters | {"schedule": replace(schedule, **changed), "history": history}


def _are_numbers(*values: Any) -> bool:
    return all(type(value) in (int, float) for value in values)


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}
