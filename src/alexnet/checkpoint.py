"""Tensors and a JSON state in one file, replaced whole or not at all; the model's file."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
import xxhash
from torch import Tensor

from alexnet.described import check_described
from alexnet.errors import InputError, made_anew
from alexnet.model import AlexNet
from alexnet.moments import Moments
from alexnet.scratch import write_atomically
from alexnet.shards import SIDE
from alexnet.towers import ALONE, Place, part_of

MODEL = "model.safetensors"
SEAL = "xxh3"  # of the tensors and of all else that the file tells
INPUTS = {"mean_image": (SIDE, SIDE, 3), "eigenvalues": (3,), "eigenvectors": (3, 3)}
DAMAGE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RuntimeError),
    *(safetensors.SafetensorError, InputError),
)


def save(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write `tensors` and `state`, as JSON, to `path`, with a checksum of both."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    sealed = {**state, SEAL: _seal(whole, state)}
    write_atomically(path, safetensors.torch.save(whole, {"state": _text(sealed)}))


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `save` wrote. Raises InputError where the file is missing or damaged."""
    with _opened(path) as file:
        state, seal = _state(file)
        return _tensors(file, state, seal), state


def save_model(folder: Path, net: AlexNet, moments: Moments, described: Mapping[str, Any]) -> None:
    """Write model.safetensors, all that prediction needs, and model.json: what it tells, to read.

    `described` holds, among what else is worth knowing, `net`: the arguments of AlexNet; `input`:
    resample and apply_exif; `recipe`: precision; `synsets`, in label order.
    """
    inputs = {name: torch.from_numpy(value) for name, value in vars(moments).items()}
    save(folder / MODEL, net.state_dict() | inputs, described)
    (folder / "model.json").write_text(_text(described), "utf-8")


def load_model(path: Path, place: Place = ALONE) -> tuple[AlexNet, Moments, dict[str, Any]]:
    """The net, the moments and the description of a model's file, or of that in a folder.

    Of the net what `place` has. Nothing the file tells is believed before it is looked at: no
    memory is taken that its own size does not account for. Raises InputError where it is missing,
    damaged or of another kind.
    """
    path = path / MODEL if path.is_dir() else path
    with _opened(path) as file:
        described, seal = _state(file)
        check_described(described)
        with torch.device("meta"):  # shapes without memory
            net = AlexNet(**described["net"], place=place)
            _check_shapes(file, AlexNet(**described["net"]))
        tensors = _tensors(file, described, seal)
    moments = Moments(*(tensors.pop(field.name).numpy() for field in fields(Moments)))
    net.load_state_dict(part_of(tensors, place), assign=True)
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


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A file of safetensors; whatever is found to be wrong with it becomes one line."""
    try:
        with path.open("rb"), safetensors.safe_open(path, "pt") as file:
            yield file
    except DAMAGE as error:
        why = getattr(error, "strerror", None) or str(error).partition("; mend: ")[0] or repr(error)
        first, *_ = why.splitlines()  # torch adds where in C++ it was
        mend = f"{made_anew(path, 'train')}, or name another file"
        raise InputError(f"{path} cannot be read: {first[:200]}", mend) from None


def _state(file: Any) -> tuple[dict[str, Any], Any]:
    """The state that was saved, and its seal, not yet looked at."""
    state = json.loads((file.metadata() or {}).get("state", "null"))
    if not isinstance(state, dict):
        raise ValueError("it is no model of ours, its metadata has no 'state'")
    return state, state.pop(SEAL, None)


def _tensors(file: Any, state: Mapping[str, Any], seal: Any) -> dict[str, Tensor]:
    """All of them. Raises ValueError where they, or the state, are not as they were written."""
    tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if seal != _seal(tensors, state):
        raise ValueError("it was changed after it was written")
    return tensors


def _check_shapes(file: Any, net: AlexNet) -> None:
    """Raise ValueError where the tensors in the file are not those that it tells of."""
    expected = {name: (tuple(t.shape), "F32") for name, t in net.state_dict().items()}
    for name, shape in INPUTS.items():
        expected[name] = shape, "F32" if name == "mean_image" else "F64"
    names = set(file.keys())
    if names != set(expected):
        raise ValueError(f"its tensors are not those of its net: {min(names ^ set(expected))}")
    for name, (shape, dtype) in expected.items():
        part = file.get_slice(name)
        found = tuple(part.get_shape()), part.get_dtype()
        if found != (shape, dtype):
            raise ValueError(f"{name} is {_told(*found)}, its net has {_told(shape, dtype)}")


def _told(shape: tuple[int, ...], dtype: str) -> str:
    return f"{'×'.join(map(str, shape))} {dtype}"


def _seal(tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> str:
    digest = xxhash.xxh3_64(_text(state).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.numpy().data)
    return digest.hexdigest()


def _text(state: Any) -> str:
    return json.dumps(state, indent=1, ensure_ascii=False) + "\n"
