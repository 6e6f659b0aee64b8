"""The numbers of sections 4 and 5, and each parameter's learning rate."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from alexnet.input.augment import AugmentSettings
from alexnet.model.alexnet import AlexNet, layers_of
from alexnet.model.net_config import LAYERS
from alexnet.runtime.errors import InputError
from alexnet.train.schedule import Schedule, make_schedule


@dataclass(frozen=True)
class Recipe:
    """The numbers of sections 4 and 5, named as in conf/recipe; and lr."""

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

    def shifts_colours(self, epoch: int) -> bool:
        """Return whether `epoch`, counted from 0, has colour shifts."""
        return self.colour_until is None or epoch < self.colour_until


def make_recipe(numbers: Mapping[str, Any], lr: float, crop: int) -> Recipe:
    """Make the recipe from the values of conf/recipe. Raises InputError if they are invalid."""
    names = {field.name for field in fields(Recipe)}
    ranges = ("crop_offsets", "images_per_crop", "random_crops", "reflections", "alpha_std")
    augmentation = AugmentSettings(crop=crop, **{name: numbers[name] for name in ranges})
    kinds = {kind: numbers[kind] for kind in ("plateau", "multistep", "dexp")}
    schedule = make_schedule(**kinds, epochs=numbers["epochs"])
    for key in ("frozen_from", "layer_lr_multiplier"):
        if unknown := [layer for layer in numbers[key] if layer not in LAYERS]:
            what = f"recipe.{key} names an unknown layer, {unknown[0]}"
            raise InputError(what, f"use one of {', '.join(LAYERS)}")
    rest = {name: value for name, value in numbers.items() if name in names}
    return Recipe(**rest, lr=lr, augmentation=augmentation, schedule=schedule)


@dataclass(frozen=True)
class ParameterGroup:
    """Names of parameters that share a learning rate, momentum and weight decay."""

    names: list[str]
    lr: float
    momentum: float
    weight_decay: float


def group_parameters(net: AlexNet, recipe: Recipe, epoch: int, lr: float) -> list[ParameterGroup]:
    """Group the parameters trained in `epoch` by learning rate and decay.

    lr: the rate of this epoch, before the multipliers of layers and biases. Frozen layers are left
    out.
    """
    groups: dict[tuple[float, float], list[str]] = {}
    for layer in layers_of(net):
        if epoch < recipe.frozen_from.get(layer, recipe.epochs):
            layer_lr = lr * recipe.layer_lr_multiplier.get(layer, 1.0)
            bias_lr = layer_lr * recipe.bias_lr_multiplier
            bias_decay = recipe.weight_decay if recipe.bias_decay else 0.0
            groups.setdefault((layer_lr, recipe.weight_decay), []).append(f"{layer}.weight")
            groups.setdefault((bias_lr, bias_decay), []).append(f"{layer}.bias")
    return [
        ParameterGroup(names, group_lr, recipe.momentum, decay)
        for (group_lr, decay), names in groups.items()
    ]
