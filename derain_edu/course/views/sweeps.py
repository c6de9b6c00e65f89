"""How far a pixel sees: the pictures and sliders of lesson 07.

Whether pixel q can change pixel p of an output at all is a question about a derivative: it is
exactly 0 where no way leads from q to p. Everything here turns such derivatives, or a sweep on its
way, into a picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

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


def draw_fades(fades: Mapping[str, Tensor]) -> Figure:
    """Draw derivatives over the distance, (L,) each, on a logarithmic scale."""
    figure, axes = new_figure(width=8, height=3.4)
    for name, values in fades.items():
        axes[0, 0].plot(range(len(values)), values, label=name)
    axes[0, 0].set(yscale="log", ylim=(1e-12, 1e4), xlabel="distance d, px")
    axes[0, 0].set_ylabel("what arrives: mean derivative")
    axes[0, 0].axhline(1e-6, linestyle=":", color="grey")
    axes[0, 0].text(64, 2e-6, "a millionth", ha="right", fontsize=9, color="grey")
    _legend_beside(axes[0, 0])
    return figure


def draw_heard(curves: Mapping[str, Sequence[float]], distances: Sequence[int]) -> Figure:
    """Draw how many percent of the influence come from beyond each distance (log scale)."""
    figure, axes = new_figure(width=8, height=3.4)
    draw_curves(axes[0, 0], curves, distances, xlabel="d, px", ylabel="% from beyond d")
    axes[0, 0].set(yscale="log", ylim=(1e-4, 150))
    _legend_beside(axes[0, 0])
    return figure


def draw_alphas(counts: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the histogram of the learned α; rows: factor, low, high, count. Negative: orange."""
    bars = [row for row in counts if row["factor"] == "alpha"]
    middles = [(bar["low"] + bar["high"]) / 2 for bar in bars]
    colours = [COLOURS[1] if middle < 0 else COLOURS[0] for middle in middles]
    figure, axes = new_figure(width=7, height=3)
    axes[0, 0].bar(middles, [bar["count"] for bar in bars], width=0.045, color=colours)
    axes[0, 0].axvline(0.2, linestyle=":", color="black")
    axes[0, 0].text(0.21, 25, "all started here", fontsize=9)
    number = sum(bar["count"] for bar in bars)
    axes[0, 0].set(xlabel="α of the released SPANet (orange: negative)",
                   ylabel=f"how many of {number}")
    return figure


def _legend_beside(axis: Axes) -> None:
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


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
