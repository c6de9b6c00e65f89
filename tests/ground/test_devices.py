"""The device, the seed and the memory."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest
import torch

import derain_edu as de


def test_a_seed_repeats_every_generator():
    drawn = []
    for _ in range(2):
        de.set_seed(7)
        drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert drawn[0] == drawn[1]


def test_the_device_is_named(capsys):
    assert de.choose_device("cpu", verbose=True).type == "cpu"
    assert "cpu" in capsys.readouterr().out
    with pytest.raises(de.DerainError, match="'warp-drive' can't be used"):
        de.choose_device("warp-drive")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of Linux")
def test_memory_is_kept_for_the_next_tensor():
    """Counted, not timed: after some tensors, the system has no new page to bring for the next."""
    code = (
        "import resource, torch\n"
        "from derain_edu.devices import reuse_memory\n"
        "faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "reuse_memory() or exit('skip')\n"
        # Above 32 MiB the C library never keeps memory by itself.
        "for _ in range(20): torch.ones(40 << 20, dtype=torch.uint8)\n"
        "before = faults()\n"
        "for _ in range(3): torch.ones(40 << 20, dtype=torch.uint8)\n"
        "print(faults() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if "skip" in done.stderr:
        pytest.skip("this C library has no such setting")
    assert int(done.stdout) < 1000  # three times 40 MiB are 30,720 pages
