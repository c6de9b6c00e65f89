"""What people move. Each widget is a thin shell: a slider that asks a pure function for a picture.

The pure functions (``stage_views``, ``rain_view``, ``swipe``) know nothing of notebooks and are
tested at the ends and in the middle of their ranges. The shells use only what ipywidgets 7.7
(Colab) and 8 have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from html import escape
from typing import Any

import torch
from torch import Tensor, nn

from derain_edu.book import RUN_IT, Frame, as_output, in_book, smaller, still
from derain_edu.errors import DerainError
from derain_edu.features import depth_views, draw_depth
from derain_edu.gates import draw_gates, gate_views
from derain_edu.images import to_pil, to_tensor
from derain_edu.inference.restoration import derain
from derain_edu.metrics import psnr
from derain_edu.models.prn import PRN
from derain_edu.models.residual import Residual
from derain_edu.plots import COLOURS, ERROR_SCALE, chart, draw_curves, picture_png, strip_png
from derain_edu.rain.config import RainConfig
from derain_edu.rain.presets import PRESETS
from derain_edu.rain.synthesis import VISIBLE, Rain, add_rain
from derain_edu.sliders import picture_below, shell, slider_over

CHANGE_SCALE = 10  # changes between two stages are small: show them ten times as large


@dataclass(frozen=True)
class StageView:
    """All that the stage slider shows at one stage."""

    stage: int  # counted from 1
    picture: Tensor  # (3, H, W), the output of this stage, clamped
    change: Tensor  # (3, H, W), |x_t − x_{t−1}| × CHANGE_SCALE, where x_0 is the rainy picture
    psnr: float  # dB, protocol prenet_matlab
    parameters: int  # of the network: the same at each stage
    gflops: float  # 10⁹ multiplications and additions spent up to here


@torch.no_grad()
def stage_views(model: PRN, rainy: Tensor, clean: Tensor, stages: int = 12) -> list[StageView]:
    """Run the network once and look at every stage.

    Parameters
    ----------
    model : PRN
    rainy, clean : Tensor
        (3, H, W) in [0, 1].
    stages : int
        How many stages; more than the trained T is allowed, and worth a look.
    """
    pictures = [x[0] for x in model.unroll(rainy[None], stages)]
    parameters = sum(p.numel() for p in model.parameters())
    flops = _flops_of_one_stage(model, rainy[None])
    views, before = [], rainy
    for stage, picture in enumerate(pictures, 1):
        change = ((picture - before).abs() * CHANGE_SCALE).clamp(0, 1)
        score = psnr(picture, clean)
        views.append(
            StageView(
                stage, picture.clamp(0, 1), change, score, parameters, stage * flops / 1e9
            )
        )
        before = picture
    return views


def draw_stage(views: Sequence[StageView], stage: int, trained: int) -> bytes:
    """Return the picture (PNG bytes) of the stage slider at ``stage``, counted from 1."""
    view, curve = views[stage - 1], [v.psnr for v in views]
    figure, axis = chart(360, max(240, view.picture.shape[-2]))
    draw_curves(axis, {"PSNR": curve}, xlabel="stage", ylabel="PSNR in dB")
    axis.axvline(trained, linestyle=":", color="grey")
    axis.text(trained, min(curve), f" trained T = {trained}", fontsize=8, color="grey")
    axis.plot([stage], [view.psnr], "o", markersize=11, markerfacecolor="none", color="k")
    return strip_png(
        {
            f"after stage {stage}: {view.psnr:.2f} dB": view.picture,
            f"changed by this stage, ×{CHANGE_SCALE}": view.change,
            f"{view.parameters:,} parameters, {view.gflops:.1f} GFLOP": figure,
        }
    )


def stage_slider(
    model: PRN, rainy: Tensor, clean: Tensor, stages: int = 12, start: int = 1
) -> Any:
    """Return the stage slider: all stages are computed once, so it answers at once."""
    views = stage_views(model, rainy, clean, stages)
    frames = [draw_stage(views, view.stage, model.config.stages) for view in views]
    return slider_over(
        lambda stage: frames[stage - 1], "stage", 1, stages, start,
        lambda stage: f"The picture after stage {stage}: PSNR {views[stage - 1].psnr:.2f} dB",
    )


def gate_slider(
    model: PRN, rainy: Tensor, clean: Tensor, zoom: int = 1, start: int = 1
) -> Any:
    """Return a slider over the stages: the picture, and how the rain changes each gate.

    ``zoom`` draws each pixel ``zoom`` × ``zoom``, for small pictures.
    """
    views = gate_views(model, rainy, clean)
    frames = [draw_gates(views, view.stage, zoom) for view in views]

    def describe(stage: int) -> str:
        mean = {k: float(change.mean()) for k, change in views[stage - 1].changes.items()}
        words = ", ".join(f"{name} by {value:.2g}" for name, value in mean.items())
        return f"Stage {stage}: on average over all pixels the rain changes the {words}"

    return slider_over(
        lambda stage: frames[stage - 1], "stage", 1, len(views), start, describe
    )


def depth_slider(
    model: Residual, seen: Sequence[dict[str, Tensor]], rainy: Tensor, mask: Tensor, start: int = 0
) -> Any:
    """Return a slider over the depth of a baseline: what each depth knows about the rain.

    The arguments are those of :func:`derain_edu.features.depth_views`. All depths are computed
    once, so the slider answers at once.
    """
    views = depth_views(model, seen, rainy, mask)
    frames = [draw_depth(views, view.depth) for view in views]
    return slider_over(
        frames.__getitem__, "depth", 0, len(views) - 1, start,
        lambda depth: f"The read-out {views[depth].name}: AUC {views[depth].read_out_auc:.2f}",
    )


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


def swipe(before: Tensor, after: Tensor, position: float) -> Tensor:
    """Put ``before`` left of ``position`` (0 to 1) and ``after`` right of it, with a white line."""
    column = round(position * before.shape[-1])
    joined = torch.cat((before[..., :column], after[..., column:]), dim=-1)
    if 0 < column < before.shape[-1]:
        joined[..., column - 1 : column] = 1
    return joined


def swipe_slider(before: Tensor, after: Tensor) -> Any:
    """Return a before/after slider over two pictures (3, H, W) of one size."""
    before, after = before.clamp(0, 1), after.clamp(0, 1)
    return slider_over(
        lambda percent: picture_png(swipe(before, after, percent / 100)), "swipe", 0, 100, 50,
        lambda percent: f"The left {percent} % of the picture before, the rest after",
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
        names = ", ".join(control.description for control in controls.values())
        words = "The photo in rain, the rain layer, and a histogram of the layer's brightness."
        frame = Frame(preset, smaller(_draw_rain(now(), clean)), words)
        return as_output(still(f"{RUN_IT} {names}.", frame))
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


def _flops_of_one_stage(model: PRN, rainy: Tensor) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        model.stage(rainy, rainy, None)
    return counter.get_total_flops()


def uploaded_bytes(value: Any) -> bytes | None:
    """Return the first file of an upload button, or None.

    ``FileUpload.value`` is a dict of files in ipywidgets 7 and a tuple of files in ipywidgets 8.
    """
    files = list(value.values()) if isinstance(value, dict) else list(value)
    return bytes(files[0]["content"]) if files else None


def before_and_after(photo: Any, model: nn.Module, long_side: int = 640) -> bytes:
    """Derain a photo (anything that ``derain`` takes), shrunk to ``long_side``, as PNG bytes.

    The strip shows the photo, the derained one, and what was taken away ×5.
    """
    rainy = to_pil(to_tensor(photo))
    rainy.thumbnail((long_side, long_side))
    before = to_tensor(rainy)
    after = to_tensor(derain(rainy, model))
    taken = ((before - after).abs() * ERROR_SCALE).clamp(0, 1)
    return strip_png({"your photo": before, "derained": after, f"difference ×{ERROR_SCALE}": taken})


def own_photo(model: nn.Module, long_side: int = 640) -> Any:
    """Return an upload button; the photo that comes through it is derained and shown."""
    import ipywidgets

    if in_book():
        return as_output(still("In the notebook, a button for your own photo stands here."))
    button = ipywidgets.FileUpload(accept="image/*", multiple=False, description="your photo")
    image = picture_below()
    words = ipywidgets.HTML("<small>Choose a file: it stays on this machine.</small>")
    image.layout.display = "none"  # until there is something to show

    def update(_change: object = None) -> None:
        content = uploaded_bytes(button.value)
        if content is None:
            return
        try:
            image.value = before_and_after(content, model, long_side)
            image.layout.display = None
            words.value = "<small>Rain that is left? Lesson 10 lets you train for it.</small>"
        except DerainError as error:
            words.value = f"<small>{escape(str(error))}</small>"

    button.observe(update, names="value")
    return ipywidgets.VBox([button, words, image])
