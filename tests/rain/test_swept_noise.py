"""Rain of swept noise: shares, brightness and direction, against statistics and a plain loop."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
import torch

from derain_edu.datasets.synthetic import SyntheticRain
from derain_edu.errors import DerainError
from derain_edu.rain.config import NoiseRain, RainConfig
from derain_edu.rain.presets import MIXES
from derain_edu.rain.streaks import Streaks, render_streaks
from derain_edu.rain.swept_noise import _swept_noise, render_noise_rain
from derain_edu.rain.synthesis import VISIBLE, add_rain

FIXED = NoiseRain(
    length=20, width=1.5, angle=10, cover=0.3, brightness=0.1, ceiling=100, taper=0.2
)


def light(config: NoiseRain = FIXED, size: int = 400, seed: int = 0) -> np.ndarray:
    return render_noise_rain(config, size, size, np.random.default_rng(seed))[0].numpy()


@pytest.mark.parametrize("cover", [0.05, 0.3, 0.8])
def test_cover_is_the_share_of_pixels_with_light_and_brightness_their_mean(cover: float) -> None:
    config = NoiseRain(length=12, width=1.2, cover=cover, brightness=0.1, ceiling=100)
    layers = np.stack([light(config, seed=seed) for seed in range(4)])
    assert (layers > 0).mean() == pytest.approx(cover, rel=0.05)
    assert layers[layers > 0].mean() == pytest.approx(0.1, rel=0.05)


def test_the_light_has_the_tail_of_a_normal_distribution() -> None:
    """Where a normal number z is above t, z − t > 1 in the share Q(t + 1) / Q(t) of the cases."""
    normal = NormalDist()
    t = normal.inv_cdf(0.7)
    mean = normal.pdf(t) / 0.3 - t
    layers = np.stack([light(seed=seed) for seed in range(8)])
    share = (layers > 0.1 / mean).sum() / (layers > 0).sum()
    assert share == pytest.approx((1 - normal.cdf(t + 1)) / 0.3, rel=0.1)


def test_no_light_is_above_the_ceiling() -> None:
    low = NoiseRain(length=20, cover=0.5, brightness=0.1, ceiling=1.5)
    layer = light(low)
    assert layer.max() == pytest.approx(0.15) and (layer == layer.max()).mean() > 0.05


def test_the_swept_noise_is_a_convolution_with_one_streak() -> None:
    """Shifted copies of the noise, added up with the streak's light as weights."""
    streak, taper = {"length": 6.0, "width": 1.0, "angle": 20.0}, 0.5
    found = _swept_noise(streak, taper, 9, 11, np.random.default_rng(3))
    size = (9 + 13, 11 + 13)  # 6 · 1.5 + 4 more than the picture
    noise = np.random.default_rng(3).standard_normal(size, dtype=np.float32)
    arrays = {name: np.array([value]) for name, value in streak.items()}
    one = Streaks(
        x=np.array([size[1] / 2]), y=np.array([size[0] / 2]), brightness=np.ones(1),
        layer=np.zeros(1, int), taper=taper, **arrays,
    )  # fmt: skip
    kernel = render_streaks(one, *size)[0].numpy()
    places = zip(*np.nonzero(kernel), strict=True)
    slow = sum(kernel[place] * np.roll(noise, place, (0, 1)) for place in places)
    assert found == pytest.approx(slow[:9, :11] / math.sqrt((kernel**2).sum()), abs=1e-4)


@pytest.mark.parametrize("angle", [-40, 0, 30])
def test_the_threads_lean_as_the_angle_says(angle: float) -> None:
    """Along the angle two pixels look alike, mirrored they do not; positive falls to the right."""
    config = NoiseRain(length=40, width=1, angle=angle, cover=0.3, ceiling=100)
    layer = light(config)

    def likeness(degrees: float) -> float:
        dy, dx = (round(15 * f(math.radians(degrees))) for f in (math.cos, math.sin))
        moved = np.roll(layer, (-dy, -dx), (0, 1))[20:-20, 20:-20]
        return float(np.corrcoef(layer[20:-20, 20:-20].ravel(), moved.ravel())[0, 1])

    assert likeness(angle) > 0.4
    assert likeness(angle + 25) < 0.15 and likeness(angle - 25) < 0.15


