"""The stage slider of lesson 04, and its figures of scores by stage and of recorded runs.

The pure functions (``stage_views``, ``draw_stage``) know nothing of notebooks and are tested at the
ends and in the middle of their ranges; ``stage_slider`` puts a slider above them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from derain_edu.course.views.plots import (
    chart,
    draw_bars,
    draw_curves,
    new_figure,
    strip_png,
)
from derain_edu.course.views.sliders import slider_over
from derain_edu.experiments.statistics import Rows, summarize
from derain_edu.metrics import psnr
from derain_edu.models.prn import PRN

CHANGE_SCALE = 10  # changes between two stages are small: show them ten times as large


@dataclass(frozen=True)
class StageView:
    """All that the stage slider shows at one stage.

    Attributes
    ----------
    stage : int
        Counted from 1.
    picture : Tensor
        (3, H, W), the output of this stage, clamped.
    change : Tensor
        (3, H, W), |x_t − x_{t−1}| × :data:`CHANGE_SCALE`, where x_0 is the rainy picture.
    psnr : float
        dB, protocol prenet_matlab.
    parameters : int
        Of the network: the same at each stage.
    gflops : float
        10⁹ multiplications and additions up to and including this stage.
    """

    stage: int
    picture: Tensor
    change: Tensor
    psnr: float
    parameters: int
    gflops: float


@torch.no_grad()
def stage_views(model: PRN, rainy: Tensor, clean: Tensor, stages: int = 12) -> list[StageView]:
    """Run the network once and look at every stage.

    Parameters
    ----------
    model : PRN
    rainy, clean : Tensor
        (3, H, W) in [0, 1].
    stages : int
        How many stages; more than the trained T is allowed, and worth a look.
    """
    pictures = [x[0] for x in model.unroll(rainy[None], stages)]
    parameters = sum(p.numel() for p in model.parameters())
    flops = _flops_of_one_stage(model, rainy[None])
    views, before = [], rainy
    for stage, picture in enumerate(pictures, 1):
        change = ((picture - before).abs() * CHANGE_SCALE).clamp(0, 1)
        score = psnr(picture, clean)
        views.append(
            StageView(
                stage, picture.clamp(0, 1), change, score, parameters, stage * flops / 1e9
            )
        )
        before = picture
    return views


def draw_stage(views: Sequence[StageView], stage: int, trained: int) -> bytes:
    """Return the picture (PNG bytes) of the stage slider at ``stage``, counted from 1."""
    view, curve = views[stage - 1], [v.psnr for v in views]
    figure, axis = chart(360, max(240, view.picture.shape[-2]))
    draw_curves(axis, {"PSNR": curve}, xlabel="stage", ylabel="PSNR in dB")
    axis.axvline(trained, linestyle=":", color="grey")
    axis.text(trained, min(curve), f" trained T = {trained}", fontsize=8, color="grey")
    axis.plot([stage], [view.psnr], "o", markersize=11, markerfacecolor="none", color="k")
    return strip_png(
        {
            f"after stage {stage}: {view.psnr:.2f} dB": view.picture,
            f"changed by this stage, ×{CHANGE_SCALE}": view.change,
            f"{view.parameters:,} parameters, {view.gflops:.1f} GFLOP": figure,
        }
    )


def stage_slider(
    model: PRN, rainy: Tensor, clean: Tensor, stages: int = 12, start: int = 1
) -> Any:
    """Return the stage slider: all stages are computed once, so it answers at once."""
    views = stage_views(model, rainy, clean, stages)
    frames = [draw_stage(views, view.stage, model.config.stages) for view in views]
    return slider_over(
        lambda stage: frames[stage - 1], "stage", 1, stages, start,
        lambda stage: f"The picture after stage {stage}: PSNR {views[stage - 1].psnr:.2f} dB",
    )


def _flops_of_one_stage(model: PRN, rainy: Tensor) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model.stage(rainy, rainy, None)
    return counter.get_total_flops()


def draw_scores(curves: Mapping[str, Sequence[float]], title: str = "") -> Figure:
    """Draw the PSNR after each stage (from 1), with the legend, named ``title``, beside it."""
    figure, axes = new_figure(width=8.5, height=3.2)
    axis = axes[0, 0]
    draw_curves(axis, curves, xlabel="pass, or stage", ylabel="PSNR in dB")
    axis.legend(title=title, fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def draw_rest(
    gains: Mapping[str, Sequence[float]], changes: Sequence[float], trained: int
) -> Figure:
    """Draw the gain of each photo by stage, the mean change by stage, and where training ended."""
    figure, axes = new_figure(1, 2, width=11, height=3.2)
    left, right = axes[0]
    draw_curves(left, gains, xlabel="stage", ylabel="gain over rainy, dB")
    left.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    draw_curves(right, {"": changes}, xlabel="stage", ylabel="change, grey levels")
    right.set_yscale("log")
    for axis in (left, right):
        axis.axvline(trained, linestyle=":", color="grey")
    return figure


def draw_recorded(rows: Rows, column: str, ylabel: str) -> Figure:
    """Draw what runs of an experiment recorded: means, their intervals, and a dot for each run."""
    summary = summarize(rows, column)
    means, halves = zip(*summary.values(), strict=True)
    names = list(summary)
    figure, axes = new_figure(width=8, height=3.6)
    axis = axes[0, 0]
    draw_bars(axis, [n.replace(", ", ",\n") for n in names], means, halves, ylabel=ylabel)
    places = [names.index(row["variant"]) - 0.2 for row in rows]
    axis.plot(places, [row[column] for row in rows], "o", color="black", markersize=4)
    return figure
