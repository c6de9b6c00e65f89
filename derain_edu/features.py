"""What the layers of a network answer to: the features at every depth, and how well they find rain.

The measure is the area under the ROC curve (AUC). Draw one rainy and one dry pixel: the AUC is
the chance that the feature is larger at the rainy one. 0.5 is a coin, 1 (and 0) is perfect. It
does not change when a feature is scaled or shifted, so layers of any size can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from derain_edu.errors import DerainError
from derain_edu.models.residual import Residual
from derain_edu.plots import chart, draw_curves, strip_png


@dataclass(frozen=True)
class DepthView:
    """What the depth slider shows at one depth."""

    depth: int  # 0: after the head; k: after block k
    maps: Tensor  # (n, H, W) in [0, 1], the n channels that tell rain best, bright where it rains
    separations: list[float]  # theirs, largest first: 0.5 is a coin, 1 is perfect

    @property
    def name(self) -> str:
        """The place in words."""
        return "after the head" if self.depth == 0 else f"after block {self.depth}"


def auc(values: Tensor, mask: Tensor) -> float:
    """Return the chance that a pixel of ``mask`` has a larger value than another (a tie is half).

    Parameters
    ----------
    values : Tensor
        Any shape.
    mask : Tensor
        The same number of elements, bool; both kinds must occur.
    """
    inside = mask.flatten()
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


@torch.no_grad()
def depth_views(
    model: Residual, rainy: Tensor, mask: Tensor, channels: int = 3
) -> list[DepthView]:
    """Look at the channels that tell rain best, after the head and after every block.

    Parameters
    ----------
    model : Residual
    rainy : Tensor
        (3, H, W) in [0, 1].
    mask : Tensor
        (1, H, W) bool: where it rains.
    channels : int
        How many channels to keep at each depth.
    """
    return [
        _best_channels(depth, found[0], mask, channels)  # (1, C, H, W) -> (C, H, W)
        for depth, found in enumerate(model.features(rainy[None]))
    ]


def _best_channels(depth: int, found: Tensor, mask: Tensor, count: int) -> DepthView:
    scores = [auc(channel, mask) for channel in found]
    order = sorted(range(len(scores)), key=lambda c: -abs(scores[c] - 0.5))[:count]
    maps = [found[c] if scores[c] >= 0.5 else -found[c] for c in order]
    separations = [max(scores[c], 1 - scores[c]) for c in order]
    return DepthView(depth, torch.stack([_to_unit(m) for m in maps]), separations)


def _to_unit(values: Tensor) -> Tensor:
    """Scale a map to [0, 1]; the hundredth part at each end may clip."""
    sample = values.flatten().sort().values
    low, high = (sample[round(q * (len(sample) - 1))] for q in (0.01, 0.99))
    return ((values - low) / (high - low).clamp_min(1e-12)).clamp(0, 1)


def draw_depth(views: Sequence[DepthView], depth: int) -> bytes:
    """Return the picture (PNG bytes) of the depth slider at ``depth``."""
    view, best = views[depth], [v.separations[0] for v in views]
    figure, axis = chart(300, max(220, view.maps.shape[-2]))
    draw_curves(axis, {"AUC": best}, range(len(views)), xlabel="depth (0 = head)", ylabel="AUC")
    axis.plot([depth], [best[depth]], "o", markersize=11, markerfacecolor="none", color="k")
    axis.set_ylim(0.5, 1)
    parts = {
        f"{'best' if k == 0 else f'no. {k + 1}'}: AUC {score:.3f}": channel[None]
        for k, (channel, score) in enumerate(zip(view.maps, view.separations, strict=True))
    }
    return strip_png({**parts, f"best channel {view.name}": figure})


def depth_slider(model: Residual, rainy: Tensor, mask: Tensor) -> Any:
    """Return a slider over the depth; everything is computed once, so it answers at once."""
    from derain_edu.widgets import _slider_over

    views = depth_views(model, rainy, mask)
    frames = [draw_depth(views, view.depth) for view in views]
    return _slider_over(
        frames.__getitem__, "depth", 0, len(views) - 1, 0,
        lambda depth: f"The best channel {views[depth].name}: AUC {views[depth].separations[0]:.3f}",
    )
