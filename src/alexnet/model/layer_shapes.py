"""The arguments of AlexNet, and the shapes of its layers by arithmetic: no tensor is made."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

from alexnet.runtime.errors import InputError

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "conv6", "fc6", "fc7", "fc8")
MAPS = {"conv1": 96, "conv2": 256, "conv3": 384, "conv4": 384, "conv5": 256, "conv6": 0}
LRN = {"k": 2.0, "n": 5, "alpha": 1e-4, "beta": 0.75, "across_towers": False}
LATER = (  # name, kernel, padding, whether it sees both towers
    ("conv2", 5, 2, False),
    ("conv3", 3, 1, True),
    ("conv4", 3, 1, False),
    ("conv5", 3, 1, False),
    ("conv6", 3, 1, True),
)
BEHIND_POOLS = ("conv2", "conv3", "conv6")  # the pools stay where one of these is left out
BORDERLESS = ("conv2", "conv5")  # they lose a border where pools do not overlap
ACTIVATIONS = ("relu", "tanh")  # section 3.1
PADDING = (0, 3, 0, 3)  # left, right, top, bottom
PADDED, LAST = 227, 6  # sides of conv1's input and of fc6's


@dataclass(frozen=True)
class NetConfig:
    """The arguments of AlexNet but `place`, with its defaults; its docstring says what they mean.

    Raises InputError where maps and towers do not fit, or crop and padding give no 6×6.
    """

    classes: int = 1000
    width_divisor: int = 1
    towers: int = 2
    maps: Mapping[str, int] = field(default_factory=lambda: dict(MAPS))
    neurons: int = 4096
    crop: int = 224
    padding: Sequence[int] = PADDING
    communicate: bool = True
    activation: str = "relu"
    overlapping: bool = True
    layer1_order: str = "relu_lrn_pool"
    lrn: Mapping[str, Any] | None = field(default_factory=lambda: dict(LRN))
    spatial_norm: Mapping[str, Any] | None = None
    dropout: float = 0.5
    dropout_form: str = "masked"

    def __post_init__(self) -> None:
        """Check what AlexNet itself checks."""
        check_sizes(self.width_divisor, self.towers, self.maps, self.crop, self.padding)
        check_pools(self.overlapping, self.maps)
        check_lrn(self.lrn)


class LayerShape(NamedTuple):
    """Shapes of a layer's weights and of its output for one image; a bias has weight[0] values."""

    weight: tuple[int, ...]
    output: tuple[int, ...]

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return prod(self.weight) + self.weight[0]

    @property
    def multiply_adds(self) -> int:
        """Of one image; a bias adds none."""
        return prod(self.weight) * prod(self.output[1:])


def layer_shapes(net: NetConfig) -> dict[str, LayerShape]:
    """The layers that have weights, in order, by their names among LAYERS."""
    maps = {name: count // net.width_divisor for name, count in net.maps.items()}
    shapes = dict(_convolutions(net, maps))
    last = [shape.output[0] for shape in shapes.values()][-1]
    neurons = net.neurons // net.width_divisor
    sizes = last * LAST * LAST, neurons, neurons, net.classes
    for name, inputs, outputs in zip(LAYERS[6:], sizes, sizes[1:], strict=False):
        shapes[name] = LayerShape((outputs, inputs), (outputs,))
    return shapes


def _convolutions(net: NetConfig, maps: Mapping[str, int]) -> Iterator[tuple[str, LayerShape]]:
    side, last = _side(PADDED, 11, stride=4), maps["conv1"]
    yield "conv1", LayerShape((last, 3, 11, 11), (last, side, side))
    for name, kernel, border, sees_all in LATER:
        if name in BEHIND_POOLS:
            side = _pooled(side, net.overlapping)
        if maps[name]:
            border -= int(not net.overlapping and name in BORDERLESS)
            side = _side(side + 2 * border, kernel)
            seen = last if sees_all and net.communicate else last // net.towers
            last = maps[name]
            yield name, LayerShape((last, seen, kernel, kernel), (last, side, side))


def _side(side: int, kernel: int, stride: int = 1) -> int:
    return (side - kernel) // stride + 1


def _pooled(side: int, overlapping: bool) -> int:
    """Pools of 3×3, or of 2×2 that may reach over the edge; stride 2."""
    return _side(side, 3, 2) if overlapping else _side(side + 1, 2, 2)


def check_sizes(
    width_divisor: int, towers: int, maps: Mapping[str, int], crop: int, padding: Sequence[int]
) -> None:
    """Raise InputError where maps and towers do not fit, or crop and padding."""
    if width_divisor not in (1, 2, 4, 8, 16):
        raise InputError(f"width_divisor is {width_divisor}", "give 1, 2, 4, 8 or 16")
    odd = [name for name, count in maps.items() if count % (towers * width_divisor)]
    if odd:
        what = f"{odd[0]} has {maps[odd[0]]} maps, not divisible by towers × width_divisor"
        raise InputError(what, "change model.maps")
    sides = {crop + padding[0] + padding[1], crop + padding[2] + padding[3]}
    if sides != {PADDED}:
        what = f"crop {crop} and padding {list(padding)} do not add up to {PADDED}"
        raise InputError(what, "change model.crop or model.padding")


def check_pools(overlapping: bool, maps: Mapping[str, int]) -> None:
    """Raise InputError where pools of 2×2 do not lead to 6×6."""
    if not overlapping and not (maps["conv2"] and maps["conv5"]):
        what = "model.overlapping=false needs conv2 and conv5: else 6×6 does not come out"
        raise InputError(what, "give them maps, or model.overlapping=true")


def check_lrn(lrn: Mapping[str, Any] | None) -> None:
    """Raise InputError where a normalization has no middle map."""
    if lrn and lrn["n"] % 2 == 0:
        raise InputError(f"model.lrn.n is {lrn['n']}: a map has no middle of so many", "an odd n")
