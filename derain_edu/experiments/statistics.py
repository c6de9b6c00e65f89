"""Means, intervals and paired differences over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

Rows = list[dict[str, Any]]
# 97.5 % quantiles of Student's t for 1, 2, 3 … degrees of freedom
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


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
        student = _STUDENT[min(len(values) - 2, len(_STUDENT) - 1)]
        half = student * statistics.stdev(values) / len(values) ** 0.5
    return statistics.fmean(values), half


def differences(rows: Rows, plus: str, minus: str, column: str = "psnr_validation") -> list[float]:
    """Return ``column`` of one variant minus that of another, seed by seed."""
    table = {(row["variant"], row["seed"]): row[column] for row in rows}
    seeds = sorted(seed for variant, seed in table if variant == plus and (minus, seed) in table)
    return [table[plus, seed] - table[minus, seed] for seed in seeds]
