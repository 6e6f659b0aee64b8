"""What differs between the nets of the paper, the 2012 code and Caffe, each way."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.model.alexnet import AlexNet, initialise, layers_of
from alexnet.model.lrn import lrn
from alexnet.model.net_config import MAPS, LrnConfig, NetConfig
from alexnet.model.spatial_norm import spatial_norm
from alexnet.runtime.errors import InputError
from presets import preset


def net_of(name: str, width_divisor: int | None = None) -> tuple[AlexNet, dict[str, Any]]:
    """Return the initialised net of conf/model/<name>.yaml, and the values of the file."""
    settings = preset("model", name)
    values = {key: value for key, value in settings.items() if not key.startswith("init")}
    if width_divisor:
        values["width_divisor"] = width_divisor
    net = AlexNet(NetConfig.from_mapping({"classes": 1000} | values))
    initialise(net, 0, settings["init_std"], settings["init_bias"])
    return net, settings


def outputs(net: AlexNet, x: Tensor, *names: str) -> list[Tensor]:
    """Return the outputs of the named layers."""
    seen: dict[str, Tensor] = {}
    hooks = [
        layer.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
        for name, layer in layers_of(net).items()
    ]
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    return [seen[name] for name in names]


@pytest.mark.parametrize(
    ("name", "parameters", "neurons"),
    [
        ("paper", 60_965_224, 659_272),
        ("original", 60_965_224, 659_272),
        ("caffe", 60_965_224, 659_272),
        ("one_gpu", 59_798_312, 355_864),
        ("six_conv", 61_555_304, 668_488),
    ],
)
def test_numbers_of_parameters_and_neurons(name: str, parameters: int, neurons: int) -> None:
    net, settings = net_of(name)
    assert sum(p.numel() for p in net.parameters()) == parameters
    side = settings["crop"]
    outs = outputs(net, torch.zeros(1, 3, side, side), *layers_of(net))
    assert sum(out.numel() for out in outs) == neurons


def test_conv6_sees_both_towers_and_is_six_by_six() -> None:
    net, _ = net_of("six_conv", 8)
    assert net.conv6.groups == 1
    assert outputs(net, torch.zeros(1, 3, 224, 224), "conv6")[0].shape == (1, 32, 6, 6)


def test_one_gpu_connects_all_maps() -> None:
    net, _ = net_of("one_gpu")
    assert [layer.groups for name, layer in layers_of(net).items() if "conv" in name] == [1] * 5


def after_first(net: AlexNet, x: Tensor) -> Tensor:
    """Return the input of conv2."""
    seen: list[Tensor] = []
    hook = net.conv2.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        net(x)
    hook.remove()
    return seen[0]


def test_layer1_order_as_in_the_text_and_in_the_2012_code() -> None:
    """Text: rectifier, normalisation, pool. 2012 code: normalisation, pool, rectifier."""
    x = 50 * torch.randn(2, 3, 224, 224)
    for name in ("paper", "original"):
        net, settings = net_of(name, 8)
        constants = {key: settings["lrn"][key] for key in ("k", "n", "alpha", "beta")}
        (a,) = outputs(net, x, "conv1")
        if name == "paper":
            expected = F.max_pool2d(lrn(F.relu(a), **constants), 3, 2)
        else:
            expected = F.relu(F.max_pool2d(lrn(a, **constants), 3, 2))
        torch.testing.assert_close(after_first(net, x), expected)


def test_only_caffe_normalises_across_towers() -> None:
    x = 50 * torch.randn(1, 3, 227, 227)
    for name, reaches in (("paper", False), ("caffe", True)):
        net, settings = net_of(name, 2)  # 48 maps, 24 a tower
        side = settings["crop"]
        before = after_first(net, x[:, :, :side, :side])
        with torch.no_grad():
            net.conv1.weight[24:] *= 2000  # only the second tower
            after = after_first(net, x[:, :, :side, :side])
        changed = (before != after).sum(dim=(0, 2, 3)) > 0
        assert bool(changed[:24].any()) is reaches, name


def test_spatial_norm_matches_its_formula() -> None:
    x = torch.randn(2, 3, 6, 7, dtype=torch.float64)
    expected = torch.empty_like(x)
    for row in range(6):
        for column in range(7):
            window = x[:, :, max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3]
            squares = window.square().sum((2, 3))
            expected[:, :, row, column] = x[:, :, row, column] / (1 + 0.3 * squares) ** 0.75
    torch.testing.assert_close(spatial_norm(x, 1, 5, 0.3, 0.75), expected)


def test_only_the_original_net_has_a_spatial_norm() -> None:
    for name in ("paper", "caffe", "quick", "original"):
        net, _ = net_of(name, 8)
        assert (net.config.spatial_norm is not None) is (name == "original")
    with_it = outputs(net, 50 * torch.ones(1, 3, 224, 224), "conv3")[0]
    net.config = replace(net.config, spatial_norm=None)
    assert not torch.equal(with_it, outputs(net, 50 * torch.ones(1, 3, 224, 224), "conv3")[0])


def test_alpha_as_in_the_text_and_as_in_the_code() -> None:
    """The 2012 code, Caffe and torch divide alpha by n; lrn() is the formula of the paper."""
    assert net_of("paper", 16)[1]["lrn"]["alpha"] == 1e-4
    for name in ("original", "caffe"):
        assert net_of(name, 16)[1]["lrn"]["alpha"] == pytest.approx(1e-4 / 5)
    x = 40 * torch.randn(1, 96, 3, 3)
    ours = lrn(x, 2, 5, 1e-4 / 5, 0.75, towers=1)
    torch.testing.assert_close(ours, F.local_response_norm(x, 5, 1e-4, 0.75, 2))


def test_dropout_masked_and_inverted() -> None:
    """The text halves outputs at test time, Caffe doubles them in training: equal expectations."""
    x = 50 * torch.randn(2, 3, 224, 224)
    for form, training, at_test in (("masked", 1.0, 0.5), ("inverted", 2.0, 1.0)):
        net = AlexNet(NetConfig(5, 16, dropout_form=form))
        hidden: list[Tensor] = []
        hook = net.fc7.register_forward_pre_hook(lambda _, inputs, to=hidden: to.append(inputs[0]))
        ones = torch.ones(2, net.config.layer_neurons)
        with torch.no_grad():
            net(x, (ones, ones))
            net(x)
        hook.remove()
        torch.testing.assert_close(hidden[0] / training, hidden[1] / at_test)


def test_padding_and_crop() -> None:
    """224 with three zeros right and bottom, or shared out, or Caffe's 227 with none: all 55."""
    for crop, padding in ((224, (0, 3, 0, 3)), (224, (1, 2, 1, 2)), (227, (0, 0, 0, 0))):
        net = AlexNet(NetConfig(5, 16, crop=crop, padding=padding))
        (out,) = outputs(net, torch.zeros(1, 3, crop, crop), "conv1")
        assert out.shape[2:] == (55, 55)
    with pytest.raises(InputError, match="do not add up to 227"):
        NetConfig(crop=224, padding=(0, 0, 0, 0))


