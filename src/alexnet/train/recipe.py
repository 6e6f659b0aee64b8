"""The numbers of sections 4 and 5, and which parameters learn at which rate."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from alexnet.input.epoch import AugmentSettings
from alexnet.model.alexnet import AlexNet, layers_of
from alexnet.model.net_config import LAYERS
from alexnet.runtime.errors import InputError
from alexnet.train.optimizer import Schedule, schedule_of


@dataclass(frozen=True)
class Recipe:
    """The numbers of sections 4 and 5, under the names they have in conf/recipe; and lr."""

    lr: float
    batch_size: int
    epochs: int
    momentum: float
    weight_decay: float
    bias_lr_multiplier: float
    bias_decay: bool
    schedule: Schedule
    augmentation: AugmentSettings
    mean_under_crop: bool
    colour_scale: str
    colour_until: int | None
    input_divisor: float
    frozen_from: Mapping[str, int]
    layer_lr_multiplier: Mapping[str, float]
    shuffled_labels: bool
    precision: str


def recipe_of(numbers: Mapping[str, Any], lr: float, crop: int) -> Recipe:
    """The recipe that conf/recipe's `numbers` make. Raises InputError where they contradict."""
    known = {field.name for field in fields(Recipe)}
    names = ("crop_offsets", "images_per_crop", "random_crops", "reflections", "alpha_std")
    augmentation = AugmentSettings(crop=crop, **{name: numbers[name] for name in names})
    kinds = {kind: numbers[kind] for kind in ("plateau", "multistep", "dexp")}
    schedule = schedule_of(**kinds, epochs=numbers["epochs"])
    strange = [*numbers["frozen_from"], *numbers["layer_lr_multiplier"]]
    if wrong := [layer for layer in strange if layer not in LAYERS]:
        fix = f"name one of {', '.join(LAYERS)}"
        raise InputError(f"recipe: there is no layer {wrong[0]}", fix)
    rest = {name: value for name, value in numbers.items() if name in known}
    return Recipe(**rest, lr=lr, augmentation=augmentation, schedule=schedule)


@dataclass(frozen=True)
class Group:
    """Parameters that share a rate and a decay."""

    names: list[str]
    lr: float
    weight_decay: float


def groups_of(net: AlexNet, recipe: Recipe, epoch: int, lr: float) -> list[Group]:
    """The parameters that learn in `epoch`: weights and biases apart, a group for each rate."""
    groups: dict[tuple[float, float], list[str]] = {}
    for layer in layers_of(net):
        if epoch < recipe.frozen_from.get(layer, recipe.epochs):
            rate = lr * recipe.layer_lr_multiplier.get(layer, 1.0)
            decay = recipe.weight_decay
            groups.setdefault((rate, decay), []).append(f"{layer}.weight")
            key = rate * recipe.bias_lr_multiplier, decay if recipe.bias_decay else 0.0
            groups.setdefault(key, []).append(f"{layer}.bias")
    return [Group(names, *key) for key, names in groups.items()]
