"""Answers to the exercises of lesson 12: a second right one, and wrong ones with the reason."""

import random
from bisect import bisect_left, bisect_right

import numpy as np

# -- 12.1: level_at(progress, values, starts) -----------------------------------------------------


def by_bisection(progress, values, starts):
    return values[bisect_right(starts, progress) - 1]


def border_to_the_old(progress, values, starts):
    return values[max(0, bisect_left(starts, progress) - 1)]


def equal_parts(progress, values, starts):
    return values[int(progress * len(values))]


def equal_parts_with_an_end(progress, values, starts):
    return values[min(int(progress * len(values)), len(values) - 1)]


def place_only(progress, values, starts):
    return bisect_right(starts, progress) - 1


def the_largest(progress, values, starts):
    return max(v for v, s in zip(values, starts, strict=True) if s <= progress)


def first_that_fits(progress, values, starts):
    for value, start in zip(values, starts, strict=True):
        if progress >= start:
            return value


def until_the_next(progress, values, starts):
    ends = (*starts[1:], 1)
    return [v for v, a, b in zip(values, starts, ends, strict=True) if a <= progress < b][0]


def all_that_began(progress, values, starts):
    return [v for v, s in zip(values, starts, strict=True) if s <= progress]


# -- 12.2: steps_for(steps, full, costs, starts) --------------------------------------------------


def by_integral(steps, full, costs, starts):
    """Growing by ``costs[i] - costs[i - 1]`` for the rest of the run, at each start."""
    before = (0, *costs[:-1])
    jumps = zip(costs, before, starts, strict=True)
    return int(steps * full // sum((now - last) * (1 - start) for now, last, start in jumps))


def unweighted(steps, full, costs, starts):
    return int(steps * full * len(costs) / sum(costs))


def without_the_last(steps, full, costs, starts):
    lengths = [b - a for a, b in zip(starts, starts[1:], strict=False)]
    return int(steps * full / sum(n * c for n, c in zip(lengths, costs, strict=False)))


def exact(steps, full, costs, starts):
    lengths = [b - a for a, b in zip(starts, (*starts[1:], 1), strict=True)]
    return steps * full / sum(n * c for n, c in zip(lengths, costs, strict=True))


def rounded(steps, full, costs, starts):
    return round(exact(steps, full, costs, starts))


def one_step_for_the_compute(steps, full, costs, starts):
    return int(steps * steps / exact(steps, full, costs, starts))


def same_steps(steps, full, costs, starts):
    return steps


def of_cost_one(steps, full, costs, starts):
    return int(exact(steps, 1, costs, starts))


def never_at_zero(progress, values, starts):
    for value, start in zip(values, starts, strict=True):
        if start < progress:
            level = value
    return level


def none_at_the_end(progress, values, starts):
    for value, start, end in zip(values, starts, (*starts[1:], 1), strict=True):
        if start <= progress < end:
            return value


def starts_as_shares(steps, full, costs, starts):
    mean = sum(start * cost for start, cost in zip(starts, costs, strict=True))
    return int(steps * full / mean)


# -- 12.3: twin(schedule, steps, seed) ------------------------------------------------------------


def sorted_levels(schedule, steps):
    return [schedule(step / steps) for step in range(steps)]


def by_numpy(schedule, steps, seed):
    places = np.random.default_rng(seed).permutation(steps)
    return [schedule(place / steps) for place in places]


def backwards(schedule, steps, seed):
    return sorted_levels(schedule, steps)[::-1]


def drawn_anew(schedule, steps, seed):
    dice = random.Random(seed)
    return [schedule(dice.random()) for _ in range(steps)]


def phases_mixed(schedule, steps, seed):
    levels = sorted_levels(schedule, steps)
    order = list(dict.fromkeys(levels))
    random.Random(seed + 1).shuffle(order)
    if order == list(dict.fromkeys(levels)):
        order = order[1:] + order[:1]
    if len(order) > 2 and order == list(dict.fromkeys(levels))[::-1]:
        order = order[1:] + order[:1]
    return sorted(levels, key=order.index)


def values_mixed(schedule, steps, seed):
    return random.Random(seed).sample(schedule.values, len(schedule.values))


def places_mixed(schedule, steps, seed):
    return random.Random(seed).sample(range(steps), steps)


def progress_mixed(schedule, steps, seed):
    return [place / steps for place in places_mixed(schedule, steps, seed)]


def shuffle_returns_none(schedule, steps, seed):
    return random.Random(seed).shuffle(sorted_levels(schedule, steps))


def without_the_seed(schedule, steps, seed):
    return random.sample(sorted_levels(schedule, steps), steps)


def one_seed_for_all(schedule, steps, seed):
    return by_numpy(schedule, steps, 7)


def indexed(schedule, steps, seed):
    return [schedule[place] for place in places_mixed(schedule, steps, seed)]


ANSWERS = {
    "12.1": {
        "second": by_bisection,
        "wrong": [
            (border_to_the_old, "there the new value counts"),
            (equal_parts, "not equally long"),
            (equal_parts_with_an_end, "not equally long"),
            (place_only, "return the value there"),
            (the_largest, "not the first or the largest"),
            (first_that_fits, "not the first or the largest"),
            (until_the_next, "at progress 1.0 no value was found"),
            (never_at_zero, "at progress 0.0 no value was found"),
            (none_at_the_end, "at progress 1.0 no value was found"),
            (all_that_began, "return one of the values"),
        ],
    },
    "12.2": {
        "second": by_integral,
        "wrong": [
            (unweighted, "weight their costs"),
            (without_the_last, "the last level is missing"),
            (exact, "a whole number of steps"),
            (rounded, "round down"),
            (one_step_for_the_compute, "the other way round"),
            (same_steps, "count what a step costs"),
            (starts_as_shares, "`starts` are not shares"),
            (of_cost_one, "`full` is missing"),
        ],
    },
    "12.3": {
        "second": by_numpy,
        "wrong": [
            (lambda schedule, steps, seed: [schedule(k / steps) for k in range(steps)], "still so"),
            (backwards, "backwards"),
            (drawn_anew, "that spends another budget"),
            (lambda schedule, steps, seed: [schedule(k) for k in range(steps)], "k / steps"),
            (phases_mixed, "mixed the phases"),
            (values_mixed, "one level for each step"),
            (places_mixed, "return the levels there"),
            (progress_mixed, "return the levels there"),
            (shuffle_returns_none, r"nothing \(None\)"),
            (without_the_seed, "two different orders"),
            (one_seed_for_all, "gave the same order"),
            (indexed, "a schedule is a function"),
        ],
    },
}
