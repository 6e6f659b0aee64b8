"""The losses of ten steps in float32 on one thread are pinned: refactoring changes none of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.dataset.moments import Moments
from alexnet.dataset.shards import Shards
from alexnet.train.loop import train
from alexnet.train.schedule import Plateau
from small_recipe import RECIPE, initialised_net

GOLDEN = [1.6651018, 1.5827138, 1.5912454, 1.6142066, 1.6107352]
GOLDEN += [1.6278181, 1.6144569, 1.5686901, 1.6216066, 1.6738939]
MESSAGE = (
    "the losses of ten steps have changed. After a refactoring, this is a bug. After an intended "
    "change of training (initialisation, augmentation, dropout, update), put the new losses here"
)


def test_losses_of_ten_steps_equal_the_golden_losses(
    split: Shards, moments: Moments, tmp_path: Path
) -> None:
    net = initialised_net()
    one_step_per_epoch = replace(
        RECIPE, lr=0.01, batch_size=20, epochs=10, schedule=Plateau(patience=100, drops=3)
    )
    history = train(net, split, split, moments, one_step_per_epoch, 0, tmp_path)
    losses = [row["train_loss"] for row in history]
    assert losses == pytest.approx(GOLDEN, rel=1e-4), MESSAGE
