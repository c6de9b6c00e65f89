"""Scores of a map against counting by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from derain_edu.errors import DerainError
from derain_edu.map_scores import auc, calibration, calibration_gap, roc, score_at


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.55, 1.1])
def test_a_score_is_what_counting_says(map_and_mask, threshold):
    values, mask = map_and_mask
    pairs = list(zip(values.flatten().tolist(), mask.flatten().tolist(), strict=True))
    called = [wet for value, wet in pairs if value >= threshold]
    missed = sum(wet for value, wet in pairs if value < threshold)
    hits, wrong = sum(called), len(called) - sum(called)
    score = score_at(values, mask, threshold)
    assert score.recall == hits / (hits + missed)
    assert score.precision == (hits / len(called) if called else 1.0)
    assert score.iou == hits / (hits + missed + wrong)
    assert score.false_alarms == wrong / sum(not wet for _, wet in pairs)


def test_scores_without_rain_or_without_a_dry_pixel():
    values = torch.tensor([0.2, 0.8])
    nothing = score_at(values, torch.tensor([False, False]), 0.5)
    assert (nothing.precision, nothing.recall, nothing.false_alarms) == (0.0, 1.0, 0.5)
    everything = score_at(values, torch.tensor([True, True]), 0.5)
    assert (everything.precision, everything.recall, everything.false_alarms) == (1.0, 0.5, 0.0)


def test_the_area_under_the_curve_is_the_share_of_pairs(map_and_mask):
    values, mask = map_and_mask
    wet, dry = values[mask].tolist(), values[~mask].tolist()
    pairs = np.mean([(a > b) + 0.5 * (a == b) for a, b in product(wet, dry)])
    false_alarms, recall = roc(values, mask)
    assert float(torch.trapezoid(recall, false_alarms)) == pytest.approx(pairs, abs=1e-12)
    assert auc(values, mask) == pytest.approx(pairs, abs=1e-12)
    for threshold, x, y in zip(values.unique().flip(0), false_alarms[1:], recall[1:], strict=True):
        score = score_at(values, mask, float(threshold))
        assert (score.false_alarms, score.recall) == pytest.approx((float(x), float(y)))


def test_calibration_counts():
    values = torch.tensor([0.2] * 10 + [0.75] * 4 + [1.0])
    mask = torch.tensor([True] * 2 + [False] * 8 + [True] * 3 + [False] + [True])
    found = calibration(values, mask)
    rounded = [(round(b.value, 6), b.share, b.number) for b in found]
    assert rounded == [(0.2, 0.2, 10), (0.75, 0.75, 4), (1.0, 1.0, 1)]
    assert calibration_gap(found) == pytest.approx(0, abs=1e-7)
    wrong = calibration_gap(calibration(values, ~mask))
    assert wrong == pytest.approx((10 * 0.6 + 4 * 0.5 + 1) / 15)


def test_a_probability_has_no_gap_and_its_square_has():
    g = torch.Generator().manual_seed(1)
    chance = torch.rand(100_000, generator=g)
    mask = torch.rand(100_000, generator=g) < chance
    gap = {name: calibration_gap(calibration(v, mask))
           for name, v in {"p": chance, "p²": chance.square()}.items()}
    assert gap["p"] < 0.005
    assert gap["p²"] == pytest.approx(1 / 6, abs=0.01)  # the mean of p − p²


@pytest.mark.parametrize("mask", [torch.ones(4), torch.ones(3, dtype=torch.bool)])
def test_a_mask_that_does_not_fit(mask):
    for score in (lambda: score_at(torch.zeros(4), mask, 0.5), lambda: auc(torch.zeros(4), mask)):
        with pytest.raises(DerainError, match="give one bool per pixel"):
            score()


def test_a_gap_of_nothing_is_a_sentence():
    with pytest.raises(DerainError, match="no pixels"):
        calibration_gap([])
