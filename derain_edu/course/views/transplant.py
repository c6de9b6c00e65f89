"""What a transplanted module hears and says, and how much of its map is good for the host.

The measurements, pictures and the slider of lesson 13. Nothing here trains a network, and every
hook is gone after its call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from derain_edu.course.views.depth import least_squares
from derain_edu.course.views.plots import (
    COLOURS,
    chart,
    coloured,
    draw_bars,
    draw_curves,
    enlarged,
    new_figure,
    strip_png,
)
from derain_edu.course.views.sliders import slider_with_stops
from derain_edu.errors import DerainError
from derain_edu.experiments.statistics import interval
from derain_edu.metrics import psnr
from derain_edu.models.spanet import SpatialAttention
from derain_edu.models.transplant import Transplant, branch_of

ZOOM = 2  # pixels of the screen per pixel of the picture


# -- what a module hears and says -----------------------------------------------------------------


def gradient_norm(part: nn.Module) -> float:
    """Return the norm of all gradients of a part's weights, as they are now."""
    return nn.utils.get_total_norm([p.grad for p in part.parameters() if p.grad is not None]).item()


@torch.no_grad()
def entering(module: SpatialAttention, run: Callable[[], Any]) -> Tensor:
    """Return the features (B, C, H, W) with which ``run()`` calls the module the first time."""
    found: list[Tensor] = []
    hook = module.register_forward_pre_hook(lambda _module, inputs: found.append(inputs[0]))
    try:
        run()
    finally:
        hook.remove()
    return found[0].clone()


