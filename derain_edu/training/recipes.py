"""How the weights in ``derain_edu/models/weights`` were made: one training run each, from nothing.

``derain-edu train --recipe open-prn --out runs/open-prn`` does it again: the photos of the
training split, this project's own rain, a CPU. A run that was stopped goes on where it was. No
benchmark picture is used for training or for choosing anything.

Most are small weights for *light* rain: enough for every lesson, and made in minutes on a CPU. In
heavy rain they remove little. Two are PReNets for light and heavy rain: ``open-prenet-cpu``, made
in hours on one thread and from thirteen photos, and ``open-prenet``, made from 47, in half an hour
on a GPU. They took two and three runs, each of which goes on from the one before.

The three runs of ``open-prenet`` saw the 34 photos that the split ``extra`` held then; it holds
194 now, so the same recipes train on more.
"""

from __future__ import annotations

from pathlib import Path

from derain_edu.errors import DerainError
from derain_edu.training.config import TrainConfig
from derain_edu.training.curriculum import Curriculum, StepSchedule

_COMMON = {"data": "light", "loss": "neg_ssim+l1", "schedule": "cosine", "batch_size": 8, "seed": 0}

# Few stages and small batches first: many quick steps while there is much to learn; all six stages
# and larger patches at the end. (Lesson 12 asks whether the order matters, or only the price.)
_GROWING = Curriculum(
    stages=StepSchedule((2, 3, 4, 6), (0.0, 0.3, 0.55, 0.75)),
    batch_size=StepSchedule((2, 4, 2), (0.0, 0.55, 0.85)),
    patch_size=StepSchedule((64, 96), (0.0, 0.85)),
)
# Of all runs of a general PReNet.
_GENERAL = {
    "model": "prenet", "data": "mix", "loss": "neg_ssim+4*l1", "schedule": "cosine",
    "patch_size": 64, "grad_clip": 1.0, "ema": 0.999, "channels_last": True,
}  # fmt: skip
# More photos, changed from the first step, and four times as many patches per step.
_ON_A_GPU = {
    **_GENERAL, "photos": "train+extra", "augment": True, "batch_size": 16, "validate_every": 1000
}  # fmt: skip
_LARGER_AT_THE_END = Curriculum(
    batch_size=StepSchedule((4, 2), (0.0, 0.7)), patch_size=StepSchedule((64, 96), (0.0, 0.7))
)

RECIPES: dict[str, TrainConfig] = {
    "open-residual": TrainConfig(
        model="residual", options={"blocks": 5}, steps=800, patch_size=56, lr=2e-3, **_COMMON
    ),
    "open-prn": TrainConfig(
        model="prn", options={"stages": 4}, steps=1000, patch_size=48, ema=0.995, **_COMMON
    ),
    "open-prenet-light": TrainConfig(
        model="prenet", options={"stages": 4}, steps=800, patch_size=48, ema=0.995, **_COMMON
    ),
    # For light and heavy rain, in two runs. After the first one the network still took bright
    # details of validation photos for rain: thirteen photos are few. The second one shows them
    # mirrored, turned, from further away and in other colours, and that mended some of it.
    "open-prenet-cpu-start": TrainConfig(
        curriculum=_GROWING, steps=30_000, seed=0, lr=1e-3, validate_every=1000, **_GENERAL
    ),
    "open-prenet-cpu": TrainConfig(
        pretrained="runs/open-prenet-cpu-start/model.safetensors",
        augment=True,
        curriculum=_LARGER_AT_THE_END,
        steps=6000,
        seed=7,  # samples that the first run has not seen
        lr=5e-4,
        validate_every=0,
        **_GENERAL,
    ),
    # There was a GPU for nine minutes, which was two thirds of the way. On other days it went on:
    # with larger patches, and with faint rain, of which the first mix has little.
    "open-prenet-start": TrainConfig(
        steps=30_000, stop_after=20_825, seed=0, lr=1e-3, **_ON_A_GPU
    ),
    "open-prenet-faint": TrainConfig(
        pretrained="runs/open-prenet-start/model.safetensors",
        steps=9_800,
        seed=7,  # samples that the first run has not seen
        lr=4e-4,
        **_ON_A_GPU | {"data": "mix+faint", "patch_size": 96},
    ),
    # The rain of the training pairs has more ragged edges than drawn drops: swept noise. And the
    # network mistook details of one of their pictures for rain: hard patches.
    "open-prenet": TrainConfig(
        pretrained="runs/open-prenet-faint/model.safetensors",
        hard=0.4,
        steps=15_500,
        stop_after=14_250,  # the time on the GPU was over; the learning rate was at 2 %
        seed=8,
        lr=4e-4,
        **_ON_A_GPU | {"data": "mix+noise", "patch_size": 96},
    ),
    **{
        f"open-spanet{tag}": TrainConfig(
            model="spanet",
            options={"direction_attention": acts},
            steps=2000,
            patch_size=48,
            lr=2e-3,
            grad_clip=1.0,
            ema=0.995,
            attention_mask="true",
            **_COMMON,
        )
        for tag, acts in (("", False), ("-paper", True))
    },
}

# How long they took, on one thread of a server core, or on a GPU. (The runs count steps.)
MINUTES = {
    "open-residual": 4,
    "open-prn": 13,
    "open-prenet-light": 18,
    "open-prenet-cpu-start": 253,
    "open-prenet-cpu": 57,
    "open-spanet": 45,
    "open-spanet-paper": 45,
}
GPU_MINUTES = {  # of an H100
    "open-prenet-start": 9, "open-prenet-faint": 8, "open-prenet": 11
}  # fmt: skip


def recipe(name: str) -> TrainConfig:
    """Return the recipe ``name``, for example ``"open-prn"``.

    Raises
    ------
    DerainError
        If there is no such recipe.
    """
    if name not in RECIPES:
        raise DerainError(f"unknown recipe {name!r}: choose one of {', '.join(RECIPES)}")
    return RECIPES[name]


def minutes_of(name: str) -> int | None:
    """Return the minutes of CPU threads that a recipe takes, with what it goes on from.

    None if nobody noted them, or if a part of it ran on a GPU.
    """
    if name not in RECIPES or not {*history_of(name)} <= {*MINUTES}:
        return None
    return sum(MINUTES[one] for one in history_of(name))


def cost_of(name: str) -> str:
    """Return in words how long a recipe took, without what it goes on from."""
    if name in GPU_MINUTES:
        return f"about {GPU_MINUTES[name]} minutes of one GPU (H100)"
    return f"about {MINUTES[name]} minutes of one thread"


def history_of(name: str) -> list[str]:
    """Return the recipes to run one after the other, from nothing to this one."""
    weights = recipe(name).pretrained  # runs/NAME/model.safetensors
    before = [] if weights is None else history_of(Path(weights).parent.name)
    return [*before, name]
