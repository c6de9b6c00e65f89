"""Figures that every lesson draws in the same way.

Pictures always come in the order rainy | derained | clean | error ×5, on the same scale, with
the PSNR in the title. Figures are made without pyplot, so nothing is left open and nothing is
shown twice; :func:`show` displays one with its alternative text.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from io import BytesIO
from typing import Any

import numpy as np
import PIL.Image
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, findSystemFonts, fontManager
from matplotlib.text import Text
from PIL import ImageDraw, ImageFont
from torch import Tensor

from derain_edu.errors import DerainError
from derain_edu.images import to_pil
from derain_edu.language import CHINESE_FONTS, language, local
from derain_edu.metrics import psnr

ERROR_SCALE = 5  # errors are shown five times as large as they are
PIXELS_PER_INCH = 100
# Colours that people with colour blindness can tell apart (Okabe and Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def new_figure(
    rows: int = 1, columns: int = 1, width: float = 9.0, height: float = 3.2, **options: Any
) -> tuple[Figure, np.ndarray]:
    """Return a figure of ``width`` × ``height`` inches and its axes, (rows, columns).

    ``options`` go to :meth:`matplotlib.figure.Figure.subplots`.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for axis in axes.flat:
        axis.set_prop_cycle(color=COLOURS)
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def figure_png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG file."""
    buffer = BytesIO()
    speak(figure)
    figure.savefig(buffer, format="png", dpi=PIXELS_PER_INCH)
    return buffer.getvalue()


def picture_png(picture: Tensor, zoom: int = 1) -> bytes:
    """Return a picture (3, H, W) in [0, 1] as PNG bytes, each pixel drawn ``zoom`` × ``zoom``."""
    image = to_pil(picture)
    if zoom > 1:
        image = image.resize((image.width * zoom, image.height * zoom), resample=0)
    buffer = BytesIO()
    image.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def enlarged(picture: Tensor, zoom: int) -> Tensor:
    """Return a picture (..., H, W) with each pixel as a square of ``zoom`` × ``zoom``."""
    return picture.float().repeat_interleave(zoom, dim=-2).repeat_interleave(zoom, dim=-1)


def chart(width: int, height: int) -> tuple[Figure, Axes]:
    """Return a small figure of ``width`` × ``height`` pixels and its one axis, quick to draw.

    For sliders: without a layout engine a chart takes about a tenth of the time.
    """
    figure = Figure(figsize=(width / PIXELS_PER_INCH, height / PIXELS_PER_INCH))
    FigureCanvasAgg(figure)
    axis = figure.add_axes((0.17, 0.17, 0.79, 0.72))
    axis.set_prop_cycle(color=COLOURS)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)
    axis.xaxis.label.set_size(8)  # larger ones are cut off in a chart of 220 pixels
    axis.yaxis.label.set_size(8)
    return figure, axis


def strip_png(*rows: Mapping[str, Tensor | Figure], gap: int = 12) -> bytes:
    """Put pictures (3, H, W) and charts side by side under their titles, as PNG bytes.

    Several rows stand one below the other. Much faster than a figure with several axes: this is
    what sliders show.
    """
    strips = [_strip(row, gap) for row in rows]
    size = max(strip.width for strip in strips), sum(strip.height for strip in strips)
    sheet, top = PIL.Image.new("RGB", size, "white"), 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    buffer = BytesIO()
    sheet.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def _strip(parts: Mapping[str, Tensor | Figure], gap: int) -> PIL.Image.Image:
    images = [_as_image(part) for part in parts.values()]
    title_height = 24
    width = sum(image.width for image in images) + gap * (len(images) - 1)
    height = max(image.height for image in images) + title_height
    strip = PIL.Image.new("RGB", (width, height), "white")
    pen, left = ImageDraw.Draw(strip), 0
    for title, image in zip(parts, images, strict=True):
        words, font = _title(title)
        pen.text((left + image.width / 2, 3), words, fill="black", font=font, anchor="ma")
        strip.paste(image, (left, title_height))
        left += image.width + gap
    return strip


def _title(title: str) -> tuple[str, ImageFont.FreeTypeFont]:
    """Return a title in the reader's language, and a font that has its letters."""
    chinese = chinese_font()
    words = local(title) if chinese else title
    # The font of the charts comes with matplotlib; Pillow's own has no × or °.
    return words, _title_font(chinese if chinese and words != title else "DejaVu Sans")


@lru_cache(maxsize=2)
def _title_font(name: str) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(findfont(name), size=13)


def chinese_font() -> str | None:
    """Return the name of a font for Chinese labels; None if they are English.

    They are, too, where this machine has no such font: a label of empty boxes helps nobody.
    """
    return _installed_chinese_font() if language() == "zh" else None


