"""Shapes of all layers of a net, computed without torch."""

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

from alexnet.model.net_config import PADDED_SIDE, NetConfig

FC6_SIDE = 6  # of the maps that fc6 sees


class _Convolution(NamedTuple):
    """A convolution after conv1; its stride is 1."""

    name: str
    kernel: int
    padding: int
    sees_all: bool = False  # sees all towers if they communicate
    after_pool: bool = False
    before_pool: bool = False  # has one pixel less padding if pools are 2×2


CONVOLUTIONS = (
    _Convolution("conv2", 5, 2, after_pool=True, before_pool=True),
    _Convolution("conv3", 3, 1, after_pool=True, sees_all=True),
    _Convolution("conv4", 3, 1),
    _Convolution("conv5", 3, 1, before_pool=True),
    _Convolution("conv6", 3, 1, after_pool=True, sees_all=True),
)


class LayerShape(NamedTuple):
    """Shapes of a layer's weights and of its output for one image; a bias has weight[0] values."""

    weight: tuple[int, ...]
    output: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return prod(self.weight) + self.weight[0]

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds for one image, biases excluded."""
        return prod(self.weight) * prod(self.output[1:])


def layer_shapes(config: NetConfig) -> dict[str, LayerShape]:
    """Return the shapes of the layers that have weights, in order, by name."""
    shapes = dict(_convolutions(config))
    maps = list(shapes.values())[-1].output[0]
    neurons = config.layer_neurons
    shapes["fc6"] = LayerShape((neurons, maps * FC6_SIDE**2), (neurons,))
    shapes["fc7"] = LayerShape((neurons, neurons), (neurons,))
    shapes["fc8"] = LayerShape((config.classes, neurons), (config.classes,))
    return shapes


def _convolutions(config: NetConfig) -> Iterator[tuple[str, LayerShape]]:
    maps = config.layer_maps
    side, inputs = _output_side(PADDED_SIDE, 11, stride=4), maps["conv1"]
    yield "conv1", LayerShape((inputs, 3, 11, 11), (inputs, side, side))
    for layer in CONVOLUTIONS:
        if layer.after_pool:  # the pool remains if the layer is omitted
            side = _pooled_side(side, config.overlapping)
        if outputs := maps[layer.name]:
            less = layer.before_pool and not config.overlapping
            side = _output_side(side + 2 * (layer.padding - less), layer.kernel)
            seen = inputs if layer.sees_all and config.communicate else inputs // config.towers
            weight = outputs, seen, layer.kernel, layer.kernel
            yield layer.name, LayerShape(weight, (outputs, side, side))
            inputs = outputs


def _output_side(side: int, kernel: int, stride: int = 1) -> int:
    return (side - kernel) // stride + 1


def _pooled_side(side: int, overlapping: bool) -> int:
    """Return the side after a pool of stride 2; a 2×2 pool may reach over the edge."""
    return _output_side(side, 3, 2) if overlapping else _output_side(side + 1, 2, 2)
