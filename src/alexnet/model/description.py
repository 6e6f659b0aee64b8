"""What a model file says about its model, besides the tensors."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from alexnet.dataset.index import Synset
from alexnet.model.field_checks import (
    FLAG,
    INTEGER,
    TEXT,
    Check,
    check_fields,
    from_mapping,
    number,
    one_of,
    whole_number,
)
from alexnet.model.net_config import NetConfig
from alexnet.runtime.errors import InputError

GROUPS = ("dataset", "model", "recipe")  # of conf/, whose chosen files describe a run


@dataclass(frozen=True)
class InputRule:
    """How a photo becomes the net's input: `steps` for a reader, the rest as in conf/dataset."""

    steps: str
    resample: str
    apply_exif: bool


@dataclass(frozen=True)
class ModelDescription:
    """All that prediction needs beyond the tensors, and which run trained the model.

    choices: the file chosen in each group of conf/; recipe: conf/recipe as composed; synsets: the
    classes, in label order.
    """

    choices: Mapping[str, str]
    lr: float
    seed: int
    net: NetConfig
    recipe: Mapping[str, Any]
    input: InputRule
    synsets: Sequence[Synset]

    @property
    def precision(self) -> str:
        """The precision of training, which prediction uses too."""
        return str(self.recipe["precision"])

    @classmethod
    def from_json(cls, values: Any) -> "ModelDescription":
        """Return the description in `values`. Raises InputError if it is not valid.

        Sizes are limited only where no tensor in the file confirms them.
        """
        description = from_mapping(
            cls,
            values,
            "the description",
            net=NetConfig.from_mapping,
            input=partial(from_mapping, InputRule, name="input"),
            synsets=_synsets,
        )
        check_fields(description, "", CHECKS)
        check_fields(description.input, "input.", INPUT_CHECKS)
        if len(description.synsets) != description.net.classes:
            counts = f"{len(description.synsets):,} synsets for {description.net.classes} classes"
            raise InputError(f"it has {counts}")
        return description

    def to_json(self) -> dict[str, Any]:
        """Return the description as JSON types, under the names of the fields."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values


def describe_input(resample: str, apply_exif: bool, crop: int) -> InputRule:
    """Return the rule for views of `crop` × `crop` pixels."""
    steps = (
        f"RGB 0–255, short side to 256, centre 256×256, minus mean_image, views of {crop}×{crop}"
    )
    return InputRule(steps, str(resample), apply_exif)


def _synsets(values: Any) -> list[Synset]:
    if not (isinstance(values, list) and values):
        raise InputError("synsets is not a list of classes")
    synsets = [from_mapping(Synset, value, "a class in synsets") for value in values]
    for synset in synsets:
        check_fields(synset, "synsets: ", SYNSET_CHECKS)
    return synsets


def _is_choices(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() >= set(GROUPS)
        and all(isinstance(choice, str) for choice in value.values())
    )


def _is_recipe(value: Any) -> bool:
    return isinstance(value, dict) and PRECISION.is_valid(value.get("precision"))


PRECISION = one_of("auto", "bf16", "tf32", "fp32")
CHECKS = {
    "choices": Check(_is_choices, f"the names chosen for {', '.join(GROUPS)}"),
    "lr": number(0, math.inf),
    "seed": INTEGER,
    "recipe": Check(_is_recipe, f"a recipe whose precision is {PRECISION.expected}"),
}
INPUT_CHECKS = {"steps": TEXT, "resample": one_of("bicubic", "area"), "apply_exif": FLAG}
SYNSET_CHECKS = {"devkit_id": whole_number(0, 2**31), "wnid": TEXT, "words": TEXT}
