"""Side-by-side timings: is this project's way faster than the plain way, here, on this machine?

The tools (ways in turn, ratios, live memory) are in :mod:`derain_edu.evaluation.timing`.

The plain way is :class:`PlainPReNet`, written as the paper's code is: a convolution per gate, the
default memory layout, and after each training step a second forward pass, with gradients on, for
a number in the log. Both ways hold the same weights and give the same pictures.

``derain-edu bench train`` (or another name of :data:`BENCHES`) prints the tables.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from derain_edu.datasets.synthetic import SyntheticRain
from derain_edu.errors import DerainError
from derain_edu.evaluation.bench_derain import bench_derain
from derain_edu.evaluation.bench_onnx import bench_onnx
from derain_edu.evaluation.bench_sweeps import bench_irnn, bench_spanet
from derain_edu.evaluation.plain_prenet import as_plain_prenet, plain_step
from derain_edu.evaluation.timing import (
    LiveMemory,
    interleave,
    machine_line,
    peak_bytes,
    speedup,
)
from derain_edu.models import create_model
from derain_edu.rain.presets import PRESETS, TRAINING_MIX
from derain_edu.rain.synthesis import add_rain
from derain_edu.text import table
from derain_edu.training.config import TrainConfig
from derain_edu.training.losses import neg_ssim
from derain_edu.training.trainer import Trainer

# -- the benchmarks -------------------------------------------------------------------------


class TrainingWay(NamedTuple):
    """One way to train: its forward pass with the loss, and its whole step."""

    loss: Callable[[], Tensor]
    step: Callable[[], Any]


def training_ways(batch_size: int, patch_size: int, stages: int) -> dict[str, TrainingWay]:
    """Return the plain way and this project's ways, with equal weights and the same batch."""
    settings: dict[str, dict[str, Any]] = {
        "this project": {},
        "this project, channels-last": {"channels_last": True},
        "this project, stages checkpointed": {"checkpoint_stages": True},
    }
    common = {"model": "prenet", "stages": stages, "steps": 10**6, "device": "cpu"}
    common |= {"batch_size": batch_size, "patch_size": patch_size}
    data = SyntheticRain(patch_size=patch_size)
    trainers = {name: Trainer(TrainConfig(**common, **s), data) for name, s in settings.items()}
    first = trainers["this project"]
    batch = next(first.batches())
    rainy, clean = batch["rainy"], batch["clean"]
    plain = as_plain_prenet(first.model)
    adam = torch.optim.Adam(plain.parameters(), lr=1e-3)
    plain_way = TrainingWay(
        lambda: neg_ssim(plain(rainy), clean), lambda: plain_step(plain, adam, rainy, clean)
    )
    own_ways = {
        name: TrainingWay(partial(trainer.loss_of, batch), partial(trainer.step, batch))
        for name, trainer in trainers.items()
    }
    return {"plain": plain_way, **own_ways}


def bench_train(rounds: int = 5, batch_size: int = 8, patch_size: int = 64, stages: int = 6) -> str:
    """Compare training steps of PReNet: time per step and peak memory, also as shares of plain."""
    ways = training_ways(batch_size, patch_size, stages)
    memory = {name: peak_bytes(way.loss) for name, way in ways.items()}
    seconds = interleave({name: way.step for name, way in ways.items()}, rounds)
    rows = []
    for name in ways:
        faster = speedup(seconds["plain"], seconds[name])
        share = memory[name] / memory["plain"]
        cells = f"{median(seconds[name]):.3f}", f"{faster:.2f}×", f"{memory[name] / 2**20:.1f}"
        rows.append([name, *cells, f"{share:.2f}×"])
    title = f"One training step of PReNet, T = {stages}, batch {batch_size}, {patch_size}²"
    header = ["way", "s/step", "steps/s", "peak MiB", "memory"]
    return "\n".join([title, machine_line(), table(header, rows)])


def bench_rain(seconds: float = 1.0, patch_size: int = 64) -> str:
    """Measure how many rainy patches per second one process makes."""
    clean = SyntheticRain(patch_size=patch_size)[0]["clean"]
    ways: dict[str, Callable[[int], Any]] = {
        f"add_rain, {name}": lambda k, name=name: add_rain(clean, name, seed=k)
        for name in PRESETS
    }
    mix = SyntheticRain(rain=TRAINING_MIX, patch_size=patch_size)
    ways["SyntheticRain, training mix"] = lambda k: mix[k]
    rows = [[name, f"{_rate(way, seconds):.0f}"] for name, way in ways.items()]
    title = f"Rainy patches of {patch_size}×{patch_size} in one process"
    return "\n".join([title, machine_line(), table(["way", "patches/s"], rows)])


def _rate(way: Callable[[int], Any], seconds: float) -> float:
    """Call ``way(0)``, ``way(1)``, … for some seconds; return calls per second."""
    way(0)
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        calls += 1
        way(calls)
    return calls / (time.perf_counter() - start)


# Those that a reader meets by name; the others of the registry are variants of these.
NETWORKS = ("residual", "prn", "prenet", "spanet", "nafnet_small")


def bench_networks(rounds: int = 3, side: int = 256) -> str:
    """Compare the course's networks on one picture: parameters, time, memory."""
    rainy = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    networks = {name: create_model(name).eval() for name in NETWORKS}
    ways = {name: partial(_derain, network, rainy) for name, network in networks.items()}
    seconds, rows = interleave(ways, rounds), []
    for name, network in networks.items():
        with LiveMemory() as memory:
            ways[name]()
        count = sum(p.numel() for p in network.parameters())
        faster = speedup(seconds["prenet"], seconds[name])
        cells = f"{1000 * median(seconds[name]):.0f}", f"{faster:.2f}×"
        rows.append([name, f"{count:,}", *cells, f"{memory.peak / 2**20:.1f}"])
    title = f"One picture of {side}×{side} pixels, {torch.get_num_threads()} threads"
    header = ["network", "parameters", "ms", "speed", "peak MiB"]
    return "\n".join([title, machine_line(), table(header, rows)])


def _derain(network: nn.Module, rainy: Tensor) -> Tensor:
    with torch.inference_mode():
        return network(rainy)


BENCHES: dict[str, Callable[..., str]] = {
    "train": bench_train,
    "rain": bench_rain,
    "derain": bench_derain,
    "irnn": bench_irnn,
    "spanet": bench_spanet,
    "onnx": bench_onnx,
    "networks": bench_networks,
}


def run(name: str) -> str:
    """Run a benchmark, one of :data:`BENCHES`, and return its table as text."""
    if name not in BENCHES:
        raise DerainError(f"unknown benchmark {name!r}: choose one of {', '.join(BENCHES)}")
    return BENCHES[name]()
