r"""Rain without drops: noise, swept along a line and cut off below.

The recipe of every image editor, and the look of much published rain: sprinkle noise, blur it in
one direction, then darken it until only the brightest threads are left. Here, for one layer::

    z = (noise ∗ streak) / ‖streak‖        white noise swept along one streak: mean 0, variance 1
    R = b · max(z − t, 0) / E[max(z − t, 0) | z > t]        limited to ceiling · b

The threshold t leaves light on the share ``cover`` of the pixels, Q(t) = cover with the upper tail
Q of the normal distribution, and b is the mean brightness there (before the limit). The mean of
what a standard normal number has above t is φ(t) / Q(t) − t.

Unlike drops (:mod:`derain_edu.rain.streaks`), the threads of a layer differ in
brightness and length, their ends are ragged and pointed, and their light does not add up where
many meet.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor

from derain_edu.rain.config import NoiseRain, log_uniform, uniform
from derain_edu.rain.streaks import Streaks, render_streaks

_NORMAL = NormalDist()


def render_noise_rain(
    config: NoiseRain, height: int, width: int, rng: np.random.Generator
) -> Tensor:
    """Draw the layers of a picture and sum up their light.

    Returns
    -------
    Tensor
        (1, H, W) float32, white = 1, not clipped.
    """
    low, high = config.layers
    seeds = rng.integers(2**63, size=high)[: int(rng.integers(low, high + 1))]
    layers = [_layer(config, height, width, np.random.default_rng(seed)) for seed in seeds]
    return torch.from_numpy(np.sum(layers, axis=0, dtype=np.float32)).unsqueeze(0)


def _layer(config: NoiseRain, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Return the light of one layer, (H, W)."""
    dice = rng.random(7)
    streak = {
        "length": log_uniform(config.length, dice[0]),
        "width": log_uniform(config.width, dice[1]),
        "angle": uniform(config.angle, dice[2]),
    }
    swept = _swept_noise(streak, uniform(config.taper, dice[3]), height, width, rng)
    cover = log_uniform(config.cover, dice[4])
    brightness = log_uniform(config.brightness, dice[5])
    threshold = _NORMAL.inv_cdf(1 - cover)
    mean_above = _NORMAL.pdf(threshold) / cover - threshold
    light = np.maximum(swept - threshold, 0) * (brightness / mean_above)
    return np.minimum(light, brightness * log_uniform(config.ceiling, dice[6]))


def _swept_noise(
    streak: dict[str, float], taper: float, height: int, width: int, rng: np.random.Generator
) -> np.ndarray:
    """Return white noise convolved with one streak: mean 0, variance 1, (H, W)."""
    # On a torus: a Fourier transform's convolution has no border. It is larger than the picture by
    # a streak's reach, so that what leaves on one side does not come back on the other.
    size = tuple(n + math.ceil(streak["length"] * (1 + taper) + 4) for n in (height, width))
    one = {name: np.array([value]) for name, value in streak.items()}
    middle = {"y": np.array([size[0] / 2]), "x": np.array([size[1] / 2])}
    alone = Streaks(**one, **middle, brightness=np.ones(1), layer=np.zeros(1, int), taper=taper)
    kernel = render_streaks(alone, *size)[0].numpy()
    noise = rng.standard_normal(size, dtype=np.float32)
    swept = np.fft.irfft2(np.fft.rfft2(noise) * np.fft.rfft2(kernel), size)
    return swept[:height, :width] / np.linalg.norm(kernel)
