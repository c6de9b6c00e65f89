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

MOST_WORKERS = 256  # more of them fill the memory before they do anything
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
    """Everything that decides how a run goes. Give exactly one budget.

    Attributes
    ----------
    model : str, default "prn"
        A name from :func:`~derain_edu.list_models`, or one that you registered.
    options : dict[str, Any]
        Further options of :func:`~derain_edu.create_model`, such as ``{"channels": 16}``.
    stages : int | None, default None
        T of a progressive network. None: the model's own (6 for PReNet).
    pretrained : str | None, default None
        Start from these weights, a tag or a file, instead of from scratch.
    steps : int | None, default None
        Budget: optimizer steps.
    epochs : float | None, default None
        Budget: passes over the data. Endless synthetic data count 1,000 samples as one epoch.
    minutes : float | None, default None
        Budget: wall-clock time, validation included.
    stop_after : int | None, default None
        Stop after this step, although all schedules are planned for the whole budget.
    data : str, default "mix"
        A rain preset, or one of :data:`~derain_edu.rain.presets.MIXES`. Pairs of your own go to
        ``train(config, data=…)``.
    photos : str, default "train"
        The splits of the bundled photos that it rains on, such as ``"train+extra"``.
    augment : bool, default False
        Mirror, rotate and recolour the clean patches, see :class:`~derain_edu.SyntheticRain`.
    hard : float, default 0.0
        Share in [0, 1] of the clean patches that become gratings, over-exposed, sharper, …, see
        :mod:`derain_edu.datasets.hard_patches`.
    jpeg : float, default 0.0
        Share in [0, 1] of the pairs that are compressed, both pictures alike.
    patch_size : int, default 64
        Side of the square patches in pixels. (PReNet's authors take 100.)
    batch_size : int, default 8
        Patches per step, over all processes together. (PReNet's authors take 18.)
    curriculum : Curriculum | None, default None
        What gets harder during the run. None: every step is alike.
    loss : str, default "neg_ssim"
        A name for :func:`~derain_edu.training.losses.make_loss`, or a sum such as
        ``"neg_ssim+0.1*l1"``. The default is PReNet's only loss (arXiv 1901.09221, section 3.4).
    stage_weights : tuple[float, ...] | None, default None
        Weight of each stage's loss, T numbers. None: only the last stage counts.
    attention_mask : str | None, default None
        Also compare the first attention map of a SPANet with a mask of the rain, one of
        :data:`~derain_edu.training.losses.MASKS`. None: don't.
    attention_weight : float, default 1.0
        Weight of that part of the loss.
    lr : float, default 1e-3
        Adam's learning rate at the start, above 0. The default is that of PReNet's authors.
    schedule : str, default "cosine"
        How the learning rate falls, one of :data:`SCHEDULES`: ``"cosine"``, ``"authors"`` (× 0.2
        after 30, 50 and 80 % of the run) or ``"constant"``.
    grad_clip : float | None, default None
        Scale the gradients down if their total norm is larger than this. None: never.
    ema : float | None, default None
        Decay in (0, 1), such as 0.999: also keep a running mean of the weights, which is then what
        is validated and returned. None: don't.
    device : str, default "auto"
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    precision : str, default "float32"
        Of the forward pass, one of :data:`PRECISIONS`: ``"float32"``, ``"bf16"`` or (on a GPU)
        ``"fp16"``.
    channels_last : bool, default False
        Store weights and pictures with the channels last. Whether that is faster depends on the
        machine: ``derain-edu bench train`` measures it.
    checkpoint_stages : bool, default False
        Compute each stage again in the backward pass: less memory, more time.
    workers : int, default 0
        Processes that prepare data. 0: the training process does it itself.
    seed : int, default 0
        Seed of the first weights and of the data.
    out : str | Path | None, default None
        Folder for the log, the checkpoints and the weights. None: nothing is written.
    log_every : int, default 10
        Steps between two rows of the log.
    save_every : int, default 200
        Steps between two checkpoints.
    validate_every : int, default 200
        Steps between two validations. 0: never.
    validation_pairs : int, default 8
        How many fixed pairs validation uses; their photos are never trained on.
    validation_size : int, default 128
        Side of these pairs in pixels.
    """

    # what to train
    model: str = "prn"
    options: dict[str, Any] = field(default_factory=dict)
    stages: int | None = None
    pretrained: str | None = None
    # for how long: one of these three
    steps: int | None = None
    epochs: float | None = None
    minutes: float | None = None
    stop_after: int | None = None
    # on which pictures
    data: str = "mix"
    photos: str = "train"
    augment: bool = False
    hard: float = 0.0
    jpeg: float = 0.0
    patch_size: int = 64
    batch_size: int = 8
    curriculum: Curriculum | None = None
    # towards what, and how fast
    loss: str = "neg_ssim"
    stage_weights: tuple[float, ...] | None = None
    attention_mask: str | None = None
    attention_weight: float = 1.0
    lr: float = 1e-3
    schedule: str = "cosine"
    grad_clip: float | None = None
    ema: float | None = None
    # where and with which arithmetic
    device: str = "auto"
    precision: str = "float32"
    channels_last: bool = False
    checkpoint_stages: bool = False
    workers: int = 0
    # repeatability and records
    seed: int = 0
    out: str | Path | None = None
    log_every: int = 10
    save_every: int = 200
    validate_every: int = 200
    validation_pairs: int = 8
    validation_size: int = 128

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, (int, float)) and not abs(value) < 2**63:  # also NaN
                raise DerainError(f"{name} is out of range, got {value}")
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
        counts = ("workers", "seed", "hard", "jpeg", "validate_every", "validation_pairs")
        for name in (*counts, "attention_weight"):
            if (value := getattr(self, name)) < 0:
                raise DerainError(f"{name} must be at least 0, got {value}")
        if self.workers > MOST_WORKERS:
            raise DerainError(
                f"workers are processes, each with its own memory: at most {MOST_WORKERS}, got "
                f"{self.workers}"
            )
        for name in ("hard", "jpeg"):
            if (value := getattr(self, name)) > 1:
                raise DerainError(f"{name} is a share from 0 to 1, got {value}")
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
    """What a run leaves behind.

    Attributes
    ----------
    model : nn.Module
        Trained, in evaluation mode. With ``config.ema`` it has the running mean of the weights.
    log : list[Row]
        The rows of ``log.csv``.
    out : Path | None
        The folder with ``log.csv``, ``last.pt``, ``best.pt`` and ``model.safetensors``. None:
        nothing was written.
    steps : int
        Optimizer steps done.
    minutes : float
        Wall-clock time.
    """

    model: nn.Module
    log: list[Row]
    out: Path | None
    steps: int
    minutes: float


