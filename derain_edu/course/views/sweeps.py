"""How far a pixel sees: the measurements, pictures and sliders of lesson 07.

Whether pixel q can change pixel p of an output at all is a question about a derivative: it is
exactly 0 where no way leads from q to p. :func:`influence` asks it for all q at once by one
backward pass. Everything else here turns the answer, or a sweep on its way, into a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from derain_edu.course.views.plots import (
    COLOURS,
    chart,
    colour_bar,
    coloured,
    draw_curves,
    enlarged,
    new_figure,
    strip_png,
)
from derain_edu.course.views.sliders import shell
from derain_edu.models.irnn import DIRECTIONS, irnn_stack

FRONT = (0.84, 0.37, 0.0)  # RGB of the line between what a sweep has done and what it has not
SEEN, UNSEEN = (0.0, 0.45, 0.7), (0.85, 0.85, 0.85)  # RGB
ZOOM = 8  # pixels of the screen per pixel of the picture


# -- measurements ---------------------------------------------------------------------------------


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


# -- pictures -------------------------------------------------------------------------------------


def draw_sweeps(x: Tensor, alpha: float, position: int, zoom: int = ZOOM) -> bytes:
    """Return four sweeps on their way, as PNG bytes.

    Parameters
    ----------
    x : Tensor
        (H, W) in [0, 1].
    alpha : float
        The weight of all sweeps; β is 0.
    position : int
        How many rows or columns each sweep has done. The rest is grey: the input, paler.
    zoom : int
        Each pixel is drawn ``zoom`` × ``zoom``.
    """
    swept = irnn_stack(x[None, None], torch.full((4, 1), float(alpha)), torch.zeros(4, 1), "rows")
    swept = swept[0, :, 0]  # (1, 4, 1, H, W) -> (4, H, W)
    top = max(float(swept.max()), 1e-12)
    parts: dict[str, Tensor | Figure] = {"before": enlarged(x.expand(3, -1, -1), zoom)}
    for name, values in zip(DIRECTIONS, swept, strict=True):
        length = x.shape[0] if name in ("up", "down") else x.shape[1]
        done = min(position, length)
        lines = "rows" if name in ("up", "down") else "columns"
        picture = _on_its_way(x, values / top, name, done, zoom)
        parts[f"{name}: {done} of {length} {lines}"] = picture
    parts[" "] = colour_bar(top, x.shape[0] * zoom)
    return strip_png(parts)


def _on_its_way(x: Tensor, values: Tensor, name: str, done: int, zoom: int) -> Tensor:
    """Return one sweep after ``done`` lines: (3, H·zoom, W·zoom)."""
    axis, reverse = (0 if name in ("up", "down") else 1), name in ("up", "left")
    length = x.shape[axis]
    start, stop = (length - done, length) if reverse else (0, done)
    inside = torch.zeros(length, dtype=torch.bool)
    inside[start:stop] = True
    inside = inside[:, None] if axis == 0 else inside
    waiting = (0.6 + 0.4 * x).expand(3, -1, -1)
    picture = enlarged(torch.where(inside, coloured(values), waiting), zoom)
    front = (start if reverse else stop) * zoom
    if 0 < done < length:
        line = picture.narrow(axis + 1, front - 1, 2)  # a view: painting it paints the picture
        line.copy_(_colour(FRONT))
    return picture


def _colour(rgb: tuple[float, float, float]) -> Tensor:
    return torch.tensor(rgb).view(3, 1, 1)


def draw_round(maps: Sequence[Tensor], number: int, zoom: int = ZOOM) -> bytes:
    """Return what the middle pixel sees after ``number`` rounds of sweeps, as PNG bytes.

    Parameters
    ----------
    maps : sequence of Tensor
        (H, W) each: the :func:`influence` after 0, 1, 2 … rounds.
    number : int
        Which one to show.
    zoom : int
        Each pixel is drawn ``zoom`` × ``zoom``.
    """
    seen, pixels = maps[number], maps[number].numel()
    ways = (1 + seen).log() / (1 + seen.max()).log()  # 0 where no way leads
    counts = [int((m > 0).sum()) for m in maps]
    figure, axis = chart(300, max(220, seen.shape[0] * zoom))
    shares = {"": [100 * count / pixels for count in counts]}
    draw_curves(axis, shares, range(len(maps)), xlabel="rounds", ylabel="pixels seen, %")
    axis.plot([number], shares[""][number : number + 1], "o", markersize=11,
              markerfacecolor="none", color="k", clip_on=False)
    axis.set_xticks(range(len(maps)))
    low, high = seen[seen > 0].min(), seen.max()
    return strip_png(
        {
            f"sees {counts[number]} of {pixels} pixels": enlarged(
                torch.where(seen > 0, _colour(SEEN), _colour(UNSEEN)), zoom
            ),
            f"in {low:,.0f} to {high:,.0f} ways (log)": enlarged(coloured(ways), zoom),
            _rounds(number): figure,
        }
    )


def _rounds(number: int) -> str:
    return f"{number} {'round' if number == 1 else 'rounds'}"


def draw_scan(values: Sequence[float], results: Sequence[float]) -> Figure:
    """Draw the rounds of a log-depth scan over a row as a tree.

    A box is a map and names the pixels whose steps it holds; two lines lead down to each map that
    was composed of two. What the last pixel is made of is drawn strongly.

    Parameters
    ----------
    values, results : sequence of float
        The row x before, and the row h after.
    """
    length = len(values)
    rounds = (length - 1).bit_length()
    figure, axes = new_figure(width=9, height=1.1 * rounds + 1.7)
    axis = axes[0, 0]
    needed = {length - 1}
    for number in range(rounds, -1, -1):
        reach = 2**number // 2  # how far back the second half of a map of this round lies
        for t in range(length):
            strong = t in needed
            first = max(0, t - 2**number + 1)
            name = f"{first + 1}" if first == t else f"{first + 1}–{t + 1}"
            look = {"boxstyle": "round,pad=0.35", "facecolor": "white",
                    "edgecolor": COLOURS[1] if strong else "0.75"}
            axis.text(t, -number, name, ha="center", va="center", bbox=look, zorder=3,
                      color="black" if strong else "0.5", fontsize=9)
            for source in [t, t - reach] if number and t >= reach else [t] * bool(number):
                axis.plot([source, t], [1 - number, -number], zorder=2 if strong else 1,
                          color=COLOURS[1] if strong else "0.85", linewidth=2 if strong else 1)
        needed |= {t - reach for t in needed if t >= reach}
    for t, (x, h) in enumerate(zip(values, results, strict=True)):
        axis.text(t, 0.6, f"x = {x:.1f}", ha="center", va="center", fontsize=9)
        axis.text(t, -rounds - 0.6, f"h = {h:.2f}", ha="center", va="center", fontsize=9)
    axis.set(xlim=(-1.4, length - 0.4), ylim=(-rounds - 0.9, 0.9))
    for number in range(rounds + 1):
        axis.text(-1.3, -number, f"round {number}" if number else "steps", va="center", fontsize=9)
    axis.set_axis_off()
    return figure


# -- sliders --------------------------------------------------------------------------------------


def sweep_sliders(x: Tensor, zoom: int = ZOOM) -> Any:
    """Return two sliders, the position of the sweeps and their α, over :func:`draw_sweeps`."""
    import ipywidgets

    longest = max(x.shape)
    position = ipywidgets.IntSlider(longest // 2, 0, longest, description="position")
    alpha = ipywidgets.FloatSlider(1.0, min=-1, max=1.2, step=0.1, description="α")

    def words() -> str:
        return f"Each sweep has done {position.value} rows or columns, with α = {alpha.value:.1f}."

    return shell(
        [position, alpha], lambda: draw_sweeps(x, alpha.value, position.value, zoom), words
    )


def round_slider(maps: Sequence[Tensor], zoom: int = ZOOM) -> Any:
    """Return a slider over the rounds of sweeps: what the middle pixel sees (``draw_round``)."""
    import ipywidgets

    number = ipywidgets.IntSlider(0, 0, len(maps) - 1, description="rounds")

    def words() -> str:
        seen = maps[number.value] > 0
        return (
            f"{_rounds(number.value)}: the middle pixel sees {int(seen.sum())} of {seen.numel()} "
            "pixels."
        )

    return shell([number], lambda: draw_round(maps, number.value, zoom), words)
