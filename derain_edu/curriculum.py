"""Curricula: what a training step works on, as pure functions of the progress.

*Easy to hard* can mean many things for rain removal: few stages before many, small patches before
large ones, light rain before heavy, a simple loss before a demanding one. Each of them is a
:class:`Steps`, a function of the progress (0 at the start, 1 when the budget is spent) that is
constant in between. A :class:`Curriculum` holds one for each thing that changes. A :class:`Plan`
spells it out for a training run: which samples, and how hard, at every step.

>>> stages = Steps((2, 4, 6), (0.0, 0.4, 0.7))
>>> [stages(progress) for progress in (0, 0.39, 0.4, 0.99)]
[2, 2, 4, 6]

Nothing here has a memory. So a run that was stopped goes on with the right difficulty, and the
controls of an experiment cost nothing extra: ``order="random"`` spends exactly the same steps,
samples and compute as ``"easy_to_hard"``, in another order.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import accumulate
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from derain_edu.datasets.photos import load_photo, photo_names
from derain_edu.datasets.synthetic import SyntheticRain
from derain_edu.errors import DerainError
from derain_edu.rain.presets import MIXES

ORDERS = ("easy_to_hard", "hard_to_easy", "random")


@dataclass(frozen=True)
class Steps:
    """A schedule that goes up (or down) in steps: ``values[i]`` from progress ``starts[i]`` on."""

    values: tuple[Any, ...]
    starts: tuple[float, ...]

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.starts, self.starts[1:], strict=False))
        if len(self.values) != len(self.starts) or not self.starts:
            raise DerainError(
                f"a schedule needs one start per value, got {len(self.values)} values and "
                f"{len(self.starts)} starts"
            )
        if self.starts[0] != 0 or not rising or self.starts[-1] >= 1:
            raise DerainError(f"starts go up from 0 and stay below 1, got {self.starts}")

    def __call__(self, progress: float) -> Any:
        """Return the value at ``progress`` in [0, 1]."""
        return self.values[bisect_right(self.starts, progress) - 1]


def equal_steps(*values: Any) -> Steps:
    """Return a schedule that gives every value the same share of the run.

    >>> equal_steps("light", "heavy").starts
    (0.0, 0.5)
    """
    return Steps(values, tuple(k / len(values) for k in range(len(values))))


@dataclass(frozen=True)
class Curriculum:
    """What changes during training, and in which order. What is None stays as configured."""

    stages: Steps | None = None  # T of a progressive network
    patch_size: Steps | None = None  # pixels, the side of the patches
    batch_size: Steps | None = None  # patches per step
    rain: Steps | None = None  # presets of rain.py, or a name of its MIXES
    loss: Steps | None = None  # see losses.py, for example "l1" and then "neg_ssim+l1"
    order: str = "easy_to_hard"  # as written; "hard_to_easy": backwards; "random": shuffled
    seed: int = 0  # of the random order

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise DerainError(f"unknown order {self.order!r}: choose one of {', '.join(ORDERS)}")
        for name in ("stages", "patch_size", "batch_size"):
            schedule = getattr(self, name)
            if schedule is not None and not all(
                isinstance(value, int) and value >= 1 for value in schedule.values
            ):
                raise DerainError(
                    f"a curriculum's {name} are whole numbers from 1 on, got {schedule.values}"
                )

    @property
    def changes(self) -> list[str]:
        """The names of what changes."""
        names = [field.name for field in fields(self) if field.name not in ("order", "seed")]
        return [name for name in names if getattr(self, name) is not None]


@dataclass(frozen=True)
class Setting:
    """What one training step works on."""

    stages: int | None  # None: the network's own T
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

    def __init__(self, config: Any, steps: int | None = None) -> None:
        self.config = config
        self.steps = config.steps if steps is None else steps
        self.curriculum = config.curriculum or Curriculum()
        if self.curriculum.changes and self.steps is None:
            raise DerainError("a curriculum needs a budget in steps or epochs, not in minutes")
        self._place = self._order()
        self._firsts: list[int] | None = None
        if self.curriculum.batch_size is not None:
            sizes = (self.at(step).batch_size for step in range(self.steps))
            self._firsts = list(accumulate(sizes, initial=0))

    def _order(self) -> Callable[[int], int]:
        """Return the function from a step to its place in the easy-to-hard order."""
        if self.curriculum.order == "hard_to_easy":
            return lambda step: self.steps - 1 - step
        if self.curriculum.order == "random":
            shuffled = np.random.default_rng(self.curriculum.seed).permutation(self.steps or 0)
            return lambda step: int(shuffled[step])
        return lambda step: step

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
        self.streams = {
            (rain, size): SyntheticRain(
                photos, rain_named(rain), size, config.seed,
                augment=config.augment, hard=config.hard,
            )
            for rain in dict.fromkeys(rains)
            for size in dict.fromkeys(patches)
        }

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        setting = self.plan.at(self.plan.step_of(index))
        return self.streams[setting.rain, setting.patch_size][index]


def rain_named(name: str) -> Any:
    """Return what :class:`~derain_edu.datasets.synthetic.SyntheticRain` takes for a name of a rain."""
    return MIXES.get(name, name)
