"""A model's description: what it says is checked before anything is used."""

import math
from dataclasses import replace
from typing import Any

import pytest

from alexnet.model.description import ModelDescription
from alexnet.model.net_config import LrnConfig, NetConfig, SpatialNormConfig
from alexnet.runtime.errors import InputError
from small_model import small_description

LRN = {"k": 2.0, "n": 5, "alpha": 1e-4, "beta": 0.75, "across_towers": False}
SPATIAL_NORM = {"k": 1.0, "size": 5, "alpha": 4e-5, "beta": 0.75}


def valid() -> dict[str, Any]:
    norms = {"lrn": LrnConfig(**LRN), "spatial_norm": SpatialNormConfig(**SPATIAL_NORM)}
    return small_description(layer1_order="lrn_pool_relu", **norms).to_json()


def test_json_and_back_is_the_same_description() -> None:
    values = valid()
    description = ModelDescription.from_json(values)
    assert description.to_json() == values
    assert (description.net.lrn, description.net.padding) == (LrnConfig(), (0, 3, 0, 3))
    assert replace(description, net=NetConfig(7, 16)) == small_description()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("net.crop", 257),
        ("net.crop", 10**9),
        ("net.crop", 224.0),
        ("net.crop", True),
        ("net.towers", 0),
        ("net.towers", 2.0),
        ("net.neurons", 4096.0),
        ("net.width_divisor", True),
        ("net.maps", {"conv1": 96}),
        ("net.maps", dict.fromkeys(("conv1", "conv2", "conv3", "conv4", "conv5", "conv6"), -96)),
        ("net.padding", [-1, 4, 0, 3]),
        ("net.padding", [0, 3, 0]),
        ("net.layer1_order", "pool"),
        ("net.layer1_order", ["relu_lrn_pool"]),
        ("net.dropout", 1.0),
        ("net.dropout", math.nan),
        ("net.dropout_form", None),
        ("net.lrn", {}),
        ("net.lrn", LRN | {"n": 10**9}),
        ("net.lrn", LRN | {"k": 0.0}),
        ("net.lrn", LRN | {"alpha": 10**400}),
        ("net.lrn", LRN | {"more": 1}),
        ("net.spatial_norm", SPATIAL_NORM | {"size": 10**6}),
        ("net.layout", {}),
        ("net.surprise", 1),
        ("net", None),
        ("choices", ["quick"]),
        ("choices", {"model": "quick"}),
        ("choices", {"dataset": "miniature", "model": {}, "recipe": "quick"}),
        ("lr", {}),
        ("lr", math.inf),
        ("seed", [1]),
        ("input", "RGB"),
        ("input.resample", "nearest"),
        ("input.apply_exif", 0),
        ("recipe", {"precision": "fp8"}),
        ("synsets", []),
        ("synsets", [{"wnid": "n0"}] * 7),
        ("synsets", [{"devkit_id": -1, "wnid": "n0", "words": "a"}] * 7),
        ("synsets", [{"devkit_id": 1, "wnid": "n0", "words": "a"}] * 6),
        ("unknown", 1),
    ],
)
def test_an_invalid_value_is_named(field: str, value: Any) -> None:
    values = valid()
    *outer, name = field.split(".")
    part = values[outer[0]] if outer else values
    part[name] = value
    expected = "model" if field == "net" else name
    with pytest.raises(InputError, match=expected):
        ModelDescription.from_json(values)


@pytest.mark.parametrize("name", sorted(small_description().to_json()))
def test_a_missing_value_is_named(name: str) -> None:
    values = valid()
    del values[name]
    with pytest.raises(InputError, match=f"the description lacks '{name}'"):
        ModelDescription.from_json(values)


@pytest.mark.parametrize("values", [None, [], 1, "net"])
def test_other_json_is_rejected(values: Any) -> None:
    with pytest.raises(InputError, match="the description is not an object"):
        ModelDescription.from_json(values)
