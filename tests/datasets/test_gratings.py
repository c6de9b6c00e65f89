"""Gratings: bars of an angle and a period, and training patches of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from derain_edu.datasets.gratings import grating, gratings
from derain_edu.errors import DerainError


@pytest.mark.parametrize(("angle", "period"), [(0, 8), (90, 8), (30, 12.5), (-45, 5)])
def test_a_grating_has_its_angle_and_period(angle, period):
    """Seen by the Fourier transform: one peak, at the frequency and in the direction asked for."""
    size = 128
    picture = grating(size, angle, period, contrast=0.5)
    assert picture.shape == (3, size, size) and torch.equal(picture[0], picture[2])
    assert 0.25 <= picture.min() and picture.max() <= 0.75
    window = torch.hann_window(size)
    power = torch.fft.fft2((picture[0] - picture[0].mean()) * window * window[:, None]).abs()
    y, x = divmod(int(power.argmax()), size)
    fy, fx = (f - size if f > size // 2 else f for f in (y, x))
    assert math.hypot(fx, fy) / size == pytest.approx(1 / period, abs=0.75 / size)
    # Bars that lean like a backslash go right as they go down: across them is right and up.
    leaning = math.degrees(math.atan2(-fy, fx)) % 180
    assert min(abs(leaning - angle % 180), 180 - abs(leaning - angle % 180)) < 4


def test_gratings_that_can_not_be_drawn():
    for period, contrast in ((1.9, 1), (8, 1.1)):
        with pytest.raises(DerainError, match="can't be drawn"):
            grating(16, 0, period, contrast)


def test_training_patches_of_bars_are_many_and_stay_in_range():
    photo = torch.rand(3, 48, 48)
    before = photo.clone()
    seen = [gratings(photo, np.random.default_rng(seed)) for seed in range(60)]
    assert torch.equal(photo, before)
    assert torch.equal(seen[5], gratings(photo, np.random.default_rng(5)))
    for patch in seen:
        assert patch.shape == (3, 48, 48) and patch.dtype == torch.float32
        assert patch.min() >= 0 and patch.max() <= 1
    assert len({patch.numpy().tobytes() for patch in seen}) == 60


def test_training_bars_lean_to_all_sides_and_most_stand_upright():
    """Seen in the structure tensor: the direction in which a patch changes most."""
    upright, level = 0, 0
    grey = torch.full((3, 64, 64), 0.4)
    for seed in range(200):
        gy, gx = np.gradient(gratings(grey, np.random.default_rng(seed)).mean(0).numpy())
        across = 0.5 * math.atan2(2 * float((gx * gy).sum()), float((gx**2 - gy**2).sum()))
        upright += abs(across) < math.radians(25)
        level += abs(across) > math.radians(65)
    assert 80 < upright < 150 and 15 < level < 70
