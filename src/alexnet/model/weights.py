"""Tensors and a JSON state in one file, replaced whole or not at all; the model's file."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from alexnet.dataset.moments import Moments
from alexnet.model.alexnet import AlexNet
from alexnet.model.model_file import (
    MODEL,
    SEAL,
    as_text,
    model_in,
    opened,
    path_of,
    seal_of,
    split_moments,
    state_in,
    tensors_in,
)
from alexnet.model.towers import SINGLE_PROCESS, RankLayout, local_rows
from alexnet.runtime.errors import InputError
from alexnet.runtime.files import write_atomically


def save(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write `tensors` and `state`, as JSON, to `path`, with a checksum of both."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    sealed = {**state, SEAL: seal_of(whole, state)}
    write_atomically(path, safetensors.torch.save(whole, {"state": as_text(sealed)}))


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `save` wrote. Raises InputError where the file is missing or damaged."""
    with opened(path, "pt") as file:
        state, seal = state_in(file)
        return tensors_in(file, state, seal), state


def save_model(folder: Path, net: AlexNet, moments: Moments, described: Mapping[str, Any]) -> None:
    """Write model.safetensors, all that prediction needs, and model.json: what it tells, to read.

    `described` holds, among what else is worth knowing, `net`: the arguments of AlexNet; `input`:
    resample and apply_exif; `recipe`: precision; `synsets`, in label order.
    """
    inputs = {name: torch.from_numpy(value) for name, value in vars(moments).items()}
    save(folder / MODEL, net.state_dict() | inputs, described)
    (folder / "model.json").write_text(as_text(described), "utf-8")


def load_model(
    path: Path, place: RankLayout = SINGLE_PROCESS
) -> tuple[AlexNet, Moments, dict[str, Any]]:
    """The net, the moments and the description of a model's file, or of that in a folder.

    Of the net what `place` has. Checked as `read_model` does, and raises as that.
    """
    with opened(path_of(path), "pt") as file:
        tensors, described = model_in(file)
        with torch.device("meta"):  # shapes without memory
            net = AlexNet(**described["net"], place=place)
    moments = split_moments(tensors)
    net.load_state_dict(local_rows(tensors, place), assign=True)
    return net, moments, described


def init_from(net: AlexNet, folder: Path) -> str:
    """Take the weights of another run's model wherever their layers fit; the others stay.

    `folder`: its data/train. Returns the SHA-256 of what was taken. Raises InputError where the
    model is missing or damaged, or no layer fits.
    """
    path = folder / MODEL
    tensors = load_model(path)[0].state_dict()
    own = net.state_dict()
    fit = {name: t for name, t in tensors.items() if name in own and own[name].shape == t.shape}
    if not fit:
        raise InputError(f"no layer of {path} fits this net", "choose the model it was trained as")
    net.load_state_dict(own | fit)
    new = sorted({name.partition(".")[0] for name in own if name not in fit})
    print(f"train: weights of {folder}; new: {', '.join(new) or 'none'}", flush=True)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
