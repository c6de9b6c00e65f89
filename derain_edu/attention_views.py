"""Can a network say where it rains? The measurements, pictures and sliders of lesson 06.

A map gives each pixel a number A; the mask says whether rain is there. Three questions, from weak
to strong:

=============  =========================================  =====================================
question       measure                                    what it takes
=============  =========================================  =====================================
which first?   AUC (:func:`derain_edu.metrics.auc`)       the right order, on any scale
where?         precision, recall, IoU at a threshold      the right order, and a threshold
how surely?    :func:`calibration`                        of all pixels with A = .7, 70 % rainy
=============  =========================================  =====================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from derain_edu.errors import DerainError
from derain_edu.metrics import auc
from derain_edu.models.irnn import DIRECTIONS
from derain_edu.models.spanet import SPANet
from derain_edu.plots import chart, colour_bar, coloured, draw_curves, strip_png
from derain_edu.rain import add_rain

# RGB of the pixels that a threshold finds, misses, and takes for rain by mistake
FOUND, MISSED, FALSE = (0.0, 0.62, 0.45), (0.9, 0.62, 0.0), (0.8, 0.24, 0.5)
DRY = (0.93, 0.93, 0.93)
ZOOM = 2  # pixels of the screen per pixel of the picture
THRESHOLDS = tuple(k / 50 for k in range(51))


# -- measurements ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Score:
    """What a threshold finds. A share of nothing counts as 1: no claim, no mistake."""

    threshold: float
    precision: float  # of the pixels that are called rain, how many are
    recall: float  # of the rainy pixels, how many are called rain
    iou: float  # rainy and called rain, of those that are either
    false_alarms: float  # of the dry pixels, how many are called rain


def score_at(values: Tensor, mask: Tensor, threshold: float) -> Score:
    """Call every pixel with a value of at least ``threshold`` rain, and compare with the truth.

    Parameters
    ----------
    values, mask : Tensor
        Any shape, equal numbers of elements; mask bool.

    Examples
    --------
    >>> score_at(torch.tensor([0.9, 0.8, 0.3, 0.1]), torch.tensor([True, False, True, False]), 0.5)
    Score(threshold=0.5, precision=0.5, recall=0.5, iou=0.3333333333333333, false_alarms=0.5)
    """
    called, wet = values.flatten() >= threshold, _mask_of(values, mask)
    hits, calls, rainy = (int(x.sum()) for x in (called & wet, called, wet))

    def share(part: int, whole: int) -> float:
        return part / whole if whole else 1.0

    dry = wet.numel() - rainy
    return Score(
        threshold, share(hits, calls), share(hits, rainy), share(hits, calls + rainy - hits),
        (calls - hits) / dry if dry else 0.0,
    )


def roc(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the false alarms and the recall of all thresholds, from the strictest to the loosest.

    The area under the curve that they draw is :func:`derain_edu.metrics.auc`.

    Examples
    --------
    >>> false_alarms, recall = roc(torch.tensor([0.9, 0.8, 0.3]), torch.tensor([True, False, True]))
    >>> false_alarms.tolist(), recall.tolist()
    ([0.0, 0.0, 1.0, 1.0], [0.0, 0.5, 0.5, 1.0])
    """
    wet = _mask_of(values, mask)
    levels, place = values.flatten().unique(return_inverse=True)  # rising
    rainy = torch.bincount(place[wet], minlength=len(levels)).flip(0).cumsum(0)
    dry = torch.bincount(place[~wet], minlength=len(levels)).flip(0).cumsum(0)
    curves = (count.double() / count[-1] for count in (dry, rainy))
    false_alarms, recall = (torch.cat((curve.new_zeros(1), curve)) for curve in curves)
    return false_alarms, recall


@dataclass(frozen=True)
class Bin:
    """Pixels with nearly the same value."""

    value: float  # their mean value: what the map says
    share: float  # how many of them are rainy: what is true
    number: int


def calibration(values: Tensor, mask: Tensor, bins: int = 10) -> list[Bin]:
    """Sort pixels into bins of equal width over [0, 1] by their value; leave out empty bins."""
    wet, flat = _mask_of(values, mask), values.flatten().double()
    place = (flat * bins).long().clamp(0, bins - 1)
    number = torch.bincount(place, minlength=bins)
    said = torch.bincount(place, weights=flat, minlength=bins)
    true = torch.bincount(place, weights=wet.double(), minlength=bins)
    rows = zip(said.tolist(), true.tolist(), number.tolist(), strict=True)
    return [Bin(s / n, t / n, n) for s, t, n in rows if n]


def calibration_gap(found: Sequence[Bin]) -> float:
    """Return how far map and truth lie apart, averaged over the pixels (the *expected calibration
    error*)."""
    return sum(b.number * abs(b.value - b.share) for b in found) / sum(b.number for b in found)


