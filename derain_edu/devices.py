"""Helpers that a program calls once: choose the device, set the seed, keep memory at hand."""

from __future__ import annotations

import ctypes
import os
import random
import re
import sys
from functools import cache

import numpy as np
import torch

from derain_edu.errors import DerainError


def choose_device(prefer: str = "auto", verbose: bool = False) -> torch.device:
    """Choose where tensors live, and say so.

    Parameters
    ----------
    prefer : str
        ``"auto"`` takes a CUDA GPU where there is one, else the CPU (Apple's MPS is used only
        when you ask for it by name: not every operation of the course exists there).
        Any name that ``torch.device`` knows is taken as it is.
    verbose : bool
        Print the choice in one line.

    Raises
    ------
    DerainError
        If the name is unknown or this machine has no such device.
    """
    if prefer == "auto":
        prefer = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(prefer)
        torch.zeros(1, device=device).cpu()  # "meta" has no numbers to give back
    except (RuntimeError, AssertionError) as error:
        raise DerainError(
            f"device {prefer!r} can't be used here: choose 'auto' or 'cpu'"
        ) from error
    if verbose:
        print(describe_device(device))
    return device


def describe_device(device: torch.device) -> str:
    """Return one line about a device, for example ``cpu: 2 threads of 2 cores``."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{device}: {properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    if device.type == "cpu":
        return f"cpu: {torch.get_num_threads()} threads of {os.cpu_count()} cores"
    return str(device)


# What PyTorch, its backends and ONNX Runtime say when an allocation fails. (The word "memory" alone
# is not enough: "an illegal memory access" is a fault of a program, and no smaller tile helps.)
_NO_ROOM = re.compile(
    r"out of memory|can't allocate memory|not enough memory|failed to allocate memory"
    r"|alloc_failed|bad_alloc|bad allocation",
    re.IGNORECASE,
)


def ran_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that a tensor did not fit into the memory of its device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return bool(_NO_ROOM.search(str(error)))


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and PyTorch (all devices) with one number."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@cache  # a setting of the process: once is enough
def reuse_memory() -> bool:
    """Keep freed memory in this process, so that the next large tensor need not wait for it.

    The C library of Linux gives every buffer above 32 MiB back to the system when it is freed.
    The system fills the next one with zeros, page by page, at its first touch. For a layer of 32
    channels that begins at 512×512 pixels, and costs more than many layers compute: writing such
    a tensor takes about 6 times as long. After this call buffers up to 1 GiB stay in the process
    and are used again. The price is memory: up to half as much again at the peak, and up to 2 GiB
    that the process keeps.

    :func:`derain_edu.create_model` and :func:`derain_edu.irnn` call this. Whoever tunes the C
    library with its own variable, ``MALLOC_MMAP_THRESHOLD_``, is left alone.

    Returns
    -------
    bool
        Whether it was done: it is possible on Linux with its usual C library.
    """
    if not sys.platform.startswith("linux") or "MALLOC_MMAP_THRESHOLD_" in os.environ:
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library, such as Alpine's
        return False
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
    return bool(mallopt(mmap_threshold, 2**30)) and bool(mallopt(trim_threshold, 2**31 - 1))
