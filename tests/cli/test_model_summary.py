import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from alexnet.cli.model_summary import Weights, layers, model_tables, short
from alexnet.model.layer_shapes import layer_shapes
from alexnet.model.net_config import LAYERS, NetConfig
from small_model import small_description


def zero_weights(net: NetConfig) -> Weights:
    """Return zeros, in pages that the system has not allocated yet."""
    shapes = layer_shapes(net).items()
    return {f"{name}.weight": np.zeros(shape.weight, np.float32) for name, shape in shapes}


@pytest.fixture(scope="module")
def paper() -> Weights:
    return zero_weights(NetConfig())


def test_the_layers_have_the_papers_parameter_count(paper: Weights) -> None:
    summaries = layers(NetConfig(), paper)
    assert [layer.name for layer in summaries] == [name for name in LAYERS if name != "conv6"]
    assert sum(layer.shape.parameters for layer in summaries) == 60_965_224
    assert all(layer.zeros == 1 for layer in summaries)


def test_weight_statistics() -> None:
    net = NetConfig(classes=4, width_divisor=16)
    weights = zero_weights(net)
    weights["fc8.weight"][:] = np.array([3, -1, 0, 0])[:, None]
    last = layers(net, weights)[-1]
    assert (last.mean_magnitude, last.zeros) == (1.0, 0.5)
    assert last.std == pytest.approx(1.5)


def test_the_tables_fit_eighty_columns(paper: Weights) -> None:
    out = io.StringIO()
    choices = {"dataset": "ilsvrc2012", "model": "paper", "recipe": "paper"}
    description = replace(small_description(), net=NetConfig(), choices=choices)
    for table in model_tables(paper, description):
        Console(file=out, width=80).print(table)
    text = out.getvalue()
    for number in ("60,965,224", "724.4 M", "37,752,832", "384×256×3×3", "256×27×27", "ilsvrc2012"):
        assert number in text


def test_counts_are_abbreviated() -> None:
    assert [short(n) for n in (105_415_200, 12_288)] == ["105.4 M", "12.3 k"]


def test_control_characters_in_a_description_are_not_printed() -> None:
    choices = {"dataset": "small", "model": "\x1b[31m", "recipe": "quick"}
    file = io.StringIO()
    facts = next(model_tables({}, replace(small_description(), choices=choices)))
    Console(file=file, width=80).print(facts)
    assert "small" in file.getvalue()
    assert "\x1b" not in file.getvalue()
