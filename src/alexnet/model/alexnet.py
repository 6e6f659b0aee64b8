"""The net of section 3: five convolutional layers on two towers, three fully connected layers."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.model.conv1 import blocked_conv1
from alexnet.model.lrn import lrn
from alexnet.model.net_config import LAYERS, NetConfig
from alexnet.model.spatial_norm import spatial_norm
from alexnet.model.towers import SINGLE_PROCESS, RankLayout, join_towers
from alexnet.runtime.errors import InputError

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "tanh": torch.tanh}
Masks = tuple[Tensor, Tensor]


class AlexNet(nn.Module):
    """The net that `config` describes, or the towers of it that `layout` assigns to this process.

    A tower is half of the maps: groups=2 in each layer that sees only its own tower. A layer that
    `config` omits is None.
    """

    def __init__(self, config: NetConfig, layout: RankLayout = SINGLE_PROCESS) -> None:
        """Create the layers; raises InputError if `layout` does not fit the net."""
        super().__init__()
        _check_layout(config, layout)
        self.config, self.layout = config, layout
        self.activation = ACTIVATIONS[config.activation]
        less = int(not config.overlapping)  # 2×2 pools: one pixel less padding before them
        self.conv1 = nn.Conv2d(3, config.layer_maps["conv1"] // layout.towers, 11, stride=4)
        self.conv2 = self._conv("conv2", 5, padding=2 - less)
        self.conv3 = self._conv("conv3", 3, padding=1, sees_all=config.communicate)
        self.conv4 = self._conv("conv4", 3, padding=1)
        self.conv5 = self._conv("conv5", 3, padding=1 - less)
        self.conv6 = self._conv("conv6", 3, padding=1, sees_all=config.communicate)
        self.fc6 = self._fc(config.maps_before("fc6") * 6 * 6, config.layer_neurons)
        self.fc7 = self._fc(config.layer_neurons, config.layer_neurons)
        self.fc8 = self._fc(config.layer_neurons, config.classes)

    def _conv(
        self, name: str, kernel: int, padding: int, sees_all: bool = False
    ) -> nn.Conv2d | None:
        """Return a layer with this process's maps, or None if `config` omits it."""
        inputs, maps = self.config.maps_before(name), self.config.layer_maps[name]
        if not maps:
            return None
        here = self.layout.towers
        groups = 1 if sees_all else self.config.towers // here
        inputs = inputs if sees_all else inputs // here
        return nn.Conv2d(inputs, maps // here, kernel, padding=padding, groups=groups)

    def _fc(self, inputs: int, neurons: int) -> nn.Linear:
        return nn.Linear(inputs, self.layout.local_size(neurons))

    def forward(self, x: Tensor, masks: Masks | None = None) -> Tensor:
        """Return logits (N, classes) for x (N, 3, 224, 224): 0–255, mean subtracted.

        masks: in training, dropout masks of fc6 and fc7, (N, 4096) each: 1 keeps a neuron. If
        another process has the other tower, they cover this tower's neurons.
        """
        x = self._conv1(F.pad(x, self.config.padding))  # (N, 96, 55, 55)
        x = self._rest_of_layer1(x)  # (N, 96, 27, 27)
        x = self._norm(self._layer(self.conv2, x))  # (N, 256, 27, 27)
        x = self._pool(self._spatial_norm(x))  # (N, 256, 13, 13)
        x = self._layer(self.conv3, x, sees_all=True)  # (N, 384, 13, 13)
        x = self._layer(self.conv4, x)  # (N, 384, 13, 13)
        x = self._layer(self.conv5, x)  # (N, 256, 13, 13)
        x = self._layer(self.conv6, self._pool(x), sees_all=True)  # (N, 256, 6, 6)
        x = self._join(x).flatten(1)  # (N, 9216)
        x = self._drop(self.activation(self.fc6(x)), masks and masks[0])
        x = self._join(x, self.config.layer_neurons)  # (N, 4096)
        x = self._drop(self.activation(self.fc7(x)), masks and masks[1])
        x = self._join(x, self.config.layer_neurons)  # (N, 4096)
        x = self.fc8(x)
        return join_towers(x, self.layout, self.config.classes, same_loss=True)  # (N, 1000)

    def _conv1(self, x: Tensor) -> Tensor:
        """Apply conv1; under bf16 on blocks of pixels, 1.4 times as fast on a CPU.

        In fp32 that would be slower.
        """
        if torch.is_autocast_enabled(x.device.type):
            return blocked_conv1(x, self.conv1.weight, self.conv1.bias)
        out: Tensor = self.conv1(x)
        return out

    def _rest_of_layer1(self, x: Tensor) -> Tensor:
        """Apply the rest of layer 1 in the order that `config` gives."""
        if self.config.layer1_order == "relu_lrn_pool":
            return self._pool(self._norm(self.activation(x)))
        return self.activation(self._pool(self._norm(x)))

    def _layer(self, layer: nn.Conv2d | None, x: Tensor, sees_all: bool = False) -> Tensor:
        """Apply a convolution and its activation, or nothing if it is omitted."""
        if layer is None:
            return x
        if sees_all and self.config.communicate:
            x = self._join(x)
        return self.activation(layer(x))

    def _pool(self, x: Tensor) -> Tensor:
        if self.config.overlapping:  # section 3.4: s = 2, z = 3
            return F.max_pool2d(x, 3, 2)
        return F.max_pool2d(x, 2, 2, ceil_mode=True)

    def _norm(self, x: Tensor) -> Tensor:
        norm = self.config.lrn
        if norm is None:
            return x
        towers = 1 if norm.across_towers else self.config.towers // self.layout.towers
        return lrn(x, norm.k, norm.n, norm.alpha, norm.beta, towers)

    def _spatial_norm(self, x: Tensor) -> Tensor:
        norm = self.config.spatial_norm
        return spatial_norm(x, norm.k, norm.size, norm.alpha, norm.beta) if norm else x

    def _join(self, x: Tensor, size: int | None = None) -> Tensor:
        """Return the outputs of the towers of all processes."""
        return join_towers(x, self.layout, size or x.shape[1] * self.layout.towers)

    def _drop(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Apply dropout (section 4.2): mask in training, multiply by 0.5 at test.

        "inverted", as in Caffe: multiply by 2 in training, by nothing at test.
        """
        kept = 1 - self.config.dropout
        if self.config.dropout_form == "inverted":
            return x if mask is None else x * (mask / kept)
        return x * kept if mask is None else x * mask


def layers_of(net: AlexNet) -> dict[str, Any]:
    """Return the layers that have weights, in order, by name."""
    return {name: layer for name in LAYERS if (layer := getattr(net, name)) is not None}


def initialise(
    net: AlexNet, seed: int, std: Mapping[str, float], bias: Mapping[str, float]
) -> None:
    """Draw weights from N(0, std²) and set constant biases, per layer (section 5).

    `net` must hold all towers. In a narrower net each std except conv1's is multiplied by
    √width_divisor, which keeps the scale of the logits.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, layer in layers_of(net).items():
            scale = 1.0 if name == "conv1" else net.config.width_divisor**0.5
            layer.weight.normal_(0, std[name] * scale, generator=generator)
            layer.bias.fill_(bias[name])


def _check_layout(config: NetConfig, layout: RankLayout) -> None:
    """Raise InputError if the net cannot be divided among processes as `layout` says."""
    if config.towers % layout.towers:
        what = f"model.towers is {config.towers}, not divisible by launcher.towers={layout.towers}"
        raise InputError(what, "set launcher.towers=1, or choose a model with two towers")
    if layout.towers > 1 and config.lrn and config.lrn.across_towers:
        what = "model.lrn.across_towers needs the maps of all towers in one process"
        raise InputError(what, "set launcher.towers=1")
