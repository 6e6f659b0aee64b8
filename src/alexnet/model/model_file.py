"""Reads a file of tensors and a JSON state; the model's file, checked before any of it is believed.

Framework "numpy" gives arrays and needs no torch; "pt" gives tensors that are views of the file.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors
import xxhash

from alexnet.dataset.moments import Moments
from alexnet.dataset.shards import SIDE
from alexnet.model.description import check_described
from alexnet.model.layer_shapes import NetConfig, layer_shapes
from alexnet.runtime.errors import InputError, rebuild_command

MODEL = "model.safetensors"
SEAL = "xxh3"  # of the tensors and of all else that the file tells
INPUTS = {"mean_image": (SIDE, SIDE, 3), "eigenvalues": (3,), "eigenvectors": (3, 3)}
DAMAGE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RuntimeError),
    *(safetensors.SafetensorError, InputError),
)
Framework = Literal["numpy", "pt"]
Described = dict[str, Any]


def read_model(path: Path) -> tuple[dict[str, Any], Moments, Described]:
    """The weights, as arrays, the moments and the description of a model's file, or a folder's.

    Raises InputError where it is missing, damaged or of another kind.
    """
    with opened(path_of(path), "numpy") as file:
        weights, described = model_in(file)
    return weights, split_moments(weights), described


def path_of(path: Path) -> Path:
    """The model's file, where `path` is that or its folder."""
    return path / MODEL if path.is_dir() else path


def split_moments(tensors: dict[str, Any]) -> Moments:
    """Take the moments out of what a model's file holds."""
    return Moments(*(np.asarray(tensors.pop(field.name)) for field in fields(Moments)))


@contextmanager
def opened(path: Path, framework: Framework) -> Iterator[Any]:
    """A file of safetensors; whatever is found to be wrong with it becomes one line."""
    try:
        with path.open("rb"), safetensors.safe_open(path, framework) as file:
            yield file
    except DAMAGE as error:
        why = getattr(error, "strerror", None) or str(error).partition("; fix: ")[0] or repr(error)
        first, *_ = why.splitlines()  # torch adds where in C++ it was
        fix = f"{rebuild_command(path, 'train')}, or name another file"
        raise InputError(f"{path} cannot be read: {first[:200]}", fix) from None


def model_in(file: Any) -> tuple[dict[str, Any], Described]:
    """The tensors of an opened model's file, and what it tells. Raises one of DAMAGE.

    Nothing the file tells is believed before it is looked at: no memory is taken that its own size
    does not account for.
    """
    described, seal = state_in(file)
    check_described(described)
    _check_shapes(file, NetConfig(**described["net"]))
    return tensors_in(file, described, seal), described


def state_in(file: Any) -> tuple[dict[str, Any], Any]:
    """The state that was saved, and its seal, not yet looked at."""
    state = json.loads((file.metadata() or {}).get("state", "null"))
    if not isinstance(state, dict):
        raise ValueError("it is no model of ours, its metadata has no 'state'")
    return state, state.pop(SEAL, None)


def tensors_in(file: Any, state: Mapping[str, Any], seal: Any) -> dict[str, Any]:
    """All of them. Raises ValueError where they, or the state, are not as they were written."""
    tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if seal != seal_of(tensors, state):
        raise ValueError("it was changed after it was written")
    return tensors


def _check_shapes(file: Any, net: NetConfig) -> None:
    """Raise ValueError where the tensors in the file are not those that it tells of."""
    expected = _expected(net)
    names = set(file.keys())
    if names != set(expected):
        raise ValueError(f"its tensors are not those of its net: {min(names ^ set(expected))}")
    for name, (shape, dtype) in expected.items():
        part = file.get_slice(name)
        found = tuple(part.get_shape()), part.get_dtype()
        if found != (shape, dtype) or not all(type(size) is int for size in shape):
            raise ValueError(f"{name} is {_told(*found)}, its net has {_told(shape, dtype)}")


def _expected(net: NetConfig) -> dict[str, tuple[tuple[int, ...], str]]:
    """The shape and the dtype of each tensor in a model's file, in the order of AlexNet's."""
    expected = {}
    for name, shape in layer_shapes(net).items():
        expected[f"{name}.weight"] = shape.weight, "F32"
        expected[f"{name}.bias"] = shape.weight[:1], "F32"
    for name, size in INPUTS.items():
        expected[name] = size, "F32" if name == "mean_image" else "F64"
    return expected


def _told(shape: tuple[int, ...], dtype: str) -> str:
    return f"{'×'.join(map(str, shape))} {dtype}"


def seal_of(tensors: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    """A checksum of tensors, numpy's or torch's, and of a state; dtypes by torch's names."""
    digest = xxhash.xxh3_64(as_text(state).encode())
    for name, tensor in sorted(tensors.items()):
        array = np.asarray(tensor)
        digest.update(f"{name} {array.shape} torch.{array.dtype}".encode())
        digest.update(array.data)
    return digest.hexdigest()


def as_text(state: Any) -> str:
    """A state as JSON, to be read by people too."""
    return json.dumps(state, indent=1, ensure_ascii=False) + "\n"
