r"""Gratings and lattices: what a network takes for rain, though nobody would.

A zebra, a picket fence, a window grid: long, thin, bright, and nearly parallel, as streaks are.
What tells them from rain is that they repeat. The bars of a grating, seen at pixel (x, y), with
u across them and v along them::

    u = x·cos θ − y·sin θ,   v = y·cos θ + x·sin θ
    p = u / period                      which bar, and (its fraction) where in the bar
    bars = clip((duty/2 − |p − ⌊p⌋ − ½|) · period / softness + ½, 0, 1)

θ = 0 is upright, and a positive θ leans like a backslash, as rain of a positive angle does.
``softness`` is the width of an edge in pixels: 1 is as sharp as pixels can be without steps, half a
period is nearly a sine. :func:`grating` draws this with a duty of ½ and a softness of 1;
:func:`gratings` makes training patches of it, bent, in perspective, in colours, before a photo,
single or crossed.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from derain_edu.errors import DerainError

_BARS = 64  # bars that differ from one another; after so many they repeat


def grating(size: int, angle: float, period: float, contrast: float = 1.0) -> Tensor:
    """Draw straight, equal bars: bright ones, half as wide as their period, on a grey ground.

    An edge is one pixel wide: as sharp as pixels can be without steps.

    Parameters
    ----------
    size : int
        Pixels on a side.
    angle : float
        θ in degrees; 0 is upright, and a positive angle leans as a falling streak with a positive
        angle does, like a backslash.
    period : float
        Pixels from one bar to the next, at least 2.
    contrast : float
        How much brighter the bars are than the ground, from 0 to 1.

    Returns
    -------
    Tensor
        (3, size, size) float32 in [0, 1]. Its mean is near ½.

    Raises
    ------
    DerainError
        If the period or the contrast is out of range.
    """
    if period < 2 or not 0 <= contrast <= 1:
        raise DerainError(
            f"a grating of period {period:g} and contrast {contrast:g} can't be drawn: the period "
            "is 2 or more, the contrast from 0 to 1"
        )
    across, _ = _coordinates(size, math.radians(-angle))
    bars = torch.from_numpy(_bars(across / period, period, duty=0.5, softness=1.0))
    return (0.5 + contrast * (bars - 0.5)).expand(3, -1, -1).contiguous()


def gratings(clean: Tensor, rng: np.random.Generator) -> Tensor:
    """Lay bars, or two crossed rows of them, over a patch or over one of its colours.

    Parameters
    ----------
    clean : Tensor
        (3, P, P) in [0, 1].
    rng : numpy Generator
        Draws the angle (half of them within 20° of the vertical), the period (4 to 40 px), duty,
        softness, bend, perspective, how much the bars differ, where they end, and the colours.

    Returns
    -------
    Tensor
        (3, P, P) in [0, 1].
    """
    size = clean.shape[-1]
    angle = rng.uniform(-20, 20) if rng.random() < 0.5 else rng.uniform(-90, 90)
    bars = _drawn(size, angle, rng)
    if rng.random() < 0.35:  # a lattice, or the shadow of one
        crossing = angle + (90 if rng.random() < 0.6 else rng.uniform(30, 150))
        bars = np.maximum(bars, _drawn(size, crossing, rng))
    behind = clean
    if rng.random() < 0.5:
        behind = _shaded(_colour(clean, rng), size, rng)
    strength = 0.15 * (1 / 0.15) ** rng.random()
    cover = torch.from_numpy(strength * bars)
    return torch.lerp(behind, _shaded(_colour(clean, rng), size, rng), cover).clamp(0, 1)


def _coordinates(size: int, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """Return u and v of every pixel, (size, size) float32, from the middle of the picture."""
    y, x = np.mgrid[:size, :size].astype(np.float32) - np.float32((size - 1) / 2)
    cos, sin = math.cos(theta), math.sin(theta)
    return x * cos + y * sin, y * cos - x * sin


def _bars(
    place: np.ndarray, period: float, duty: np.ndarray | float, softness: float
) -> np.ndarray:
    """Return the bars at ``place``, which counts periods."""
    from_middle = np.abs(place - np.floor(place) - 0.5)
    return np.clip((duty / 2 - from_middle) * (period / softness) + 0.5, 0, 1).astype(np.float32)


def _drawn(size: int, angle: float, rng: np.random.Generator) -> np.ndarray:
    """Draw one row of bars as the world has them: bent, leaning back, uneven, with ends."""
    across, along = _coordinates(size, math.radians(-angle))
    period = 4 * 10 ** rng.random()
    duty, softness = rng.uniform(0.12, 0.88), (period / 2) ** (rng.random() ** 1.5)
    if rng.random() < 0.35:  # bent, as on a zebra
        bend, wave = period * rng.uniform(0.1, 1), size * rng.uniform(0.5, 2)
        across = across + bend * np.sin(along * (2 * math.pi / wave) + rng.uniform(0, 2 * math.pi))
    if rng.random() < 0.4:  # in perspective
        across = across / (1 + rng.uniform(-0.6, 0.6) * along / size)
    place = across / period + rng.random()
    number = np.floor(place).astype(int) % _BARS
    unlike = rng.uniform(0, 0.4) if rng.random() < 0.4 else 0.0
    duties = duty * (1 + unlike * rng.uniform(-1, 1, _BARS))
    weights = 1 - unlike * rng.random(_BARS)
    bars = _bars(place, period, duties[number], softness) * weights[number]
    if rng.random() < 0.35:  # palings end, each at a height of its own
        ends = rng.uniform(-0.4, 0.1) * size + unlike * period * rng.random(_BARS)
        bars = bars * np.clip(along - ends[number] + 0.5, 0, 1)
    return bars.astype(np.float32)


def _colour(clean: Tensor, rng: np.random.Generator) -> Tensor:
    """Return a light grey, a dark one, or a colour of the patch, (3, 1, 1)."""
    die = rng.random()
    if die < 0.6:
        grey = rng.uniform(0.65, 1) if die < 0.4 else rng.uniform(0, 0.3)
        return torch.full((3, 1, 1), grey, dtype=torch.float32)
    y, x = rng.integers(clean.shape[-1], size=2)
    return clean[:, y, x].view(3, 1, 1)


def _shaded(colour: Tensor, size: int, rng: np.random.Generator) -> Tensor:
    """Return a (3, P, P) surface of one colour, a little lighter on one side."""
    slope, _ = _coordinates(size, rng.uniform(0, 2 * math.pi))
    return colour * (1 + rng.uniform(0, 0.4) * torch.from_numpy(slope) / size)
