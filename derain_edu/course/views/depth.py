"""What the layers of a network know about the rain, depth by depth.

A *read-out* is the best weighted sum of the channels at one depth: a linear regression of the rain
layer on the features, pixel by pixel, fitted on some pairs and used on others. What it finds is
known at that depth; what it misses, the layers behind it have to work out, because a weighted sum
is all that it can do.

How well a map finds rain is the area under the ROC curve (AUC). Draw one rainy and one dry pixel:
the AUC is the chance that the map is larger at the rainy one. 0.5 is a coin, 1 is perfect. It does
not change when the map is scaled or shifted, so layers of any size can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from derain_edu.course.views.plots import (
    chart,
    draw_curves,
    strip_png,
)
from derain_edu.course.views.sliders import slider_over
from derain_edu.map_scores import auc
from derain_edu.models.residual import Residual

READ_OUT_SCALE = 4  # rain is faint: show the read-out brighter
RIDGE = 1e-8  # of the features' mean square: keeps the regression solvable if a channel is dead


@dataclass(frozen=True)
class DepthView:
    """What is known about the rain at one depth.

    Attributes
    ----------
    depth : int
        0: after the head; k: after block k.
    channel : Tensor
        (H, W), the single channel whose AUC is farthest from 0.5, bright where rainy.
    channel_auc : float
        Of this channel.
    read_out : Tensor
        (H, W), the read-out's guess of the rain layer (mean of RGB).
    read_out_auc : float
        Of this guess.
    """

    depth: int
    channel: Tensor
    channel_auc: float
    read_out: Tensor
    read_out_auc: float

    @property
    def name(self) -> str:
        """The place in words."""
        return "after the head" if self.depth == 0 else f"after block {self.depth}"


def fit_read_out(features: Tensor, target: Tensor) -> Tensor:
    """Return the weights of the channels, and a constant, whose sum is closest to ``target``.

    Parameters
    ----------
    features : Tensor
        (B, C, H, W).
    target : Tensor
        (B, 1, H, W).

    Returns
    -------
    Tensor
        (C + 1,), double: for :func:`read_out`.
    """
    return least_squares(features, target).squeeze(1)


def least_squares(features: Tensor, target: Tensor) -> Tensor:
    """Return the weights (C + 1, C'), double, of C channels and a constant that come closest.

    ``features`` is (B, C, H, W), ``target`` (B, C', H, W).
    """
    x = _columns(features)  # (B, C, H, W) -> (B·H·W, C + 1)
    y = target.double().movedim(1, -1).flatten(0, 2)  # (B·H·W, C')
    gram = x.T @ x
    ridge = RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=x.dtype, device=x.device)
    return torch.linalg.solve(gram + ridge, x.T @ y)


def read_out(features: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sum of the channels, (B, C, H, W) -> (B, 1, H, W)."""
    batch, _, height, width = features.shape
    return (_columns(features) @ weights).view(batch, 1, height, width).float()


def _columns(features: Tensor) -> Tensor:
    columns = features.double().movedim(1, -1).flatten(0, 2)  # (B, C, H, W) -> (B·H·W, C)
    return torch.cat((columns, torch.ones_like(columns[:, :1])), dim=1)


@torch.no_grad()
def depth_views(
    model: Residual, seen: Sequence[dict[str, Tensor]], rainy: Tensor, mask: Tensor
) -> list[DepthView]:
    """Ask every depth of a baseline where it rains.

    Parameters
    ----------
    model : Residual
    seen : sequence of dict
        Pairs with ``rainy`` and ``clean`` (3, P, P), to fit the read-outs on.
    rainy, mask : Tensor
        (3, H, W) in [0, 1] and (1, H, W) bool: another picture, and where it rains in it.

    Returns
    -------
    list of DepthView
        After the head and after each block.
    """
    pairs = {key: torch.stack([pair[key] for pair in seen]) for key in ("rainy", "clean")}
    rain = (pairs["rainy"] - pairs["clean"]).mean(dim=1, keepdim=True)  # (B, 1, P, P)
    views = []
    both = zip(model.features(pairs["rainy"]), model.features(rainy[None]), strict=True)
    for depth, (fitted_on, features) in enumerate(both):
        found = read_out(features, fit_read_out(fitted_on, rain))[0, 0]
        channel, score = _best_channel(features[0], mask)
        views.append(DepthView(depth, channel, score, found, auc(found, mask)))
    return views


def _best_channel(features: Tensor, mask: Tensor) -> tuple[Tensor, float]:
    """Return the channel that tells rain best, and its AUC; one that is dark in rain is negated."""
    scores = [auc(channel, mask) for channel in features]
    best = max(range(len(scores)), key=lambda c: abs(scores[c] - 0.5))
    if scores[best] < 0.5:
        return -features[best], 1 - scores[best]
    return features[best], scores[best]


def draw_depth(views: Sequence[DepthView], depth: int) -> bytes:
    """Return the picture (PNG bytes) of the depth slider at ``depth``; 0 is after the head."""
    view = views[depth]
    figure, axis = chart(320, max(240, view.read_out.shape[-2]))
    curves = {
        "read-out of all channels": [v.read_out_auc for v in views],
        "best single channel": [v.channel_auc for v in views],
    }
    draw_curves(axis, curves, range(len(views)), xlabel="depth (0: head)", ylabel="AUC")
    for values in curves.values():
        axis.plot([depth], values[depth], "o", markersize=11, markerfacecolor="none", color="k")
    axis.set_ylim(0.5, 1)
    low, high = view.channel.amin(), view.channel.amax()
    channel = (view.channel - low) / (high - low).clamp_min(1e-12)  # its own range: 0 to 1
    return strip_png(
        {
            f"best channel: AUC {view.channel_auc:.2f}": channel[None],
            f"read-out ×{READ_OUT_SCALE}: AUC {view.read_out_auc:.2f}": (
                view.read_out[None] * READ_OUT_SCALE
            ).clamp(0, 1),
            f"how well rain is told, {view.name}": figure,
        }
    )


def depth_slider(
    model: Residual, seen: Sequence[dict[str, Tensor]], rainy: Tensor, mask: Tensor, start: int = 0
) -> Any:
    """Return a slider over the depth of a baseline: what each depth knows about the rain.

    The arguments are those of :func:`depth_views`. All depths are computed once, so the slider
    answers at once.
    """
    views = depth_views(model, seen, rainy, mask)
    frames = [draw_depth(views, view.depth) for view in views]
    return slider_over(
        frames.__getitem__, "depth", 0, len(views) - 1, start,
        lambda depth: f"The read-out {views[depth].name}: AUC {views[depth].read_out_auc:.2f}",
    )
