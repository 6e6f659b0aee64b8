"""A NetConfig rejects values out of range and values that contradict each other."""

from dataclasses import asdict
from typing import Any

import pytest

from alexnet.model.alexnet import ACTIVATIONS, AlexNet
from alexnet.model.net_config import CHECKS, MAPS, LrnConfig, NetConfig, SpatialNormConfig
from alexnet.runtime.errors import InputError


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width_divisor": 3}, r"model\.width_divisor is 3; fix: set it to 1, 2, 4, 8, 16"),
        ({"dropout": 1.0}, r"model\.dropout is 1\.0; fix: set it to a number from 0"),
        ({"activation": "elu"}, r"model\.activation is 'elu'; fix: set it to relu, tanh"),
        ({"maps": MAPS | {"conv4": 385}}, "conv4 has 385 maps, not divisible"),
        ({"crop": 225}, "crop 225 and padding .* do not add up to 227"),
        ({"overlapping": False, "maps": MAPS | {"conv2": 0}}, "overlapping=false needs conv2"),
    ],
    ids=str,
)
def test_an_invalid_net_is_rejected(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        NetConfig(**changes)


def test_a_normalization_without_a_middle_map_is_rejected() -> None:
    with pytest.raises(InputError, match=r"model\.lrn\.n is 4, an even number"):
        LrnConfig(n=4)


def test_nested_constants_are_converted() -> None:
    net = NetConfig(spatial_norm=SpatialNormConfig(k=1.0, size=5, alpha=4e-5, beta=0.75), lrn=None)
    assert NetConfig.from_mapping(asdict(net)) == net
    assert NetConfig.from_mapping(asdict(NetConfig())) == NetConfig()


def test_every_activation_can_be_chosen() -> None:
    assert CHECKS["activation"].expected == ", ".join(ACTIVATIONS)


def test_omitted_layers_are_none() -> None:
    net = AlexNet(NetConfig(5, 16, maps=MAPS | {"conv3": 0}))
    assert net.conv3 is net.conv6 is None
    assert net.config.maps_before("conv4") == net.config.maps_before("conv3") == 16
