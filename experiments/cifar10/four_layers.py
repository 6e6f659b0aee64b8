"""The four-layer net of figure 1, for CIFAR-10: three convolutional layers and the softmax."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.model.lrn import lrn

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "tanh": torch.tanh}
STD = {"conv1": 1e-4, "conv2": 0.01, "conv3": 0.01, "fc4": 0.1}
LRN = {"k": 1.0, "n": 3, "alpha": 5e-5 / 3, "beta": 0.75, "towers": 1}


class FourLayerNet(nn.Module):
    """cuda-convnet's quick CIFAR-10 net.

    The paper only says "a four-layer convolutional network". 5×5 convolutions with 32, 32 and 64
    kernels; 3×3 pools of stride 2, the first max and the others mean; cuda-convnet's initial
    standard deviations, and its LRN after the first two pools if `normalised` (not in figure 1).
    """

    def __init__(self, activation: str, normalised: bool, seed: int) -> None:
        super().__init__()
        self.activation, self.normalised = ACTIVATIONS[activation], normalised
        self.conv1 = nn.Conv2d(3, 32, 5, padding=2)
        self.conv2 = nn.Conv2d(32, 32, 5, padding=2)
        self.conv3 = nn.Conv2d(32, 64, 5, padding=2)
        self.fc4 = nn.Linear(64 * 4 * 4, 10)
        generator = torch.Generator().manual_seed(seed)
        for name, std in STD.items():
            layer = self.get_submodule(name)
            nn.init.normal_(layer.get_parameter("weight"), 0, std, generator)
            nn.init.zeros_(layer.get_parameter("bias"))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 32, 32), 0–255 minus the mean → logits (N, 10)."""
        x = self._norm(self.activation(F.max_pool2d(self.conv1(x), 3, 2, ceil_mode=True)))
        x = self._norm(F.avg_pool2d(self.activation(self.conv2(x)), 3, 2, ceil_mode=True))
        x = F.avg_pool2d(self.activation(self.conv3(x)), 3, 2, ceil_mode=True)
        logits: Tensor = self.fc4(x.flatten(1))
        return logits

    def _norm(self, x: Tensor) -> Tensor:
        return lrn(x, **LRN) if self.normalised else x  # type: ignore[arg-type]
