"""A training run, step by step: how hard each step is, which samples it uses, and its data.

A :class:`Plan` spells out a configuration and its curriculum. It has no memory: what step number
1,234 works on is a function of 1,234 alone, so a run that was stopped goes on with the same data
at the same difficulty. :func:`open_data` gives the stream and the validation pairs of a run.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from derain_edu.datasets.held_out import held_out_patches
from derain_edu.datasets.patches import RandomPatches
from derain_edu.datasets.photos import load_photo, photo_names
from derain_edu.datasets.synthetic import SyntheticRain
from derain_edu.errors import DerainError
from derain_edu.rain.presets import rain_named
from derain_edu.training.config import TrainConfig
from derain_edu.training.curriculum import Curriculum


@dataclass(frozen=True)
class Setting:
    """What one training step works on.

    Attributes
    ----------
    stages : int | None
        T of a progressive network; None: the network's own number.
    patch_size : int
        Side of the square patches in pixels.
    batch_size : int
        Patches per step, over all processes together.
    rain : str
        A preset or a mix.
    loss : str
        What :func:`derain_edu.training.losses.make_loss` takes.
    """

    stages: int | None
    patch_size: int
    batch_size: int
    rain: str
    loss: str


class Plan:
    """A training run, step by step: how hard each one is, and which samples it uses.

    Parameters
    ----------
    config : TrainConfig
        Its ``curriculum`` (or none: every step is alike) and what does not change.
    steps : int, optional
        How many steps the run has. Default: ``config.steps``. A curriculum needs the number, so
        its budget can't be in minutes.
    """

    def __init__(self, config: TrainConfig, steps: int | None = None) -> None:
        self.config = config
        self.steps = config.steps if steps is None else steps
        self.curriculum = config.curriculum or Curriculum()
        if self.curriculum.changes and self.steps is None:
            raise DerainError("a curriculum needs a budget in steps or epochs, not in minutes")
        self._shuffled: np.ndarray | None = None
        if self.curriculum.order == "random":
            rng = np.random.default_rng(self.curriculum.seed)
            self._shuffled = rng.permutation(self.steps or 0)
        self._firsts: list[int] | None = None
        if self.curriculum.batch_size is not None:
            sizes = (self.at(step).batch_size for step in range(self.steps))
            self._firsts = list(accumulate(sizes, initial=0))

    def _place(self, step: int) -> int:
        """Return the place of a step in the easy-to-hard order."""
        if self._shuffled is not None:
            return int(self._shuffled[step])
        return self.steps - 1 - step if self.curriculum.order == "hard_to_easy" else step

    def at(self, step: int) -> Setting:
        """Return what step number ``step`` (from 0) works on."""
        config, schedules = self.config, self.curriculum
        values = {
            "stages": config.stages,
            "patch_size": config.patch_size,
            "batch_size": config.batch_size,
            "rain": config.data,
            "loss": config.loss,
        }
        if schedules.changes:
            progress = self._place(min(step, self.steps - 1)) / self.steps
            values |= {name: getattr(schedules, name)(progress) for name in schedules.changes}
        return Setting(**values)

    def samples(self, step: int) -> list[int]:
        """Return which samples of the data a step uses."""
        if self._firsts is None:
            first = step * self.config.batch_size
            return list(range(first, first + self.config.batch_size))
        # The loader asks for a step or two beyond the end, to have them ready: they are not used.
        step = min(step, self.steps - 1)
        return list(range(self._firsts[step], self._firsts[step + 1]))

    def step_of(self, sample: int) -> int:
        """Return the step that uses a sample."""
        if self._firsts is None:
            return sample // self.config.batch_size
        return bisect_right(self._firsts, sample) - 1

    def spent(self, stages: int = 1) -> tuple[int, float]:
        """Return samples and compute of the whole run.

        Parameters
        ----------
        stages : int
            The network's own T, for steps that say nothing about it.

        Returns
        -------
        tuple of int and float
            The number of patches, and millions of pixels × stages: what the convolutions of a
            progressive network work on.
        """
        settings = [self.at(step) for step in range(self.steps)]
        pixels = (s.batch_size * s.patch_size**2 * (s.stages or stages) for s in settings)
        return sum(s.batch_size for s in settings), sum(pixels) / 1e6


class PlannedRain(Dataset):
    """Synthetic pairs whose patch size and rain follow a plan: sample k is that of its step.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, config, schedules = plan, plan.config, plan.curriculum
        patches = schedules.patch_size.values if schedules.patch_size else (config.patch_size,)
        rains = schedules.rain.values if schedules.rain else (config.data,)
        photos = [load_photo(name) for name in photo_names(config.photos)]
        first = SyntheticRain(
            photos, rain_named(rains[0]), min(patches), config.seed,
            augment=config.augment, hard=config.hard, jpeg=config.jpeg,
        )  # fmt: skip
        self.streams = {
            (rain, size): first.again(rain_named(rain), size)
            for rain in dict.fromkeys(rains)
            for size in dict.fromkeys(patches)
        }

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        setting = self.plan.at(self.plan.step_of(index))
        return self.streams[setting.rain, setting.patch_size][index]


