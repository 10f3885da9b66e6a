"""Several processes, on one machine or on many, that train one network together.

``torchrun --nproc-per-node 2 train.py`` starts them; the functions of ``genmodels.train`` find out by themselves. Each
process takes its share of every minibatch, and before a step of the optimiser the gradients are added up, so that all
processes take the step that one process would take with the whole batch. What is random is drawn for the whole batch
from (seed, step), and each process keeps its rows of it: a run does not depend on the number of processes but for
rounding, and may be resumed with another number.

The sum is taken here and not by ``DistributedDataParallel``, which adds up gradients while a wrapped network's
``forward`` is differentiated. A loss of ours may call any method of a network, and the gradient penalty differentiates
a gradient: DDP supports neither. DDP's gain, talking while it computes, is small for networks of this size.
"""

import atexit
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

Value = TypeVar("Value")


class TeamError(RuntimeError):
    """Another process of the run is gone."""


@dataclass(frozen=True)
class Team:
    """The processes of a run: ``size`` of them, of which this one is number ``rank``. Alone, everything is a no-op."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process shows the progress and writes the checkpoint."""
        return self.rank == 0

    def share(self, joint: Tensor) -> Tensor:
        """This process's rows of what belongs to the whole batch: (N, ...) → (B, ...).

        If there are fewer rows than processes, all of them: each process then does the same work.
        """
        return joint[self.rank :: self.size] if len(joint) >= self.size else joint

    def weight(self, rows: int) -> float:
        """What a mean over this process's share counts in the mean over a batch of ``rows``."""
        return len(range(self.rank, rows, self.size)) / rows if rows >= self.size else 1 / self.size

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor, in place, by its sum over the processes.

        Raises
        ------
        TeamError
            If another process has ended.
        """
        if self.size == 1:
            return
        tensors = list(tensors)
        joined = torch.cat([tensor.flatten() for tensor in tensors])  # one message, not one for each tensor
        self._together(lambda: distributed.all_reduce(joined))
        for tensor, summed in zip(tensors, joined.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(summed.view_as(tensor))

    def begin_alike(self, *networks: nn.Module) -> None:
        """Give every process the leader's weights and buffers."""
        if self.size > 1:
            for network in networks:
                for value in network.state_dict().values():
                    self._together(partial(distributed.broadcast, value, src=0))

    def from_leader(self, make: Callable[[], Value]) -> Value:
        """What ``make()`` gives in the leading process, in all of them: only its disk need hold a checkpoint."""
        if self.size == 1:
            return make()
        made = [make() if self.leads else None]
        self._together(lambda: distributed.broadcast_object_list(made, src=0))
        return made[0]  # type: ignore[return-value]

    def _together(self, exchange: Callable[[], object]) -> None:
        try:
            exchange()
        except RuntimeError as error:
            raise TeamError(
                f"process {self.rank} of {self.size} has lost the others ({str(error).splitlines()[0]}). "
                "Look for the first error among theirs; started again, a run with a checkpoint goes on from it"
            ) from error


def find_team(device: torch.device) -> Team:
    """The team that ``torchrun`` put this process into; a team of one if it did not.

    Processes on GPUs talk through NCCL, others through Gloo.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or not distributed.is_available():
        return Team()
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(_part)
    return Team(distributed.get_rank(), distributed.get_world_size())


def _part() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()
