"""The benchmarks of the net, on one or two images; the plain net equals ours."""

import re

import pytest
import torch
from benchmarks import layers, lrn, step
from benchmarks.table import Row

from alexnet.model.alexnet import AlexNet
from alexnet.model.net_config import NetConfig


def number(text: str) -> float:
    """Return the first number in a cell."""
    found = re.search(r"[\d.]+", text.replace(",", ""))
    assert found, text
    return float(found[0])


def test_plain_net_equals_ours() -> None:
    ours, plain = AlexNet(NetConfig(dropout=0.0)), step.Plain(dropout=0.0)
    plain.load_state_dict(ours.state_dict())
    x = 60 * torch.randn(2, 3, 224, 224)
    logits = [net(x) for net in (ours, plain)]
    torch.testing.assert_close(
        *logits, rtol=1e-4, atol=1e-4 * float(logits[0].detach().abs().max())
    )
    gradients = [
        torch.autograd.grad(out.square().sum(), net.parameters())
        for out, net in zip(logits, (ours, plain), strict=True)
    ]
    for found, expected in zip(*gradients, strict=True):
        assert (found - expected).abs().max() <= 1e-3 * expected.abs().max()


def test_step_changes_the_weights() -> None:
    device = torch.device("cpu")
    for dtype in (torch.float32, torch.bfloat16):
        ours = step.ours(device, dtype)
        net = ours.args[0]  # type: ignore[attr-defined]
        before = net.conv1.weight.detach().clone()
        loss = ours((60 * torch.randn(2, 3, 224, 224), torch.tensor([3, 5])))
        assert loss.isfinite()
        assert not torch.equal(before, net.conv1.weight)


@pytest.mark.slow
def test_step_measures_all_ways() -> None:
    rows = step.rows([], 1, size=1)
    assert {row.name for row in rows} == set(step.makers(torch.device("cpu")))
    with_goal = {row.name for row in rows if row.goal}
    assert with_goal == set(step.GOALS)
    milliseconds = {row.name: number(row.cost) for row in rows if " ms" in row.cost}
    for row in rows:
        if row.ratio:
            expected = milliseconds[step.PLAIN] / milliseconds[row.name]
            assert number(row.ratio) == pytest.approx(expected, rel=0.02, abs=0.02)
        else:
            assert row.name == step.PLAIN or row.cost.startswith("not installed: No module named")


def test_lrn_measures_all_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lrn, "SHAPES", {"small": (8, 3, 3)})
    rows = lrn.rows([], 1, size=2)
    assert len(rows) == 5
    assert [row.name for row in rows if not row.ratio] == [f"small: {lrn.PLAIN}"]
    assert all(row.goal.startswith("≥ 4: ") for row in rows[:-1])


@pytest.mark.slow
def test_shares_of_layers_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "PEAK_SIDE", 64)
    monkeypatch.setattr(layers, "COPY", 2**16)
    rows = layers.rows([], 1, size=1)
    for kind in ("float32", "bfloat16"):
        kind_rows = [row for row in rows if row.name.startswith(kind)]
        assert sum(share(row) for row in kind_rows[:-2]) == pytest.approx(100, abs=2)
        assert share(kind_rows[-2]) == 100
        assert number(kind_rows[-2].ratio) == pytest.approx(4.1, abs=0.1)  # GFLOP of one image


def share(row: Row) -> float:
    """Return the layer's percentage of the step."""
    return number(row.cost.split(" ms, ")[1])


def test_operations_of_the_net() -> None:
    """4.136 GFLOP per image: 724.4 million products forward, and per gradient."""
    flop = {part.name: part.flop for part in layers.layers(AlexNet(NetConfig()), bf16=False)}
    products = {name: count / (4e6 if name == "conv1" else 6e6) for name, count in flop.items()}
    expected = {"conv1": 105.4, "conv2": 223.9, "conv3": 149.5, "conv4": 112.1, "conv5": 74.8}
    expected |= {"fc6": 37.7, "fc7": 16.8, "fc8": 4.1}
    for name, count in expected.items():
        assert products[name] == pytest.approx(count, abs=0.06), name
    assert sum(flop.values()) == pytest.approx(4.136e9, rel=1e-3)