ENDLESS_EPOCH = 1000  # samples; data without an end need a stated epoch


def _steps_for(config: TrainConfig, samples: float) -> int:
    """Return the fewest steps that use so many samples, also where the batch size changes."""
    steps = math.ceil(samples / config.batch_size)
    schedule = config.curriculum.batch_size if config.curriculum else None
    if schedule is not None:
        steps = max(1, math.floor(samples / max(schedule.values)))
        while (missing := samples - Plan(config, steps).spent()[0]) > 0:
            steps += max(1, math.floor(missing / max(schedule.values)))
    return steps


def _check_memory(config: TrainConfig) -> None:
    """Refuse a batch that is larger than the memory of this machine, before it fills it."""
    import psutil

    schedules = config.curriculum or Curriculum()
    patch = max(schedules.patch_size.values if schedules.patch_size else (config.patch_size,))
    count = max(schedules.batch_size.values if schedules.batch_size else (config.batch_size,))
    need = 2 * 3 * 4 * count * patch**2  # bytes: rainy and clean, three channels, float32
    if need > (memory := psutil.virtual_memory().total):
        raise DerainError(
            f"{count} patches of {patch}×{patch} pixels take {need / 2**30:.0f} GiB, and this "
            f"machine has {memory / 2**30:.0f}: choose a smaller batch_size or patch_size"
        )


def open_data(
    config: TrainConfig, data: Any = None, validation: Sequence[dict[str, Tensor]] | None = None
) -> tuple[Any, Sequence[dict[str, Tensor]], Plan]:
    """Return the training stream, the validation pairs, and the plan of the run.

    ``data`` and ``validation`` are what the caller brought, see
    :class:`derain_edu.training.trainer.Trainer`; what is missing is made from ``config``.
    """
    _check_memory(config)
    changes = config.curriculum.changes if config.curriculum else []
    if data is not None and {"rain", "patch_size"} & set(changes):
        raise DerainError(
            "a curriculum of rain or patches makes its own pairs: leave data out, or choose another"
        )
    about_photos = config.augment or config.hard or config.jpeg
    if data is not None and (about_photos or config.photos != TrainConfig.photos):
        raise DerainError(
            "photos, augment, hard and jpeg are about the course's photos: leave them or data out"
        )
    if data is None and validation is None and config.validate_every:
        # Always seed 0: runs with different seeds are judged by the same pictures.
        size, count = config.validation_size, config.validation_pairs
        validation = held_out_patches("validation", config.data, size, 0, count)
    epoch = ENDLESS_EPOCH
    if hasattr(data, "__len__"):
        epoch = len(data)
        data = RandomPatches(data, config.patch_size, config.seed)
    steps = config.steps
    if config.epochs is not None:
        steps = _steps_for(config, config.epochs * epoch)
    plan = Plan(config, steps)
    if data is None:
        data = PlannedRain(plan)
    return data, validation or [], plan
