"""The best weighted sum of channels, against a planted answer and another solver."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from derain_edu.course.views.depth import least_squares


def test_it_finds_a_planted_sum():
    features = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    target = 2 * features[:, :1] - 0.5 * features[:, 2:] + 3
    weights = least_squares(features, target)
    assert weights.squeeze(1).tolist() == pytest.approx([2, 0, -0.5, 3], abs=1e-5)


def test_it_is_least_squares():
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(2, 3, 5, 7, generator=generator)
    target = torch.randn(2, 2, 5, 7, generator=generator)
    columns = features.permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    columns = np.column_stack([columns, np.ones(len(columns))])
    wanted = target.permute(0, 2, 3, 1).reshape(-1, 2).numpy()
    expected = np.linalg.lstsq(columns, wanted, rcond=None)[0]
    assert least_squares(features, target).numpy() == pytest.approx(expected, abs=1e-6)


def test_a_dead_channel_does_not_stop_it():
    features = torch.zeros(1, 2, 4, 4)
    features[:, 0] = torch.rand(4, 4)
    assert torch.isfinite(least_squares(features, features[:, :1])).all()
