"""What a model's file tells of itself, each part of it out of bounds."""

import copy
import math
from typing import Any

import pytest

from alexnet.model.description import check_described
from alexnet.model.layer_shapes import LRN
from small_model import described

WHOLE_LRN = {**LRN}
NORM = {"k": 1.0, "size": 5, "alpha": 4e-5, "beta": 0.75}


def whole() -> dict[str, Any]:
    told = described(
        crop=224,
        padding=[0, 3, 0, 3],
        layer1_order="lrn_pool_relu",
        lrn=WHOLE_LRN,
        spatial_norm=NORM,
        dropout=0.5,
        dropout_form="masked",
    )
    return copy.deepcopy(told)


def test_what_the_stage_writes_is_right() -> None:
    check_described(whole())
    check_described(whole() | {"what": "comes later"})


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("net.crop", 257),
        ("net.crop", 10**9),
        ("net.crop", 224.0),
        ("net.crop", True),
        ("net.padding", [-1, 4, 0, 3]),
        ("net.padding", [0, 3, 0]),
        ("net.layer1_order", "pool"),
        ("net.layer1_order", ["relu_lrn_pool"]),
        ("net.dropout", 1.0),
        ("net.dropout", math.nan),
        ("net.dropout_form", None),
        ("net.lrn", {}),
        ("net.lrn", WHOLE_LRN | {"n": 10**9}),
        ("net.lrn", WHOLE_LRN | {"k": 0.0}),
        ("net.lrn", WHOLE_LRN | {"alpha": 10**400}),
        ("net.lrn", WHOLE_LRN | {"more": 1}),
        ("net.spatial_norm", NORM | {"size": 10**6}),
        ("net.place", {}),
        ("net.surprise", 1),
        ("net", None),
        ("input", "RGB"),
        ("input.resample", "nearest"),
        ("input.apply_exif", 0),
        ("recipe.precision", "fp8"),
        ("synsets", []),
        ("synsets", [{"wnid": "n0"}] * 7),
        ("synsets", described()["synsets"][:6]),
    ],
)
def test_what_is_out_of_bounds_is_named(part: str, value: Any) -> None:
    told = whole()
    *outer, name = part.split(".")
    at = told[outer[0]] if outer else told
    at[name] = value
    with pytest.raises(ValueError, match=name):
        check_described(told)


@pytest.mark.parametrize("told", [None, [], 1, "net", {}])
def test_what_is_no_description_is_refused(told: Any) -> None:
    with pytest.raises(ValueError, match="lacks"):
        check_described(told)
