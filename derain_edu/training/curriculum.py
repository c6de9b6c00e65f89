"""Curricula: what a training step works on, as pure functions of the progress.

*Easy to hard* can mean many things for rain removal: few stages before many, small patches before
large ones, light rain before heavy, a simple loss before a demanding one. Each of them is a
:class:`StepSchedule`, a function of the progress (0 at the start, 1 when the budget is spent) that
is constant in between. A :class:`Curriculum` holds one for each thing that changes.
:class:`~derain_edu.training.plan.Plan` spells it out for a training run.

>>> stages = StepSchedule((2, 4, 6), (0.0, 0.4, 0.7))
>>> [stages(progress) for progress in (0, 0.39, 0.4, 0.99)]
[2, 2, 4, 6]

Nothing here has a memory. So a run that was stopped goes on with the right difficulty, and the
controls of an experiment cost nothing extra: ``order="random"`` spends exactly the same steps,
samples and compute as ``"easy_to_hard"``, in another order.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, fields
from typing import Any

from derain_edu.errors import DerainError

ORDERS = ("easy_to_hard", "hard_to_easy", "random")


@dataclass(frozen=True)
class StepSchedule:
    """A schedule that goes up (or down) in steps: ``values[i]`` from progress ``starts[i]`` on.

    Attributes
    ----------
    values : tuple[Any, ...]
        What the schedule returns, one value after the other.
    starts : tuple[float, ...]
        The progress in [0, 1) at which each value begins. The first is 0, and they increase.
    """

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


def equal_shares(*values: Any) -> StepSchedule:
    """Return a schedule that gives every value the same share of the run.

    >>> equal_shares("light", "heavy").starts
    (0.0, 0.5)
    """
    return StepSchedule(values, tuple(k / len(values) for k in range(len(values))))


@dataclass(frozen=True)
class Curriculum:
    """What changes during training, and in which order. What is None stays as configured.

    Attributes
    ----------
    stages : StepSchedule | None, default None
        T of a progressive network, whole numbers from 1.
    patch_size : StepSchedule | None, default None
        Side of the patches in pixels, whole numbers from 1.
    batch_size : StepSchedule | None, default None
        Patches per step, whole numbers from 1.
    rain : StepSchedule | None, default None
        Rain presets, or names of :data:`~derain_edu.rain.presets.MIXES`.
    loss : StepSchedule | None, default None
        Losses of :func:`~derain_edu.training.losses.make_loss`, such as ``"l1"`` and then
        ``"neg_ssim+l1"``.
    order : str, default "easy_to_hard"
        ``"easy_to_hard"``: as written. ``"hard_to_easy"``: reversed. ``"random"``: the same steps,
        shuffled, which is the control of an experiment.
    seed : int, default 0
        Seed of the random order.
    """

    stages: StepSchedule | None = None
    patch_size: StepSchedule | None = None
    batch_size: StepSchedule | None = None
    rain: StepSchedule | None = None
    loss: StepSchedule | None = None
    order: str = "easy_to_hard"
    seed: int = 0

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


