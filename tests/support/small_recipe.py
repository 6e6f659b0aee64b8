"""A recipe for a run of a few steps, and a narrow net for it."""

from alexnet.input.augment import AugmentSettings
from alexnet.model.alexnet import AlexNet, initialise
from alexnet.model.net_config import LAYERS, NetConfig
from alexnet.train.recipe import Recipe
from alexnet.train.schedule import Plateau

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


def initialised_net(
    width_divisor: int = 16, dropout: float = 0.5, std: dict[str, float] = STD, bias: float = 0.1
) -> AlexNet:
    """Return a narrow net of five classes with the weights of seed 0."""
    net = AlexNet(NetConfig(5, width_divisor, dropout=dropout))
    initialise(net, 0, std, dict.fromkeys(LAYERS, bias))
    return net
