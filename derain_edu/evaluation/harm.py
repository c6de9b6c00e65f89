"""Does a network do harm? What it makes of pictures in which there is no rain.

The right answer to a dry picture is the picture itself, so its score needs no other truth: the PSNR
of what the network returns, to what it was given. The pictures are photos of what is easily taken
for rain (fences, stripes, hair, reeds, twigs against a white sky, letters, lights at night) and
over-exposed copies of them, whose skies are clipped. No network of the course was trained on them.

:func:`grating_map` asks the same of drawn bars, one angle, period and contrast after another: a map
of what a network takes for rain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from derain_edu.datasets.gratings import grating
from derain_edu.datasets.photos import load_photo, photo_names
from derain_edu.errors import DerainError
from derain_edu.inference.restoration import derain_tensor
from derain_edu.metrics import psnr

# A difference of 60 dB is a twentieth of a grey level: nobody sees it. Without a limit one picture
# that comes back untouched, at an infinite PSNR, would decide the mean.
MOST = 60.0
LONG_SIDE = 256  # pixels: seconds for a network, not a minute
OVEREXPOSED = 1.6  # a picture times this, clipped at white, as a sensor clips
DRY_SPLITS = ("validation", "test")


@dataclass(frozen=True)
class DryScore:
    """What is left of one dry picture.

    Attributes
    ----------
    name : str
        Of the picture; an over-exposed copy ends in ``-overexposed``.
    psnr : float
        Derained against given, in dB (prenet_matlab), at most 60.
    """

    name: str
    psnr: float

    def __str__(self) -> str:
        return f"{self.name[:40]:<40} {self.psnr:8.2f}"


HEADER = f"{'dry picture':<40} {'PSNR':>8}"


@dataclass(frozen=True)
class Harm:
    """What a network does to dry pictures.

    Attributes
    ----------
    scores : tuple[DryScore, ...]
        One for each picture.
    """

    scores: tuple[DryScore, ...]

    @property
    def mean(self) -> float:
        """The mean score, in dB."""
        return sum(score.psnr for score in self.scores) / len(self.scores)

    @property
    def worst(self) -> DryScore:
        """The picture that is damaged most."""
        return min(self.scores, key=lambda score: score.psnr)

    def __str__(self) -> str:
        return (
            f"mean {self.mean:.2f} dB over {len(self.scores)} dry pictures, "
            f"worst {self.worst.psnr:.2f} ({self.worst.name})"
        )


def dry_pictures(split: str = "test", long_side: int = LONG_SIDE) -> list[tuple[str, Tensor]]:
    """Return name and picture (3, H, W) of each dry photo of a split, and of its bright copy.

    Parameters
    ----------
    split : {"validation", "test"}
        Choose by validation; look at test when everything is chosen.
    long_side : int
        Pixels on the longer side.

    Raises
    ------
    DerainError
        If there is no such split.
    """
    if split not in DRY_SPLITS:
        raise DerainError(f"no dry pictures {split!r}: choose one of {', '.join(DRY_SPLITS)}")
    pictures = []
    for name in photo_names(f"dry_{split}"):
        photo = _as_file(load_photo(name, long_side=long_side))
        pictures.append((name, photo))
        pictures.append((f"{name}-overexposed", _as_file(OVEREXPOSED * photo)))
    return pictures


def measure_harm(
    model: nn.Module,
    split: str = "test",
    tile: int | None = None,
    on_score: Callable[[DryScore], None] | None = None,
) -> Harm:
    """Derain the dry pictures of a split and compare each with itself.

    Parameters
    ----------
    model : nn.Module
        (B, 3, H, W) in, (B, 3, H, W) out.
    split : {"validation", "test"}
        See :func:`dry_pictures`.
    tile : int, optional
        See :func:`derain_edu.inference.restoration.derain_tensor`.
    on_score : callable, optional
        Gets each score as soon as it is known.

    Returns
    -------
    Harm
    """
    scores = []
    for name, dry in dry_pictures(split):
        scores.append(DryScore(name, _psnr_to_itself(dry, derain_tensor(model, dry, tile))))
        if on_score:
            on_score(scores[-1])
    return Harm(tuple(scores))


def _as_file(picture: Tensor) -> Tensor:
    """Return a picture in steps of 1/255, as a file holds it."""
    return (picture.clamp(0, 1) * 255).round() / 255


def _psnr_to_itself(dry: Tensor, derained: Tensor) -> float:
    score = psnr(_as_file(derained), dry)
    if math.isnan(score):
        raise DerainError("the network's output for a dry picture is not a number: train it again")
    return min(MOST, score)


ANGLES = (-80, -60, -40, -20, -10, 0, 10, 20, 40, 60, 80, 90)  # degrees from upright
PERIODS = (3, 4, 6, 8, 12, 16, 24, 32)  # pixels


def grating_map(
    model: nn.Module,
    angles: Sequence[float] = ANGLES,
    periods: Sequence[float] = PERIODS,
    contrast: float = 0.6,
    size: int = 96,
) -> Tensor:
    """Return the PSNR of each grating to itself, (periods, angles) in dB, at most 60.

    A dark place in the picture of this map is what the network takes for rain.

    Parameters
    ----------
    model : nn.Module
        (B, 3, H, W) in, (B, 3, H, W) out.
    angles, periods, contrast, size
        See :func:`derain_edu.datasets.gratings.grating`.
    """
    found = torch.zeros(len(periods), len(angles))
    for row, period in enumerate(periods):
        for column, angle in enumerate(angles):
            dry = _as_file(grating(size, angle, period, contrast))
            found[row, column] = _psnr_to_itself(dry, derain_tensor(model, dry))
    return found
