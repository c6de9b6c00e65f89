"""The tools of a benchmark: run ways in turn, count live memory, describe the machine.

A timing alone says little: other programs, heat and power settings change the speed of a core by
more than most improvements do. So each comparison runs its ways in turn (A B C, A B C, …) in one
process and reports the median of the ratios within the rounds. Memory needs no such care: the
tensors that are alive at once are counted in bytes.
"""

from __future__ import annotations

import platform
import time
import weakref
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from derain_edu.devices import describe_device


def interleave(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Run the ways in turn, ``rounds`` times; return the seconds of each run by way.

    One more round goes first, untimed: the first run of anything pays for allocations.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if turn > 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def speedup(slow: Sequence[float], fast: Sequence[float]) -> float:
    """Return how many times faster ``fast`` is: the median ratio over the rounds.

    Examples
    --------
    >>> speedup([2.0, 2.2, 9.0], [1.0, 1.1, 1.0])  # one disturbed round does not matter
    2.0
    """
    return median(a / b for a, b in zip(slow, fast, strict=True))


class LiveMemory(TorchDispatchMode):
    """Count the bytes of all tensors that are alive at once; ``peak`` is the largest sum.

    ``with LiveMemory() as memory:`` sees every tensor that PyTorch makes inside, also during the
    backward pass and in what checkpointing computes again. Tensors that share memory count once,
    until the last of them is gone. What existed before (weights, pictures) does not count.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[int, int] = {}  # address -> bytes
        self.peak = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = operation(*args, **(kwargs or {}))
        old = {storage.data_ptr() for storage in _storages((args, kwargs))}
        for storage in _storages(result):
            address = storage.data_ptr()
            if address not in old and address not in self.alive:
                self.alive[address] = storage.nbytes()
                weakref.finalize(storage, self.alive.pop, address, None)
        self.peak = max(self.peak, sum(self.alive.values()))
        return result


def _storages(values: Any) -> list[torch.UntypedStorage]:
    return [leaf.untyped_storage() for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def peak_bytes(loss: Callable[[], Tensor]) -> int:
    """Return the peak memory of computing ``loss()`` and its backward pass, without the weights.

    Nearly all of it are activations: what the layers of all stages keep for the backward pass.
    """
    with LiveMemory() as memory:
        loss().backward()
    return memory.peak


def machine_line() -> str:
    """Return one line about this machine: what a timing depends on."""
    cpu = describe_device(torch.device("cpu"))
    instructions = torch.backends.cpu.get_cpu_capability()
    return f"{cpu}, {instructions}, torch {torch.__version__}, Python {platform.python_version()}"
