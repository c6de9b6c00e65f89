"""Where does a SPANet look, and do its direction weights follow the streaks?

The pictures and sliders of lesson 09, and the hooks behind them: they look into a network, or
hold one of its parts still, to see what that part is worth. After each ``with`` the network is as
before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from derain_edu.course.views.plots import (
    chart,
    colour_bar,
    coloured,
    draw_curves,
    enlarged,
    strip_png,
)
from derain_edu.course.views.sliders import slider_with_stops
from derain_edu.errors import DerainError
from derain_edu.map_scores import MapScore, auc, score_at
from derain_edu.models.irnn import DIRECTIONS
from derain_edu.models.spanet import SPANet
from derain_edu.rain.synthesis import add_rain

# RGB of the pixels that a threshold finds, misses, and takes for rain by mistake
FOUND, MISSED, FALSE = (0.0, 0.62, 0.45), (0.9, 0.62, 0.0), (0.8, 0.24, 0.5)
DRY = (0.93, 0.93, 0.93)
ZOOM = 2  # pixels of the screen per pixel of the picture
THRESHOLDS = tuple(k / 50 for k in range(51))


# -- looking into a network and holding its parts still -------------------------------------------


@torch.no_grad()
def direction_weights(model: SPANet, rainy: Tensor) -> Tensor:
    """Return the four direction weights of each stage: (stages, 4, H, W) in (0, 1).

    Parameters
    ----------
    model : SPANet
    rainy : Tensor
        (3, H, W) in [0, 1].

    Raises
    ------
    DerainError
        If the direction weights of this network don't act.
    """
    return _attend(model, rainy)[0]


def _attend(model: SPANet, rainy: Tensor) -> tuple[Tensor, Tensor]:
    """Return the direction weights (stages, 4, H, W) and the attention maps (stages, H, W)."""
    if not model.config.direction_attention:
        raise DerainError(
            "the direction weights of this network don't act: take weights that were trained "
            "with direction_attention=True, such as 'open-paper'"
        )
    caught: list[Tensor] = []
    with _after(model.attention.directions, caught.append):
        maps = model.attend(rainy[None])[1][0]  # (1, stages, H, W) -> (stages, H, W)
    return torch.cat(caught), maps  # stages × (1, 4, H, W)


@contextmanager
def levelled_directions(model: SPANet) -> Iterator[None]:
    """Inside of it each direction weight is the same at every pixel: its mean over the picture."""
    with _after(model.attention.directions, _level):
        yield


@contextmanager
def changed_map(
    model: SPANet, change: Callable[[Tensor], Tensor], stages: Sequence[int]
) -> Iterator[None]:
    """Inside of it the attention maps of ``stages``, counted from 1, pass through ``change``."""
    count = 0

    def at_its_turn(attention: Tensor) -> Tensor:
        nonlocal count
        count += 1
        stage = (count - 1) % model.config.stages + 1
        return change(attention) if stage in stages else attention

    with _after(model.attention, at_its_turn):
        yield


def level_map(attention: Tensor) -> Tensor:
    """Return a map of the same mean that says nothing: equal at every pixel."""
    return _level(attention)


def _level(maps: Tensor) -> Tensor:
    return maps.mean(dim=(2, 3), keepdim=True).expand_as(maps)


@contextmanager
def _after(module: nn.Module, change: Callable[[Tensor], Tensor | None]) -> Iterator[None]:
    """Let ``change`` see, and replace unless it returns None, what a module returns."""
    hook = module.register_forward_hook(lambda _module, _inputs, output: change(output))
    try:
        yield
    finally:
        hook.remove()


@dataclass(frozen=True)
class AngleView:
    """What a network with direction weights does in rain of one angle.

    Attributes
    ----------
    angle : float
        Of the rain, degrees from the vertical.
    rainy : Tensor
        (3, H, W).
    weights : Tensor
        (4, H, W), the direction weights of the first stage.
    on_streaks : list[float]
        Mean weight of each direction on streaks.
    elsewhere : list[float]
        The same on the other pixels.
    auc : float
        Of the first attention map.
    """

    angle: float
    rainy: Tensor
    weights: Tensor
    on_streaks: list[float]
    elsewhere: list[float]
    auc: float

    @property
    def leaning(self) -> float:
        """How much more the streaks raise up and down than right and left; 0: no difference."""
        pairs = zip(DIRECTIONS, self.on_streaks, self.elsewhere, strict=True)
        raised = {name: on - off for name, on, off in pairs}
        return (raised["up"] + raised["down"] - raised["right"] - raised["left"]) / 2


@torch.no_grad()
def angle_view(model: SPANet, clean: Tensor, angle: float, seed: int = 0) -> AngleView:
    """Let it rain at one angle on ``clean`` (3, H, W), and look at the first stage."""
    rain = add_rain(clean, "light", seed=seed, angle=angle)
    all_weights, maps = _attend(model, rain.rainy)
    weights, wet = all_weights[0], rain.mask[0]  # (4, H, W), (H, W)
    means = (weights[:, wet].mean(dim=1).tolist(), weights[:, ~wet].mean(dim=1).tolist())
    return AngleView(angle, rain.rainy, weights, *means, auc(maps[0], wet))


# -- pictures -------------------------------------------------------------------------------------


def hits_and_misses(values: Tensor, mask: Tensor, threshold: float) -> Tensor:
    """Paint found, missed and falsely called pixels, (H, W) each, as a picture (3, H, W)."""
    called, wet = values >= threshold, mask.bool()
    picture = torch.tensor(DRY).view(3, 1, 1).repeat(1, *values.shape)
    cases = ((called & wet, FOUND), (~called & wet, MISSED), (called & ~wet, FALSE))
    for where, colour in cases:
        picture[:, where] = torch.tensor(colour).view(3, 1)
    return picture


def draw_threshold(
    rainy: Tensor, values: Tensor, mask: Tensor, scores: Sequence[MapScore], position: int,
    zoom: int = ZOOM,
) -> bytes:
    """Return what a threshold finds, as PNG bytes.

    Parameters
    ----------
    rainy : Tensor
        (3, H, W) in [0, 1].
    values, mask : Tensor
        (H, W): the map in [0, 1] and the truth, bool.
    scores : sequence of MapScore
        One per threshold: what :func:`score_at` found.
    position : int
        Which of them to show.
    zoom : int
        Each pixel is drawn ``zoom`` × ``zoom``.
    """
    now = scores[position]
    figure, axis = chart(300, max(220, zoom * rainy.shape[-2]))
    curves = {n: [getattr(s, n) for s in scores] for n in ("precision", "recall", "iou")}
    x = [score.threshold for score in scores]
    for name, values_of in curves.items():
        axis.plot(x, values_of, label="IoU" if name == "iou" else name)
        axis.plot(x[position], values_of[position], "o", color="k", markersize=4)
    axis.axvline(now.threshold, linestyle=":", color="grey")
    axis.set(xlabel="threshold", ylim=(0, 1.02), xlim=(0, 1))
    axis.legend(fontsize=7, frameon=False, loc="lower center")
    return strip_png(
        {
            "rainy": enlarged(rainy, zoom),
            "map A": enlarged(coloured(values), zoom),
            f"A ≥ {now.threshold:.2f}: IoU {now.iou:.2f}": enlarged(
                hits_and_misses(values, mask, now.threshold), zoom
            ),
            f"precision {now.precision:.2f}, recall {now.recall:.2f}": figure,
        }
    )


def draw_angle(views: Sequence[AngleView], position: int, zoom: int = ZOOM) -> bytes:
    """Return the four direction weights in rain of one angle, as PNG bytes.

    All angles share one colour scale. A title names the mean weight on streaks and elsewhere.
    """
    view = views[position]
    top = max(float(v.weights.max()) for v in views)
    height = zoom * view.rainy.shape[-2]
    parts: dict[str, Any] = {}
    for name, weights, on, off in zip(
        DIRECTIONS, view.weights, view.on_streaks, view.elsewhere, strict=True
    ):
        parts[f"{name}: {on:.2f}, else {off:.2f}"] = enlarged(coloured(weights / top), zoom)
    parts[" "] = colour_bar(top, height)
    figure, axis = chart(420, max(220, height))
    curves = {"": [v.leaning for v in views]}
    draw_curves(axis, curves, [v.angle for v in views], "angle of the rain, °", "")
    axis.plot(view.angle, view.leaning, "o", markersize=11, markerfacecolor="none", color="k")
    axis.axhline(0, color="grey", linewidth=0.8)
    rain = {f"rain at {view.angle:.0f}°": enlarged(view.rainy, zoom), "leaning": figure}
    return strip_png(rain, parts)


# -- sliders --------------------------------------------------------------------------------------


def threshold_slider(rainy: Tensor, values: Tensor, mask: Tensor) -> Any:
    """Return a slider over the threshold of a map (H, W): see :func:`draw_threshold`."""
    scores = [score_at(values, mask, threshold) for threshold in THRESHOLDS]

    def words(k: int) -> str:
        s = scores[k]
        return (
            f"A pixel with A ≥ {s.threshold:.2f} is called rain: precision {s.precision:.0%}, "
            f"recall {s.recall:.0%}. Green: found, yellow: missed, pink: falsely called."
        )

    return slider_with_stops(
        lambda k: draw_threshold(rainy, values, mask, scores, k),
        "threshold", [f"{t:.2f}" for t in THRESHOLDS], len(THRESHOLDS) // 2, words,
    )


def angle_slider(views: Sequence[AngleView]) -> Any:
    """Return a slider over the angle of the rain: the direction weights (:func:`draw_angle`)."""

    def words(k: int) -> str:
        return (
            f"Rain at {views[k].angle:.0f}° from the vertical; AUC of the map "
            f"{views[k].auc:.2f}, leaning {views[k].leaning:+.3f}."
        )

    return slider_with_stops(
        lambda k: draw_angle(views, k),
        "angle", [f"{view.angle:.0f}°" for view in views], len(views) // 2, words,
    )
