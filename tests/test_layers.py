import io

import pytest
import torch
from rich.console import Console

from alexnet.layers import layers, model_tables, short
from alexnet.model import AlexNet
from small_model import described


@pytest.fixture(scope="module")
def paper() -> AlexNet:
    """The whole net, its weights in memory that nobody wrote to: zeros."""
    with torch.device("meta"):
        net = AlexNet()
    net.load_state_dict(
        {name: torch.zeros(t.shape) for name, t in net.state_dict().items()}, assign=True
    )
    return net


def test_the_papers_net_in_numbers(paper: AlexNet) -> None:
    """Its parameters, the outputs of section 3.5, and what a convolution multiplies, by hand."""
    every = {layer.name: layer for layer in layers(paper)}
    assert sum(layer.parameters for layer in every.values()) == 60_965_224
    assert every["conv1"].out == (96, 55, 55)
    assert every["conv2"].weight == (256, 48, 5, 5)
    products = [layer.multiply_adds for layer in every.values()]
    assert products == [
        96 * 55 * 55 * 11 * 11 * 3,
        256 * 27 * 27 * 5 * 5 * 48,
        384 * 13 * 13 * 3 * 3 * 256,
        384 * 13 * 13 * 3 * 3 * 192,
        256 * 13 * 13 * 3 * 3 * 192,
        9216 * 4096,
        4096 * 4096,
        4096 * 1000,
    ]
    assert all(layer.zeros == 1 for layer in every.values())


def test_the_size_of_weights() -> None:
    net = AlexNet(classes=4, width_divisor=16)
    with torch.no_grad():
        net.fc8.weight.copy_(torch.tensor([3.0, -1, 0, 0])[:, None])
    last = layers(net)[-1]
    assert (last.mean_size, last.zeros) == (1.0, 0.5)
    assert last.std == pytest.approx(1.5)


def test_the_tables_fit_eighty_columns(paper: AlexNet) -> None:
    out = io.StringIO()
    told = described()
    for table in model_tables(paper, told | {"chosen": {"dataset": "ilsvrc2012"}}):
        Console(file=out, width=80).print(table)
    said = out.getvalue()
    for number in ("60,965,224", "724.4 M", "37,752,832", "384×256×3×3", "256×27×27", "ilsvrc2012"):
        assert number in said


def test_counts_are_short() -> None:
    assert [short(n) for n in (105_415_200, 12_288)] == ["105.4 M", "12.3 k"]


@pytest.mark.parametrize("chosen", [["quick"], "quick", None, {"model": {"a": "\x1b[31m"}}])
def test_what_a_file_tells_of_its_run_is_shown_whatever_it_is(chosen: object) -> None:
    told = described() | {"chosen": chosen, "seed": [1], "lr": {}}
    net = AlexNet(**told["net"])
    file = io.StringIO()
    facts = next(model_tables(net, told))
    Console(file=file, width=80).print(facts)
    assert "not told" in file.getvalue()
    assert "\x1b" not in file.getvalue()
