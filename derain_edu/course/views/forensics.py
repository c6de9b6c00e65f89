"""What lesson *forensics* shows: tensors as points, masks side by side; and copies with zeros."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from derain_edu.course.views.plots import COLOURS, new_figure, picture_row
from derain_edu.experiments.spanet_checkpoint import Trace

FLOOR = 1e-6  # zero has no place on a logarithmic axis: it is drawn here
_TICKS = {FLOOR: "exactly 0", 1e-4: "0.0001", 1e-2: "0.01", 1.0: "1"}


class _HandOut(torch.autograd.Function):
    """An operation that copies its inputs. A copy that is not used gets zeros on the way back."""

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensor.clone() for tensor in tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        return gradients  # PyTorch has put zeros in the place of what is missing


def hand_out(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Return copies of tensors, as a network gets them that several devices share.

    What comes back for a copy that nobody used is a gradient of zeros, and not none at all.

    Examples
    --------
    >>> used, unused = (torch.ones(2, requires_grad=True) for _ in range(2))
    >>> copy, _ = hand_out(used, unused)
    >>> copy.sum().backward()
    >>> used.grad.tolist(), unused.grad.tolist()
    ([1.0, 1.0], [0.0, 0.0])
    """
    return _HandOut.apply(*tensors)


def traces_figure(traces: Sequence[Trace]) -> Figure:
    """Draw each tensor as a point: how far it left its start, and its largest gradient.

    Tensors that were trained and still lie inside their bound are named.
    """
    figure, axes = new_figure(width=8.5, height=4.3)
    axis = axes[0, 0]
    groups = {"a gradient came": [], "never a gradient": []}
    for trace in traces:
        groups["never a gradient" if trace.idle else "a gradient came"].append(trace)
    for (name, some), marker in zip(groups.items(), "oX", strict=True):
        ratio = [t.largest / t.start for t in some]
        size = [max(t.square**0.5, FLOOR) for t in some]
        label = f"{len(some)} tensors: {name}"
        axis.plot(ratio, size, marker, markersize=8, alpha=0.7, label=label)
    for trace in traces:
        if trace.largest <= trace.start and not trace.idle:
            place = (trace.largest / trace.start, trace.square**0.5)
            name = trace.name.removeprefix("attention.")
            axis.annotate(name, place, (-8, 0), textcoords="offset points", ha="right",
                          va="center", fontsize=8)  # fmt: skip
    axis.axvline(1, linestyle=":", color="grey")
    axis.set(xscale="log", yscale="log", xlabel="largest weight / bound at the start",
             ylabel="largest gradient on record (RMS)", xlim=(0.12, 150))
    axis.set_xticks([0.2, 1, 10, 100], ["0.2", "1", "10", "100"])
    axis.minorticks_off()
    axis.set_yticks(list(_TICKS), list(_TICKS.values()))
    axis.legend(fontsize=9, frameon=False, loc="lower right")
    return figure


def masks_figure(masks: Mapping[str, Tensor]) -> Figure:
    """Draw masks (H, W), bool, side by side under their names."""
    return picture_row({name: mask.expand(3, -1, -1) for name, mask in masks.items()}, width=11)


def seeds_figure(rows: Sequence[dict[str, Any]], column: str, label: str) -> Figure:
    """Draw a recorded number per seed; a line joins the two variants of one seed."""
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    figure, axes = new_figure(width=5, height=3.3)
    for k, seed in enumerate(sorted({row["seed"] for row in rows})):
        own = {row["variant"]: row[column] for row in rows if row["seed"] == seed}
        values = [own[variant] for variant in variants]
        axes[0, 0].plot(variants, values, "o-", color=COLOURS[k], label=f"seed {seed}")
    axes[0, 0].set(ylabel=label, xlim=(-0.4, len(variants) - 0.6))
    axes[0, 0].legend(fontsize=8, frameon=False)
    return figure
