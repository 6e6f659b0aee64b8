"""A recipe for a run of a few steps."""

from alexnet.input.epoch import AugmentSettings
from alexnet.model.net_config import LAYERS
from alexnet.train.optimizer import Plateau
from alexnet.train.recipe import Recipe

RECIPE = Recipe(
    lr=0.01,
    batch_size=8,
    epochs=3,
    momentum=0.9,
    weight_decay=0.0005,
    bias_lr_multiplier=1.0,
    bias_decay=True,
    schedule=Plateau(patience=5, drops=3),
    augmentation=AugmentSettings(),
    mean_under_crop=True,
    colour_scale="sqrt_eigenvalue",
    colour_until=None,
    input_divisor=1.0,
    frozen_from={},
    layer_lr_multiplier={},
    shuffled_labels=False,
    precision="fp32",
)
STD = dict.fromkeys(LAYERS, 0.01) | dict.fromkeys(("conv3", "conv4", "conv5"), 0.03)
