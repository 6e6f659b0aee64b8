"""The net of section 3: five convolutional layers on two towers, three fully connected ones."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.model.conv1 import conv1
from alexnet.model.layer_shapes import (
    BORDERLESS,
    LATER,
    LAYERS,
    LRN,
    MAPS,
    PADDING,
    check_lrn,
    check_pools,
    check_sizes,
)
from alexnet.model.lrn import lrn
from alexnet.model.spatial_norm import spatial_norm
from alexnet.model.towers import SINGLE_PROCESS, RankLayout, joined
from alexnet.runtime.errors import InputError

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "tanh": torch.tanh}


class AlexNet(nn.Module):
    """The two-tower net. A tower is half the maps: groups=2 wherever a layer sees its own alone.

    The defaults are the paper's: 60,965,224 parameters with 1000 classes. `maps`: of each
    convolutional layer, all towers together; conv2 to conv5 may be left out (0), conv6 follows the
    last pool and sees both towers, as in the paper's "1 CNN*". `width_divisor` divides the maps and
    neurons of all layers but fc8. `communicate`: false, no convolution sees the other tower.
    `overlapping`: false, pools of 2×2 in place of 3×3; conv2 and conv5 lose a border for it.
    `place`: of the processes that share the net, which tower is here; it holds that tower's layers.
    """

    conv2: nn.Conv2d
    conv3: nn.Conv2d
    conv4: nn.Conv2d
    conv5: nn.Conv2d
    conv6: nn.Conv2d
    active: Callable[[Tensor], Tensor]

    def __init__(
        self,
        classes: int = 1000,
        width_divisor: int = 1,
        towers: int = 2,
        maps: Mapping[str, int] = MAPS,
        neurons: int = 4096,
        crop: int = 224,
        padding: Sequence[int] = PADDING,
        communicate: bool = True,
        activation: str = "relu",
        overlapping: bool = True,
        layer1_order: str = "relu_lrn_pool",
        lrn: Mapping[str, Any] | None = LRN,
        spatial_norm: Mapping[str, Any] | None = None,
        dropout: float = 0.5,
        dropout_form: str = "masked",
        place: RankLayout = SINGLE_PROCESS,
    ) -> None:
        """Raises InputError where maps and towers do not fit, or crop and padding give no 6×6."""
        super().__init__()
        check_sizes(width_divisor, towers, maps, crop, padding)
        check_pools(overlapping, maps)
        check_lrn(lrn)
        _check_place(place, towers, lrn)
        self.width_divisor, self.towers, self.place = width_divisor, towers, place
        self.crop, self.padding, self.layer1_order = crop, list(padding), layer1_order
        self.communicate, self.overlapping = communicate, overlapping
        self.active = ACTIVATIONS[activation]
        self.lrn, self.spatial_norm = lrn and dict(lrn), spatial_norm
        self.dropout, self.dropout_form = dropout, dropout_form
        self.classes, self.neurons = classes, neurons // width_divisor
        last = self._convolutions({name: count // width_divisor for name, count in maps.items()})
        self.fc6 = self._fc(last * 6 * 6, self.neurons)
        self.fc7 = self._fc(self.neurons, self.neurons)
        self.fc8 = self._fc(self.neurons, classes)

    def _convolutions(self, maps: Mapping[str, int]) -> int:
        """conv1 and those of LATER that have maps; how many the last one has."""
        self.conv1 = self._conv(3, maps["conv1"], 11, sees_all=True, stride=4)
        last = maps["conv1"]
        for name, kernel, border, sees_all in LATER:
            if maps[name]:
                less = int(not self.overlapping and name in BORDERLESS)
                seen = sees_all and self.communicate
                layer = self._conv(last, maps[name], kernel, seen, padding=border - less)
                setattr(self, name, layer)
                last = maps[name]
        return last

    def _conv(
        self, inputs: int, maps: int, kernel: int, sees_all: bool = False, **how: Any
    ) -> nn.Conv2d:
        here = self.place.towers
        if sees_all:
            return nn.Conv2d(inputs, maps // here, kernel, **how)
        groups = self.towers // here
        return nn.Conv2d(inputs // here, maps // here, kernel, groups=groups, **how)

    def _fc(self, inputs: int, neurons: int) -> nn.Linear:
        return nn.Linear(inputs, self.place.share(neurons))

    def forward(self, x: Tensor, masks: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """(N, 3, 224, 224), mean subtracted, 0–255 scale → logits (N, classes).

        `masks`: in training, what dropout keeps of fc6 and fc7, (N, 4096) each; of the neurons
        here, where a tower is elsewhere.
        """
        x = self._conv1(F.pad(x, self.padding))  # (N, 96, 55, 55)
        x = self._first(x)  # (N, 96, 27, 27)
        x = self._norm(self._layer("conv2", x))  # (N, 256, 27, 27)
        if self.spatial_norm:
            x = spatial_norm(x, **self.spatial_norm)
        x = self._pool(x)  # (N, 256, 13, 13)
        x = self._layer("conv3", x)  # (N, 384, 13, 13)
        x = self._layer("conv4", x)  # (N, 384, 13, 13)
        x = self._layer("conv5", x)  # (N, 256, 13, 13)
        x = self._layer("conv6", self._pool(x))  # (N, 256, 6, 6)
        x = self._both(x).flatten(1)  # (N, 9216)
        x = self._drop(self.active(self.fc6(x)), masks and masks[0])
        x = self._both(x, self.neurons)  # (N, 4096)
        x = self._drop(self.active(self.fc7(x)), masks and masks[1])
        x = self._both(x, self.neurons)  # (N, 4096)
        return joined(self.fc8(x), self.place, self.classes, alike=True)  # (N, 1000)

    def _conv1(self, x: Tensor) -> Tensor:
        """In bf16 by blocks of pixels: 1.4 times as fast on a CPU, where fp32 would lose."""
        if torch.is_autocast_enabled(x.device.type):
            return conv1(x, self.conv1.weight, self.conv1.bias)
        out: Tensor = self.conv1(x)
        return out

    def _first(self, x: Tensor) -> Tensor:
        """Layer 1 after its convolution: in the text's order, or in that of the 2012 code."""
        if self.layer1_order == "relu_lrn_pool":
            return self._pool(self._norm(self.active(x)))
        return self.active(self._pool(self._norm(x)))

    def _layer(self, name: str, x: Tensor) -> Tensor:
        """A convolutional layer and its activation, where the net has it."""
        if not hasattr(self, name):
            return x
        if self.communicate and name in ("conv3", "conv6"):
            x = self._both(x)
        out: Tensor = self.active(getattr(self, name)(x))
        return out

    def _pool(self, x: Tensor) -> Tensor:
        size = 3 if self.overlapping else 2  # section 3.4: s = 2, z = 3
        return F.max_pool2d(x, size, 2, ceil_mode=not self.overlapping)

    def _norm(self, x: Tensor) -> Tensor:
        if self.lrn is None:
            return x
        constants = {name: self.lrn[name] for name in ("k", "n", "alpha", "beta")}
        return lrn(x, **constants, towers=1 if self.lrn["across_towers"] else self._towers_here)

    @property
    def _towers_here(self) -> int:
        return self.towers // self.place.towers

    def _both(self, x: Tensor, whole: int | None = None) -> Tensor:
        """What the next layer sees: the outputs of all towers, wherever they are."""
        return joined(x, self.place, whole or x.shape[1] * self.place.towers)

    def _drop(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Section 4.2: zeroed in training, outputs × 0.5 at test; "inverted": × 2 in training."""
        kept = 1 - self.dropout
        if self.dropout_form == "inverted":
            return x if mask is None else x * (mask / kept)
        return x * kept if mask is None else x * mask


def layers_of(net: AlexNet) -> dict[str, Any]:
    """The layers that have weights, in order, by their names among LAYERS."""
    return {name: getattr(net, name) for name in LAYERS if hasattr(net, name)}


def initialise(
    net: AlexNet, seed: int, std: Mapping[str, float], bias: Mapping[str, float]
) -> None:
    """Weights from N(0, std²), constant biases, for each layer of a whole net (section 5).

    In a net of less width every std but conv1's grows by √width_divisor: the signal that reaches
    the logits stays the same.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, layer in layers_of(net).items():
            scale = 1.0 if name == "conv1" else net.width_divisor**0.5
            layer.weight.normal_(0, std[name] * scale, generator=generator)
            layer.bias.fill_(bias[name])


def _check_place(place: RankLayout, towers: int, lrn: Mapping[str, Any] | None) -> None:
    if towers % place.towers:
        what = f"model.towers is {towers}: the net cannot be cut in {place.towers}"
        raise InputError(what, "launcher.towers=1, or a model of two towers")
    if place.towers > 1 and lrn and lrn["across_towers"]:
        what = "model.lrn.across_towers mixes maps of two towers, which are not in one process"
        raise InputError(what, "launcher.towers=1")
