"""The pictures that the leaderboard measures on: always the same ones.

Photos of the splits ``validation`` and ``test``, which no training of the course saw, each cut
twice (from afar and near), in three kinds of rain. Nothing is stored: photo, cut and seed make
the same rain on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from torch import Tensor, nn

from derain_edu.datasets.photos import load_photo, photo_names
from derain_edu.errors import DerainError
from derain_edu.evaluation import Score, evaluate
from derain_edu.rain.config import RainConfig
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
SCORES = tuple(f"{kind}_{split}_{rain}" for split in SPLITS for rain in RAINS
               for kind in ("psnr", "ssim"))  # fmt: skip


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


def picture_scores(
    network: nn.Module, split: str, on_score: Callable[[Score], None] | None = None
) -> dict[str, list[Score]]:
    """Return the score of each fixed picture, by kind of rain (protocol prenet_matlab)."""
    found = {}
    for rain in RAINS:
        scores = evaluate(network, fixed_pairs(split, rain), on_score=on_score)
        for score in scores:
            if not math.isfinite(score.psnr_derained):
                raise DerainError(
                    f"the network's answer to {score.name} is not finite: train it again, with a "
                    "lower lr or with grad_clip"
                )
        found[rain] = scores
    return found


def measure(network: nn.Module, splits: Sequence[str] = SPLITS) -> dict[str, float]:
    """Return the mean scores of a network, ``psnr_SPLIT_RAIN`` and ``ssim_SPLIT_RAIN``."""
    means = {}
    for split in splits:
        for rain, scores in picture_scores(network, split).items():
            for kind in ("psnr", "ssim"):
                values = [getattr(score, f"{kind}_derained") for score in scores]
                means[f"{kind}_{split}_{rain}"] = sum(values) / len(values)
    return means
