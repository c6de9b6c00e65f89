"""Two helpers that every lesson calls once: choose the device, set the seed."""

from __future__ import annotations

import os
import random

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
        torch.empty(1, device=device)
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


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and PyTorch (all devices) with one number."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
