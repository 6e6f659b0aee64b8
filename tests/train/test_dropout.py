"""Dropout masks and the factor at test time (section 4.2)."""

import torch

from alexnet.train.dropout import draw_dropout_masks
from small_recipe import initialised_net


def test_masks_keep_the_right_share_independently() -> None:
    cpu, parts = torch.device("cpu"), (slice(0, 16), slice(0, 512))
    fc6, fc7 = draw_dropout_masks(0, 3, *parts, 0.5, cpu)
    assert fc6.shape == fc7.shape == (16, 512)
    assert set(fc6.unique().tolist()) == {0.0, 1.0}
    assert abs(float(fc6.mean()) - 0.5) < 0.02
    assert abs(float(((fc6 - 0.5) * (fc7 - 0.5)).mean())) < 0.01
    assert not torch.equal(fc6, draw_dropout_masks(0, 4, *parts, 0.5, cpu)[0])
    assert abs(float(draw_dropout_masks(0, 0, *parts, 0.2, cpu)[0].mean()) - 0.8) < 0.02
    assert draw_dropout_masks(0, 0, *parts, 0.0, cpu)[0].all()


def test_outputs_are_halved_at_test_time_and_not_scaled_in_training() -> None:
    net, x = initialised_net(), 50 * torch.randn(2, 3, 224, 224)
    fc7_outputs: list[torch.Tensor] = []
    net.fc8.register_forward_pre_hook(lambda _, inputs: fc7_outputs.append(inputs[0].detach()))
    ones = torch.ones(2, net.fc7.out_features)
    net(x, (0.5 * ones, 0.5 * ones))
    net(x)
    assert torch.equal(fc7_outputs[0], fc7_outputs[1])
