"""Rain in a notebook: sliders for its amount and look, the rain layer, a histogram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from derain_edu.course.views.flipbook import Frame, as_output, in_book, smaller, still
from derain_edu.course.views.plots import (
    COLOURS,
    chart,
    strip_png,
)
from derain_edu.course.views.sliders import shell
from derain_edu.language import local
from derain_edu.metrics import psnr
from derain_edu.rain.config import RainConfig
from derain_edu.rain.presets import PRESETS
from derain_edu.rain.synthesis import VISIBLE, Rain, add_rain


def rain_view(clean: Tensor, config: RainConfig, seed: int = 0) -> bytes:
    """Return a photo in rain beside the rain layer and its histogram, as PNG bytes."""
    return _draw_rain(add_rain(clean, config, seed=seed), clean)


def _rain_in_words(rain: Rain, clean: Tensor) -> str:
    if torch.equal(rain.rainy, clean):
        return "No rain: the photo as it is."
    covered, score = 100 * rain.mask.float().mean(), psnr(rain.rainy, clean)
    if not rain.mask.any():
        return f"No streak that one could see: PSNR {score:.2f} dB."
    where_it_rains = rain.streaks.mean(dim=0, keepdim=True)[rain.mask]
    return (
        f"Rain covers {covered:.1f} % of the pixels, with a mean brightness of "
        f"{where_it_rains.mean():.3f} there: PSNR {score:.2f} dB."
    )


def _draw_rain(result: Rain, clean: Tensor) -> bytes:
    layer = result.streaks.mean(dim=0, keepdim=True)  # (3, H, W) -> (1, H, W)
    figure, axis = chart(320, max(220, clean.shape[-2]))
    axis.hist(layer[layer > VISIBLE].numpy(), bins=40, range=(0, 1), color=COLOURS[0])
    axis.set_xlabel("brightness of R where it rains")
    axis.set_ylabel("pixels")
    return strip_png(
        {
            f"rainy, {psnr(result.rainy, clean):.1f} dB": result.rainy,
            f"rain layer R, covers {result.mask.float().mean():.0%}": layer,
            "histogram of R": figure,
        }
    )


def rain_sliders(clean: Tensor, preset: str = "light") -> Any:
    """Return sliders for the amount, look and blending of rain over ``clean`` (3, H, W)."""

    start = PRESETS[preset]
    controls = rain_controls(start)

    @lru_cache(maxsize=1)  # the picture and the words are about the same rain
    def rain(seed: int, **values: Any) -> Rain:
        return add_rain(clean, config_from_sliders(start, **values), seed=seed)

    def now() -> Rain:
        return rain(**{name: control.value for name, control in controls.items()})

    if in_book():
        names = ", ".join(local(control.description) for control in controls.values())
        words = "The photo in rain, the rain layer, and a histogram of the layer's brightness."
        frame = Frame(preset, smaller(_draw_rain(now(), clean)), local(words))
        return as_output(still(f"Run the notebook to move {names}.", frame))
    return shell(
        list(controls.values()),
        lambda: _draw_rain(now(), clean),
        lambda: _rain_in_words(now(), clean),
    )


def rain_controls(start: RainConfig) -> dict[str, Any]:
    """Return one slider for each thing that ``config_from_sliders`` takes, set to ``start``."""
    import ipywidgets

    def middle(low_and_high: Sequence[float]) -> float:
        return sum(low_and_high) / 2

    def slider(value: float, low: float, high: float, step: float, name: str) -> Any:
        stop = round(low + step * round((value - low) / step), 2)  # not between two stops
        return ipywidgets.FloatSlider(
            stop, min=low, max=high, step=step, description=name, continuous_update=False
        )

    return {
        "amount": slider(start.amount, 0, 4, 0.1, "amount"),
        "length": slider(middle(start.length), 2, 120, 1, "length, px"),
        "width": slider(middle(start.width), 0.6, 8, 0.1, "width, px"),
        "angle": slider(middle(start.angle), -60, 60, 1, "angle, °"),
        "brightness": slider(middle(start.brightness), 0.05, 1, 0.05, "brightness"),
        "veil": slider(middle(start.veil), 0, 0.8, 0.05, "veil"),
        "layers": ipywidgets.IntSlider(
            start.layers[0], 1, 5, description="layers", continuous_update=False
        ),
        "blending": ipywidgets.Dropdown(
            options=["additive", "screen"], value="additive", description="blending"
        ),
        "seed": ipywidgets.IntSlider(0, 0, 99, description="seed", continuous_update=False),
    }


def config_from_sliders(start: RainConfig, seed: int = 0, **values: Any) -> RainConfig:
    """Return ``start`` with the sliders' single values in the place of its ranges."""
    ranges = ("length", "width", "angle", "brightness", "veil", "layers")
    values = {k: (v, v) if k in ranges else v for k, v in values.items()}
    return replace(start, **values)
