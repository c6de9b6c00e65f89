"""What a loop costs: the measurement and the pictures of lesson 08."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from derain_edu.course.views.plots import COLOURS, new_figure

Seconds = Mapping[str, Sequence[float]]  # name of a form -> seconds of each run


class BytesWritten(TorchDispatchMode):
    """Count the bytes that PyTorch's operations write: ``total``, forward and backward.

    Views (an index, a transpose) write nothing; an operation in place writes its tensor. Compiled
    loops outside of PyTorch are not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = operation(*args, **(kwargs or {}))
        old = {leaf.untyped_storage().data_ptr() for leaf in _tensors((args, kwargs))}
        schema = operation._schema
        if "empty" not in schema.name:  # that reserves memory and leaves it alone
            for leaf in _tensors(result):
                if schema.is_mutable or leaf.untyped_storage().data_ptr() not in old:
                    self.total += leaf.numel() * leaf.element_size()
        return result


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def spread(seconds: Sequence[float]) -> str:
    """Write runs as their median and, in brackets, the fastest and the slowest, in ms.

    Examples
    --------
    >>> spread([0.0021, 0.002, 0.0145])
    '2.1 (2.0–14.5)'
    """
    low, middle, high = (1000 * f(seconds) for f in (min, median, max))
    return f"{middle:.1f} ({low:.1f}–{high:.1f})"


def draw_race(forward: Seconds, both: Seconds) -> Figure:
    """Draw every run as a dot on a logarithmic axis, a line of dots per form; a bar: the median."""
    figure, axes = new_figure(1, 2, width=9.5, height=3, sharey=True)
    titles = ("forward", "forward and backward")
    for axis, runs, title in zip(axes[0], (forward, both), titles, strict=True):
        for place, (name, seconds) in enumerate(runs.items()):
            times, colour = [1000 * second for second in seconds], COLOURS[place % len(COLOURS)]
            axis.plot(times, [place] * len(times), "o", color=colour, alpha=0.5, label=name)
            axis.plot([median(times)], [place], "|", color=colour, markersize=22)
        axis.set(xscale="log", xlabel="ms, a dot per run", title=title)
        axis.set_yticks(range(len(runs)), list(runs))
        axis.grid(alpha=0.25, which="both", axis="x")
    axes[0, 0].invert_yaxis()
    return figure


def draw_maps(h: Tensor, maps: Mapping[str, Tensor]) -> Figure:
    """Draw maps of a number over the number that goes in; the last one strongly."""
    figure, axes = new_figure(width=6, height=2.8)
    for k, (name, values) in enumerate(maps.items(), 1):
        axes[0, 0].plot(h, values, label=name, linewidth=3 if k == len(maps) else 1.2)
    axes[0, 0].set(xlabel="h before", ylabel="h after")
    axes[0, 0].legend(fontsize=8, frameon=False)
    return figure
