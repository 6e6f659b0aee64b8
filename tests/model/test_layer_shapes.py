"""Computed shapes are those of the net itself."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from alexnet.config.compose import load_config
from alexnet.model.alexnet import AlexNet, layers_of
from alexnet.model.layer_shapes import layer_shapes
from alexnet.model.net_config import MAPS, NetConfig

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
    {"crop": 227, "padding": (0, 0, 0, 0)},
]


def outputs_of(net: AlexNet) -> dict[str, tuple[int, ...]]:
    """Return the shape of each layer's output for one image."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, layer in layers_of(net).items():
        layer.register_forward_hook(
            lambda _, inputs, out, name=name: shapes.update({name: tuple(out.shape[1:])})
        )
    with torch.no_grad():
        net.to_empty(device="cpu")(torch.zeros(1, 3, net.config.crop, net.config.crop))
    return shapes


@pytest.mark.parametrize("name", PRESETS)
def test_shapes_of_a_preset_are_those_of_the_net(name: str) -> None:
    model = asdict(load_config([f"model={name}"]).model)
    del model["init_std"], model["init_bias"]
    check_shapes(NetConfig.from_mapping({"classes": 1000} | model))


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_shapes_of_a_variant_are_those_of_the_net(changes: dict[str, Any]) -> None:
    check_shapes(NetConfig(**changes))


def check_shapes(config: NetConfig) -> None:
    with torch.device("meta"):
        net = AlexNet(config)
    shapes = layer_shapes(config)
    assert {name: shape.output for name, shape in shapes.items()} == outputs_of(net)
    assert list(shapes) == list(layers_of(net))
    for name, layer in layers_of(net).items():
        assert shapes[name].weight == tuple(layer.weight.shape)
        assert shapes[name].parameters == sum(p.numel() for p in layer.parameters())


def test_the_papers_net_has_the_papers_numbers() -> None:
    """Its parameters, the outputs of section 3.5, and multiply-adds by hand."""
    shapes = layer_shapes(NetConfig())
    assert sum(shape.parameters for shape in shapes.values()) == 60_965_224
    assert shapes["conv1"].output == (96, 55, 55)
    assert shapes["conv2"].weight == (256, 48, 5, 5)
    assert [shape.multiply_adds for shape in shapes.values()] == [
        96 * 55 * 55 * 11 * 11 * 3,
        256 * 27 * 27 * 5 * 5 * 48,
        384 * 13 * 13 * 3 * 3 * 256,
        384 * 13 * 13 * 3 * 3 * 192,
        256 * 13 * 13 * 3 * 3 * 192,
        9216 * 4096,
        4096 * 4096,
        4096 * 1000,
    ]
