"""What a transplanted module changes: sizes and gradients layer by layer, and what it understands.

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
from matplotlib.ticker import NullFormatter
from torch import Tensor, nn
from torch.nn import functional as F

from derain_edu.course.views.depth import least_squares
from derain_edu.course.views.plots import (
    chart,
    coloured,
    draw_curves,
    enlarged,
    new_figure,
    strip_png,
)
from derain_edu.course.views.sliders import slider_with_stops
from derain_edu.errors import DerainError
from derain_edu.metrics import psnr
from derain_edu.models.spanet import SpatialAttention
from derain_edu.models.transplant import Transplant, branch_of
from derain_edu.training.losses import make_loss

ZOOM = 2  # pixels of the screen per pixel of the picture


# -- layer by layer -------------------------------------------------------------------------------


@dataclass(frozen=True)
class LayerView:
    """One part of a network, in one pass forward and back.

    Attributes
    ----------
    name : str
        Of the part.
    branch : float
        Standard deviation of what the part adds, after its gate.
    gradient : float
        Norm of the loss's gradient for its weights.
    """

    name: str
    branch: float
    gradient: float


def layer_views(model: Transplant, rainy: Tensor, clean: Tensor) -> list[LayerView]:
    """Run a network on pairs (B, 3, H, W), forward and back, and measure its parts in order.

    Head, blocks, tail. The sizes are those of the first stage; the gradient is the one of
    −SSIM + L1 of the last picture, summed over all stages.
    """
    blocks = [*model.host.blocks, *getattr(model, "extra", ())]
    with torch.enable_grad():
        model.zero_grad()
        make_loss("neg_ssim+l1")(model(rainy), clean).backward()
    sizes = list(_sizes(model, blocks, rainy))
    parts = [model.host.head, *blocks, model.host.tail]
    names = ["head", *(f"block {k}" for k in range(1, len(blocks) + 1)), "tail"]
    views = [
        LayerView(name, size, gradient_norm(part))
        for name, size, part in zip(names, sizes, parts, strict=True)
    ]
    model.zero_grad()
    return views


@torch.no_grad()
def _sizes(model: Transplant, blocks: Sequence[nn.Module], rainy: Tensor) -> Iterator[float]:
    x = model.enter(rainy, None, None)[0]  # (B, 3, H, W) -> (B, C, H, W)
    yield x.std().item()
    attention = None
    for k, block in enumerate(blocks):
        if hasattr(model, "attention") and k == model.config.before:
            attention = model.attention(x)  # (B, 1, H, W)
        branch = branch_of(block, x)  # (B, C, H, W)
        if attention is not None:
            branch = branch * model.gate(k - model.config.before, attention)
        yield branch.std().item()
        x = F.relu(branch + x)
    yield model.host.tail(x).std().item()


def gradient_norm(part: nn.Module) -> float:
    """Return the norm of all gradients of a part's weights, as they are now."""
    return nn.utils.get_total_norm([p.grad for p in part.parameters() if p.grad is not None]).item()


def draw_layers(found: Mapping[str, Sequence[LayerView]]) -> Figure:
    """Draw sizes and gradients of several networks over their parts, on logarithmic axes."""
    figure, axes = new_figure(1, 2, width=12, height=3.6)
    labels = (("branch", "what a part adds (std)"), ("gradient", "gradient norm"))
    for axis, (what, label) in zip(axes.flat, labels, strict=True):
        for name, views in found.items():
            axis.plot([v.name for v in views], [getattr(v, what) for v in views], "o-", label=name)
        axis.set(yscale="log", ylabel=label)
        axis.yaxis.set_minor_formatter(NullFormatter())  # 3·10⁻¹ and 4·10⁻¹ would overlap
        axis.tick_params(axis="x", labelsize=8, rotation=30)
        axis.grid(alpha=0.25)
    axes[0, 0].legend(fontsize=8, frameon=False)
    return figure


# -- what a module hears and says -----------------------------------------------------------------


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
def heard_as(module: SpatialAttention, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Inside of it the module hears ``change(features)`` instead of the features."""
    hook = module.register_forward_pre_hook(lambda _module, inputs: (change(inputs[0]),))
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def saying(module: SpatialAttention, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Inside of it the module's map A (B, 1, H, W) is replaced by ``change(A)``."""
    hook = module.register_forward_hook(lambda _module, _inputs, output: change(output))
    try:
        yield
    finally:
        hook.remove()


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
