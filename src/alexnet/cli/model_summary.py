"""A model layer by layer: shapes, parameters, multiply-adds, weight statistics."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rich.table import Table
from rich.text import Text

from alexnet.cli.data_summary import columns
from alexnet.cli.terminal import printable
from alexnet.model.description import GROUPS, ModelDescription
from alexnet.model.layer_shapes import LayerShape, layer_shapes
from alexnet.model.net_config import NetConfig

Floats = npt.NDArray[np.float32]
Weights = Mapping[str, Floats]


class Layer(NamedTuple):
    """A layer's shapes, and of its weights the mean |w|, std and fraction of zeros."""

    name: str
    shape: LayerShape
    mean_magnitude: float
    std: float
    zeros: float


def layers(net: NetConfig, weights: Weights) -> list[Layer]:
    """Return the layers in order; `weights`: arrays by their state_dict names."""
    shapes = layer_shapes(net).items()
    return [_layer(name, shape, weights[f"{name}.weight"]) for name, shape in shapes]


def _layer(name: str, shape: LayerShape, weight: Floats) -> Layer:
    statistics = float(np.abs(weight).mean()), float(weight.std())
    zeros = 1 - np.count_nonzero(weight) / weight.size
    return Layer(name, shape, *statistics, zeros)


def model_tables(weights: Weights, description: ModelDescription) -> Iterator[Table]:
    """Yield the model's origin and input rule, then layers and totals."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in _facts(description):
        table.add_row(name, Text(printable(value)))
    yield table
    heads = "weights", "output", "parameters", "mul-adds", "mean |w|", "std", "zeros"
    table = columns("", "layer", *heads)
    summaries = layers(description.net, weights)
    for layer in summaries:
        shape, statistics = layer.shape, (f"{layer.mean_magnitude:.2g}", f"{layer.std:.2g}")
        counts = f"{shape.parameters:,}", short(shape.multiply_adds)
        shapes = _times(shape.weight), _times(shape.output)
        table.add_row(layer.name, *shapes, *counts, *statistics, f"{100 * layer.zeros:.1f} %")
    table.add_section()
    parameters = sum(layer.shape.parameters for layer in summaries)
    products = sum(layer.shape.multiply_adds for layer in summaries)
    table.add_row("total", "", "", f"{parameters:,}", short(products))
    yield table


def _facts(description: ModelDescription) -> Iterator[tuple[str, str]]:
    net, synsets, rule = description.net, description.synsets, description.input
    for group in GROUPS:
        yield group, description.choices[group]
    yield "seed, lr", f"{description.seed}, {description.lr}"
    yield (
        "towers",
        f"{net.towers}; width ÷ {net.width_divisor}; {net.layer1_order.replace('_', ' → ')}",
    )
    first = "; ".join(synset.words.partition(",")[0] for synset in synsets[:5])
    yield "classes", f"{len(synsets):,}: {first}{' …' if len(synsets) > 5 else ''}"
    yield "input", f"{rule.steps}; {rule.resample}"
    yield "precision", description.precision


def short(count: int) -> str:
    """Return a count in millions or thousands: 105.4 M, 12.3 k."""
    return f"{count / 1e6:,.1f} M" if count >= 1e6 else f"{count / 1e3:,.1f} k"


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def model_pictures(weights: Weights, description: ModelDescription) -> dict[str, bytes]:
    """Return the first layer's kernels (figure 3) as a PNG file."""
    from alexnet.figures.kernels import draw_kernels
    from alexnet.figures.style import encode_png

    return {"kernels": encode_png(draw_kernels(weights["conv1.weight"], description.net.towers))}
