"""The shapes by arithmetic against those of the net itself."""

from dataclasses import asdict, fields
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import pytest
import torch

from alexnet.config.compose import load_config
from alexnet.model.alexnet import ACTIVATIONS as FUNCTIONS
from alexnet.model.alexnet import AlexNet, layers_of
from alexnet.model.layer_shapes import ACTIVATIONS, MAPS, NetConfig, layer_shapes
from alexnet.runtime.errors import InputError

PRESETS = sorted(path.stem for path in Path(__file__).parents[2].glob("conf/model/*.yaml"))
VARIANTS: list[dict[str, Any]] = [
    {},
    {"classes": 7, "width_divisor": 16, "neurons": 128},
    {"towers": 1},
    {"towers": 4},
    {"communicate": False},
    {"overlapping": False},
    {"maps": MAPS | {"conv6": 256}},
    {"maps": MAPS | {"conv6": 256}, "communicate": False, "overlapping": False},
    {"maps": MAPS | {"conv3": 0, "conv4": 0}},
    {"maps": MAPS | {"conv2": 0, "conv5": 0}, "towers": 1},
    {"crop": 227, "padding": [0, 0, 0, 0]},
]


def preset(name: str) -> dict[str, Any]:
    model = asdict(load_config([f"model={name}"]).model)
    return {key: value for key, value in model.items() if not key.startswith("init_")}


def outputs_of(net: AlexNet) -> dict[str, tuple[int, ...]]:
    """Of each layer the shape of what one image becomes."""
    found: dict[str, tuple[int, ...]] = {}
    for name, layer in layers_of(net).items():
        layer.register_forward_hook(
            lambda _, given, out, name=name: found.update({name: tuple(out.shape[1:])})
        )
    with torch.no_grad():
        net.to_empty(device="cpu")(torch.zeros(1, 3, net.crop, net.crop))
    return found


@pytest.mark.parametrize("name", PRESETS)
def test_shapes_of_a_preset_are_those_of_the_net(name: str) -> None:
    check_shapes(preset(name))


@pytest.mark.parametrize("arguments", VARIANTS, ids=str)
def test_shapes_are_those_of_the_net(arguments: dict[str, Any]) -> None:
    check_shapes(arguments)


def check_shapes(arguments: dict[str, Any]) -> None:
    with torch.device("meta"):
        net = AlexNet(**arguments)
    shapes = layer_shapes(NetConfig(**arguments))
    assert {name: each.output for name, each in shapes.items()} == outputs_of(net)
    assert list(shapes) == list(layers_of(net))
    for name, layer in layers_of(net).items():
        assert shapes[name].weight == tuple(layer.weight.shape)
        assert shapes[name].parameters == sum(each.numel() for each in layer.parameters())


def test_the_papers_net_in_numbers() -> None:
    """Its parameters, the outputs of section 3.5, and what a convolution multiplies, by hand."""
    every = layer_shapes(NetConfig())
    assert sum(layer.parameters for layer in every.values()) == 60_965_224
    assert every["conv1"].output == (96, 55, 55)
    assert every["conv2"].weight == (256, 48, 5, 5)
    assert [layer.multiply_adds for layer in every.values()] == [
        96 * 55 * 55 * 11 * 11 * 3,
        256 * 27 * 27 * 5 * 5 * 48,
        384 * 13 * 13 * 3 * 3 * 256,
        384 * 13 * 13 * 3 * 3 * 192,
        256 * 13 * 13 * 3 * 3 * 192,
        9216 * 4096,
        4096 * 4096,
        4096 * 1000,
    ]


def test_arguments_and_defaults_are_those_of_the_net() -> None:
    arguments = signature(AlexNet).parameters
    assert [field.name for field in fields(NetConfig)] == [n for n in arguments if n != "place"]
    for name, value in asdict(NetConfig()).items():
        assert value == arguments[name].default is not Parameter.empty, name
    assert tuple(FUNCTIONS) == ACTIVATIONS


@pytest.mark.parametrize(
    "arguments",
    [
        {"width_divisor": 3},
        {"maps": MAPS | {"conv4": 385}},
        {"crop": 225},
        {"overlapping": False, "maps": MAPS | {"conv2": 0}},
        {"lrn": {"k": 2.0, "n": 4, "alpha": 1e-4, "beta": 0.75, "across_towers": False}},
    ],
    ids=str,
)
def test_what_the_net_rejects_is_rejected_in_the_same_words(arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError) as by_net:
        AlexNet(**arguments)
    with pytest.raises(InputError) as by_arithmetic:
        NetConfig(**arguments)
    assert str(by_net.value) == str(by_arithmetic.value)
