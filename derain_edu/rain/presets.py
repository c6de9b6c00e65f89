"""The rains that have names: presets, and the mixes that networks learn from."""

from __future__ import annotations

from typing import Any

from derain_edu.errors import DerainError
from derain_edu.rain.config import NoiseRain, RainConfig

# Measured against the training pairs of Rain100H, and chosen so that the authors' networks, which
# never saw this rain, remove it as they remove their own (tests/conformance).
PRESETS = {
    "drizzle": RainConfig(
        density=(1.5, 4.0),
        length=(6, 14),
        width=(0.8, 1.3),
        angle=(-12, 12),
        brightness=(0.06, 0.15),
    ),
    "light": RainConfig(),  # one layer: the defaults above
    "heavy": RainConfig(
        density=(13, 28),
        layers=(2, 4),
        length=(30, 60),
        width=(1.0, 2.0),
        angle=(-15, 15),
        angle_spread=4,
        brightness=(0.11, 0.3),
    ),
    "storm": RainConfig(
        density=(10, 20),
        layers=(3, 5),
        length=(30, 80),
        width=(1.1, 2.6),
        angle=(-40, 40),
        angle_spread=6,
        brightness=(0.08, 0.25),
        tint=(0.0, 0.05),
        blending="screen",
        veil=(0.15, 0.35),
    ),
}


# (rain, weight): what the general weights of this project started from. Its ranges were chosen
# so that the rain layers (rainy − clean) of twelve training pairs of Rain100H lie inside: mostly
# steep, long streaks with blunt ends, added up until the picture is white, from a few to many. No
# test picture was looked at. The third rain is wider than that, for all other photos;
# the last one is next to nothing, because a picture without rain should stay as it is.
TRAINING_MIX = (
    (
        RainConfig(
            density=(0.5, 6.0),
            layers=(1, 2),
            length=(15, 80),
            width=(0.8, 2.6),
            angle=(-35, 35),
            angle_spread=2.5,
            brightness=(0.08, 0.5),
            taper=0.35,
        ),
        0.35,
    ),
    (
        RainConfig(
            density=(3, 26),
            layers=(1, 4),
            length=(25, 110),
            width=(1.0, 2.6),
            angle=(-20, 20),
            angle_spread=2,
            brightness=(0.1, 0.5),
            taper=0.25,
        ),
        0.4,
    ),
    (
        RainConfig(
            density=(0.3, 20),
            layers=(1, 4),
            length=(8, 70),
            width=(0.8, 3.5),
            angle=(-60, 60),
            angle_spread=5,
            brightness=(0.05, 0.4),
            variation=0.6,
            tint=(-0.03, 0.06),
            blending="either",
        ),
        0.2,
    ),
    (
        RainConfig(
            density=(0.01, 0.3),
            length=(10, 60),
            width=(0.8, 2.5),
            angle=(-45, 45),
            brightness=(0.05, 0.3),
        ),
        0.05,
    ),
)


# Faint, long and dense: three of the twelve rain layers lie at the edge of the mix above, and in
# the middle of this rain.
_FAINT = RainConfig(
    density=(3, 16),
    layers=(1, 2),
    length=(20, 120),
    width=(0.9, 2.2),
    angle=(-25, 25),
    angle_spread=2,
    brightness=(0.03, 0.2),
    variation=0.7,
    taper=0.3,
)


# Swept noise, thin and from faint to bright, and a curtain of it. With their dark gaps and ragged
# ends, the rain layers of the training pairs look more like this than like single drops.
_THREADS = NoiseRain(
    layers=(1, 2),
    length=(12, 90),
    width=(0.8, 2.2),
    angle=(-25, 25),
    cover=(0.05, 0.5),
    brightness=(0.025, 0.25),
    ceiling=(1.5, 6),
)


_CURTAIN = NoiseRain(
    layers=(1, 3),
    length=(20, 90),
    width=(1.0, 2.6),
    angle=(-20, 20),
    cover=(0.2, 0.9),
    brightness=(0.08, 0.4),
    ceiling=(1.1, 3),
)


# What photos of real rain show besides: fine spray, short and dense, and streaks so near to the
# lens that they are out of focus, wide and faint.
_SPRAY = RainConfig(
    density=(5, 40),
    layers=(1, 3),
    length=(3, 14),
    width=(0.8, 1.6),
    angle=(-45, 45),
    angle_spread=8,
    brightness=(0.03, 0.2),
    blending="either",
)
_OUT_OF_FOCUS = RainConfig(
    density=(0.1, 1.5),
    layers=(1, 3),
    length=(20, 150),
    width=(2.5, 8),
    angle=(-30, 30),
    brightness=(0.03, 0.2),
    taper=0.6,
    blending="either",
)
_DRY = RainConfig(amount=0)
_WITH_NOISE = (
    *TRAINING_MIX,
    (_FAINT, 0.3),
    (_THREADS, 0.6),
    (_CURTAIN, 0.25),
    (TRAINING_MIX[-1][0], 0.1),  # and more of next to nothing
)


# name -> mix, wherever a rain has a name: TrainConfig.data, a curriculum
MIXES = {
    "mix": TRAINING_MIX,
    "mix+faint": (*TRAINING_MIX, (_FAINT, 0.3)),
    "mix+noise": _WITH_NOISE,
    # The weights above add up to 2.25: a fifth of these samples is dry.
    "mix+dry": (*_WITH_NOISE, (_SPRAY, 0.1), (_OUT_OF_FOCUS, 0.15), (_DRY, 0.6)),
}


RAIN_NAMES = (*PRESETS, *MIXES)


def rain_named(name: str) -> Any:
    """Return the mix of this name, or the name itself, which is then a preset's.

    This is what :class:`~derain_edu.datasets.synthetic.SyntheticRain` takes as its rain.

    Raises
    ------
    DerainError
        If neither a preset nor a mix has this name.
    """
    if isinstance(name, str) and name not in RAIN_NAMES:
        raise DerainError(f"unknown rain {name!r}: choose one of {', '.join(RAIN_NAMES)}")
    return MIXES.get(name, name)
