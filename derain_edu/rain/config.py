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
    """

    amount: float = 1.0  # factor on density (and, up to 1, on the veil); 0 changes nothing at all
    density: Range = (0.8, 3.0)  # streaks per 1000 px², all layers; log-uniform per picture
    layers: tuple[int, int] = (1, 1)  # number of layers, uniform per picture
    length: Range = (20.0, 50.0)  # px at half brightness; log-uniform per layer
    width: Range = (1.1, 2.2)  # px at half brightness; log-uniform per layer
    angle: Range = (-20.0, 20.0)  # degrees from vertical, + falls to the right; uniform per layer
    angle_spread: float = 3.0  # degrees: a streak is at most this far from its layer's angle
    brightness: Range = (0.1, 0.25)  # of a streak's middle, white = 1; log-uniform per layer
    variation: float = 0.5  # length, width, brightness of a streak: its layer's × e^±variation
    taper: float = 0.5  # share of the length over which each end fades
    tint: Range = (0.0, 0.0)  # red × (1 − tint), blue × (1 + tint); uniform per picture
    blending: str = "additive"  # "additive", "screen", or "either" (a fair coin per picture)
    veil: Range = (0.0, 0.0)  # 1 − T, how much of the scene the fog replaces; uniform per picture
    airlight: Range = (0.6, 0.9)  # A, the grey of the fog; uniform per picture

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
    """

    layers: tuple[int, int] = (1, 1)  # number of layers, uniform per picture
    length: Range = (15.0, 60.0)  # px, of the streak that sweeps the noise; log-uniform
    width: Range = (0.8, 2.0)  # px, of that streak; log-uniform
    angle: Range = (-20.0, 20.0)  # degrees from vertical, + falls to the right; uniform
    cover: Range = (0.05, 0.3)  # share of the pixels that get light; log-uniform
    brightness: Range = (0.03, 0.2)  # mean of the light where there is any; log-uniform
    ceiling: Range = (2.0, 6.0)  # no more light than this, as a multiple of brightness; log-uniform
    taper: Range = (0.0, 0.5)  # share of the length over which the streak's ends fade; uniform

    def __post_init__(self) -> None:
        check_ranges(self)


def check_ranges(config: Any) -> None:
    """Make the fields of a new configuration ranges; raise a DerainError if one can't be."""
    for field in fields(config):
        if field.name in _LIMITS:
            single = field.type == "float"  # a string: annotations are not evaluated here
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


