"""The four-layer net of figure 1, and the loop that trains it."""

from itertools import repeat

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from alexnet.train.optimizer import update
from four_layers import STD, FourLayers
from small_training import BATCH, Images, epochs, error, in_memory

CPU = torch.device("cpu")


def patterned(count: int) -> Images:
    """Noise over one of ten patterns of 4×4 blocks: a class that can be learnt."""
    rng = np.random.default_rng(0)
    labels = (np.arange(count) % 10).astype(np.uint8)
    patterns = rng.integers(60, 196, (10, 3, 8, 8)).repeat(4, axis=2).repeat(4, axis=3)
    noise = rng.integers(-60, 61, (count, 3, 32, 32))
    return in_memory((patterns[labels] + noise).astype(np.uint8), labels, CPU)


def test_shapes_and_spreads() -> None:
    net = FourLayers("relu", False, seed=0)
    assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert sum(p.numel() for p in net.parameters()) == 2432 + 25632 + 51264 + 10250
    for name, std in STD.items():
        assert float(net.get_submodule(name).weight.detach().std()) == pytest.approx(std, rel=0.1)


def test_activation_and_lrn_are_what_was_asked_for() -> None:
    x = 60 * torch.randn(2, 3, 32, 32)
    nets = {
        which: FourLayers(*which, seed=0)
        for which in (("relu", False), ("tanh", False), ("relu", True))
    }
    found = {which: net(x) for which, net in nets.items()}
    plain = nets["relu", False]
    first = F.relu(F.max_pool2d(plain.conv1(x), 3, 2, ceil_mode=True))
    assert first.shape[-1] == 16
    assert not torch.equal(found["relu", False], found["tanh", False])
    assert not torch.equal(found["relu", False], found["relu", True])


def test_an_epoch_is_the_update_rule_over_all_images_once() -> None:
    images = patterned(300)
    net, again = (FourLayers("tanh", False, seed=1) for _ in range(2))
    (found,) = epochs(net, images, [0.002], seed=5, weight_decay=0.1)
    seen = _by_hand(again, images, 0.002, 0.1)
    assert sorted(seen) == list(range(300))
    for one, other in zip(net.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    assert found == error(again, images, images.mean)


def _by_hand(net: FourLayers, images: Images, lr: float, decay: float) -> list[int]:
    """The same epoch, with autocast off where the processor would use it; the order of use."""
    import small_training

    order = small_training._order(images, 5, 0)
    weights = list(net.parameters())
    velocities = [torch.zeros_like(w) for w in weights]
    for start in range(0, len(order), BATCH):
        gradients = small_training._gradients(
            net, images, order[start : start + BATCH], images.mean
        )
        with torch.no_grad():
            update(weights, gradients, velocities, lr=lr, momentum=0.9, weight_decay=decay)
    return order.tolist()


def test_it_learns_what_can_be_learnt_and_says_so() -> None:
    images = patterned(600)
    net = FourLayers("relu", False, seed=0)
    errors = list(epochs(net, images, repeat(0.001, 5), seed=0))
    assert errors[-1] < 0.1 < 0.5 < error(FourLayers("relu", False, seed=0), images, images.mean)
    logits = net(images.pixels.float() - images.mean)
    wrong = float((logits.argmax(1) != images.labels).double().mean())
    assert abs(errors[-1] - wrong) < 0.02  # bf16 may turn a few over
