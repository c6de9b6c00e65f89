"""Intervals and tests, against SciPy's own."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from derain_edu.experiments.statistics import (
    chance_of_a_difference,
    chance_of_no_difference,
    holm,
    interval,
)

SAMPLES = [np.random.default_rng(seed).normal(0.1, 0.3, 2 + seed).tolist() for seed in range(19)]


@pytest.mark.parametrize("values", SAMPLES)
def test_interval_and_t_test(values):
    test = scipy.stats.ttest_1samp(values, 0)
    low, high = test.confidence_interval(0.95)
    middle, half = interval(values)
    assert (middle - half, middle + half) == pytest.approx((low, high))
    assert chance_of_no_difference(values) == pytest.approx(test.pvalue)


@pytest.mark.parametrize("values", SAMPLES)
@pytest.mark.parametrize("margin", [0.1, 0.2, 0.5])
def test_no_difference_that_matters_is_an_interval_within_the_margin(values, margin):
    below = scipy.stats.ttest_1samp(values, margin, alternative="less").pvalue
    above = scipy.stats.ttest_1samp(values, -margin, alternative="greater").pvalue
    chance = chance_of_a_difference(values, margin)
    assert chance == pytest.approx(min(1, 2 * max(below, above)))
    middle, half = interval(values)
    assert (chance <= 0.05) == (-margin <= middle - half and middle + half <= margin)


def test_one_value_or_equal_values():
    assert interval([3.0]) == (3.0, 0.0)
    assert chance_of_no_difference([3.0]) == chance_of_a_difference([0.0], 1) == 1
    assert chance_of_no_difference([1.0, 1.0]) == 0 and chance_of_no_difference([0.0, 0.0]) == 1
    assert chance_of_a_difference([0.1, 0.1], 0.2) == 0
    assert chance_of_a_difference([0.2, 0.2], 0.2) == 1


def test_holm():
    # an example by hand: 3 · .01, then 2 · .03, then max(.06, 1 · .04)
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5, 0.9]) == [1, 1] and holm([]) == []
