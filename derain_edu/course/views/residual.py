"""Figures of lesson 03: windows of layers, gradients by depth, and runs paired by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor

from derain_edu.course.views.plots import COLOURS, draw_curves, draw_map, new_figure

FAINTEST = 1e-7  # of the strongest gradient; zero has no logarithm


def draw_windows(windows: Mapping[str, Tensor]) -> Figure:
    """Draw how strongly each input pixel changes the middle output pixel, in powers of ten.

    Parameters
    ----------
    windows : mapping of str to Tensor
        A name, and sizes of gradients (H, W), at least one of them above zero.
    """
    figure, axes = new_figure(1, len(windows), width=10.5, height=3.2)
    for axis, (name, gradients) in zip(axes.flat, windows.items(), strict=True):
        shown = (gradients / gradients.max()).clamp_min(FAINTEST).log10()
        draw_map(axis, shown, name, vmin=-6, vmax=0)
    return figure


def draw_gradients(sizes: Mapping[str, Sequence[float]], depths: Sequence[int]) -> Figure:
    """Draw the size of a gradient, in powers of ten, by the number of blocks it went through."""
    figure, axes = new_figure(width=8, height=3.4)
    axis = axes[0, 0]
    draw_curves(axis, sizes, depths, "blocks", "gradient at the start / at the end")
    axis.set_yscale("log")
    axis.set_xticks(depths, depths)
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def draw_pairs(scores: Mapping[str, Mapping[int, float]], ylabel: str) -> Figure:
    """Draw the scores of two or more networks, and join those of the same seed by a line.

    Parameters
    ----------
    scores : mapping of str to mapping of int to float
        A network, and its score for each seed.
    ylabel : str
        What is drawn, with its unit.
    """
    figure, axes = new_figure(width=6, height=3.2)
    axis, names = axes[0, 0], list(scores)
    for seed in next(iter(scores.values())):
        values = [scores[name][seed] for name in names]
        axis.plot(names, values, marker="o", color=COLOURS[0], alpha=0.6)
    axis.set_ylabel(ylabel)
    axis.margins(x=0.3, y=0.15)
    axis.grid(alpha=0.25)
    return figure
