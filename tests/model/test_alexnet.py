"""Width, initialisation and conv1 of the net."""

import torch

from alexnet.model.alexnet import AlexNet, initialise, layers_of
from alexnet.model.net_config import LAYERS, NetConfig

ORIGINAL = dict.fromkeys(LAYERS, 0.01) | dict.fromkeys(("conv3", "conv4", "conv5"), 0.03)


def std_of_logits(width_divisor: int) -> float:
    """Return the standard deviation of the logits for images of natural scale."""
    net = AlexNet(NetConfig(100, width_divisor))
    initialise(net, 0, ORIGINAL, dict.fromkeys(LAYERS, 0.0))
    coarse = torch.randn(8, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    images = 60 * torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bilinear")
    with torch.no_grad():
        return float(net(images).std())


def test_logits_of_a_narrow_net_have_the_same_scale() -> None:
    full = std_of_logits(1)
    for width_divisor in (2, 4, 8):
        assert 0.5 < std_of_logits(width_divisor) / full < 2, width_divisor


def test_the_width_divisor_applies_to_every_layer_but_the_last() -> None:
    net = AlexNet(NetConfig(12, 4))
    widths = [layer.weight.shape[0] for layer in layers_of(net).values()]
    assert widths == [24, 64, 96, 96, 64, 1024, 1024, 12]
    assert net(torch.zeros(2, 3, 224, 224)).shape == (2, 12)


def test_the_same_seed_gives_the_same_weights() -> None:
    nets = [AlexNet(NetConfig(5, 16)) for _ in range(3)]
    for net, seed in zip(nets, (1, 1, 2), strict=True):
        initialise(net, seed, ORIGINAL, ORIGINAL)
    assert torch.equal(nets[0].fc6.weight, nets[1].fc6.weight)
    assert not torch.equal(nets[0].fc6.weight, nets[2].fc6.weight)


def test_conv1_uses_blocks_of_pixels_only_under_bf16() -> None:
    """There its result differs from the plain convolution by rounding."""
    net = AlexNet(NetConfig(5, 8))
    x = 60 * torch.randn(2, 3, 224, 224)
    padded = torch.nn.functional.pad(x, net.config.padding)
    with torch.no_grad():
        assert torch.equal(net._conv1(padded), net.conv1(padded))
        with torch.autocast("cpu", torch.bfloat16):
            difference = (net._conv1(padded) - net.conv1(padded)).abs().max()
            assert 0 < difference < 0.02 * net.conv1(padded).abs().max()
