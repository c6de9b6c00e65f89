"""The exercises of lesson 12: a schedule, a budget, and the shuffled twin of a schedule."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from derain_edu.course.exercises.checking import (
    Wrong,
    attempt,
    checker,
    expect,
    expect_close,
    hinted,
)
from derain_edu.training.curriculum import StepSchedule

_RAINS, _SIDES = ("drizzle", "light", "heavy"), (64, 32, 16, 32)
_MOMENTS = [  # progress, values, starts, the right one
    (0.0, _RAINS, (0.0, 0.4, 0.7), "drizzle"),
    (0.39, _RAINS, (0.0, 0.4, 0.7), "drizzle"),
    (0.3, _SIDES, (0.0, 0.25, 0.5, 0.75), 32),
    (0.6, _SIDES, (0.0, 0.25, 0.5, 0.75), 16),
    (0.4, _RAINS, (0.0, 0.4, 0.7), "light"),
    (0.65, _RAINS, (0.0, 0.1, 0.7), "light"),
    (0.7, _RAINS, (0.0, 0.4, 0.7), "heavy"),
    (1.0, _RAINS, (0.0, 0.4, 0.7), "heavy"),
    (0.5, _SIDES, (0.0, 0.25, 0.5, 0.75), 16),
    (1.0, _SIDES, (0.0, 0.25, 0.5, 0.75), 32),
    (0.9, (4,), (0.0,), 4),
]


def wrong_level(got: Any, progress: float, values: tuple[Any, ...], starts: Any) -> str:
    """Return why this value does not count at this progress."""
    last = len(values) - 1
    if not isinstance(got, str | int | float):
        return "return one of the values, as it is"
    if isinstance(got, int) and got not in values and got <= last:
        return "that is the place in the list: return the value there"
    if progress in starts[1:] and got == values[starts.index(progress) - 1]:
        return "at its start a phase has begun: there the new value counts"
    if got == values[min(int(progress * len(values)), last)]:
        return "the phases are not equally long: look at starts"
    if got in values and starts[values.index(got)] > progress:
        return "that value has not begun yet"
    if got in (values[0], max(values)):
        return "of those that have begun the last one counts, not the first or the largest"
    return "that value does not count there"


@checker("12.1")
def check_level_at(answer: Callable[..., Any]) -> None:
    """Try ``level_at(progress, values, starts)`` inside phases, at their borders and at the end."""
    for progress, values, starts, want in _MOMENTS:
        missing = (
            f"at progress {progress} no value was found: each one counts from its start on, the "
            "first one from 0, and the last one to the end"
        )
        hints = {
            "IndexError": missing, "StopIteration": missing, "UnboundLocalError": missing,
            "nothing (None)": missing, "empty": missing,
        }
        got = hinted(answer, hints, progress, values, starts)
        if not (isinstance(got, type(want)) and got == want):
            raise Wrong(
                f"{wrong_level(got, progress, values, starts)}. At progress {progress} yours is "
                f"{got!r}, expected {want!r} (for values = {values}, starts = {starts})"
            )


_BUDGETS: list[tuple[int, int, tuple[int, ...], tuple[float, ...]]] = [
    (100, 4, (1, 2, 4), (0.0, 0.4, 0.7)),
    (1000, 4, (1, 2, 3, 4), (0.0, 0.25, 0.5, 0.75)),
    (300, 4096, (256, 1024, 4096), (0.0, 0.3, 0.6)),
    (50, 2, (5, 3, 6), (0.0, 0.25, 0.5)),  # dearer than fixed training: fewer steps
    (77, 3, (2,), (0.0,)),
]


@checker("12.2")
def check_steps_for(answer: Callable[..., Any]) -> None:
    """Try ``steps_for(steps, full, costs, starts)`` on stages, on pixels, and on dear steps."""
    for steps, full, costs, starts in _BUDGETS:
        shares = [b - a for a, b in zip(starts, (*starts[1:], 1.0), strict=True)]
        mean = sum(share * cost for share, cost in zip(shares, costs, strict=True))
        most = steps * full / mean
        plain = steps * full * len(costs) / sum(costs)
        unended = mean - shares[-1] * costs[-1]
        by_starts = sum(start * cost for start, cost in zip(starts, costs, strict=True))
        mistakes = {
            "a whole number of steps, please": most,
            "that overspends: round down": math.ceil(most),
            "the levels have different shares of the run: weight their costs": math.floor(plain),
            "the last level is missing: it lasts until progress 1":
                math.floor(steps * full / unended) if unended else 0,
            "`starts` are not shares: a level lasts from its start to the next one":
                math.floor(steps * full / by_starts) if by_starts else 0,
            "that is the other way round: so many fixed steps cost as much as the growing "
            "training": math.floor(steps * mean / full),
            "these are as many steps as before: count what a step costs": steps,
            "`full` is missing: a step of the fixed training costs more than 1":
                math.floor(steps / mean),
            "that is the total cost, not a number of steps": steps * full,
        }
        hints = {"ZeroDivisionError": "you divided by 0: the cost of a mean step is never 0. Does "
                 "each level last from its start to the next one, the last one to 1?"}
        expect_close(
            hinted(answer, hints, steps, full, costs, starts), math.floor(most),
            "the number of steps",
            mistakes=mistakes, tolerance=1e-9,
            example=f"steps = {steps}, full = {full}, costs = {costs}, starts = {starts}",
        )


_TWINS: list[tuple[tuple[Any, ...], tuple[float, ...], int]] = [  # values, starts, steps
    ((1, 2, 3, 4), (0.0, 0.25, 0.5, 0.75), 40),
    (("drizzle", "heavy"), (0.0, 0.9), 30),
    ((16, 32, 64), (0.0, 0.2, 0.3), 50),
]


@checker("12.3")
def check_twin(answer: Callable[..., Any]) -> None:
    """Try ``twin(schedule, steps, seed)``: the same steps, mixed, and mixed anew by each seed."""
    hints = {
        "not callable": "read one level per step: schedule(step / steps)",
        "not subscriptable": "a schedule is a function: schedule(progress), from 0 to below 1",
        "TypeError": "a schedule is a function of the progress: schedule(step / steps), one "
                     "progress at a time. random.shuffle returns None and changes its list",
    }
    for values, starts, steps in _TWINS:
        schedule = StepSchedule(values, starts)
        levels = [schedule(step / steps) for step in range(steps)]
        words = f"values = {values}, starts = {starts}, {steps} steps"
        found = [_levels(hinted(answer, hints, schedule, steps, seed)) for seed in (0, 1, 2)]
        for got in found:
            _check_budget(got, levels, values, words)
            _check_mixed(got, levels, words)
        again = _levels(attempt(answer, schedule, steps, 0))
        expect(again == found[0], f"seed 0 gave two different orders ({words}): take the random "
               "numbers from a generator made of `seed`, such as random.Random(seed)")
        expect(found[0] != found[1] or found[1] != found[2],
               f"the seeds 0, 1 and 2 gave the same order ({words}): use `seed`")


def _levels(got: Any) -> list[Any]:
    """Return the levels as a list."""
    if isinstance(got, (np.ndarray, Tensor)):
        got = got.tolist()
    expect(isinstance(got, (list, tuple)), f"return a list of levels, not a {type(got).__name__}")
    return list(got)


def _check_budget(got: list[Any], levels: list[Any], values: tuple[Any, ...], words: str) -> None:
    steps = len(levels)
    expect(len(got) == steps or len(got) != len(values),
           f"return one level for each step, {steps} of them, not one for each value ({words})")
    expect(len(got) == steps, f"return one level for each step: {len(got)} instead of {steps} "
           f"({words})")
    places = set(range(steps)) | {step / steps for step in range(steps)}
    expect(set(got) <= set(values) or not set(got) <= places,
           f"these are the steps or their progress: return the levels there ({words})")
    expect(set(got) <= set(values), f"some of these are no levels of the schedule ({words})")
    expect(got.count(values[-1]) < steps - 1 or levels.count(values[-1]) >= steps - 1,
           f"a schedule takes the progress, from 0 to below 1: schedule(k / steps) ({words})")
    for value in values:
        mine, true = got.count(value), levels.count(value)
        expect(mine == true, f"that spends another budget: level {value!r} comes in {mine} steps, "
               f"and in {true} of the schedule. Don't draw each step anew: shuffle those that are "
               f"there ({words})")


def _check_mixed(got: list[Any], levels: list[Any], words: str) -> None:
    expect(got != levels, f"that is the schedule itself, still sorted: mix its steps ({words})")
    expect(got != levels[::-1], f"that is the schedule backwards, not a random order ({words})")
    blocks = 1 + sum(a != b for a, b in zip(got, got[1:], strict=False))
    expect(blocks > len(set(levels)), "you mixed the phases, not the steps: each level still "
           f"comes in one block ({words})")