@contextmanager
def saying(module: SpatialAttention, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Inside of it the module's map A (B, 1, H, W) is replaced by ``change(A)``."""
    hook = module.register_forward_hook(lambda _module, _inputs, output: change(output))
    try:
        yield
    finally:
        hook.remove()


def match_channels(x: Tensor, home: Tensor) -> Tensor:
    """Return x (B, C, H, W) with the mean and the spread of each channel of ``home``."""
    axes = (0, 2, 3)
    standard = (x - x.mean(axes, keepdim=True)) / x.std(axes, keepdim=True).clamp_min(1e-6)
    return standard * home.std(axes, keepdim=True) + home.mean(axes, keepdim=True)


@torch.no_grad()
def fit_adapter(source: Tensor, target: Tensor) -> nn.Conv2d:
    """Return the 1×1 convolution that comes closest to ``target`` (least squares, no training).

    Both are features (B, C, H, W) of the same pictures: what one network computes, and what the
    module knows from the other.
    """
    weights = least_squares(source, target).float()  # (C + 1, C')
    adapter = nn.Conv2d(source.shape[1], target.shape[1], kernel_size=1)
    adapter.weight.copy_(weights[:-1].T[..., None, None])
    adapter.bias.copy_(weights[-1])
    return adapter


# -- how much of a map is good? -------------------------------------------------------------------


@dataclass(frozen=True)
class GainView:
    """A host whose later blocks are gated by 1 + γ·(2A − 1).

    Attributes
    ----------
    gain : float
        γ.
    derained : Tensor
        (B, 3, H, W).
    score : float
        Mean PSNR of the pictures, dB.
    """

    gain: float
    derained: Tensor
    score: float


@torch.no_grad()
def gain_views(
    model: Transplant,
    rainy: Tensor,
    clean: Tensor,
    gains: Iterable[float],
    attention: Tensor | None = None,
) -> list[GainView]:
    """Run a residual host, trained as it is, with the gate 1 + γ·(2A − 1) for each γ in ``gains``.

    ``attention`` (B, 1, H, W) replaces the map A that the module makes. γ = 0 is the host.

    Raises
    ------
    DerainError
        If the host has stages, in which one map would have to serve all of them.
    """
    if model.config.host != "residual":
        raise DerainError("only a residual host can be gated by one given map")
    x, _ = model.enter(rainy, None, None)
    before, views = model.config.before, []
    for block in model.host.blocks[:before]:
        x = block(x)
    attention = model.attention(x) if attention is None else attention  # (B, 1, H, W)
    for gain in gains:
        z, gate = x, 1 + gain * (2 * attention - 1)
        for block in model.host.blocks[before:]:
            z = F.relu(gate * branch_of(block, z) + z)
        derained = model.host.tail(z) + rainy  # (B, C, H, W) -> (B, 3, H, W)
        views.append(GainView(gain, derained, mean_psnr(derained, clean)))
    return views


def mean_psnr(pictures: Tensor, clean: Tensor) -> float:
    """Return the mean over the pictures (B, 3, H, W) of their PSNR, in dB."""
    return sum(psnr(a, b) for a, b in zip(pictures, clean, strict=True)) / len(clean)


def draw_gain(
    found: Mapping[str, Sequence[GainView]],
    maps: Mapping[str, Tensor],
    position: int,
    clean: Tensor,
    zoom: int = ZOOM,
) -> bytes:
    """Return what a γ makes of one picture, for each of several maps, as PNG bytes.

    Parameters
    ----------
    found : mapping
        Name of a map to what :func:`gain_views` returned; the first picture is shown.
    maps : mapping
        The same names to the maps (H, W).
    position : int
        Which γ.
    clean : Tensor
        (3, H, W), the truth of the picture that is shown.
    """
    rows: list[dict[str, Any]] = []  # one per map, and the chart beside the first
    for name, views in found.items():
        picture = views[position].derained[0].clamp(0, 1)
        rows.append(
            {
                f"A: {name}": enlarged(coloured(maps[name]), zoom),
                f"{name}: {psnr(picture, clean):.1f} dB": enlarged(picture, zoom),
            }
        )
    figure, axis = chart(330, max(220, zoom * clean.shape[-2]))
    first = next(iter(found.values()))
    gains = [view.gain for view in first]
    curves = {name: [view.score for view in views] for name, views in found.items()}
    draw_curves(axis, curves, gains, "γ: how much the map acts", "PSNR, dB")
    axis.axvline(gains[position], linestyle=":", color="grey")
    rows[0][f"γ = {gains[position]:+.2f}, all photos"] = figure
    return strip_png(*rows)


def gain_slider(
    found: Mapping[str, Sequence[GainView]], maps: Mapping[str, Tensor], clean: Tensor
) -> Any:
    """Return a slider over γ: see :func:`draw_gain`."""
    gains = [view.gain for view in next(iter(found.values()))]

    def words(k: int) -> str:
        scores = ", ".join(f"{name} {views[k].score:.2f} dB" for name, views in found.items())
        return f"γ = {gains[k]:+.2f}: {scores} (mean of all photos)."

    start = min(range(len(gains)), key=lambda k: abs(gains[k]))
    return slider_with_stops(
        lambda k: draw_gain(found, maps, k, clean), "γ", [f"{g:+.2f}" for g in gains], start, words
    )


# -- figures --------------------------------------------------------------------------------------


def draw_aucs(found: Mapping[str, float]) -> Figure:
    """Draw the AUC of some maps as bars, in the host (its name says so) in another colour."""
    figure, axes = new_figure(width=9, height=3.2)
    axis = axes[0, 0]
    draw_bars(axis, list(found), list(found.values()), ylabel="AUC of the map")
    axis.axhline(0.5, linestyle=":", color="grey", zorder=0)
    axis.set_ylim(0, 1.1)
    for bar, value, name in zip(axis.patches, axis.texts, found, strict=True):
        bar.set_color(COLOURS["host" in name])
        value.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1})
    return figure


def draw_against_host(gains: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Draw what each way gains over its host, by host and way: a dot per seed, mean, interval."""
    figure, axes = new_figure(1, len(gains), width=11, height=3.6, sharey=True)
    for axis, (host, by_way) in zip(axes[0], gains.items(), strict=True):
        names = [way.replace(" and ", "\n+ ") for way in by_way]
        for k, values in enumerate(by_way.values()):
            mean, half = interval(values)
            axis.errorbar(k, mean, half, fmt="o", capsize=4, color=COLOURS[0])
            axis.plot([k + 0.2] * len(values), values, "o", color="grey", markersize=4)
        axis.axhline(0, color="grey", linewidth=0.8)
        axis.set_xticks(range(len(names)), names, fontsize=8)
        axis.set_title(host, fontsize=10)
    axes[0, 0].set_ylabel("against the host alone, dB")
    return figure