@lru_cache(maxsize=1)
def _installed_chinese_font() -> str | None:
    if not any(font.name in CHINESE_FONTS for font in fontManager.ttflist):
        for path in set(findSystemFonts()) - {font.fname for font in fontManager.ttflist}:
            with suppress(RuntimeError, OSError):  # not in matplotlib's list: it came later
                fontManager.addfont(path)
    # Some of them have a single weight, which is as good as "normal".
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    known = {font.name for font in fontManager.ttflist}
    return next((name for name in CHINESE_FONTS if name in known), None)


def speak(figure: Figure) -> None:
    """Put the words of a figure into the reader's language."""
    font = chinese_font()
    if font is None:
        return
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = [label.get_text() for label in axis.get_ticklabels()]
            if any(local(label) != label for label in labels):
                axis.set_ticks(axis.get_ticklocs(), [local(label) for label in labels])
    for text in figure.findobj(Text):
        text.set_text(local(text.get_text()))
        text.set_fontfamily(["DejaVu Sans", font])


def _as_image(part: Tensor | Figure) -> PIL.Image.Image:
    if isinstance(part, Tensor):
        return to_pil(part if part.shape[0] == 3 else part.expand(3, -1, -1))
    speak(part)
    part.canvas.draw()
    return PIL.Image.fromarray(np.asarray(part.canvas.buffer_rgba())).convert("RGB")


def show(figure: Figure, alt: str) -> None:
    """Display a figure in a notebook with ``alt``, a sentence for those who can't see it."""
    show_png(figure_png(figure), alt)


def show_png(png: bytes, alt: str) -> None:
    """Display a PNG in a notebook with ``alt``, a sentence for those who can't see it."""
    from IPython.display import display

    display(_image(png, alt))


def _image(png: bytes, alt: str) -> Any:
    """Return a PNG as IPython displays it. (``Image(alt=…)`` is too new for Colab.)"""
    from IPython.display import Image

    return Image(png, format="png", metadata={"alt": local(alt)})


def draw_picture(axis: Axes, picture: Tensor, title: str = "") -> None:
    """Draw a picture (3, H, W) or (H, W) in [0, 1] without ticks."""
    picture = picture.detach().float().cpu().clamp(0, 1)
    if picture.dim() == 3 and picture.shape[0] == 3:
        axis.imshow(picture.permute(1, 2, 0).numpy())
    else:
        axis.imshow(picture.squeeze(0).numpy(), cmap="gray", vmin=0, vmax=1)
    axis.set_title(title, fontsize=10)
    axis.set_axis_off()


def draw_map(
    axis: Axes, values: Tensor, title: str = "", vmin: float | None = None,
    vmax: float | None = None, colours: str = "viridis",
) -> None:
    """Draw a map (H, W) in a perceptually uniform colour map with its colour bar."""
    shown = axis.imshow(values.detach().float().cpu(), cmap=colours, vmin=vmin, vmax=vmax)
    axis.figure.colorbar(shown, ax=axis, fraction=0.046, pad=0.02)
    axis.set_title(title, fontsize=10)
    axis.set_axis_off()


def coloured(values: Tensor) -> Tensor:
    """Turn a map (H, W) in [0, 1] into a picture (3, H, W) in the colour map of :func:`draw_map`.

    For sliders, which show pictures instead of figures; :func:`colour_bar` is its key.
    """
    rgba = colormaps["viridis"](values.detach().float().cpu().clamp(0, 1).numpy())  # (H, W, 4)
    return torch.from_numpy(rgba[..., :3]).permute(2, 0, 1).float()  # (3, H, W)


def colour_bar(top: float, height: int) -> Figure:
    """Return a colour bar from 0 to ``top``, ``height`` pixels high, to put beside a map."""
    figure = Figure(figsize=(0.75, height / PIXELS_PER_INCH))
    FigureCanvasAgg(figure)
    axis = figure.add_axes((0.06, 0.06, 0.22, 0.88))
    figure.colorbar(ScalarMappable(Normalize(0, top), "viridis"), cax=axis)
    axis.tick_params(labelsize=8)
    return figure


def picture_row(pictures: Mapping[str, Tensor], width: float = 10.0) -> Figure:
    """Draw pictures (3, H, W) of one size side by side under their names."""
    pictures = {name: _single(picture) for name, picture in pictures.items()}
    height, breadth = next(iter(pictures.values())).shape[-2:]
    inches = width / len(pictures) * height / breadth + 0.35
    figure, axes = new_figure(1, len(pictures), width, inches)
    for axis, (name, picture) in zip(axes.flat, pictures.items(), strict=True):
        draw_picture(axis, picture, name)
    return figure


def derained_row(
    rainy: Tensor, derained: Tensor, clean: Tensor, width: float = 12.0
) -> Figure:
    """Draw rainy | derained | clean | error ×5, with the PSNR (protocol prenet_matlab)."""
    rainy, derained, clean = (_single(picture) for picture in (rainy, derained, clean))
    error = (derained - clean).abs() * ERROR_SCALE
    return picture_row(
        {
            f"rainy, {psnr(rainy, clean):.2f} dB": rainy,
            f"derained, {psnr(derained, clean):.2f} dB": derained,
            "clean": clean,
            f"error ×{ERROR_SCALE}": error,
        },
        width,
    )


