"""The description of a net: its sizes, and every choice in which published AlexNets differ."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from alexnet.model.field_checks import (
    FLAG,
    Check,
    check_fields,
    from_mapping,
    number,
    one_of,
    whole_number,
)
from alexnet.runtime.errors import InputError

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "conv6", "fc6", "fc7", "fc8")
MAPS = {"conv1": 96, "conv2": 256, "conv3": 384, "conv4": 384, "conv5": 256, "conv6": 0}
PADDED_SIDE = 227  # of conv1's input


@dataclass(frozen=True)
class LrnConfig:
    """Section 3.3: a / (k + alpha · Σ a²)^beta, summed over `n` neighbouring maps.

    `alpha` multiplies the plain sum; the 2012 code and torch divide theirs by n. `across_towers`:
    neighbours may belong to another tower, as in Caffe.
    """

    k: float = 2.0
    n: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    across_towers: bool = False

    def __post_init__(self) -> None:
        """Raise InputError if a value is out of range or n is even."""
        checks = NORM_CHECKS | {"n": whole_number(1, 4096), "across_towers": FLAG}
        check_fields(self, "model.lrn.", checks)
        if self.n % 2 == 0:
            raise InputError(f"model.lrn.n is {self.n}, an even number", "set it to an odd number")


@dataclass(frozen=True)
class SpatialNormConfig:
    """The same formula over `size` × `size` positions of one map, as in the 2012 code."""

    k: float
    size: int
    alpha: float
    beta: float

    def __post_init__(self) -> None:
        """Raise InputError if a value is out of range."""
        check_fields(self, "model.spatial_norm.", NORM_CHECKS | {"size": whole_number(1, 27)})


@dataclass(frozen=True)
class NetConfig:
    """All that determines a net. The defaults are the paper's: 60,965,224 parameters.

    classes: outputs of fc8.
    width_divisor: divides the maps and neurons of all layers except fc8.
    towers: groups into which the maps of each convolutional layer are divided (section 3.2).
    maps: per convolutional layer, all towers together; 0 omits conv2 to conv5. conv6 follows the
        last pool and sees all towers, as in the paper's "1 CNN*".
    neurons: of fc6 and fc7.
    crop, padding: side of an input image; zeros added left, right, top and bottom, to 227.
    communicate: if false, no convolution sees another tower's maps.
    activation: relu, or tanh (section 3.1).
    overlapping: if false, pools are 2×2 instead of 3×3 (section 3.4), and conv2 and conv5 have
        one pixel less padding, so that fc6 still sees 6×6.
    layer1_order: relu_lrn_pool as in the text, or lrn_pool_relu as in the 2012 code.
    spatial_norm: applied before the second pool.
    dropout: share of the neurons of fc6 and fc7 that are dropped in training (section 4.2).
    dropout_form: masked (outputs × 0.5 at test), or inverted (× 2 in training), as in Caffe.
    """

    classes: int = 1000
    width_divisor: int = 1
    towers: int = 2
    maps: Mapping[str, int] = field(default_factory=lambda: dict(MAPS))
    neurons: int = 4096
    crop: int = 224
    padding: tuple[int, int, int, int] = (0, 3, 0, 3)
    communicate: bool = True
    activation: str = "relu"
    overlapping: bool = True
    layer1_order: str = "relu_lrn_pool"
    lrn: LrnConfig | None = field(default_factory=LrnConfig)
    spatial_norm: SpatialNormConfig | None = None
    dropout: float = 0.5
    dropout_form: str = "masked"

    @classmethod
    def from_mapping(cls, values: Any) -> "NetConfig":
        """Return the net that conf/model (with `classes`) or a model file describes.

        Raises InputError if a field is missing, unknown, out of range or contradicts another.
        """
        return from_mapping(
            cls,
            values,
            "model",
            padding=lambda value: tuple(value) if isinstance(value, list) else value,
            lrn=partial(_optional, LrnConfig, "model.lrn"),
            spatial_norm=partial(_optional, SpatialNormConfig, "model.spatial_norm"),
        )

    def __post_init__(self) -> None:
        """Raise InputError if a value is out of range or contradicts another."""
        check_fields(self, "model.", CHECKS)
        _check_maps(self)
        width, height = (self.crop + sum(self.padding[i : i + 2]) for i in (0, 2))
        if (width, height) != (PADDED_SIDE, PADDED_SIDE):
            what = (
                f"crop {self.crop} and padding {list(self.padding)} do not add up to {PADDED_SIDE}"
            )
            raise InputError(what, "change model.crop or model.padding")

    @property
    def layer_maps(self) -> dict[str, int]:
        """Maps of each convolutional layer at this width, all towers together; 0: no layer."""
        return {name: count // self.width_divisor for name, count in self.maps.items()}

    def maps_before(self, layer: str) -> int:
        """Return the number of maps of the last convolution before `layer`."""
        earlier = LAYERS[: LAYERS.index(layer)]
        return [maps for name, maps in self.layer_maps.items() if name in earlier and maps][-1]

    @property
    def layer_neurons(self) -> int:
        """Neurons of fc6 and of fc7 at this width."""
        return self.neurons // self.width_divisor


def _optional(cls: type[Any], name: str, values: Any) -> Any:
    return None if values is None else from_mapping(cls, values, name)


def _check_maps(config: NetConfig) -> None:
    """Raise InputError if maps do not fit the towers or the pools."""
    for name, count in config.maps.items():
        if count % (config.towers * config.width_divisor):
            what = f"{name} has {count} maps, not divisible by towers × width_divisor"
            raise InputError(what, "change model.maps")
    if not config.overlapping and not (config.maps["conv2"] and config.maps["conv5"]):
        what = "model.overlapping=false needs conv2 and conv5 for an output of 6×6"
        raise InputError(what, "give them maps, or set model.overlapping=true")


def _is_maps(value: Any) -> bool:
    if not (isinstance(value, Mapping) and value.keys() == MAPS.keys() and value["conv1"]):
        return False
    return all(type(count) is int and count >= 0 for count in value.values())


def _is_padding(value: Any) -> bool:
    if not (isinstance(value, tuple) and len(value) == 4):
        return False
    return all(type(zeros) is int and 0 <= zeros <= PADDED_SIDE for zeros in value)


NORM_CHECKS = {"k": number(1e-6), "alpha": number(0), "beta": number(0, 16)}
CHECKS = {
    "classes": whole_number(1),
    "width_divisor": one_of(1, 2, 4, 8, 16),
    "towers": whole_number(1),
    "maps": Check(_is_maps, "a number of maps for each of conv1 to conv6"),
    "neurons": whole_number(1),
    "crop": whole_number(1, PADDED_SIDE),
    "padding": Check(_is_padding, "four numbers: left, right, top, bottom"),
    "communicate": FLAG,
    "activation": one_of("relu", "tanh"),
    "overlapping": FLAG,
    "layer1_order": one_of("relu_lrn_pool", "lrn_pool_relu"),
    "lrn": Check(lambda value: isinstance(value, LrnConfig | None), "null or its constants"),
    "spatial_norm": Check(
        lambda value: isinstance(value, SpatialNormConfig | None), "null or its constants"
    ),
    "dropout": number(0, 1),
    "dropout_form": one_of("masked", "inverted"),
}
