"""Save and load a net as a model file."""

import hashlib
from pathlib import Path

import torch

from alexnet.dataset.moments import Moments
from alexnet.model.alexnet import AlexNet
from alexnet.model.description import ModelDescription
from alexnet.model.model_file import (
    DESCRIPTION,
    MODEL,
    model_path,
    pop_moments,
    read_opened_model,
)
from alexnet.model.tensor_file import json_text, open_tensor_file, save_tensors
from alexnet.model.towers import SINGLE_PROCESS, RankLayout, local_rows
from alexnet.runtime.errors import InputError


def save_model(folder: Path, net: AlexNet, moments: Moments, description: ModelDescription) -> None:
    """Write model.safetensors, all that prediction needs, and its description as model.json."""
    arrays = {name: torch.from_numpy(value) for name, value in vars(moments).items()}
    state = description.to_json()
    save_tensors(folder / MODEL, net.state_dict() | arrays, state)
    (folder / DESCRIPTION).write_text(json_text(state), "utf-8")


def load_model(
    path: Path, layout: RankLayout = SINGLE_PROCESS
) -> tuple[AlexNet, Moments, ModelDescription]:
    """Return net, moments and description of a model file or its folder.

    The net has only the towers that `layout` assigns to this process. Raises InputError if the file
    is missing, corrupt or not a model, or the net cannot be divided as `layout` says.
    """
    with open_tensor_file(model_path(path), "pt") as file:
        tensors, description = read_opened_model(file)
    moments = pop_moments(tensors)
    with torch.device("meta"):  # shapes without memory
        net = AlexNet(description.net, layout)
    net.load_state_dict(local_rows(tensors, layout), assign=True)
    return net, moments, description


def init_from(net: AlexNet, folder: Path) -> str:
    """Copy into `net` the weights of another run's model whose shapes match.

    folder: the other run's data/train. Returns the SHA-256 of its model file. Raises InputError if
    that is missing or corrupt, or no layer matches.
    """
    path = folder / MODEL
    tensors = load_model(path)[0].state_dict()
    own = net.state_dict()
    same = {name: t for name, t in tensors.items() if name in own and own[name].shape == t.shape}
    if not same:
        raise InputError(
            f"no layer of {path} fits this net", "choose the model that it was trained with"
        )
    net.load_state_dict(own | same)
    new = sorted({name.partition(".")[0] for name in own if name not in same})
    print(f"train: weights of {folder}; new: {', '.join(new) or 'none'}", flush=True)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
