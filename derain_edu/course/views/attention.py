"""Where does a SPANet look? The pictures of lesson 09, and a hook that reads direction weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from derain_edu.course.views.plots import (
    chart,
    coloured,
    draw_bars,
    draw_map,
    draw_picture,
    enlarged,
    new_figure,
    strip_png,
)
from derain_edu.course.views.sliders import slider_with_stops
from derain_edu.errors import DerainError
from derain_edu.map_scores import Bin, roc, score_at
from derain_edu.models.spanet import SPANet

# RGB of the pixels that a threshold finds, misses, and takes for rain by mistake
FOUND, MISSED, FALSE = (0.0, 0.62, 0.45), (0.9, 0.62, 0.0), (0.8, 0.24, 0.5)
DRY = (0.93, 0.93, 0.93)
ZOOM = 2  # pixels of the screen per pixel of the picture
THRESHOLDS = tuple(k / 50 for k in range(51))


# -- looking into a network -----------------------------------------------------------------------


@torch.no_grad()
def direction_weights(model: SPANet, rainy: Tensor) -> Tensor:
    """Return the four direction weights of each stage: (stages, 4, H, W) in (0, 1).

    Parameters
    ----------
    model : SPANet
    rainy : Tensor
        (3, H, W) in [0, 1].

    Raises
    ------
    DerainError
        If the direction weights of this network don't act.
    """
    if not model.config.direction_attention:
        raise DerainError(
            "the direction weights of this network don't act: take weights that were trained "
            "with direction_attention=True, such as 'open-paper'"
        )
    caught: list[Tensor] = []
    hook = model.attention.directions.register_forward_hook(
        lambda _module, _inputs, output: caught.append(output)
    )
    try:
        model.attend(rainy[None])
    finally:
        hook.remove()
    return torch.cat(caught)  # stages × (1, 4, H, W)


# -- what a threshold finds -----------------------------------------------------------------------


def hits_and_misses(values: Tensor, mask: Tensor, threshold: float) -> Tensor:
    """Paint found, missed and falsely called pixels, (H, W) each, as a picture (3, H, W)."""
    called, wet = values >= threshold, mask.bool()
    picture = torch.tensor(DRY).view(3, 1, 1).repeat(1, *values.shape)
    cases = ((called & wet, FOUND), (~called & wet, MISSED), (called & ~wet, FALSE))
    for where, colour in cases:
        picture[:, where] = torch.tensor(colour).view(3, 1)
    return picture


def draw_threshold(
    rainy: Tensor, values: Tensor, mask: Tensor, threshold: float, zoom: int = ZOOM
) -> bytes:
    """Return what a threshold finds, and its place on the ROC curve, as PNG bytes.

    Parameters
    ----------
    rainy : Tensor
        (3, H, W) in [0, 1].
    values, mask : Tensor
        (H, W): the map in [0, 1] and the truth, bool.
    threshold : float
        A pixel is called rain if its value is at least this.
    zoom : int
        Each pixel is drawn ``zoom`` × ``zoom``.
    """
    now = score_at(values, mask, threshold)
    false_alarms, recall = roc(values, mask)
    figure, axis = chart(2 * zoom * rainy.shape[-1] + 12, max(220, zoom * rainy.shape[-2]))
    axis.plot(false_alarms.numpy(), recall.numpy())
    axis.plot([0, 1], [0, 1], ":", color="grey")
    axis.plot(now.false_alarms, now.recall, "o", markersize=9, color="k")
    axis.set(xlabel="false alarms: share of the dry pixels called rain", ylabel="recall",
             xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
    return strip_png(
        {
            "rainy": enlarged(rainy, zoom),
            "true mask": enlarged(mask[None].float(), zoom),
            "map A": enlarged(coloured(values), zoom),
        },
        {
            f"A ≥ {threshold:.2f}": enlarged(hits_and_misses(values, mask, threshold), zoom),
            f"recall {now.recall:.2f}, false alarms {now.false_alarms:.2f}": figure,
        },
    )  # fmt: skip


def threshold_slider(rainy: Tensor, values: Tensor, mask: Tensor) -> Any:
    """Return a slider over the threshold of a map (H, W): see :func:`draw_threshold`."""

    def words(k: int) -> str:
        s = score_at(values, mask, THRESHOLDS[k])
        return (
            f"A pixel with A ≥ {s.threshold:.2f} is called rain: recall {s.recall:.0%}, false "
            f"alarms {s.false_alarms:.0%}. Green: found, yellow: missed, pink: falsely called."
        )

    return slider_with_stops(
        lambda k: draw_threshold(rainy, values, mask, THRESHOLDS[k]),
        "threshold", [f"{t:.2f}" for t in THRESHOLDS], len(THRESHOLDS) // 2, words,
    )


# -- figures --------------------------------------------------------------------------------------


def map_figure(rainy: Tensor, derained: Tensor, mask: Tensor, attention: Tensor) -> Figure:
    """Draw a rainy picture (3, H, W), the network's answer, the true mask and the map (H, W)."""
    figure, axes = new_figure(1, 4, width=11, height=2.9)
    draw_picture(axes[0, 0], rainy, "rainy")
    draw_picture(axes[0, 1], derained, "derained")
    draw_picture(axes[0, 2], mask.float(), "true mask")
    draw_map(axes[0, 3], attention, "map A of stage 1", 0, 1)
    return figure


def calibration_figure(bins: Mapping[str, Sequence[Bin]]) -> Figure:
    """Draw what a map says and what is true, one curve per kind of rain."""
    figure, axes = new_figure(width=6, height=4)
    for rain, found in bins.items():
        axes[0, 0].plot([b.value for b in found], [b.share for b in found], "o-", label=rain)
    axes[0, 0].plot([0, 1], [0, 1], ":", color="grey")
    axes[0, 0].set(xlabel="A: what the map says", ylabel="share of rainy pixels: what is true")
    axes[0, 0].legend(fontsize=9, frameon=False, title="rain", title_fontsize=9)
    return figure


def stages_figure(maps: Tensor, areas: Sequence[float], lost: Sequence[float]) -> Figure:
    """Draw the maps of all stages (stages, H, W), the AUC of each, and what it is worth in dB."""
    number = len(maps)
    figure, axes = new_figure(2, number, width=11, height=5.4)
    for axis, k in zip(axes[0], range(number), strict=True):
        draw_map(axis, maps[k], f"map of stage {k + 1}", 0, maps[k].max().item())
    for axis in axes[1]:
        axis.remove()
    grid, names = axes[1, 0].get_gridspec(), [f"stage {k + 1}" for k in range(number)]
    middle = number // 2
    left, right = figure.add_subplot(grid[1, :middle]), figure.add_subplot(grid[1, middle:])
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    draw_bars(left, names, areas, ylabel="AUC of the map")
    left.axhline(0.5, linestyle=":", color="grey")
    draw_bars(right, names, lost, ylabel="dB lost if held still")
    return figure
