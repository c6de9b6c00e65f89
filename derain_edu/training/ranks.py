"""Several processes, one training run: data-parallel training in its plainest form.

Every process (a *rank*) holds the same weights and takes an equal share of each batch. Since a
loss is a mean over its pictures, the mean of the ranks' gradients is the gradient of the whole
batch. So one averaging between ``backward`` and ``step`` is all there is to it, and since all
ranks then make the same step, their weights stay equal.

Start it with ``torchrun --nproc-per-node=2 -m derain_edu train …``. Without torchrun there is one
rank, and everything here does nothing.

PyTorch's DistributedDataParallel does the same averaging while ``backward`` is still running,
which pays off for large networks. These have 20 to 170 thousand parameters.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from derain_edu.devices import choose_device
from derain_edu.errors import DerainError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this one is.

    Attributes
    ----------
    rank : int, default 0
        The number of this process, from 0.
    size : int, default 1
        How many processes there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one rank that writes files and talks."""
        return self.rank == 0

    def device(self, prefer: str) -> torch.device:
        """Choose a device; where there are several GPUs, each local rank gets its own."""
        if self.size > 1:
            _use_own_gpu(prefer)
        device = choose_device(prefer)
        if device.type == "cuda" and self.size > 1:
            device = torch.device("cuda", torch.cuda.current_device())
        return device

    def share(self, batch: Sequence[Item]) -> Sequence[Item]:
        """Return this rank's part of a batch, one of ``size`` equal neighbours.

        Examples
        --------
        >>> Ranks(rank=1, size=2).share([10, 11, 12, 13])
        [12, 13]
        """
        if len(batch) % self.size:
            raise DerainError(
                f"a batch of {len(batch)} can't be shared by {self.size} processes: "
                f"choose a multiple of {self.size} as batch_size"
            )
        part = len(batch) // self.size
        return batch[self.rank * part : (self.rank + 1) * part]

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the ranks, in one message for all of them."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)  # sum over ranks
        flat /= self.size
        parts = flat.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))

    def agree(self, seconds: float, stop: bool) -> tuple[float, bool]:
        """Return the mean of the ranks' clocks, and whether any of them wants to stop.

        Ranks that disagreed about the time would choose different learning rates, and one that
        stopped alone would leave the others waiting for its gradients.
        """
        if self.size == 1:
            return seconds, stop
        votes = torch.tensor([seconds, float(stop)], dtype=torch.float64)
        if dist.get_backend() == "nccl":  # NCCL sends GPU memory only
            votes = votes.cuda()
        dist.all_reduce(votes)
        seconds, stops = (votes / self.size).tolist()
        return seconds, stops > 0


def _use_own_gpu(prefer: str) -> None:
    """Make the GPU of this local rank the current one, before anything touches a GPU.

    The first tensor on "cuda" opens a context of some hundred MB on the current GPU. Without this,
    that is GPU 0 for every rank.
    """
    if (prefer == "auto" or prefer.startswith("cuda")) and torch.cuda.is_available():
        mine, there = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
        if mine >= there:
            raise DerainError(
                f"there are {there} GPUs for more processes: choose --nproc-per-node={there}"
            )
        torch.cuda.set_device(mine)


@contextmanager
def joined_ranks(prefer: str = "auto") -> Iterator[Ranks]:
    """Meet the other processes that torchrun started, and part from them at the end.

    ``prefer`` names the device that will do the work: GPUs talk through NCCL, CPUs through gloo.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield Ranks()
        return
    _use_own_gpu(prefer)
    mine = not dist.is_initialized()  # a caller may have met the others already
    if mine:
        dist.init_process_group("nccl" if choose_device(prefer).type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size())
    finally:
        if mine:
            dist.destroy_process_group()
