from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.checkpoint import init_from, load_model, save_model
from alexnet.errors import InputError
from alexnet.model import LAYERS, AlexNet, initialise, layers_of
from alexnet.moments import Moments

ORIGINAL = dict.fromkeys(LAYERS, 0.01) | dict.fromkeys(("conv3", "conv4", "conv5"), 0.03)


def spread(width_divisor: int) -> float:
    """The standard deviation of the logits over images of natural scale."""
    net = AlexNet(100, width_divisor)
    initialise(net, 0, ORIGINAL, dict.fromkeys(LAYERS, 0.0))
    coarse = torch.randn(8, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    images = 60 * torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bilinear")
    with torch.no_grad():
        return float(net(images).std())


def test_a_narrow_net_has_the_same_signal_at_its_logits() -> None:
    full = spread(1)
    for width_divisor in (2, 4, 8):
        assert 0.5 < spread(width_divisor) / full < 2, width_divisor


def test_width_divides_every_layer_but_the_last() -> None:
    net = AlexNet(classes=12, width_divisor=4)
    widths = [layer.weight.shape[0] for layer in layers_of(net).values()]
    assert widths == [24, 64, 96, 96, 64, 1024, 1024, 12]
    assert net(torch.zeros(2, 3, 224, 224)).shape == (2, 12)
    with pytest.raises(InputError, match="width_divisor is 3"):
        AlexNet(width_divisor=3)


def test_the_same_seed_the_same_weights() -> None:
    nets = [AlexNet(5, 16) for _ in range(3)]
    for net, seed in zip(nets, (1, 1, 2), strict=True):
        initialise(net, seed, ORIGINAL, ORIGINAL)
    assert torch.equal(nets[0].fc6.weight, nets[1].fc6.weight)
    assert not torch.equal(nets[0].fc6.weight, nets[2].fc6.weight)


def test_a_saved_model_predicts_the_same(tmp_path: Path) -> None:
    net, x = AlexNet(5, 16), torch.randn(1, 3, 224, 224)
    mean = np.random.default_rng(0).random((256, 256, 3), np.float32)
    moments = Moments(mean, np.array([3.0, 2, 1]), np.eye(3))
    shape = {"classes": 5, "width_divisor": 16}
    save_model(tmp_path, net, moments, {"net": shape, "words": "Γ"})
    again, same, described = load_model(tmp_path)
    assert torch.equal(net(x), again(x))
    for name, value in vars(moments).items():
        assert np.array_equal(getattr(same, name), value), name
    assert described["words"] == "Γ"
    for name, harm in (("model.json", b"{"), ("model.safetensors", b"\0" * 100)):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(harm)
        with pytest.raises(InputError, match="mend: dvc repro -f train"):
            load_model(tmp_path)
        (tmp_path / name).write_bytes(whole)
    (tmp_path / "model.json").write_text('{"net": {"classes": 6, "width_divisor": 16}}')
    with pytest.raises(InputError, match="disagree"):
        load_model(tmp_path)


def test_another_runs_weights_are_taken_where_they_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As for "1 CNN*": the same net, other classes."""
    moments = Moments(np.zeros((256, 256, 3), np.float32), np.ones(3), np.eye(3))
    pretrained, net = AlexNet(7, 16), AlexNet(5, 16)
    fc8 = net.fc8.weight.clone()
    save_model(tmp_path, pretrained, moments, {"net": {"classes": 7, "width_divisor": 16}})
    assert len(init_from(net, tmp_path)) == 64
    assert capsys.readouterr().out.endswith("new: fc8\n")
    for name, weight in net.state_dict().items():
        taken = pretrained.state_dict()[name]
        assert (
            torch.equal(weight, fc8)
            if name == "fc8.weight"
            else "fc8" in name or torch.equal(weight, taken)
        )
    with pytest.raises(InputError, match=r"no layer of .* fits"):
        init_from(AlexNet(9, 1), tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        init_from(net, tmp_path / "nowhere")


def test_conv1_by_blocks_of_pixels_in_bf16_is_the_same_to_its_rounding() -> None:
    net = AlexNet(classes=5, width_divisor=8)
    x = 60 * torch.randn(2, 3, 224, 224)
    padded = torch.nn.functional.pad(x, net.padding)
    with torch.no_grad():
        assert torch.equal(net._conv1(padded), net.conv1(padded))
        with torch.autocast("cpu", torch.bfloat16):
            apart = (net._conv1(padded) - net.conv1(padded)).abs().max()
            assert 0 < apart < 0.02 * net.conv1(padded).abs().max()
