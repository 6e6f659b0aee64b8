"""A net on several processes: one tower each, as on the two GPUs of 2012, and data parallelism.

Every layer is divided along its outputs (maps or neurons), so a tower's weights are rows of the
whole net's. Files always hold the whole net, whichever processes wrote them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh


@dataclass(frozen=True)
class RankLayout:
    """The work of this process (rank): a tower of the net, on its replica's part of each batch.

    Tower `tower` of `towers`, replica `replica` of `replicas`. tower_group: the ranks that have the
    other towers of this replica; replica_group: those that have this tower in other replicas. Both
    are None in a single process.
    """

    tower: int = 0
    towers: int = 1
    replica: int = 0
    replicas: int = 1
    tower_group: dist.ProcessGroup | None = None
    replica_group: dist.ProcessGroup | None = None

    @property
    def is_main(self) -> bool:
        """Whether this is the process that prints and writes."""
        return self.tower == self.replica == 0

    @property
    def is_single(self) -> bool:
        """Whether there is no other process."""
        return self.towers == self.replicas == 1

    def tower_sizes(self, count: int) -> list[int]:
        """Return how many of a layer's `count` outputs each tower has, in order.

        If they cannot be divided equally, the first towers have one more.
        """
        return [count // self.towers + (t < count % self.towers) for t in range(self.towers)]

    def local_size(self, count: int) -> int:
        """Return how many of `count` outputs this tower has."""
        return self.tower_sizes(count)[self.tower]

    def local_slice(self, count: int) -> slice:
        """Return which of `count` outputs this tower has."""
        start = sum(self.tower_sizes(count)[: self.tower])
        return slice(start, start + self.local_size(count))


SINGLE_PROCESS = RankLayout()


def rank_layout(towers: int, device: str) -> RankLayout:
    """Return this rank's position in a mesh of replicas × towers.

    Neighbouring ranks share a net. All ranks must call this together, after init_process_group;
    device: "cpu" or "cuda".
    """
    replicas = dist.get_world_size() // towers
    mesh = init_device_mesh(device, (replicas, towers), mesh_dim_names=("replica", "tower"))
    tower, replica = mesh.get_group("tower"), mesh.get_group("replica")
    return RankLayout(
        tower=dist.get_rank(tower),
        towers=towers,
        replica=dist.get_rank(replica),
        replicas=replicas,
        tower_group=tower,
        replica_group=replica,
    )


def join_towers(x: Tensor, layout: RankLayout, size: int, same_loss: bool = False) -> Tensor:
    """Concatenate the outputs of all towers: (N, local size, …) → (N, size, …).

    Towers use the result differently, so its gradient is summed over them. same_loss: all compute
    the same loss from it (the logits), and each keeps its own gradient.
    """
    if layout.towers == 1:
        return x
    out: Tensor = _JoinTowers.apply(x, layout, size, same_loss)
    return out


class _JoinTowers(torch.autograd.Function):
    """Sends maps as the last dimension, as channels-last tensors have them in memory."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layout: RankLayout, size: int, same_loss: bool) -> Tensor:
        ctx.arguments = layout, size, same_loss
        out = _all_gather(x.movedim(1, -1), layout, size, dim=-1).movedim(-1, 1)
        return out.contiguous() if x.is_contiguous() else out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        layout, size, same_loss = ctx.arguments
        own = grad[:, layout.local_slice(size)] if same_loss else _reduce_scatter(grad, layout)
        return own, None, None, None


def _all_gather(x: Tensor, layout: RankLayout, size: int, dim: int) -> Tensor:
    """Return the tensor of `size` along `dim` whose parts the towers have.

    Parts are padded to one size for the transfer.
    """
    sizes = layout.tower_sizes(size)
    own = _pad(x, sizes[0], dim).contiguous()
    parts = own.new_empty(layout.towers, *own.shape)
    dist.all_gather_into_tensor(parts.flatten(0, 1), own, layout.tower_group)
    return torch.cat([part.narrow(dim, 0, n) for part, n in zip(parts, sizes, strict=True)], dim)


def _reduce_scatter(grad: Tensor, layout: RankLayout) -> Tensor:
    """Return this tower's columns of the sum of all towers' `grad` (N, size, …)."""
    sizes = layout.tower_sizes(grad.shape[1])
    parts = torch.split(grad.movedim(1, -1), sizes, dim=-1)
    padded = torch.stack([_pad(part, sizes[0], -1) for part in parts])
    own = torch.empty_like(padded[0])
    dist.reduce_scatter_tensor(own, padded.flatten(0, 1), group=layout.tower_group)
    return own[..., : sizes[layout.tower]].movedim(-1, 1)


def _pad(x: Tensor, size: int, dim: int) -> Tensor:
    missing = size - x.shape[dim]
    return torch.cat([x, torch.zeros_like(x.narrow(dim, 0, missing))], dim) if missing else x


def local_rows(tensors: Mapping[str, Tensor], layout: RankLayout) -> dict[str, Tensor]:
    """Return this tower's rows of a whole net's tensors, as views."""
    return {name: tensor[layout.local_slice(len(tensor))] for name, tensor in tensors.items()}


def gather_rows(tensors: Mapping[str, Tensor], layout: RankLayout) -> dict[str, Tensor]:
    """Return the whole tensors from the `local_rows` of all towers.

    All towers of a replica must call it together.
    """
    if layout.towers == 1:
        return dict(tensors)
    device = next(iter(tensors.values())).device
    counts = torch.tensor([len(tensor) for tensor in tensors.values()], device=device)
    dist.all_reduce(counts, group=layout.tower_group)
    sized = zip(tensors.items(), counts.tolist(), strict=True)
    return {name: _all_gather(t.detach(), layout, count, dim=0) for (name, t), count in sized}


def all_reduce_sum(tensors: Sequence[Tensor], group: dist.ProcessGroup | None) -> None:
    """Replace each tensor in place by its sum over the group.

    Every rank gets the same bits. The tensors are sent as one, in the order of their elements:
    strides may differ between ranks.
    """
    if group is None or dist.get_world_size(group) == 1:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    dist.all_reduce(flat, group=group)
    sizes = [tensor.numel() for tensor in tensors]
    for tensor, piece in zip(tensors, torch.split(flat, sizes), strict=True):
        tensor.copy_(piece.view_as(tensor))


def any_rank(value: bool, layout: RankLayout, device: torch.device) -> bool:
    """Return whether `value` is true on any rank; all ranks must call it together."""
    return _max_over_ranks([value], layout, device) == [True]


def all_ranks_equal(value: int, layout: RankLayout, device: torch.device) -> bool:
    """Return whether `value` is the same on all ranks, which must call it together."""
    largest, minus_smallest = _max_over_ranks([value, -value], layout, device)
    return largest == -minus_smallest


def _max_over_ranks(values: list[int], layout: RankLayout, device: torch.device) -> list[int]:
    if layout.is_single:
        return values
    largest = torch.tensor(values, dtype=torch.int64, device=device)
    dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    return largest.tolist()


def barrier(layout: RankLayout) -> None:
    """Wait until all ranks have reached this call."""
    if not layout.is_single:
        dist.barrier()
