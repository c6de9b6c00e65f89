"""What rain may look like: one dataclass, four presets, and the mixes that networks train on.

Most fields are ranges (low, high), and a value is drawn from each of them: for the picture as a
whole, or anew for each layer. Densities, lengths, widths and brightnesses are drawn log-uniformly,
because what the eye and a network notice is a ratio: 10 to 20 px is as large a step as 20 to 40.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

from derain_edu.errors import DerainError

Range = tuple[float, float]  # (low, high); a single number x is taken as (x, x)
BLENDINGS = ("additive", "screen", "either")

_LIMITS = {  # the lowest and the highest value that a field takes
    "amount": (0.0, 100.0),
    "density": (0.0, 1000.0),
    "layers": (1, 20),
    "length": (1.0, 10000.0),
    "width": (0.5, 100.0),
    "angle": (-90.0, 90.0),
    "angle_spread": (0.0, 90.0),
    "brightness": (0.0, 2.0),
    "variation": (0.0, 1.5),
    "taper": (0.0, 1.0),
    "tint": (-1.0, 1.0),
    "veil": (0.0, 1.0),
    "airlight": (0.0, 1.0),
    "cover": (0.001, 0.999),
    "ceiling": (0.1, 100.0),
}


@dataclass(frozen=True)
class RainConfig:
    """What rain may look like. A range (low, high) is drawn from; one number fixes the value.

    A value that can't be, such as a negative density, raises a
    :class:`~derain_edu.errors.DerainError` that says what may be given.

    Attributes
    ----------
    amount : float, default 1.0
        Factor in [0, 100] on the density and, up to 1, on the veil. 0 leaves the picture as it is.
    density : Range, default (0.8, 3.0)
        Streaks per 1000 px², all layers together; log-uniform per picture.
    layers : tuple[int, int], default (1, 1)
        Number of layers, one per distance and wind; uniform per picture.
    length : Range, default (20.0, 50.0)
        Px at half brightness; log-uniform per layer.
    width : Range, default (1.1, 2.2)
        Px at half brightness; log-uniform per layer.
    angle : Range, default (-20.0, 20.0)
        Degrees from the vertical, positive falls to the right; uniform per layer.
    angle_spread : float, default 3.0
        Degrees. A streak differs from the angle of its layer by at most this.
    brightness : Range, default (0.1, 0.25)
        Of the middle of a streak, white = 1; log-uniform per layer.
    variation : float, default 0.5
        Length, width and brightness of a streak are those of its layer × e^±variation.
    taper : float, default 0.5
        Share of the length, in [0, 1], over which each end fades out.
    tint : Range, default (0.0, 0.0)
        Red × (1 − tint), blue × (1 + tint); uniform per picture. The default is white rain.
    blending : str, default "additive"
        ``"additive"`` (O = B + R, as in both papers of the course), ``"screen"``, or ``"either"``
        (a fair coin per picture).
    veil : Range, default (0.0, 0.0)
        1 − T in [0, 1], how much of the scene the fog replaces; uniform per picture. The default
        is no fog.
    airlight : Range, default (0.6, 0.9)
        A in [0, 1], the grey of the fog; uniform per picture.
    """

    amount: float = 1.0
    density: Range = (0.8, 3.0)
    layers: tuple[int, int] = (1, 1)
    length: Range = (20.0, 50.0)
    width: Range = (1.1, 2.2)
    angle: Range = (-20.0, 20.0)
    angle_spread: float = 3.0
    brightness: Range = (0.1, 0.25)
    variation: float = 0.5
    taper: float = 0.5
    tint: Range = (0.0, 0.0)
    blending: str = "additive"
    veil: Range = (0.0, 0.0)
    airlight: Range = (0.6, 0.9)

    def __post_init__(self) -> None:
        if self.blending not in BLENDINGS:
            raise DerainError(
                f"unknown blending {self.blending!r}: choose one of {', '.join(BLENDINGS)}"
            )
        check_ranges(self)


@dataclass(frozen=True)
class NoiseRain:
    """What rain made of swept noise may look like, see :mod:`derain_edu.rain.swept_noise`.

    It goes wherever a :class:`RainConfig` goes. All ranges but the first are drawn from per layer.

    Attributes
    ----------
    layers : tuple[int, int], default (1, 1)
        Number of layers; uniform per picture.
    length : Range, default (15.0, 60.0)
        Length in px of the streak that sweeps the noise; log-uniform.
    width : Range, default (0.8, 2.0)
        Width in px of that streak; log-uniform.
    angle : Range, default (-20.0, 20.0)
        Degrees from the vertical, positive falls to the right; uniform.
    cover : Range, default (0.05, 0.3)
        Share of the pixels that get light, in [0.001, 0.999]; log-uniform.
    brightness : Range, default (0.03, 0.2)
        Mean of the light where there is any, white = 1; log-uniform.
    ceiling : Range, default (2.0, 6.0)
        Upper limit of the light, as a multiple of ``brightness``; log-uniform.
    taper : Range, default (0.0, 0.5)
        Share of the length, in [0, 1], over which the ends of the streak fade out; uniform.
    """

    layers: tuple[int, int] = (1, 1)
    length: Range = (15.0, 60.0)
    width: Range = (0.8, 2.0)
    angle: Range = (-20.0, 20.0)
    cover: Range = (0.05, 0.3)
    brightness: Range = (0.03, 0.2)
    ceiling: Range = (2.0, 6.0)
    taper: Range = (0.0, 0.5)

    def __post_init__(self) -> None:
        check_ranges(self)


def check_ranges(config: Any) -> None:
    """Make the fields of a new configuration ranges; raise a DerainError if one can't be."""
    for field in fields(config):
        if field.name in _LIMITS:
            single = not isinstance(field.default, tuple)  # the others are ranges
            low, high = _checked(field.name, getattr(config, field.name), single)
            object.__setattr__(config, field.name, low if single else (low, high))


def _checked(name: str, value: Any, single: bool) -> Range:
    """Return ``value`` as (low, high), or say what is wrong with it."""
    lowest, highest = _LIMITS[name]
    number, kind = (Integral, "whole number") if name == "layers" else (Real, "number")
    several = isinstance(value, (tuple, list)) and not single
    pair = tuple(value) if several else (value, value)
    are_numbers = len(pair) == 2 and all(
        isinstance(x, number) and not isinstance(x, bool) for x in pair
    )
    if not are_numbers or not lowest <= pair[0] <= pair[1] <= highest:
        also = "" if single else ", or a range (low, high) of them"
        raise DerainError(
            f"{name} is {value!r}: give a {kind} from {lowest:g} to {highest:g}{also}"
        )
    return pair


def uniform(limits: Range, die: float) -> float:
    """Map a die in [0, 1) to the range."""
    return float(limits[0] + (limits[1] - limits[0]) * die)


def log_uniform(limits: Range, die: float) -> float:
    """Map a die in [0, 1) to the range so that each doubling is equally likely."""
    low, high = limits
    if low == 0:  # no ratio to 0: fall back to uniform
        return uniform(limits, die)
    return float(low * (high / low) ** die)


