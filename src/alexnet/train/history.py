"""The rows of history.csv, and what is printed after each epoch."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from alexnet.model.alexnet import layers_of
from alexnet.model.towers import all_reduce_sum
from alexnet.train.state import Row, TrainState

FLAT = 0.005  # relative distance from ln(classes) within which the loss has not begun to fall


def mean_magnitudes(state: TrainState) -> Row:
    """Return mean |w| and |Δw| of each layer, as in the 2012 code's log."""
    tensors: dict[str, Tensor] = {}
    for layer, module in layers_of(state.net).items():
        tensors[f"w_{layer}"] = module.weight.detach()
        tensors[f"dw_{layer}"] = state.velocities[f"{layer}.weight"]
    sums = torch.stack([tensor.abs().sum(dtype=torch.float64) for tensor in tensors.values()])
    counts = sums.new_tensor([tensor.numel() for tensor in tensors.values()])
    all_reduce_sum([sums, counts], state.net.layout.tower_group)
    return dict(zip(tensors, (sums / counts).tolist(), strict=True))


def format_row(row: Row, epochs: int) -> str:
    """Return the line printed after an epoch."""
    return (
        f"epoch {row['epoch']:3}/{epochs}  lr {row['lr']:g}  loss {row['train_loss']:.3f}  "
        f"val loss {row['val_loss']:.3f}  "
        f"top-1 error {row['top1_error']:.1f} %  top-5 {row['top5_error']:.1f} %"
    )


def flat_loss_warning(row: Row, classes: int) -> str | None:
    """Return a warning if the loss has not begun to fall.

    None in the first epoch, and if the loss differs from that of guessing.
    """
    guess = math.log(classes)
    if row["epoch"] == 1 or abs(row["train_loss"] / guess - 1) >= FLAT:
        return None
    return (
        f"warning: the loss, {row['train_loss']:.3f}, is still that of guessing, ln(classes) = "
        f"{guess:.3f}: the logits do not depend on the images. Likely causes: an initial standard "
        "deviation of 0.01 in conv3 to conv5 (model=original has 0.03), biases of 1 in a narrow "
        "net (model=quick has 0.1), too small an lr, or inputs that are not on the 0–255 scale"
    )


def write_csv(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write rows with a header; floats as their shortest exact decimals."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