def test_opposite_borders_have_nothing_to_do_with_each_other() -> None:
    """The noise lies on a torus, which is larger than the picture by a streak's reach."""
    config = NoiseRain(length=30, width=1, angle=0, cover=0.5, ceiling=100, taper=0)
    ends = np.concatenate([light(config, 64, seed)[[0, -1]] for seed in range(40)], axis=1)
    assert abs(np.corrcoef(*ends)[0, 1]) < 0.08
    near = np.concatenate([light(config, 64, seed)[[0, 3]] for seed in range(40)], axis=1)
    assert np.corrcoef(*near)[0, 1] > 0.7


def test_layers_add_up_and_each_draws_for_itself() -> None:
    two = NoiseRain(layers=2, cover=0.1, brightness=0.1, ceiling=100, angle=(-60, 60))
    one = NoiseRain(layers=1, cover=0.1, brightness=0.1, ceiling=100, angle=(-60, 60))
    means = [np.mean([light(c, seed=s).mean() for s in range(6)]) for c in (one, two)]
    assert means[1] == pytest.approx(2 * means[0], rel=0.1)


# As a rain like the others ----------------------------------------------------------------------


def test_it_rains_like_any_other_rain() -> None:
    clean = torch.rand(3, 50, 60, dtype=torch.float64)
    rain = add_rain(clean, FIXED, seed=4)
    assert rain.rainy.dtype == torch.float64 and rain.streaks.shape == (3, 50, 60)
    assert torch.equal(rain.rainy, (clean + rain.streaks).clamp(0, 1))
    assert torch.equal(rain.mask, (rain.streaks > VISIBLE).any(0, keepdim=True))
    assert torch.equal(rain.streaks[0], rain.streaks[2]), "white"
    assert rain.params.config == FIXED and len(rain.params.streaks) == 0
    assert torch.equal(rain.rainy, add_rain(clean, FIXED, seed=4).rainy)
    assert not torch.equal(rain.rainy, add_rain(clean, FIXED, seed=5).rainy)
    batch = add_rain(torch.rand(2, 3, 20, 20), FIXED, seed=0)
    assert not torch.equal(batch.streaks[0], batch.streaks[1])


def test_fields_can_be_changed_and_bad_ones_are_explained() -> None:
    grey = torch.full((3, 64, 64), 0.4)
    more = add_rain(grey, FIXED, seed=1, cover=0.9).mask.float().mean()
    assert more > add_rain(grey, FIXED, seed=1).mask.float().mean() + 0.3
    assert FIXED.length == (20, 20) and FIXED.taper == (0.2, 0.2), "one number is a range, too"
    with pytest.raises(DerainError, match="no 'density': you can change layers, length"):
        add_rain(grey, FIXED, density=3)
    with pytest.raises(DerainError, match=r"cover is 1: give a number from 0.001 to 0.999, or a"):
        NoiseRain(cover=1)
    with pytest.raises(DerainError, match="ceiling is"):
        NoiseRain(ceiling=(3, 2))
    with pytest.raises(DerainError, match="taper is"):
        RainConfig(taper=(0, 1))  # of drops: one number


def test_the_training_stream_takes_it_alone_and_in_a_mix() -> None:
    photo = torch.full((3, 40, 40), 0.2)
    alone = SyntheticRain([photo], NoiseRain(cover=0.5, brightness=0.2), patch_size=32, seed=0)
    assert all(alone[k]["mask"].any() for k in range(5))
    noises = [rain for rain, _ in MIXES["mix+noise"] if isinstance(rain, NoiseRain)]
    assert len(noises) == 2
    half = SyntheticRain([photo], [(FIXED, 1), (RainConfig(amount=0), 1)], patch_size=32, seed=0)
    wet = sum(bool(half[k]["mask"].any()) for k in range(60))
    assert 18 <= wet <= 42
