"""A model layer by layer: shapes, parameters, multiply-adds, how large its weights are."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.table import Table
from rich.text import Text

from alexnet.cli.data_summary import columns
from alexnet.cli.terminal import printable
from alexnet.model.layer_shapes import LayerShape, NetConfig, layer_shapes

Floats = npt.NDArray[np.float32]
Weights = Mapping[str, Floats]


class Layer(NamedTuple):
    """A layer's shapes, and of its weights mean |w|, std and the share that is 0."""

    name: str
    shape: LayerShape
    mean_size: float
    std: float
    zeros: float


def layers(net: NetConfig, weights: Weights) -> list[Layer]:
    """The layers of a net, in order; `weights`: its arrays, by the names of a state_dict."""
    shapes = layer_shapes(net).items()
    return [_layer(name, shape, weights[f"{name}.weight"]) for name, shape in shapes]


def _layer(name: str, shape: LayerShape, weight: Floats) -> Layer:
    sizes = float(np.abs(weight).mean()), float(weight.std())
    zeros = 1 - np.count_nonzero(weight) / weight.size
    return Layer(name, shape, *sizes, zeros)


def model_tables(weights: Weights, described: Mapping[str, Any]) -> Iterator[Table]:
    """Where a model comes from and how a photo enters it; then its layers and their totals."""
    net = NetConfig(**described["net"])
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in _facts(net, described):
        table.add_row(name, Text(printable(value)))
    yield table
    heads = "weights", "output", "parameters", "mul-adds", "mean |w|", "std", "zeros"
    table = columns("", "layer", *heads)
    every = layers(net, weights)
    for one in every:
        sizes = f"{one.mean_size:.2g}", f"{one.std:.2g}", f"{100 * one.zeros:.1f} %"
        counts = f"{one.shape.parameters:,}", short(one.shape.multiply_adds)
        table.add_row(one.name, _shape(one.shape.weight), _shape(one.shape.output), *counts, *sizes)
    table.add_section()
    parameters = sum(one.shape.parameters for one in every)
    products = sum(one.shape.multiply_adds for one in every)
    table.add_row("all", "", "", f"{parameters:,}", short(products))
    yield table


def _facts(net: NetConfig, described: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    told = described.get("chosen")  # prediction needs none of it: nobody has looked at it yet
    chosen = told if isinstance(told, dict) else {}
    for name in ("dataset", "model", "recipe"):
        yield name, str(chosen.get(name, "not told"))
    yield "seed, lr", f"{described.get('seed', '?')}, {described.get('lr', '?')}"
    yield (
        "towers",
        f"{net.towers}; width ÷ {net.width_divisor}; {net.layer1_order.replace('_', ' → ')}",
    )
    classes = described["synsets"]
    some = "; ".join(each["words"].partition(",")[0] for each in classes[:5])
    yield "classes", f"{len(classes):,}: {some}{' …' if len(classes) > 5 else ''}"
    yield "input", f"{described['input'].get('steps', '')}; {described['input']['resample']}"
    yield "precision", described["recipe"]["precision"]


def short(count: int) -> str:
    """A count, short: 105.4 M, 12.3 k."""
    return f"{count / 1e6:,.1f} M" if count >= 1e6 else f"{count / 1e3:,.1f} k"


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def model_pictures(weights: Weights, described: Mapping[str, Any]) -> dict[str, bytes]:
    """The kernels of the first layer (figure 3), as a PNG file."""
    from alexnet.figures.kernels import kernels_picture
    from alexnet.figures.style import png_bytes

    towers = NetConfig(**described["net"]).towers
    return {"kernels": png_bytes(kernels_picture(weights["conv1.weight"], towers))}
