"""How long a photo takes, and how much memory: each way to derain it in a process of its own.

A process that has run one way is no fair start for the next: it holds memory, and its compiled
parts are loaded. So each measurement starts a new Python (``python -m`` this module) and reads the
time and the peak of memory that it prints. Loading the packages and the network is not counted in
the time, and it is in the memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import torch

from derain_edu.datasets.held_out import validation_pairs
from derain_edu.errors import DerainError
from derain_edu.evaluation.plain_prenet import as_plain_prenet
from derain_edu.evaluation.timing import machine_line, speedup
from derain_edu.images import read_picture, to_pil
from derain_edu.inference.engine import choose_engine
from derain_edu.inference.restoration import derain_tensor
from derain_edu.inference.tiles import TILE
from derain_edu.metrics import psnr
from derain_edu.models import create_model
from derain_edu.text import table

# name -> (how choose_engine gets the network, or None for the paper's plain code; the window)
WAYS: dict[str, tuple[tuple[str, bool] | None, int]] = {
    "plain code, windows of 496": (None, 496),
    "PyTorch": (("torch", False), TILE),
    "ONNX Runtime": (("onnx", False), TILE),
    "ONNX Runtime, int8 (--fast)": (("auto", True), TILE),
}


def bench_derain(rounds: int = 1, width: int = 1600, height: int = 1200) -> str:
    """Compare the ways to derain a photo: seconds, seconds per megapixel, memory, and what differs.

    Parameters
    ----------
    rounds : int
        How often each way runs, in turn.
    width, height : int
        Pixels of the photo: a validation photo in synthetic rain, enlarged. A phone's photo is
        4000 × 3000 and takes some 15 minutes in all.
    """
    found: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.png"
        rainy, _ = validation_pairs(640)[0]
        to_pil(rainy[0]).resize((width, height)).save(photo)
        for _ in range(rounds):
            for name in WAYS:
                found[name].append(_in_a_new_process(name, photo, Path(folder)))
        results = {name: torch.load(Path(folder) / f"{_number(name)}.pt") for name in WAYS}
    plain = [run["seconds"] for run in found["plain code, windows of 496"]]
    rows = []
    for name, runs in found.items():
        seconds = [run["seconds"] for run in runs]
        memory = max(run["peak_bytes"] for run in runs)
        fidelity = psnr(results[name], results["PyTorch"])
        rows.append([
            name,
            f"{median(seconds):.2f}",
            f"{median(seconds) / (width * height / 1e6):.1f}",
            f"{speedup(plain, seconds):.2f}×",
            f"{memory / 1e9:.2f}",
            f"{fidelity:.1f}" if fidelity < 99 else "equal",
        ])  # fmt: skip
    title = f"PReNet, T = 6, on one photo of {width}×{height}; a new process for each way and run"
    header = ["way", "s", "s per megapixel", "speed", "peak GB", "dB to PyTorch"]
    return "\n".join([title, machine_line(), table(header, rows)])


def _number(name: str) -> int:
    return list(WAYS).index(name)


def _in_a_new_process(name: str, photo: Path, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", __name__, name, str(photo), str(folder)]
    environment = dict(os.environ)
    if WAYS[name][0] is None:  # the plain code gets its memory as any program does
        environment["MALLOC_MMAP_THRESHOLD_"] = str(128 * 1024)  # where the C library starts
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise DerainError(f"the way {name!r} failed: {done.stderr.strip().splitlines()[-1]}")
    return dict(json.loads(done.stdout))


def _measure(name: str, photo: Path, folder: Path) -> dict[str, Any]:
    """Run one way in this process; leave its picture in ``folder``."""
    engine, tile = WAYS[name]
    network = create_model("prenet", "open", stages=6).eval()
    if engine is None:
        network = as_plain_prenet(network).eval()
    else:
        network = choose_engine(network, torch.device("cpu"), *engine)
    rainy = read_picture(photo).rgb
    began = time.perf_counter()
    derained = derain_tensor(network, rainy, tile=tile, overlap=48)
    seconds = time.perf_counter() - began
    torch.save(derained.clamp(0, 1), folder / f"{_number(name)}.pt")
    return {"seconds": seconds, "peak_bytes": _peak_bytes()}


def _peak_bytes() -> float:
    """Return the largest amount of memory that this process has held."""
    if sys.platform == "win32":  # which has no such module
        return float("nan")
    resource = import_module("resource")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else peak * 1024)


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))))
