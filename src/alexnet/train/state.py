"""What changes during training, and what a checkpoint holds."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from alexnet.model.alexnet import AlexNet
from alexnet.train.schedule import Schedule

Row = dict[str, float]


@dataclass
class TrainState:
    """Weights and everything else that training changes.

    `epoch` whole epochs and `batch` batches of the next are done, `step` batches in all.
    velocities: by parameter name. loss_sum: over the images of this epoch so far, float64; it stays
    on the device. history: a row for each epoch done.
    """

    net: AlexNet
    schedule: Schedule
    velocities: dict[str, Tensor]
    loss_sum: Tensor
    epoch: int = 0
    batch: int = 0
    step: int = 0
    history: list[Row] = field(default_factory=list)

    @classmethod
    def start(cls, net: AlexNet, schedule: Schedule) -> "TrainState":
        """Return the state before the first step, on the device of `net`."""
        velocities = {name: torch.zeros_like(weight) for name, weight in net.named_parameters()}
        loss_sum = torch.zeros((), dtype=torch.float64, device=net.conv1.weight.device)
        return cls(net, schedule, velocities, loss_sum)

    def advance(self, loss_sum: Tensor) -> None:
        """Count one batch, and add the loss of its images."""
        self.loss_sum.add_(loss_sum)
        self.batch += 1
        self.step += 1

    def end_epoch(self, row: Row) -> None:
        """Begin the next epoch; the schedule sees the validation error in `row`."""
        self.schedule = self.schedule.after(row["top1_error"])
        self.history.append(row)
        self.loss_sum.zero_()
        self.epoch += 1
        self.batch = 0

    def tensors(self) -> dict[str, Tensor]:
        """Return weights and velocities under the names they have in a checkpoint."""
        velocities = {f"velocity.{name}": velocity for name, velocity in self.velocities.items()}
        return self.net.state_dict() | velocities
