"""Ten steps in float32 on one thread: their losses are pinned, so that a refactoring moves none."""

from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.dataset.moments import Moments, load_moments
from alexnet.dataset.shards import Shards
from alexnet.model.alexnet import AlexNet, initialise
from alexnet.model.layer_shapes import LAYERS
from alexnet.moments.pca import save_moments
from alexnet.moments.sums import sum_images
from alexnet.train.loop import train
from alexnet.train.optimizer import Plateau
from images import Images
from small_recipe import RECIPE, STD

GOLDEN = [1.6651018, 1.5827138, 1.5912454, 1.6142066, 1.6107352]
GOLDEN += [1.6278181, 1.6144569, 1.5686901, 1.6216066, 1.6738939]
MESSAGE = (
    "the loss of ten steps has changed. After a refactoring that is a defect. After a change meant "
    "to alter training (initialisation, augmentation, dropout, the update), put the new losses here"
)


@pytest.fixture
def moments(images: Images, tmp_path: Path) -> Moments:
    save_moments(tmp_path, sum_images(images))
    return load_moments(tmp_path)


def test_the_losses_of_ten_steps_are_as_they_were(
    split: Shards, moments: Moments, tmp_path: Path
) -> None:
    net = AlexNet(5, 16)
    initialise(net, 0, STD, dict.fromkeys(LAYERS, 0.1))
    one_step_an_epoch = replace(
        RECIPE, lr=0.01, batch_size=20, epochs=10, schedule=Plateau(patience=100, drops=3)
    )
    history = train(net, split, split, moments, one_step_an_epoch, 0, tmp_path)
    losses = [row["train_loss"] for row in history]
    assert losses == pytest.approx(GOLDEN, rel=1e-4), MESSAGE
