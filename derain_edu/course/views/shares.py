"""Pictures of shares: how long they are, which way they point, and which loss reaches which use.

A *share* is the part of a shared weight's gradient that comes from one of its uses. All functions
take the shares of all uses as (T, number of weights), in the order of the stages.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from derain_edu.course.views.plots import COLOURS, draw_map

Axes = Any  # matplotlib.axes.Axes


def beside_the_sum(shares: Tensor) -> Tensor:
    """Return each share as two numbers, (T, 2): along the sum of all shares, and away from it.

    The first column adds up to the length of the sum, exactly. The second is how much of the share
    points elsewhere; the directions of these parts are lost, as a plane has no room for them.
    """
    total = shares.sum(dim=0)
    along = shares @ (total / total.norm())  # (T,)
    away = (shares.square().sum(dim=1) - along.square()).clamp(min=0).sqrt()
    return along.new_tensor(np.stack([along, away], axis=1))


def draw_fan(axis: Axes, shares: Tensor, title: str = "") -> None:
    """Draw each share as an arrow with its length and its angle to the sum, which lies level."""
    points = beside_the_sum(shares)
    total = shares.sum(dim=0).norm().item()
    arrow = {"arrowstyle": "-|>", "linewidth": 1.8, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", (total, 0), (0, 0), arrowprops=arrow | {"color": "grey", "linewidth": 4})
    axis.text(total, 0, " sum", color="grey", va="center", fontsize=9)
    for k, (x, y) in enumerate(points.tolist()):
        colour = COLOURS[k % len(COLOURS)]
        axis.annotate("", (x, y), (0, 0), arrowprops=arrow | {"color": colour})
        axis.text(x, y, f" {k + 1}", color=colour, va="bottom", fontsize=10)
    reach = 1.1 * max(total, float(points[:, 0].max()))
    low = min(0.0, 1.2 * float(points[:, 0].min()))
    axis.set_xlim(low - 0.03 * reach, 1.18 * reach)
    axis.set_ylim(-0.06 * reach, 1.15 * max(float(points[:, 1].max()), 0.3 * reach))
    axis.set_xlabel("along the sum")
    axis.set_ylabel("away from it")
    axis.set_title(title, fontsize=10)
    axis.set_aspect("equal")


def draw_table(
    axis: Axes, table: Tensor, title: str, rows: str, columns: str, scale: str = "cosine",
) -> None:
    """Draw a table (T, T) of numbers in colours, with the number in each cell.

    ``scale`` is ``"cosine"``, from −1 to 1, or ``"log"``, where the colour tells the power of ten.
    """
    cosine = scale == "cosine"
    if cosine:
        draw_map(axis, table, title, vmin=-1, vmax=1, colours="PuOr")
    else:
        draw_map(axis, table.clamp(min=1e-9).log10(), title, vmin=-4, vmax=2)
    for s, t in np.ndindex(*table.shape):
        value = table[s, t].item()
        dark = abs(value) > 0.7 if cosine else value < 0.3
        words = f"{value:.2f}" if cosine else f"{value:.2g}" if value > 0 else "0"
        axis.text(t, s, words, ha="center", va="center", fontsize=7,
                  color="white" if dark else "black")
    end = len(table)
    axis.text(-0.7, (end - 1) / 2, rows, rotation=90, va="center", ha="right", fontsize=9)
    axis.text((end - 1) / 2, end - 0.3, columns, va="top", ha="center", fontsize=9)
