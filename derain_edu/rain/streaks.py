r"""Streaks: from the numbers of falling drops to a picture of their light.

A round, soft drop moves along a straight line while the shutter is open. With u along and v
across its path, it leaves this light on the sensor::

    S(u, v) = b · exp(−v² / 2σ²) · fade(u),        width = 2√(2 ln 2) · σ

``fade`` is 1 in the middle, ½ at u = ± length / 2, and 0 further out (a smooth step 3t² − 2t³ over
``taper`` · length pixels): length and width are both measured where half of the brightness b is
left. Rain is the sum over all streaks.

To evaluate S for every streak on every pixel takes three lines, and minutes.
:func:`render_streaks` gives the same picture in milliseconds: it lists the rows that each streak
crosses, evaluates S on a few pixels beside the streak's axis in each of them (all streaks at
once, as arrays), and adds everything up.

Angles are in degrees from the vertical, positive where the drop falls towards the right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from derain_edu.rain.config import RainConfig, log_uniform, uniform

CUTOFF = 3.0  # σ: further from its axis a streak has about 1 % of its light, and is cut off
_SIGMA = 1 / (2 * math.sqrt(2 * math.log(2)))  # σ of a Gaussian whose width at half maximum is 1
_PER_STREAK = ("x", "y", "length", "width", "angle", "brightness", "layer")
_WORK = 2**14  # pixels that are evaluated at once: few enough to stay in the processor's cache


@dataclass(frozen=True)
class Layer:
    """What the streaks of one layer have in common; each streak varies around it.

    Attributes
    ----------
    count : int
        Streaks that touch the picture.
    angle : float
        Degrees from the vertical, positive falls to the right.
    length : float
        Px at half brightness.
    width : float
        Px at half brightness.
    brightness : float
        Of the middle of a streak, white = 1.
    """

    count: int
    angle: float
    length: float
    width: float
    brightness: float


@dataclass(frozen=True)
class Streaks:
    """Streaks by their numbers, one array entry per streak: not a picture yet.

    Attributes
    ----------
    x : np.ndarray
        (N,) centre, px. The centre of the top left pixel is (0, 0).
    y : np.ndarray
        (N,) centre, px, downwards.
    length : np.ndarray
        (N,) px at half brightness.
    width : np.ndarray
        (N,) px at half brightness.
    angle : np.ndarray
        (N,) degrees from the vertical in [-90, 90], positive falls to the right.
    brightness : np.ndarray
        (N,) white = 1.
    layer : np.ndarray
        (N,) number of the layer, from 0.
    layers : tuple[Layer, ...], default ()
        What each layer drew.
    taper : float, default 0.5
        Share of the length over which each end fades out.
    """

    x: np.ndarray
    y: np.ndarray
    length: np.ndarray
    width: np.ndarray
    angle: np.ndarray
    brightness: np.ndarray
    layer: np.ndarray
    layers: tuple[Layer, ...] = ()
    taper: float = 0.5

    @classmethod
    def none(cls) -> Streaks:
        """Return a list without a streak."""
        return cls(*np.empty((6, 0)), np.empty(0, int))

    def __len__(self) -> int:
        return len(self.x)

    def select(self, index: Any) -> Streaks:
        """Return some of the streaks: a slice, a list of numbers or a (N,) bool array."""
        return replace(self, **{name: getattr(self, name)[index] for name in _PER_STREAK})

    def touching(self, height: int, width: int) -> Streaks:
        """Return the streaks that may leave light on a picture of this size."""
        reach_x, reach_y = self._reach()
        inside = (self.x + reach_x > -0.5) & (self.x - reach_x < width - 0.5)
        inside &= (self.y + reach_y > -0.5) & (self.y - reach_y < height - 0.5)
        return self.select(inside)

    def _reach(self) -> tuple[np.ndarray, np.ndarray]:
        """Return how far each streak goes from its centre, horizontally and vertically, px."""
        radians = np.radians(self.angle)
        sin, cos = np.abs(np.sin(radians)), np.cos(radians)
        along, across = 0.5 * (self.length + self._ramp()), CUTOFF * self._spot()
        return along * sin + across * cos, along * cos + across * sin

    # A pixel averages over its own square, so it widens both profiles of a streak: variances add.
    # The square's is 1/12 px²; the smooth step of the fade over r pixels has r²/20.

    def _spot(self) -> np.ndarray:
        """Return the σ of the spot on the sensor, px."""
        return np.sqrt((_SIGMA * self.width) ** 2 + 1 / 12)

    def _ramp(self) -> np.ndarray:
        """Return the distance over which an end fades on the sensor, px."""
        return np.sqrt((self.taper * self.length) ** 2 + 20 / 12)


def draw_streaks(config: RainConfig, height: int, width: int, rng: np.random.Generator) -> Streaks:
    """Draw the numbers of every streak that touches a picture of ``height`` × ``width`` pixels.

    The number of layers and the density are drawn once; length, width, angle and brightness once
    per layer; then each streak varies around its layer. Centres may lie outside of the picture,
    so the border is as rainy as the middle.
    """
    dice = rng.random(2)
    low, high = config.layers
    count = low + int(dice[0] * (high - low + 1))
    density = config.amount * log_uniform(config.density, dice[1]) / count
    # Each layer has a generator of its own: more streaks in one do not change the next one.
    seeds = rng.integers(2**63, size=high)[:count]
    layers, numbers = zip(
        *(_draw_layer(config, density, (height, width), np.random.default_rng(s)) for s in seeds),
        strict=True,
    )
    index = np.repeat(np.arange(count), [n.shape[1] for n in numbers])
    streaks = Streaks(*np.concatenate(numbers, axis=1), index, taper=config.taper)
    streaks = streaks.touching(height, width)
    counts = np.bincount(streaks.layer, minlength=count)
    counted = (replace(layer, count=int(n)) for layer, n in zip(layers, counts, strict=True))
    return replace(streaks, layers=tuple(counted))


def _draw_layer(
    config: RainConfig, density: float, size: tuple[int, int], rng: np.random.Generator
) -> tuple[Layer, np.ndarray]:
    """Draw one layer, and (6, N): x, y, length, width, angle and brightness of its streaks."""
    dice = rng.random(5)
    angle = uniform(config.angle, dice[0])
    length = log_uniform(config.length, dice[1])
    width = log_uniform(config.width, dice[2])
    brightness = log_uniform(config.brightness, dice[3])
    frame_x, frame_y = _frame(config, angle, length, width)
    high, wide = size[0] + 2 * frame_y, size[1] + 2 * frame_x
    count = int(density * high * wide / 1000 + dice[4])
    # One row per streak: a larger count appends rows and leaves the first ones as they were.
    numbers = rng.random((count, 6)).T.copy()
    x, y, lengths, widths, angles, brightnesses = numbers  # views: what follows writes in place
    x[:] = x * wide - frame_x - 0.5
    y[:] = y * high - frame_y - 0.5
    for values, typical in ((lengths, length), (widths, width), (brightnesses, brightness)):
        values[:] = typical * np.exp(config.variation * (2 * values - 1))
    angles[:] = np.clip(angle + config.angle_spread * (2 * angles - 1), -90, 90)
    return Layer(count, angle, length, width, brightness), numbers


def _frame(config: RainConfig, angle: float, length: float, width: float) -> tuple[float, float]:
    """Return how far outside of the picture a streak of this layer can start and still touch it."""
    longest, widest = (value * math.exp(config.variation) for value in (length, width))
    half = 0.5 * (longest + config.taper * longest + 1.3)  # the fade of a pixel's size, 1.3
    steepest = math.radians(max(0.0, abs(angle) - config.angle_spread))
    flattest = math.radians(min(90.0, abs(angle) + config.angle_spread))
    margin = CUTOFF * (0.3 + 0.5 * widest)
    return half * math.sin(flattest) + margin, half * math.cos(steepest) + margin


def render_streaks(streaks: Streaks, height: int, width: int) -> Tensor:
    """Sum S(u, v) over all streaks, averaged over each pixel.

    Returns
    -------
    Tensor
        (1, H, W) float32, white = 1, not clipped. Anti-aliased: a streak that moves by a tenth of
        a pixel changes a little, and the sum of its light does not.
    """
    steep = np.abs(streaks.angle) <= 45
    light = _scan(streaks.select(steep), height, width)
    if not steep.all():  # flat streaks become steep when x and y change places
        flat = streaks.select(~steep)
        angle = np.copysign(90, flat.angle) - flat.angle
        mirrored = replace(flat, x=flat.y, y=flat.x, angle=angle)
        light += _scan(mirrored, width, height).T
    return torch.from_numpy(light.astype(np.float32)).unsqueeze(0)


def _scan(streaks: Streaks, height: int, width: int) -> np.ndarray:
    """Render steep streaks into (H, W) float64, one bundle of streaks at a time."""
    light = np.zeros((height, width))
    radians, spot, ramp = np.radians(streaks.angle), streaks._spot(), streaks._ramp()
    sin, cos = np.sin(radians), np.cos(radians)
    peak = streaks.brightness * _SIGMA * streaks.width / spot  # a wider spot is as much dimmer
    numbers = np.stack((streaks.x, streaks.y, sin, cos, streaks.length / 2, spot, ramp, peak))

    _, reach = streaks._reach()
    first = np.maximum(np.ceil(streaks.y - reach), 0).astype(int)  # (N,) row
    last = np.minimum(np.floor(streaks.y + reach), height - 1).astype(int)
    rows = np.maximum(last - first + 1, 0)
    # A streak covers 2k + 1 pixels of a row; streaks of like k go together.
    k = np.ceil(CUTOFF * spot / cos).astype(int)
    for bundle in _bundles(rows, k, max(_WORK, height * width)):
        owner = np.repeat(bundle, rows[bundle])  # (M,) one entry per row of each streak
        start = np.cumsum(rows[bundle]) - rows[bundle]
        row = np.arange(len(owner)) + np.repeat(first[bundle] - start, rows[bundle])
        _add_rows(light, numbers[:, owner], row, int(k[bundle[-1]]))
    return light


def _bundles(rows: np.ndarray, k: np.ndarray, work: int) -> Iterator[np.ndarray]:
    """Sort the streaks by k and cut the list where a bundle has about ``work`` pixels."""
    order = np.argsort(k, kind="stable")
    order = order[rows[order] > 0]
    bundle = np.cumsum(rows[order] * (2 * k[order] + 1)) // work
    cuts = np.flatnonzero(np.diff(bundle)) + 1
    return (part for part in np.split(order, cuts) if len(part))


def _add_rows(light: np.ndarray, numbers: np.ndarray, row: np.ndarray, k: int) -> None:
    """Add S on the 2k + 1 pixels around the axis of a streak in a row, for M (streak, row) pairs.

    ``numbers`` is (8, M), the numbers of the streak; ``row`` is (M,).
    """
    height, width = light.shape
    x, y, sin, cos, half, spot, ramp, peak = numbers
    dy = row - y
    axis = x + dy * sin / cos  # (M,) column where the axis crosses the row
    middle = np.rint(axis).astype(int)
    step = np.arange(-k, k + 1)[:, None]  # (2k + 1, 1)

    dx = _short(middle - axis) + _short(step)  # (2k + 1, M)
    u = dx * _short(sin) + _short(dy / cos)
    t = _short(half / ramp + 0.5) - np.abs(u) * _short(1 / ramp)
    t = np.minimum(np.maximum(t, 0), 1)
    exponent = dx * dx * _short(-0.5 * (cos / spot) ** 2)  # v = dx · cos
    value = np.exp(exponent)
    value *= exponent >= -0.5 * CUTOFF**2
    value *= t * t * (3 - 2 * t)  # fade: a smooth step from 0 to 1
    value *= _short(peak)

    # Light beside the picture goes to a margin, which is thrown away.
    margin = 2 * k + 1
    padded = width + 2 * margin
    place = row * padded + np.minimum(np.maximum(middle, -k - 1), width + k) + margin + step
    total = np.bincount(place.ravel(), value.ravel(), minlength=height * padded)
    light += total.reshape(height, padded)[:, margin : margin + width]


def _short(values: np.ndarray) -> np.ndarray:
    """Return float32: half the bytes of float64, twice the speed, and more than enough digits."""
    return values.astype(np.float32)