def draw_curves(
    axis: Axes, curves: Mapping[str, Sequence[float]], x: Sequence[float] | None = None,
    xlabel: str = "", ylabel: str = "",
) -> None:
    """Draw named curves over a common x (default: 1, 2, 3 …), with a legend if more than one."""
    for name, values in curves.items():
        steps = range(1, len(values) + 1) if x is None else x
        axis.plot(steps, values, marker="o", markersize=3.5, label=name)
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    axis.grid(alpha=0.25)
    if len(curves) > 1:
        axis.legend(fontsize=8, frameon=False)


def draw_bars(
    axis: Axes, names: Sequence[str], values: Sequence[float],
    errors: Sequence[float] | None = None, ylabel: str = "", decimals: int = 2,
) -> None:
    """Draw bars with their value on top, and error bars where ``errors`` are given."""
    colours = [COLOURS[k % len(COLOURS)] for k in range(len(names))]
    bars = axis.bar(names, values, yerr=errors, color=colours, capsize=4, width=0.65)
    axis.bar_label(bars, fmt=f"%.{decimals}f", fontsize=8, padding=2)
    axis.set_ylabel(ylabel)
    axis.margins(y=0.15)
    axis.tick_params(axis="x", labelsize=8)


def draw_points(
    axis: Axes, names: Sequence[str], values: Sequence[float],
    errors: Sequence[float] | None = None, ylabel: str = "",
) -> None:
    """Draw values as points with their intervals, for an axis that does not begin at zero."""
    for k, (name, value) in enumerate(zip(names, values, strict=True)):
        half = None if errors is None else errors[k]
        axis.errorbar(name, value, half, fmt="o", capsize=4, color=COLOURS[k % len(COLOURS)])
        axis.annotate(
            f"{value:.1f}", (k, value), (7, 0), textcoords="offset points", va="center", fontsize=8
        )
    axis.set_ylabel(ylabel)
    axis.margins(x=0.2, y=0.15)
    axis.tick_params(axis="x", labelsize=8)


def training_curve(log: Sequence[Mapping[str, Any]], total_steps: int | None = None) -> Figure:
    """Draw how a training run goes: its loss, and beside it the PSNR of the validation pairs.

    Parameters
    ----------
    log : sequence of dict
        The rows of :class:`~derain_edu.training.trainer.Trainer`. Only some need a validation.
    total_steps : int, optional
        Where the step axis ends, so that one sees how much is still to come.
    """
    figure = Figure(figsize=(9.0, 2.7))  # no layout engine: it has to be drawn while training
    FigureCanvasAgg(figure)
    judged = [row for row in log if row["validation_psnr"] is not None]
    panels = (("loss", "loss", log), ("validation_psnr", "validation PSNR in dB", judged))
    for left, colour, (column, label, rows) in zip((0.09, 0.59), COLOURS, panels, strict=False):
        axis = figure.add_axes((left, 0.19, 0.39, 0.76))
        steps, values = [row["step"] for row in rows], [row[column] for row in rows]
        axis.plot(steps, values, color=colour, marker="o", markersize=3)
        axis.set_xlim(0, total_steps)
        axis.set_xlabel("step")
        axis.set_ylabel(label)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def live_curve(
    total_steps: int | None = None, every: float = 1.0
) -> Callable[[Sequence[Mapping[str, Any]]], None]:
    """Return a callable for ``Trainer(on_log=...)`` that draws the curves while they grow.

    One picture in the output of the cell is replaced again and again. Outside of a notebook
    nothing is drawn.

    Parameters
    ----------
    total_steps : int, optional
        The step axis ends here, and the last step is always drawn.
    every : float
        Seconds between two drawings, at least: drawing takes time from training.
    """
    shown: dict[str, Any] = {"handle": None, "at": -float("inf")}

    def redraw(log: Sequence[Mapping[str, Any]]) -> None:
        last = total_steps is not None and log[-1]["step"] >= total_steps
        if not _in_notebook() or not (last or time.monotonic() - shown["at"] >= every):
            return
        from IPython.display import display

        alt = f"Loss and validation PSNR up to step {log[-1]['step']}."
        image = _image(figure_png(training_curve(log, total_steps)), alt)
        if shown["handle"] is None:
            shown["handle"] = display(image, display_id=True)
        else:
            shown["handle"].update(image)
        shown["at"] = time.monotonic()

    return redraw


def _in_notebook() -> bool:
    """Say whether a Jupyter kernel runs this (a plain Python or a terminal IPython does not)."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return getattr(get_ipython(), "kernel", None) is not None


def _single(picture: Tensor) -> Tensor:
    """Take (3, H, W), or a batch of one."""
    if picture.dim() == 4 and picture.shape[0] == 1:
        picture = picture[0]
    if picture.dim() != 3 or picture.shape[0] != 3:
        raise DerainError(f"expected one picture (3, H, W), got {tuple(picture.shape)}")
    return picture.detach().cpu()