def test_initial_values_of_each_preset() -> None:
    for name in ("original", "caffe"):  # for the paper's see tests/model/test_paper.py
        net, settings = net_of(name)
        for layer, module in layers_of(net).items():
            std = float(module.weight.detach().std())
            assert std == pytest.approx(settings["init_std"][layer], rel=0.05), (name, layer)
            assert (module.bias == settings["init_bias"][layer]).all(), (name, layer)


def test_maps_that_the_towers_cannot_share_are_rejected() -> None:
    with pytest.raises(InputError, match="conv2 has 255 maps"):
        NetConfig(
            maps={"conv1": 96, "conv2": 255, "conv3": 384, "conv4": 384, "conv5": 256, "conv6": 0}
        )


def narrow(**changes: Any) -> AlexNet:
    """The paper's net, an eighth as wide, with some fields of its NetConfig changed."""
    return AlexNet(NetConfig(10, 8, **changes))


def without(*names: str) -> dict[str, Any]:
    return {"maps": MAPS | dict.fromkeys(names, 0)}


def test_without_lrn_the_rectified_maps_are_pooled() -> None:
    x = 60 * torch.randn(2, 3, 224, 224)
    net, plain = narrow(), narrow(lrn=None)
    plain.load_state_dict(net.state_dict())
    rectified = F.relu(net.conv1(F.pad(x, net.config.padding)))
    assert torch.equal(after_first(plain, x), F.max_pool2d(rectified, 3, 2))
    assert not torch.equal(after_first(plain, x), after_first(net, x))


def test_pools_without_overlap_end_at_six_by_six() -> None:
    """Sides: 55 → 28 → 26 → 13 → 13 → 13 → 11 → 6."""
    net = narrow(overlapping=False)
    x = torch.randn(1, 3, 224, 224)
    sides = [out.shape[-1] for out in outputs(net, x, "conv1", "conv2", "conv3", "conv4", "conv5")]
    assert sides == [55, 26, 13, 13, 11]
    assert after_first(net, x).shape[-1] == 28
    same = {name: t.shape for name, t in narrow().state_dict().items()}
    assert {name: t.shape for name, t in net.state_dict().items()} == same
    with pytest.raises(InputError, match="overlapping=false needs conv2 and conv5"):
        narrow(overlapping=False, **without("conv5"))


@pytest.mark.parametrize("name", ["conv2", "conv3", "conv4", "conv5"])
def test_a_convolutional_layer_can_be_removed(name: str) -> None:
    net = narrow(**without(name))
    assert set(layers_of(narrow())) - set(layers_of(net)) == {name}
    assert net(torch.randn(2, 3, 224, 224)).shape == (2, 10)


def test_towers_without_communication_meet_only_in_fc6() -> None:
    x = (60 * torch.randn(1, 3, 224, 224)).requires_grad_()

    def reaches(net: AlexNet) -> bool:
        """Return whether conv5 of the second tower depends on conv2 of the first."""
        net.conv2.weight.requires_grad_()
        seen: list[Tensor] = []
        hook = net.conv5.register_forward_hook(lambda _, __, out: seen.append(out))
        net(x)
        hook.remove()
        second = seen[0][:, seen[0].shape[1] // 2 :]
        (gradient,) = torch.autograd.grad(second.sum(), net.conv2.weight)
        return bool(gradient[: len(gradient) // 2].abs().max() > 0)

    assert reaches(narrow())
    assert not reaches(narrow(communicate=False))
    counts = [
        sum(p.numel() for p in n.conv3.parameters()) for n in (narrow(), narrow(communicate=False))
    ]
    assert counts == [32 * 48 * 9 + 48, 16 * 48 * 9 + 48]


def test_an_even_number_of_neighbours_is_rejected() -> None:
    with pytest.raises(InputError, match=r"model\.lrn\.n is 4"):
        narrow(lrn=LrnConfig(n=4))


def test_tanh_replaces_the_rectifier() -> None:
    x = torch.randn(2, 3, 224, 224)
    net = narrow(activation="tanh", lrn=None)
    bounded = outputs(net, x, "conv1")[0].tanh()
    assert torch.equal(after_first(net, x), F.max_pool2d(bounded, 3, 2))
