"""The paper's own numbers and formulas, written out naively."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from alexnet.comparison.paper import TABLES
from alexnet.inference.ten_views import crop_ten_views
from alexnet.input.augment import compute_colour_shifts
from alexnet.model.alexnet import AlexNet, initialise, layers_of
from alexnet.model.lrn import lrn
from alexnet.model.net_config import NetConfig
from alexnet.train import optimizer

CONF = Path(__file__).parents[2] / "conf"


def read_conf(name: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((CONF / name).read_text())
    return values


@pytest.fixture(scope="module")
def net() -> AlexNet:
    """The paper's net, with the paper's initialisation."""
    paper = read_conf("model/paper.yaml")
    std, bias = paper.pop("init_std"), paper.pop("init_bias")
    whole = AlexNet(NetConfig.from_mapping({"classes": 1000} | paper))
    initialise(whole, 0, std, bias)
    return whole


def test_layers_have_the_papers_numbers_of_parameters(net: AlexNet) -> None:
    counts = [sum(p.numel() for p in layer.parameters()) for layer in layers_of(net).values()]
    convolutional = [34_944, 307_456, 885_120, 663_936, 442_624]
    assert counts == [*convolutional, 37_752_832, 16_781_312, 4_097_000]
    assert sum(p.numel() for p in net.parameters()) == sum(counts) == 60_965_224


def test_layers_have_the_papers_numbers_of_neurons(net: AlexNet) -> None:
    counts = []
    hooks = [
        layer.register_forward_hook(lambda _, __, out: counts.append(out.numel()))
        for layer in layers_of(net).values()
    ]
    net(torch.zeros(1, 3, 224, 224))
    for hook in hooks:
        hook.remove()
    # the paper's figure prints 253,440 for the first, which contradicts its own sizes
    assert counts == [290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
    assert sum(counts) == 659_272


def test_lrn_computes_the_papers_formula() -> None:
    """Section 3.3, with the sum inside a tower: maps 0–5 and 6–11 of 12 do not mix."""
    k, n, alpha, beta = 2.0, 5, 0.01, 0.75
    a = 20 * torch.randn(2, 12, 3, 2, dtype=torch.float64)
    b = torch.empty_like(a)
    for image, i, y, x in itertools.product(range(2), range(12), range(3), range(2)):
        tower = range(6) if i < 6 else range(6, 12)
        squares = sum(a[image, j, y, x] ** 2 for j in tower if abs(j - i) <= n // 2)
        b[image, i, y, x] = a[image, i, y, x] / (k + alpha * squares) ** beta
    torch.testing.assert_close(lrn(a, k, n, alpha, beta), b, rtol=1e-12, atol=0)


@pytest.mark.parametrize("beta", [0.75, 0.5])
def test_the_gradient_of_lrn_passes_gradcheck(beta: float) -> None:
    x = torch.randn(2, 12, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: lrn(x, 2, 5, 0.3, beta), (x,))


@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-5), (torch.bfloat16, 8e-3)])
def test_lrn_is_precise_in_float32_and_bfloat16(dtype: torch.dtype, within: float) -> None:
    x = 30 * torch.randn(2, 96, 4, 4, dtype=torch.float64)
    exact, rounded = lrn(x, 2, 5, 1e-4, 0.75), lrn(x.to(dtype), 2, 5, 1e-4, 0.75)
    assert rounded.dtype == dtype
    assert ((rounded.double() - exact).abs() <= within * exact.abs() + 1e-12).all()


def test_towers_are_first_connected_in_conv3(net: AlexNet) -> None:
    """Tower 1 gets no gradient from tower 2's conv2, but some from its conv3."""
    x = torch.randn(1, 3, 224, 224) * 50
    for layer, connected in (("conv2", False), ("conv3", True)):
        seen: list[Tensor] = []
        hook = getattr(net, layer).register_forward_hook(lambda _, __, out, to=seen: to.append(out))
        net(x)
        hook.remove()
        second_half = seen[0][:, seen[0].shape[1] // 2 :]
        (gradient,) = torch.autograd.grad(second_half.sum(), [net.conv1.weight])
        assert bool(gradient[:48].any()) is connected
        assert gradient[48:].any()


def test_initial_weights_and_biases_are_the_papers(net: AlexNet) -> None:
    """Section 5: N(0, 0.01²); biases 1 in conv2, conv4, conv5, fc6 and fc7, else 0."""
    for name, layer in layers_of(net).items():
        assert abs(float(layer.weight.detach().std()) - 0.01) < 3e-4, name
        assert abs(float(layer.weight.detach().mean())) < 3e-4, name
        has_bias_1 = name in ("conv2", "conv4", "conv5", "fc6", "fc7")
        assert (layer.bias == float(has_bias_1)).all(), name


def test_the_input_is_padded_right_and_bottom(net: AlexNet) -> None:
    """The first window starts at pixel 0; the last, at 216, ends three zeros after pixel 223."""
    for pixel, window in ((0, 0), (223, 54)):
        x = torch.zeros(1, 3, 224, 224)
        x[0, :, pixel, pixel] = 1000
        seen: list[Tensor] = []
        hook = net.conv1.register_forward_hook(lambda _, __, out, to=seen: to.append(out))
        net(x)
        hook.remove()
        assert seen[0][0].abs().amax(0).nonzero().tolist() == [[window, window]]


def test_updates_follow_the_papers_rule_across_a_drop_of_the_learning_rate() -> None:
    """The two lines of section 5, on plain floats, through a division of ε by ten."""
    w, v = np.array([0.5, -2.0]), np.zeros(2)
    weights, velocities = [torch.tensor(w)], [torch.zeros(2, dtype=torch.float64)]
    rng = np.random.default_rng(0)
    for step in range(20):
        epsilon, gradient = (0.01 if step < 10 else 0.001), rng.normal(size=2)
        v = 0.9 * v - 0.0005 * epsilon * w - epsilon * gradient
        w = w + v
        rule = {"momentum": 0.9, "weight_decay": 0.0005}
        optimizer.update(weights, [torch.tensor(gradient)], velocities, lr=epsilon, **rule)
        np.testing.assert_allclose(weights[0].numpy(), w, rtol=1e-14)


def test_torch_sgd_follows_another_rule_after_a_drop() -> None:
    """The paper's velocity contains the learning rate; torch's is scaled down by a drop."""
    ours, theirs = [torch.ones(1)], torch.nn.Parameter(torch.ones(1))
    velocities, sgd = [torch.zeros(1)], torch.optim.SGD([theirs], lr=0.1, momentum=0.9)
    for lr in (0.1, 0.1, 0.01):
        if lr == 0.01:
            assert torch.allclose(ours[0], theirs)
        theirs.grad = torch.ones(1)
        sgd.param_groups[0]["lr"] = lr
        sgd.step()
        optimizer.update(ours, [torch.ones(1)], velocities, lr=lr, momentum=0.9, weight_decay=0)
    assert not torch.allclose(ours[0], theirs)


def test_ten_views_are_corners_and_centre_then_reflections() -> None:
    images = torch.randint(0, 256, (2, 256, 256, 3), dtype=torch.uint8)
    mean = torch.rand(256, 256, 3) * 255
    views = crop_ten_views(images, mean)
    offsets = [(0, 0), (0, 32), (32, 0), (32, 32), (16, 16)]
    for image, (n, (top, left)) in itertools.product(range(2), enumerate(offsets)):
        patch = (images[image].float() - mean)[top : top + 224, left : left + 224]
        assert torch.equal(views[image, n], patch.permute(2, 0, 1))
        assert torch.equal(views[image, 5 + n], patch.flip(1).permute(2, 0, 1))


def test_colour_shifts_are_the_product_of_section_4_1() -> None:
    """[p1 p2 p3][α1λ1 α2λ2 α3λ3]ᵀ, literally and with √λ instead of λ."""
    eigenvalues = torch.tensor([9.0, 4.0, 1.0], dtype=torch.float64)
    vectors = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]  # row i is p_i
    alphas = torch.randn(5, 3, dtype=torch.float64)
    for scale, s in (("eigenvalue", eigenvalues), ("sqrt_eigenvalue", eigenvalues.sqrt())):
        shifts = compute_colour_shifts(alphas, eigenvalues, vectors, scale)
        for alpha, shift in zip(alphas, shifts, strict=True):
            naive = sum(alpha[i] * s[i] * vectors[i] for i in range(3))
            torch.testing.assert_close(shift, naive)


