"""What lesson 11 draws: waves over space and time, how their training went, and a flow chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from derain_edu.course.pinn import TERMS
from derain_edu.course.views.plots import COLOURS, draw_curves, draw_map, new_figure


def draw_waves(waves: Mapping[str, Tensor], rows: int = 51, columns: int = 129) -> Figure:
    """Draw waves, each (rows · columns,), as maps: x from left to right, t from top to bottom."""
    figure, axes = new_figure(1, len(waves), width=3.2 * len(waves), height=2.7)
    for axis, (name, values) in zip(axes.flat, waves.items(), strict=True):
        draw_map(axis, values.reshape(rows, columns), name, -1, 1)
        axis.set(aspect="auto", xlabel="x", ylabel="t")
        axis.set_axis_on()
        axis.set_xticks([0, (columns - 1) / 2, columns - 1], [-1, 0, 1])
        axis.set_yticks([0, (rows - 1) / 2, rows - 1], [0, 0.5, 1])
    return figure


def mean_of(log: Sequence[Mapping[str, Any]], column: str) -> dict[str, list[float]]:
    """Return the mean over the seeds of ``losses`` or ``gradients``, one list per term."""
    return {term: [float(np.mean(row[column][term])) for row in log] for term in TERMS}


def draw_terms(log: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the three losses and the sizes of their gradients over the steps, mean of the seeds.

    Both axes count powers of ten: from one line to the next, ten times as much.
    """
    figure, axes = new_figure(1, 2, width=11, height=3.2)
    words = {"losses": "loss, unweighted", "gradients": "size of its gradient"}
    for axis, (column, label) in zip(axes.flat, words.items(), strict=True):
        draw_curves(axis, mean_of(log, column), [row["step"] for row in log], "step", label)
        axis.set(yscale="log", ylim=(1e-5 if column == "losses" else 1e-2, None))
    return figure


def draw_errors(errors: Mapping[str, Sequence[float]]) -> Figure:
    """Draw the relative error of each way in percent: one dot per seed, a line at the mean."""
    figure, axes = new_figure(width=9, height=3.2)
    axis = axes[0, 0]
    for k, values in enumerate(errors.values()):
        percent = 100 * np.array(values)
        axis.plot([k] * len(percent), percent, "o", color=COLOURS[k % len(COLOURS)])
        axis.plot([k - 0.25, k + 0.25], [percent.mean()] * 2, color=COLOURS[k % len(COLOURS)])
        axis.annotate(f"{percent.mean():.0f} %", (k + 0.28, percent.mean()), va="center", size=8)
    names = [name.replace(" ", "\n", 1) for name in errors]
    axis.set_xticks(range(len(errors)), names, fontsize=8)
    axis.set(ylabel="relative error, %", ylim=(0, None), xlim=(-0.5, len(errors) - 0.2))
    return figure


def errors_in_words(errors: Mapping[str, Sequence[float]]) -> str:
    """Return a sentence for those who can't see :func:`draw_errors`."""
    said = ", ".join(f"{name} {np.mean(values):.0%}" for name, values in errors.items())
    return f"Relative error of each way, one dot per seed; means: {said}."


# question -> what to do if the answer is no; yes leads on
QUESTIONS = (
    ("Does plain training fail,\nby numbers, over seeds?", "Don't. There is nothing to cure."),
    ("Does every simpler cure fail?\n(constraint, weights, more steps)", "Don't. Use that one."),
    ("Does a solution of the easy task\nstart the hard one well?", "Don't. It is another task."),
    ("Does it beat the same steps in\nrandom order, over seeds?", "Don't. It is not the order."),
)


def draw_flow_chart(questions: Sequence[tuple[str, str]] = QUESTIONS) -> Figure:
    """Draw when to try a curriculum: questions from top to bottom, the noes at the side."""
    figure, axes = new_figure(width=8.5, height=0.95 * (len(questions) + 1))
    axis = axes[0, 0]
    axis.set_axis_off()
    axis.set(xlim=(0, 10), ylim=(-0.5, len(questions) + 0.5))
    box = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": COLOURS[0]}
    stop = {**box, "edgecolor": COLOURS[1]}
    arrow = {"arrowstyle": "-|>", "color": "grey"}
    for k, (question, otherwise) in enumerate(questions):
        y = len(questions) - k
        axis.text(2.8, y, question, ha="center", va="center", fontsize=9, bbox=box)
        axis.text(8.1, y, otherwise, ha="center", va="center", fontsize=9, bbox=stop)
        axis.annotate("", (6.2, y), (4.9, y), arrowprops=arrow)
        axis.text(5.6, y + 0.08, "no", ha="center", fontsize=9, color="grey")
        axis.annotate("", (2.8, y - 0.72), (2.8, y - 0.28), arrowprops=arrow)
        axis.text(2.95, y - 0.52, "yes", fontsize=9, color="grey")
    last = {**box, "edgecolor": COLOURS[2]}
    axis.text(
        2.8, 0, "Use it, and say what it cost.", ha="center", va="center", fontsize=9, bbox=last
    )
    return figure
