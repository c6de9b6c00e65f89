"""How good is a map of the rain? Three questions about a number A per pixel, given the true mask.

=============  =====================================  ===========================================
question       measure                                what the map needs
=============  =====================================  ===========================================
which first?   :func:`derain_edu.map_scores.auc`, whose  the right order, on any scale
               curve is :func:`roc`
where?         :func:`score_at`                       the right order, and a threshold
how surely?    :func:`calibration`                    of all pixels with A = .7, 70 % are rainy
=============  =====================================  ===========================================

References
----------
Guo, Pleiss, Sun, Weinberger: On calibration of modern neural networks. ICML 2017 (arXiv
1706.04599).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from derain_edu.errors import DerainError


@dataclass(frozen=True)
class MapScore:
    """What a threshold finds. A share of nothing counts as 1: no claim, no mistake.

    Attributes
    ----------
    threshold : float
        A pixel is called rain if its value is at least this.
    precision : float
        Of the pixels that are called rain, the share that are rainy.
    recall : float
        Of the rainy pixels, the share that are called rain.
    iou : float
        Pixels that are rainy and called rain, as a share of those that are either.
    false_alarms : float
        Of the dry pixels, the share that are called rain.
    """

    threshold: float
    precision: float
    recall: float
    iou: float
    false_alarms: float


def score_at(values: Tensor, mask: Tensor, threshold: float) -> MapScore:
    """Call every pixel with a value of at least ``threshold`` rain, and compare with the truth.

    Parameters
    ----------
    values, mask : Tensor
        Any shape, equal numbers of elements; mask bool.

    Examples
    --------
    >>> score_at(torch.tensor([0.9, 0.8, 0.3, 0.1]), torch.tensor([True, False, True, False]), 0.5)
    MapScore(threshold=0.5, precision=0.5, recall=0.5, iou=0.3333333333333333, false_alarms=0.5)
    """
    called, wet = values.flatten() >= threshold, _mask_of(values, mask)
    hits, calls, rainy = (int(x.sum()) for x in (called & wet, called, wet))

    def share(part: int, whole: int) -> float:
        return part / whole if whole else 1.0

    dry = wet.numel() - rainy
    return MapScore(
        threshold, share(hits, calls), share(hits, rainy), share(hits, calls + rainy - hits),
        (calls - hits) / dry if dry else 0.0,
    )


def roc(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the false alarms and the recall of all thresholds, from the strictest to the loosest.

    The area under the curve that they draw is :func:`derain_edu.map_scores.auc`.

    Examples
    --------
    >>> false_alarms, recall = roc(torch.tensor([0.9, 0.8, 0.3]), torch.tensor([True, False, True]))
    >>> false_alarms.tolist(), recall.tolist()
    ([0.0, 0.0, 1.0, 1.0], [0.0, 0.5, 0.5, 1.0])
    """
    wet = _mask_of(values, mask)
    levels, place = values.flatten().unique(return_inverse=True)  # rising
    rainy = torch.bincount(place[wet], minlength=len(levels)).flip(0).cumsum(0)
    dry = torch.bincount(place[~wet], minlength=len(levels)).flip(0).cumsum(0)
    curves = (count.double() / count[-1] for count in (dry, rainy))
    false_alarms, recall = (torch.cat((curve.new_zeros(1), curve)) for curve in curves)
    return false_alarms, recall


@dataclass(frozen=True)
class Bin:
    """Pixels with nearly the same value.

    Attributes
    ----------
    value : float
        Mean value of these pixels: what the map says.
    share : float
        The share of them that are rainy: what is true.
    number : int
        How many pixels there are.
    """

    value: float
    share: float
    number: int


def calibration(values: Tensor, mask: Tensor, bins: int = 10) -> list[Bin]:
    """Sort pixels into bins of equal width over [0, 1] by their value; leave out empty bins."""
    wet, flat = _mask_of(values, mask), values.flatten().double()
    place = (flat * bins).long().clamp(0, bins - 1)
    number = torch.bincount(place, minlength=bins)
    said = torch.bincount(place, weights=flat, minlength=bins)
    true = torch.bincount(place, weights=wet.double(), minlength=bins)
    rows = zip(said.tolist(), true.tolist(), number.tolist(), strict=True)
    return [Bin(s / n, t / n, n) for s, t, n in rows if n]


def calibration_gap(found: Sequence[Bin]) -> float:
    """Return how far map and truth lie apart, averaged over the pixels (the *expected calibration
    error*)."""
    if not found:
        raise DerainError("there are no pixels to compare map and truth on: give at least one")
    return sum(b.number * abs(b.value - b.share) for b in found) / sum(b.number for b in found)


def _mask_of(values: Tensor, mask: Tensor) -> Tensor:
    if mask.dtype != torch.bool or mask.numel() != values.numel():
        raise DerainError(
            f"the mask is {mask.dtype} with {mask.numel()} pixels, the map has {values.numel()}: "
            "give one bool per pixel"
        )
    return mask.flatten()


def auc(values: Tensor, mask: Tensor) -> float:
    """Return the chance that a pixel of ``mask`` has a larger value than another (a tie is half).

    Parameters
    ----------
    values : Tensor
        Any shape.
    mask : Tensor
        bool, the same number of elements.

    Raises
    ------
    DerainError
        If all pixels are inside of the mask, or none, or if the mask is not bool.
    """
    inside = _mask_of(values, mask)
    wet = int(inside.sum())
    dry = inside.numel() - wet
    if not wet or not dry:
        raise DerainError("an AUC needs pixels inside and outside of the mask")
    _, place, counts = values.flatten().unique(return_inverse=True, return_counts=True)
    # Rank 1 is the smallest value; equal values share the mean of their ranks.
    ranks = counts.cumsum(0).double() - (counts.double() - 1) / 2
    # The Mann-Whitney count: pairs (wet, dry) in which the wet pixel is larger.
    pairs = ranks[place][inside].sum().item() - wet * (wet + 1) / 2
    return pairs / (wet * dry)
