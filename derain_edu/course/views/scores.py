"""Scores in a notebook: the ladder from one PSNR to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from derain_edu.course.views.plots import draw_curves, new_figure

LADDER_ALT = (
    "PSNR of A and B over five steps from RGB to the protocol of PReNet: A rises slowly, B jumps "
    "at the step from RGB to luma, and the two lines cross."
)


def draw_ladder(ladder: Mapping[str, Sequence[float]], steps: Sequence[str]) -> Figure:
    """Draw the PSNR of each picture after each step, with the steps' names below."""
    figure, axes = new_figure(1, 1, width=9, height=3.2)
    draw_curves(axes[0, 0], ladder, ylabel="PSNR in dB")
    axes[0, 0].set_xticks(range(1, len(steps) + 1), steps, fontsize=8)
    return figure
