"""What decides how a training run goes (budget, data, loss, schedule), and what it returns.

The schedules are pure functions of the progress, a number from 0 (start) to 1 (the budget is
spent), so the learning rate of a step needs no memory of the steps before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from derain_edu.errors import DerainError
from derain_edu.training.curriculum import Curriculum
from derain_edu.training.losses import MASKS, make_loss

Row = dict[str, Any]  # of the log: step, samples, minutes, loss, lr, grad_norm, validation_psnr

PRECISIONS = {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def cosine(progress: float) -> float:
    """Fall from 1 to 0 along half a cosine wave: slowly, fast, slowly."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def authors(progress: float) -> float:
    """Fall to a fifth after 30, 50 and 80 % of the run, as PReNet's authors do."""
    return 0.2 ** sum(progress >= milestone for milestone in (0.3, 0.5, 0.8))


def constant(progress: float) -> float:
    """Stay at 1."""
    return 1.0


# name -> factor on the learning rate as a function of the progress, which goes from 0 to 1
SCHEDULES: dict[str, Callable[[float], float]] = {
    "cosine": cosine,
    "authors": authors,
    "constant": constant,
}


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides how a run goes. Give exactly one budget."""

    # what to train
    model: str = "prn"  # a name from list_models()
    options: dict[str, Any] = field(default_factory=dict)  # more options of create_model
    stages: int | None = None  # T of a progressive network; None: the model's default
    pretrained: str | None = None  # start from these weights (a tag or a file), not from scratch
    # for how long: one of these three
    steps: int | None = None  # optimizer steps
    epochs: float | None = None  # rounds through the data (1,000 samples where data are endless)
    minutes: float | None = None  # wall-clock time, validation included
    stop_after: int | None = None  # end after this step, though all schedules are for the budget
    # on which pictures
    data: str = "mix"  # a preset of rain.py, or a name of its MIXES; see also train(data=…)
    photos: str = "train"  # of which splits rain falls on photos, such as "train+extra"
    augment: bool = False  # mirror, turn and recolour the clean patches, see SyntheticRain
    hard: float = 0.0  # share of these made sharper, richer in contrast, or dead leaves
    patch_size: int = 64  # pixels, the side of the square patches
    batch_size: int = 8  # patches per step, over all processes together
    curriculum: Curriculum | None = None  # what gets harder during the run, see curriculum.py
    # towards what, and how fast
    loss: str = "neg_ssim"  # see losses.py; sums such as "neg_ssim+0.1*l1"
    stage_weights: tuple[float, ...] | None = None  # loss weight of each stage; None: only the last
    attention_mask: str | None = None  # also tell a SPANet where the rain is: see losses.MASKS
    attention_weight: float = 1.0  # of that part of the loss
    lr: float = 1e-3  # Adam's learning rate at the start
    schedule: str = "cosine"  # "cosine", "authors" or "constant"
    grad_clip: float | None = None  # shrink gradients whose total norm is larger than this
    ema: float | None = None  # decay, such as 0.999: also keep a running mean of the weights
    # where and with which arithmetic
    device: str = "auto"  # "auto", "cpu", "cuda"
    precision: str = "float32"  # of the forward pass: "float32", "bf16" or (on a GPU) "fp16"
    channels_last: bool = False  # memory layout; measure it: derain-edu bench train
    checkpoint_stages: bool = False  # recompute each stage in backward: less memory, more time
    workers: int = 0  # processes that prepare data; 0: the training process itself
    # repeatability and records
    seed: int = 0  # of the weights at the start and of the data
    out: str | Path | None = None  # folder of the log, the checkpoints and the weights; None: none
    log_every: int = 10  # steps between two rows of the log
    save_every: int = 200  # steps between two checkpoints
    validate_every: int = 200  # steps between two validations; 0: never
    validation_pairs: int = 8  # fixed pairs from photos that training never sees
    validation_size: int = 128  # pixels, the side of these pairs

    def __post_init__(self) -> None:
        budgets = [b for b in (self.steps, self.epochs, self.minutes) if b is not None]
        if len(budgets) != 1 or budgets[0] <= 0:
            raise DerainError("give exactly one budget, larger than 0: steps, epochs or minutes")
        losses = self.curriculum and self.curriculum.loss
        for loss in (self.loss, *(losses.values if losses else ())):
            make_loss(loss)
        for name, choices in (("schedule", SCHEDULES), ("precision", PRECISIONS)):
            if (value := getattr(self, name)) not in choices:
                raise DerainError(f"unknown {name} {value!r}: choose one of {', '.join(choices)}")
        if self.attention_mask is not None and self.attention_mask not in MASKS:
            raise DerainError(
                f"unknown attention_mask {self.attention_mask!r}: choose one of {', '.join(MASKS)}"
            )
        for name in ("batch_size", "patch_size", "log_every", "save_every", "stop_after"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise DerainError(f"{name} must be at least 1, got {value}")
        for name in ("workers", "hard", "validate_every", "validation_pairs", "attention_weight"):
            if (value := getattr(self, name)) < 0:
                raise DerainError(f"{name} must be at least 0, got {value}")
        if self.hard > 1:
            raise DerainError(f"hard is a share from 0 to 1, got {self.hard}")
        if self.grad_clip is not None and self.grad_clip <= 0:
            raise DerainError(f"grad_clip must be larger than 0, got {self.grad_clip}")
        if self.lr <= 0:
            raise DerainError(f"lr must be larger than 0, got {self.lr}")
        if self.ema is not None and not 0 < self.ema < 1:
            raise DerainError(f"ema is a decay between 0 and 1 such as 0.999, got {self.ema}")

    @property
    def layout(self) -> torch.memory_format:
        """The memory layout of weights and pictures."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


@dataclass(frozen=True)
class TrainResult:
    """What a run leaves behind."""

    model: nn.Module  # trained, in evaluation mode; with config.ema the mean of the weights
    log: list[Row]  # the rows of log.csv
    out: Path | None  # the folder with log.csv, last.pt, best.pt and model.safetensors
    steps: int
    minutes: float