def test_conf_of_the_paper_holds_the_papers_numbers() -> None:
    recipe, model = read_conf("recipe/paper.yaml"), read_conf("model/paper.yaml")
    assert (recipe["batch_size"], recipe["momentum"], recipe["weight_decay"]) == (128, 0.9, 0.0005)
    assert (recipe["epochs"], recipe["plateau"]["drops"], recipe["alpha_std"]) == (90, 3, 0.1)
    assert recipe["random_crops"] is recipe["reflections"] is True
    lrn = {"k": 2, "n": 5, "alpha": 1e-4, "beta": 0.75, "across_towers": False}
    assert model["lrn"] == lrn
    assert (model["width_divisor"], model["dropout"]) == (1, 0.5)
    assert yaml.safe_load((CONF.parent / "params.yaml").read_text())["lr"] == 0.01


def test_reference_values_are_those_of_the_papers_tables() -> None:
    """Copied a second time from the paper, sections 3 to 7, in the order of paper.TABLES."""
    values = [(row.top1, row.top5, row.test_top5) for table in TABLES for row in table.rows]
    assert values == [
        (47.1, 28.2, None),
        (45.7, 25.7, None),
        (37.5, 17.0, None),
        (39.0, 18.3, None),
        (None, None, 26.2),
        (40.7, 18.2, None),
        (38.1, 16.4, 16.4),
        (39.0, 16.6, None),
        (36.7, 15.4, 15.3),
        (78.1, 60.9, None),
        (67.4, 40.9, None),
        (1.7, 1.2, None),  # "reduces our top-1 and top-5 error rates by 1.7% and 1.2%"
        (1.4, 1.2, None),
        (0.4, 0.3, None),
        (1.0, None, None),  # "reduces the top-1 error rate by over 1%"
        *[(2.0, None, None)]
        * 3,  # "removing any of the middle layers results in a loss of about 2%"
        *[(None, None, None)] * 5,  # described in words
        (2.0, None, None),  # "13% test error rate without normalization and 11% with"
    ]
    keys = [row.key for table in TABLES for row in table.rows if row.key]
    assert len(keys) == len(set(keys))
