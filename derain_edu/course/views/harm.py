"""What lesson *real rain* shows: a truth from a film, maps of harm, strength of the effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from derain_edu.course.views.plots import new_figure, strip_png
from derain_edu.course.views.sliders import shell, slider_with_stops
from derain_edu.evaluation.harm import MOST
from derain_edu.metrics import psnr

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
ERROR_SCALE = 4


def truth_view(frames: Tensor, clean: Tensor, percentile: int, count: int) -> bytes:
    """Draw a percentile over the first ``count`` frames (N, 3, H, W), and what it got wrong."""
    found = torch.quantile(frames[:count], percentile / 100, dim=0)
    error = (ERROR_SCALE * (found - clean).abs()).clamp(0, 1)
    score = f"{percentile} % of {count} frames, {psnr(found, clean):.1f} dB"
    return strip_png({"one frame": frames[0], score: found, f"error ×{ERROR_SCALE}": error})


def truth_in_words(frames: Tensor, clean: Tensor, percentile: int, count: int) -> str:
    """Say what :func:`truth_view` shows."""
    found = torch.quantile(frames[:count], percentile / 100, dim=0)
    return f"Percentile {percentile} over {count} frames: {psnr(found, clean):.1f} dB."


def truth_sliders(frames: Tensor, clean: Tensor) -> Any:
    """Return sliders for the percentile and for the number of frames, above the scene they find."""
    import ipywidgets

    percentile = ipywidgets.IntSlider(20, 0, 100, step=5, description="percentile")
    count = ipywidgets.IntSlider(len(frames), 1, len(frames), description="frames")
    return shell(
        [percentile, count],
        lambda: truth_view(frames, clean, percentile.value, count.value),
        lambda: truth_in_words(frames, clean, percentile.value, count.value),
    )


def draw_grating_maps(
    maps: Mapping[str, Tensor], angles: Sequence[float], periods: Sequence[float]
) -> Figure:
    """Draw maps (periods, angles) of PSNR in dB side by side, with the numbers in their cells.

    Parameters
    ----------
    maps : mapping of str to Tensor
        Name of a network → what :func:`derain_edu.evaluation.harm.grating_map` returns.
    angles, periods : sequence of float
        Of the columns, in degrees, and of the rows, in pixels.
    """
    figure, axes = new_figure(1, len(maps), 5.6 * len(maps), 0.8 + 0.42 * len(periods))
    for axis, (name, found) in zip(axes[0], maps.items(), strict=True):
        axis.imshow(found.numpy(), cmap="cividis", vmin=10, vmax=60, aspect="auto")
        for row, column in torch.cartesian_prod(*map(torch.arange, found.shape)).tolist():
            value = found[row, column].item()
            colour = "white" if value < 35 else "black"
            axis.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=8, c=colour)
        axis.set_xticks(range(len(angles)), [f"{angle:g}°" for angle in angles])
        axis.set_yticks(range(len(periods)), [f"{period:g}" for period in periods])
        axis.set(xlabel="angle from upright", ylabel="period in pixels")
        axis.set_title(name, fontsize=10)
    return figure


def strength_view(
    rainy: Tensor, derained: Tensor, clean: Tensor, dry: Tensor, after: Tensor, strength: float
) -> bytes:
    """Draw a rainy and a dry picture with some of the network's effect."""
    wet, kept = _with(rainy, derained, strength), _with(dry, after, strength)
    return strip_png(
        {
            f"in rain, {psnr(wet, clean):.1f} dB": wet,
            f"dry, {min(MOST, psnr(kept, dry)):.1f} dB": kept,
        }
    )


def strength_slider(
    rainy: Tensor, derained: Tensor, clean: Tensor, dry: Tensor, after: Tensor
) -> Any:
    """Return a slider for the strength of the effect, on a rainy and on a dry picture.

    Parameters
    ----------
    rainy, derained, clean : Tensor
        (3, H, W): a picture in rain, after the network, and without rain.
    dry, after : Tensor
        (3, H, W): a picture without rain, before and after the network.
    """

    def words(k: int) -> str:
        wet, kept = (_with(*pair, STRENGTHS[k]) for pair in ((rainy, derained), (dry, after)))
        return (
            f"Strength {STRENGTHS[k]:g}: the rainy picture has {psnr(wet, clean):.1f} dB, the dry "
            f"one keeps {min(MOST, psnr(kept, dry)):.1f} dB."
        )

    return slider_with_stops(
        lambda k: strength_view(rainy, derained, clean, dry, after, STRENGTHS[k]),
        "strength", [f"{s:g}" for s in STRENGTHS], STRENGTHS.index(1.0), words,
    )  # fmt: skip


def _with(before: Tensor, after: Tensor, strength: float) -> Tensor:
    return (before + strength * (after - before)).clamp(0, 1)
