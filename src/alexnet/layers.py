"""A model layer by layer: shapes, parameters, multiply-adds, how large its weights are."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from rich.table import Table
from rich.text import Text
from torch import Tensor

from alexnet.inspecting import columns
from alexnet.model import AlexNet, layers_of
from alexnet.pictures import kernels_picture, png_bytes
from alexnet.screen import printable


class Layer(NamedTuple):
    """A layer with weights; `out`: its output's shape, of one image; weights' mean |w| and std.

    multiply_adds: of one image; a bias adds none. zeros: the share of weights that are 0.
    """

    name: str
    weight: tuple[int, ...]
    out: tuple[int, ...]
    parameters: int
    multiply_adds: int
    mean_size: float
    std: float
    zeros: float


def layers(net: AlexNet) -> list[Layer]:
    """The layers of a net, in order; it is run once, on an empty image, for their outputs."""
    outs: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Any:
        return lambda module, given, out: outs.update({name: tuple(out.shape[1:])})

    hooks = [layer.register_forward_hook(note(name)) for name, layer in layers_of(net).items()]
    with torch.no_grad():
        net(torch.zeros(1, 3, net.crop, net.crop))
    for hook in hooks:
        hook.remove()
    return [_layer(name, layer, outs[name]) for name, layer in layers_of(net).items()]


def _layer(name: str, layer: Any, out: tuple[int, ...]) -> Layer:
    weight: Tensor = layer.weight.detach()
    places = out[1] * out[2] if len(out) == 3 else 1
    sizes = float(weight.abs().mean()), float(weight.std(correction=0))
    zeros = 1 - weight.count_nonzero().item() / weight.numel()
    count = weight.numel() + layer.bias.numel()
    return Layer(name, tuple(weight.shape), out, count, weight.numel() * places, *sizes, zeros)


def model_tables(net: AlexNet, described: Mapping[str, Any]) -> Iterator[Table]:
    """Where a model comes from and how a photo enters it; then its layers and their totals."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in _facts(net, described):
        table.add_row(name, Text(printable(value)))
    yield table
    heads = "weights", "output", "parameters", "mul-adds", "mean |w|", "std", "zeros"
    table = columns("", "layer", *heads)
    every = layers(net)
    for one in every:
        sizes = f"{one.mean_size:.2g}", f"{one.std:.2g}", f"{100 * one.zeros:.1f} %"
        counts = f"{one.parameters:,}", short(one.multiply_adds)
        table.add_row(one.name, _shape(one.weight), _shape(one.out), *counts, *sizes)
    table.add_section()
    parameters, products = (sum(each) for each in zip(*(each[3:5] for each in every), strict=True))
    table.add_row("all", "", "", f"{parameters:,}", short(products))
    yield table


def _facts(net: AlexNet, described: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    told = described.get("chosen")  # prediction needs none of it: nobody has looked at it yet
    chosen = told if isinstance(told, dict) else {}
    for name in ("dataset", "model", "recipe"):
        yield name, str(chosen.get(name, "not told"))
    yield "seed, lr", f"{described.get('seed', '?')}, {described.get('lr', '?')}"
    yield "towers", f"{net.towers}; width ÷ {net.width_divisor}; {net.order1.replace('_', ' → ')}"
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


def model_pictures(net: AlexNet) -> dict[str, bytes]:
    """The kernels of the first layer (figure 3), as a PNG file."""
    weights = net.conv1.weight.detach().numpy()
    return {"kernels": png_bytes(kernels_picture(weights, net.towers))}
