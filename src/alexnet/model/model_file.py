"""The model file: weights, moments and description, checked without torch.

Nothing in the file is used before it is checked, and no memory is allocated beyond its own size.
"""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.dataset.moments import Moments
from alexnet.dataset.shards import SIDE
from alexnet.model.description import ModelDescription
from alexnet.model.layer_shapes import layer_shapes
from alexnet.model.net_config import NetConfig
from alexnet.model.tensor_file import open_tensor_file, read_state, read_tensors

MODEL = "model.safetensors"
DESCRIPTION = "model.json"  # beside it: its description, for people
MOMENTS = {  # shape and dtype
    "mean_image": ((SIDE, SIDE, 3), "F32"),
    "eigenvalues": ((3,), "F64"),
    "eigenvectors": ((3, 3), "F64"),
}


def read_model(path: Path) -> tuple[dict[str, Any], Moments, ModelDescription]:
    """Return weights (numpy arrays), moments and description of a model file or its folder.

    Raises InputError if the file is missing, corrupt or not a model.
    """
    with open_tensor_file(model_path(path), "numpy") as file:
        tensors, description = read_opened_model(file)
    return tensors, pop_moments(tensors), description


def model_path(path: Path) -> Path:
    """Return the model file of a folder, or `path` itself."""
    return path / MODEL if path.is_dir() else path


def read_opened_model(file: Any) -> tuple[dict[str, Any], ModelDescription]:
    """Return all tensors of an opened model file, and its description.

    Raises one of tensor_file.DAMAGE if the description is not valid, the tensors have other shapes
    than its net, or the checksum does not match.
    """
    state, checksum = read_state(file)
    description = ModelDescription.from_json(state)
    _check_shapes(file, description.net)
    return read_tensors(file, state, checksum), description


def pop_moments(tensors: dict[str, Any]) -> Moments:
    """Remove the moments from the tensors of a model file and return them."""
    return Moments(*(np.asarray(tensors.pop(field.name)) for field in fields(Moments)))


def _check_shapes(file: Any, net: NetConfig) -> None:
    """Raise ValueError unless the file holds the tensors of `net` and the moments."""
    expected = _expected_tensors(net)
    if unexpected := set(file.keys()) ^ set(expected):
        raise ValueError(f"its tensors are not those of its net: {min(unexpected)}")
    for name, wanted in expected.items():
        part = file.get_slice(name)
        found = tuple(part.get_shape()), part.get_dtype()
        if found != wanted:
            raise ValueError(f"{name} is {_shown(*found)}, its net has {_shown(*wanted)}")


def _expected_tensors(net: NetConfig) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shape and dtype of each tensor of a model file, by name."""
    expected = dict(MOMENTS)
    for name, shape in layer_shapes(net).items():
        expected[f"{name}.weight"] = shape.weight, "F32"
        expected[f"{name}.bias"] = shape.weight[:1], "F32"
    return expected


def _shown(shape: tuple[int, ...], dtype: str) -> str:
    return f"{'×'.join(map(str, shape))} {dtype}"
