"""Means, intervals and paired differences over seeds, and what may be concluded from them.

A comparison is two questions. *Is there a difference?* Student's t test of the paired differences
against zero. *Is there none that matters?* Two one-sided t tests against ±margin (Schuirmann, J.
Pharmacokinet. Biopharm. 15, 1987): if both reject, the whole interval lies within the margin.
Only if neither has an answer are there too few numbers.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from scipy.special import stdtr, stdtrit

Rows = list[dict[str, Any]]
LEVEL = 0.05  # two-sided: of the 95 % intervals, and of the tests


def summarize(
    rows: list[dict[str, Any]], column: str = "psnr_validation"
) -> dict[str, tuple[float, float]]:
    """Return mean and half-width of the 95 % interval (Student's t) over seeds, per variant."""
    summary = {}
    for variant in dict.fromkeys(row["variant"] for row in rows):
        summary[variant] = interval([row[column] for row in rows if row["variant"] == variant])
    return summary


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the half-width of its 95 % interval (Student's t; 0 for one value)."""
    half = 0.0
    if len(values) > 1:
        student = float(stdtrit(len(values) - 1, 1 - LEVEL / 2))
        half = student * statistics.stdev(values) / len(values) ** 0.5
    return statistics.fmean(values), half


def differences(rows: Rows, plus: str, minus: str, column: str = "psnr_validation") -> list[float]:
    """Return ``column`` of one variant minus that of another, seed by seed."""
    table = {(row["variant"], row["seed"]): row[column] for row in rows}
    seeds = sorted(seed for variant, seed in table if variant == plus and (minus, seed) in table)
    return [table[plus, seed] - table[minus, seed] for seed in seeds]


def chance_of_no_difference(values: Sequence[float]) -> float:
    """Return the p value of "the mean is zero", two-sided; 1 for fewer than two values."""
    return min(1.0, 2 * min(_below(values, 0), _below([-value for value in values], 0)))


def chance_of_a_difference(values: Sequence[float], margin: float) -> float:
    """Return the p value of "the mean is at least ``margin`` away from zero".

    The larger one of two one-sided tests, doubled, so that it is compared with the same
    :data:`LEVEL` as a two-sided one: at most .05 if the 95 % interval lies within ±margin.
    """
    return min(1.0, 2 * max(_below(values, margin), _below([-value for value in values], margin)))


def _below(values: Sequence[float], bound: float) -> float:
    """Return the p value of "the mean is at least ``bound``", one-sided."""
    if len(values) < 2:
        return 1.0
    away = statistics.fmean(values) - bound
    error = statistics.stdev(values) / len(values) ** 0.5
    if error == 0:
        return float(away >= 0)
    return float(stdtr(len(values) - 1, away / error)) if math.isfinite(error) else 1.0


def holm(chances: Sequence[float]) -> list[float]:
    """Return p values corrected for their number (Holm, Scand. J. Statist. 6, 1979).

    The smallest of m is multiplied by m, the next one by m − 1, and none gets smaller than one
    before it. Comparing them with .05 then errs in at most 5 % of such families of questions.
    """
    order = sorted(range(len(chances)), key=lambda k: chances[k])
    corrected, largest = [1.0] * len(chances), 0.0
    for place, k in enumerate(order):
        largest = max(largest, (len(chances) - place) * chances[k])
        corrected[k] = min(1.0, largest)
    return corrected
