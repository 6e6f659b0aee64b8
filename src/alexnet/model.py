"""The net of section 3: five convolutional layers on two towers, three fully connected ones."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.errors import InputError
from alexnet.lrn import lrn

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
PAPER_LRN = {"k": 2.0, "n": 5, "alpha": 1e-4, "beta": 0.75}


class AlexNet(nn.Module):
    """The two-tower net. A tower is half the maps: groups=2 wherever a layer sees its own alone.

    `width_divisor` 1 is the paper's net, 60,965,224 parameters with 1000 classes; a larger one
    divides the maps and neurons of every layer but the last.
    """

    def __init__(
        self,
        classes: int = 1000,
        width_divisor: int = 1,
        lrn: Mapping[str, float] = PAPER_LRN,
        dropout: float = 0.5,
    ) -> None:
        """Raises InputError unless width_divisor is a power of two up to 16."""
        super().__init__()
        if width_divisor not in (1, 2, 4, 8, 16):
            raise InputError(f"width_divisor is {width_divisor}", "give 1, 2, 4, 8 or 16")
        maps, maps2, maps34, neurons = (n // width_divisor for n in (96, 256, 384, 4096))
        self.lrn, self.dropout = dict(lrn), dropout
        self.conv1 = nn.Conv2d(3, maps, 11, stride=4)
        self.conv2 = nn.Conv2d(maps, maps2, 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(maps2, maps34, 3, padding=1)  # sees both towers
        self.conv4 = nn.Conv2d(maps34, maps34, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(maps34, maps2, 3, padding=1, groups=2)
        self.fc6 = nn.Linear(maps2 * 6 * 6, neurons)
        self.fc7 = nn.Linear(neurons, neurons)
        self.fc8 = nn.Linear(neurons, classes)

    def forward(self, x: Tensor, masks: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """(N, 3, 224, 224), mean subtracted, 0–255 scale → logits (N, classes).

        `masks`: in training, what dropout keeps of fc6 and fc7, (N, 4096) each.
        """
        x = F.pad(x, (0, 3, 0, 3))  # 224 → 55 needs 3 more: right and bottom, as the 2012 code
        x = F.relu(self.conv1(x))  # (N, 96, 55, 55)
        x = F.max_pool2d(lrn(x, **self.lrn), 3, 2)  # type: ignore[arg-type]  # (N, 96, 27, 27)
        x = F.relu(self.conv2(x))  # (N, 256, 27, 27)
        x = F.max_pool2d(lrn(x, **self.lrn), 3, 2)  # type: ignore[arg-type]  # (N, 256, 13, 13)
        x = F.relu(self.conv3(x))  # (N, 384, 13, 13)
        x = F.relu(self.conv4(x))  # (N, 384, 13, 13)
        x = F.relu(self.conv5(x))  # (N, 256, 13, 13)
        x = F.max_pool2d(x, 3, 2).flatten(1)  # (N, 9216)
        x = self._drop(F.relu(self.fc6(x)), masks and masks[0])  # (N, 4096)
        x = self._drop(F.relu(self.fc7(x)), masks and masks[1])  # (N, 4096)
        out: Tensor = self.fc8(x)  # (N, 1000)
        return out

    def _drop(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Section 4.2: zeroed in training, outputs × 0.5 at test; never the inverted form."""
        return x * (1 - self.dropout) if mask is None else x * mask


def initialise(
    net: AlexNet, seed: int, std: Mapping[str, float], bias: Mapping[str, float]
) -> None:
    """Weights from N(0, std²), constant biases, for each of LAYERS (section 5).

    In a net of less width every std but conv1's grows by √width_divisor: the signal that reaches
    the logits stays the same.
    """
    generator = torch.Generator().manual_seed(seed)
    narrower = (96 / net.conv1.out_channels) ** 0.5
    with torch.no_grad():
        for name in LAYERS:
            layer = getattr(net, name)
            scale = 1.0 if name == "conv1" else narrower
            layer.weight.normal_(0, std[name] * scale, generator=generator)
            layer.bias.fill_(bias[name])
