"""The net over several processes: a tower each, as on the two GPUs of 2012, and data parallel.

Every layer is cut along its outputs (maps or neurons), so that a tower's weights are rows of the
whole net's: what is on disk is always the whole net's, whoever wrote it.
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
    """Which part of the work is here: tower `tower` of `towers`, part `part` of `parts` of a batch.

    `across`: the processes with the other towers of this part; `along`: those with this tower of
    the other parts. Both are None in a process alone.
    """

    tower: int = 0
    towers: int = 1
    part: int = 0
    parts: int = 1
    across: dist.ProcessGroup | None = None
    along: dist.ProcessGroup | None = None

    @property
    def first(self) -> bool:
        """Whether this is the process that prints and writes."""
        return self.tower == self.part == 0

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.towers == self.parts == 1

    def shares(self, count: int) -> list[int]:
        """How many of a layer's outputs each tower has: the first have one more where need be."""
        return [count // self.towers + (t < count % self.towers) for t in range(self.towers)]

    def share(self, count: int) -> int:
        """How many of them are here."""
        return self.shares(count)[self.tower]

    def own(self, count: int) -> slice:
        """Which of them are here."""
        first = sum(self.shares(count)[: self.tower])
        return slice(first, first + self.share(count))


SINGLE_PROCESS = RankLayout()


def rank_layout(towers: int, device: str) -> RankLayout:
    """This rank's place in a 2-D mesh, data × tower: neighbours share a net.

    Made by all ranks at once, after init_process_group. device: "cpu" or "cuda".
    """
    parts = dist.get_world_size() // towers
    mesh = init_device_mesh(device, (parts, towers), mesh_dim_names=("data", "tower"))
    across, along = mesh.get_group("tower"), mesh.get_group("data")
    return RankLayout(dist.get_rank(across), towers, dist.get_rank(along), parts, across, along)


def joined(x: Tensor, place: RankLayout, whole: int, alike: bool = False) -> Tensor:
    """The outputs of all towers, one behind the other: (N, share, …) → (N, whole, …).

    What the towers do with the whole differs, so its gradient is their sum; where all do the same
    (`alike`: the logits, of which each takes the same loss) it is each one's own.
    """
    if place.towers == 1:
        return x
    out: Tensor = _Joined.apply(x, place, whole, alike)
    return out


class _Joined(torch.autograd.Function):
    """Maps stand last on the wire, as they do in memory with channels last."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, place: RankLayout, whole: int, alike: bool) -> Tensor:
        ctx.how = place, whole, alike
        out = _gathered(x.movedim(1, -1), place, whole, dim=-1).movedim(-1, 1)
        return out.contiguous() if x.is_contiguous() else out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        place, whole, alike = ctx.how
        dx = grad[:, place.own(whole)] if alike else _own_sum(grad, place, whole)
        return dx, None, None, None


def _gathered(x: Tensor, place: RankLayout, whole: int, dim: int) -> Tensor:
    """Shares of `whole` along `dim` → the whole, on every tower. On the wire all are one size."""
    shares = place.shares(whole)
    own = _padded(x, shares[0], dim).contiguous()
    every = own.new_empty(place.towers, *own.shape)
    dist.all_gather_into_tensor(every.flatten(0, 1), own, place.across)
    return torch.cat([each.narrow(dim, 0, n) for each, n in zip(every, shares, strict=True)], dim)


def _own_sum(grad: Tensor, place: RankLayout, whole: int) -> Tensor:
    """(N, whole, …) on each tower → the sum over the towers of this one's share."""
    shares = place.shares(whole)
    pieces = torch.split(grad.movedim(1, -1), shares, dim=-1)
    every = torch.stack([_padded(piece, shares[0], -1) for piece in pieces])
    own = torch.empty_like(every[0])
    dist.reduce_scatter_tensor(own, every.flatten(0, 1), group=place.across)
    return own[..., : place.share(whole)].movedim(-1, 1)


def _padded(x: Tensor, size: int, dim: int) -> Tensor:
    lacking = size - x.shape[dim]
    return x if not lacking else torch.cat([x, torch.zeros_like(x.narrow(dim, 0, lacking))], dim)


def local_rows(tensors: Mapping[str, Tensor], place: RankLayout) -> dict[str, Tensor]:
    """Of each tensor of a whole net (weights, velocities) the rows of this tower: views."""
    return {name: tensor[place.own(len(tensor))] for name, tensor in tensors.items()}


def gather_rows(tensors: Mapping[str, Tensor], place: RankLayout) -> dict[str, Tensor]:
    """The inverse of `local_rows`, made by all towers of a part at once."""
    if place.towers == 1:
        return dict(tensors)
    device = next(iter(tensors.values())).device
    counts = torch.tensor([len(tensor) for tensor in tensors.values()], device=device)
    dist.all_reduce(counts, group=place.across)
    wholes = zip(tensors.items(), counts.tolist(), strict=True)
    return {name: _gathered(t.detach(), place, count, dim=0) for (name, t), count in wholes}


def all_reduce_sum(tensors: Sequence[Tensor], group: dist.ProcessGroup | None) -> None:
    """Put in the place of each tensor its sum over the group: the same bits on every rank.

    They travel as one, in the order of their elements: strides may differ between ranks.
    """
    if group is None or dist.get_world_size(group) == 1:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    dist.all_reduce(flat, group=group)
    sizes = [tensor.numel() for tensor in tensors]
    for tensor, piece in zip(tensors, torch.split(flat, sizes), strict=True):
        tensor.copy_(piece.view_as(tensor))


def any_rank(here: bool, place: RankLayout, device: torch.device) -> bool:
    """Whether it is true on any rank; asked by all at once."""
    return _most([here], place, device) == [True]


def agreed(number: int, place: RankLayout, device: torch.device) -> bool:
    """Whether it is the same on all ranks; asked by all at once."""
    most, minus_least = _most([number, -number], place, device)
    return most == -minus_least


def _most(numbers: list[int], place: RankLayout, device: torch.device) -> list[int]:
    if place.alone:
        return numbers
    most = torch.tensor(numbers, dtype=torch.int64, device=device)
    dist.all_reduce(most, op=dist.ReduceOp.MAX)
    return most.tolist()


def barrier(place: RankLayout) -> None:
    """Wait here for all ranks."""
    if not place.alone:
        dist.barrier()
