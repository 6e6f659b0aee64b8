"""Tensors and a JSON state in one file, replaced whole or not at all; the model's files."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from alexnet.errors import InputError
from alexnet.model import AlexNet
from alexnet.moments import Moments
from alexnet.scratch import write_atomically
from alexnet.towers import ALONE, Place, part_of


def save(path: Path, tensors: Mapping[str, Tensor], state: Any) -> None:
    """Write `tensors` and `state`, any JSON value, to `path`."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, safetensors.torch.save(whole, {"state": json.dumps(state)}))


def load(path: Path) -> tuple[dict[str, Tensor], Any]:
    """What `save` wrote. Raises InputError where the file is missing or damaged."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, json.loads(file.metadata()["state"])
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise InputError(f"{path} cannot be read: {error}", "dvc repro -f train") from None


def save_model(folder: Path, net: AlexNet, moments: Moments, described: Mapping[str, Any]) -> None:
    """Write model.safetensors (weights and moments) and model.json: all that prediction needs.

    `described` holds, among what else is worth knowing, `net`: the arguments of AlexNet.
    """
    inputs = {name: torch.from_numpy(value) for name, value in vars(moments).items()}
    save(folder / "model.safetensors", net.state_dict() | inputs, None)
    (folder / "model.json").write_text(
        json.dumps(described, indent=1, ensure_ascii=False) + "\n", "utf-8"
    )


def load_model(folder: Path, place: Place = ALONE) -> tuple[AlexNet, Moments, dict[str, Any]]:
    """The net, of it what `place` has, the moments and model.json. InputError: they are damaged."""
    tensors, _ = load(folder / "model.safetensors")
    try:
        described = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        net = AlexNet(**described["net"], place=place)
        moments = Moments(*(tensors.pop(f.name).numpy() for f in fields(Moments)))
        net.load_state_dict(part_of(tensors, place))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        what = f"{folder}: model.json and the weights disagree: {error}"
        raise InputError(what, "dvc repro -f train") from None
    return net, moments, described


def init_from(net: AlexNet, folder: Path) -> str:
    """Take the weights of another run's model wherever their layers fit; the others stay.

    `folder`: its data/train. Returns the SHA-256 of what was taken. Raises InputError where the
    model is missing or damaged, or no layer fits.
    """
    path = folder / "model.safetensors"
    tensors, _ = load(path)
    own = net.state_dict()
    fit = {name: t for name, t in tensors.items() if name in own and own[name].shape == t.shape}
    if not fit:
        raise InputError(f"no layer of {path} fits this net", "choose the model it was trained as")
    net.load_state_dict(own | fit)
    new = sorted({name.partition(".")[0] for name in own if name not in fit})
    print(f"train: weights of {folder}; new: {', '.join(new) or 'none'}", flush=True)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