def _mask_of(values: Tensor, mask: Tensor) -> Tensor:
    if mask.dtype != torch.bool or mask.numel() != values.numel():
        raise DerainError(
            f"the mask is {mask.dtype} with {mask.numel()} pixels, the map has {values.numel()}: "
            "give one bool per pixel"
        )
    return mask.flatten()


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
    """What a network with direction weights does in rain of one angle."""

    angle: float  # degrees from the vertical
    rainy: Tensor  # (3, H, W)
    weights: Tensor  # (4, H, W): the direction weights of the first stage
    on_streaks: list[float]  # mean weight of each direction on streaks …
    elsewhere: list[float]  # … and on the other pixels
    auc: float  # of the first attention map

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


def verdicts(values: Tensor, mask: Tensor, threshold: float) -> Tensor:
    """Paint found, missed and falsely called pixels, (H, W) each, as a picture (3, H, W)."""
    called, wet = values >= threshold, mask.bool()
    picture = torch.tensor(DRY).view(3, 1, 1).repeat(1, *values.shape)
    cases = ((called & wet, FOUND), (~called & wet, MISSED), (called & ~wet, FALSE))
    for where, colour in cases:
        picture[:, where] = torch.tensor(colour).view(3, 1)
    return picture


def draw_threshold(
    rainy: Tensor, values: Tensor, mask: Tensor, scores: Sequence[Score], position: int,
    zoom: int = ZOOM,
) -> bytes:
    """Return what a threshold finds, as PNG bytes.

    Parameters
    ----------
    rainy : Tensor
        (3, H, W) in [0, 1].
    values, mask : Tensor
        (H, W): the map in [0, 1] and the truth, bool.
    scores : sequence of Score
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
            "rainy": _enlarged(rainy, zoom),
            "map A": _enlarged(coloured(values), zoom),
            f"A ≥ {now.threshold:.2f}: IoU {now.iou:.2f}": _enlarged(
                verdicts(values, mask, now.threshold), zoom
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
    parts: dict[str, Any] = {f"rain at {view.angle:.0f}°": _enlarged(view.rainy, zoom)}
    for name, weights, on, off in zip(
        DIRECTIONS, view.weights, view.on_streaks, view.elsewhere, strict=True
    ):
        parts[f"{name}: {on:.2f}, else {off:.2f}"] = _enlarged(coloured(weights / top), zoom)
    parts[" "] = colour_bar(top, height)
    figure, axis = chart(280, max(220, height))
    curves = {"": [v.leaning for v in views]}
    draw_curves(axis, curves, [v.angle for v in views], "angle of the rain, °", "")
    axis.plot(view.angle, view.leaning, "o", markersize=11, markerfacecolor="none", color="k")
    axis.axhline(0, color="grey", linewidth=0.8)
    parts["leaning"] = figure
    return strip_png(parts)


def _enlarged(picture: Tensor, zoom: int) -> Tensor:
    return picture.repeat_interleave(zoom, dim=-2).repeat_interleave(zoom, dim=-1)


# -- what people move -----------------------------------------------------------------------------


def threshold_slider(rainy: Tensor, values: Tensor, mask: Tensor) -> Any:
    """Return a slider over the threshold of a map (H, W): see :func:`draw_threshold`."""
    scores = [score_at(values, mask, threshold) for threshold in THRESHOLDS]

    def words(k: int) -> str:
        s = scores[k]
        return (
            f"A pixel with A ≥ {s.threshold:.2f} is called rain: precision {s.precision:.0%}, "
            f"recall {s.recall:.0%}. Green: found, yellow: missed, pink: falsely called."
        )

    return _slider(
        "threshold", [f"{t:.2f}" for t in THRESHOLDS], len(THRESHOLDS) // 2,
        lambda k: draw_threshold(rainy, values, mask, scores, k), words,
    )


def angle_slider(views: Sequence[AngleView]) -> Any:
    """Return a slider over the angle of the rain: the direction weights (:func:`draw_angle`)."""

    def words(k: int) -> str:
        return (
            f"Rain at {views[k].angle:.0f}° from the vertical; AUC of the map "
            f"{views[k].auc:.2f}, leaning {views[k].leaning:+.3f}."
        )

    return _slider(
        "angle", [f"{view.angle:.0f}°" for view in views], len(views) // 2,
        lambda k: draw_angle(views, k), words,
    )


def _slider(
    name: str, labels: Sequence[str], start: int, draw: Callable[[int], bytes],
    words: Callable[[int], str],
) -> Any:
    """Return a slider with one stop per label above a picture, and the same in words below it."""
    import ipywidgets

    slider = ipywidgets.SelectionSlider(
        options=[(label, k) for k, label in enumerate(labels)], value=start, description=name
    )
    image = ipywidgets.Image(format="png", layout=ipywidgets.Layout(max_width="100%"))
    text = ipywidgets.HTML()

    def update(_change: object = None) -> None:
        image.value = draw(slider.value)
        text.value = f"<small>{words(slider.value)}</small>"

    slider.observe(update, names="value")
    update()
    return ipywidgets.VBox([slider, image, text])
