"""Held-out pictures: what networks are judged by, and no training of the course saw.

All are photos of the splits ``validation`` and ``test`` in synthetic rain. Nothing is stored:
photo, cut and seed make the same rain on every machine.

===========================  ====================================================================
:func:`fixed_pairs`          the leaderboard and the model cards: each photo cut twice (from afar
                             and near), in three kinds of rain
:func:`synthetic_test_set`   ``derain-edu evaluate --data synthetic``: each test photo once
:func:`validation_pairs`     ONNX and int8: each validation photo once
:func:`held_out_patches`     the trainer and the experiments: patches at random places
===========================  ====================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from torch import Tensor

from derain_edu.datasets.photos import load_photo, photo_names
from derain_edu.datasets.synthetic import SyntheticRain
from derain_edu.errors import DerainError
from derain_edu.rain.config import RainConfig
from derain_edu.rain.presets import rain_named
from derain_edu.rain.synthesis import add_rain

SETS = 1  # raise it when the pictures below change: older entries are then another competition
SIDE = 128  # pixels
VIEWS = (240, 420)  # each photo from afar and from near: long side in pixels before the middle cut
# Wider than both presets: thin to thick, leaning to both sides, additive or screen, tinted.
_WIDE = RainConfig(
    density=(0.5, 8.0), layers=(1, 2), length=(8, 70), width=(0.8, 3.5), angle=(-45, 45),
    angle_spread=4, brightness=(0.05, 0.5), variation=0.6, tint=(-0.03, 0.06), blending="either",
)  # fmt: skip
RAINS: dict[str, tuple[str | RainConfig, ...]] = {
    "light": ("light",),
    "heavy": ("heavy",),
    "mix": ("light", _WIDE, "heavy", _WIDE),  # taken in turn
}
SPLITS = ("validation", "test")
SYNTHETIC_PRESETS = ("light", "heavy")


@cache
def fixed_pairs(split: str, rain: str) -> tuple[dict[str, Any], ...]:
    """Return the fixed pairs of a split in one kind of rain.

    Parameters
    ----------
    split : {"validation", "test"}
    rain : {"light", "heavy", "mix"}

    Returns
    -------
    tuple of dict
        ``name``, ``rainy`` and ``clean`` (3, 128, 128): each photo twice, from afar and near.
    """
    if split not in SPLITS or rain not in RAINS:
        raise DerainError(
            f"no fixed set {split!r} in {rain!r} rain: choose one of {', '.join(SPLITS)} and one "
            f"of {', '.join(RAINS)}"
        )
    pairs: list[dict[str, Any]] = []
    for name in photo_names(split):
        for view in VIEWS:
            k = len(pairs)
            clean = _middle(load_photo(name, long_side=view))
            kinds, seed = RAINS[rain], (SETS, SPLITS.index(split), list(RAINS).index(rain), k)
            rainy = add_rain(clean, kinds[k % len(kinds)], seed=_number(seed)).rainy
            where = "afar" if view == VIEWS[0] else "near"
            pairs.append({"name": f"{name}-{where}-{rain}", "rainy": rainy, "clean": clean})
    return tuple(pairs)


def _middle(photo: Tensor) -> Tensor:
    top, left = ((size - SIDE) // 2 for size in photo.shape[-2:])
    return photo[:, top : top + SIDE, left : left + SIDE].contiguous()


def _number(digits: Sequence[int]) -> int:
    return sum(digit * 100**place for place, digit in enumerate(reversed(digits)))


def synthetic_test_set(preset: str = "light", long_side: int = 384) -> list[dict[str, Any]]:
    """Return the fixed synthetic test set: each test photo once, always in the same rain.

    Parameters
    ----------
    preset : str
        A preset of :mod:`derain_edu.rain.synthesis`.
    long_side : int
        Pixels on the longer side of each photo.

    Returns
    -------
    list of dict
        ``name``, ``rainy`` and ``clean``; six pairs that no model of the course was trained on.
    """
    pairs = []
    for seed, name in enumerate(photo_names("test")):
        clean = load_photo(name, long_side=long_side)
        rainy = add_rain(clean, preset, seed=seed).rainy
        pairs.append({"name": f"{name}-{preset}", "rainy": rainy, "clean": clean})
    return pairs


def validation_pairs(long_side: int = 256, preset: str = "light") -> list[tuple[Tensor, Tensor]]:
    """Return (rainy, clean) for each validation photo, (1, 3, H, W), always in the same rain."""
    pairs = []
    for seed, name in enumerate(photo_names("validation")):
        clean = load_photo(name, long_side=long_side)
        pairs.append((add_rain(clean, preset, seed=seed).rainy[None], clean[None]))
    return pairs


@lru_cache(maxsize=8)
def held_out_patches(
    split: str, rain: str = "light", size: int = 128, seed: int = 2019, count: int = 24
) -> tuple[dict[str, Tensor], ...]:
    """Return ``count`` fixed pairs (3, size, size) of photos of ``split``, in a named rain.

    The first pairs stay the same when there are more of them.
    """
    stream = SyntheticRain(rain=rain_named(rain), patch_size=size, seed=seed, split=split)
    return tuple(stream[k] for k in range(count))
