"""What a model file tells of itself, looked at before any of it is believed."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from alexnet.dataset.shards import SIDE
from alexnet.model.layer_shapes import ACTIVATIONS, NetConfig

Check = Callable[[Any], bool]
NET = {field.name for field in fields(NetConfig)}
MOST = 4096  # neighbours, of a norm that is one


def input_rule(resample: str, apply_exif: bool, crop: int) -> dict[str, Any]:
    """How a photo becomes the net's input; the names are those of conf/dataset."""
    steps = (
        f"RGB 0–255, short side to 256, centre 256×256, minus mean_image, views of {crop}×{crop}"
    )
    return {"steps": steps, "resample": str(resample), "apply_exif": apply_exif}


def check_described(described: Any) -> None:
    """Raise ValueError in a few words where `described` lacks what prediction needs, or is absurd.

    What decides the shapes of the weights is left to a comparison with those in the file.
    """
    net = _part(described, "net")
    if strange := set(net) - NET:
        raise ValueError(f"net.{min(strange)} is unknown")
    given = {name: value for name, value in net.items() if name in ARGUMENTS}
    _check("net", given, {name: ARGUMENTS[name] for name in given})
    _check("input", _part(described, "input"), INPUT)
    _check("recipe", _part(described, "recipe"), RECIPE)
    synsets = described.get("synsets")
    if not (isinstance(synsets, list) and synsets and all(map(_is_synset, synsets))):
        raise ValueError("synsets is not a list of classes")
    if len(synsets) != net.get("classes", 1000):
        raise ValueError(f"there are {len(synsets):,} synsets and {net.get('classes')} classes")


def _part(described: Any, name: str) -> Mapping[str, Any]:
    part = described.get(name) if isinstance(described, dict) else None
    if not isinstance(part, dict):
        raise ValueError(f"it lacks {name!r}")
    return part


def _check(part: str, values: Mapping[str, Any], checks: Mapping[str, Check]) -> None:
    for name, is_right in checks.items():
        if not is_right(values.get(name)):
            raise ValueError(f"{part}.{name} is {str(values.get(name))[:40]!r}")


def _number(least: float, below: float = 1e6) -> Check:
    return lambda value: _is_number(value) and least <= value < below


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(least: int, most: int) -> Check:
    return lambda value: type(value) is int and least <= value <= most


def _one_of(*names: str) -> Check:
    return lambda value: value in names


def _all(checks: Mapping[str, Check]) -> Check:
    """A mapping of exactly these names, each as it should be."""
    return lambda values: (
        isinstance(values, dict)
        and values.keys() == checks.keys()
        and all(is_right(values[name]) for name, is_right in checks.items())
    )


def _is_padding(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(_whole(0, SIDE), value))


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


FORMULA = {"k": _number(1e-6), "alpha": _number(0), "beta": _number(0, 16)}
IS_LRN = _all({**FORMULA, "n": _whole(1, MOST), "across_towers": _is_flag})
IS_SPATIAL_NORM = _all({**FORMULA, "size": _whole(1, 27)})
ARGUMENTS: dict[str, Check] = {  # of AlexNet, those that no shape tells
    "crop": _whole(1, SIDE),
    "padding": _is_padding,
    "communicate": _is_flag,
    "activation": _one_of(*ACTIVATIONS),
    "overlapping": _is_flag,
    "layer1_order": _one_of("relu_lrn_pool", "lrn_pool_relu"),
    "lrn": lambda value: value is None or IS_LRN(value),
    "spatial_norm": lambda value: value is None or IS_SPATIAL_NORM(value),
    "dropout": _number(0, 1),
    "dropout_form": _one_of("masked", "inverted"),
}
INPUT: dict[str, Check] = {"resample": _one_of("bicubic", "area"), "apply_exif": _is_flag}
RECIPE: dict[str, Check] = {"precision": _one_of("auto", "bf16", "tf32", "fp32")}
_is_synset = _all({"devkit_id": _whole(0, 2**31), "wnid": _is_text, "words": _is_text})
