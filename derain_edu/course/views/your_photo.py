"""Your own photo in a notebook: upload it, derain it, swipe between before and after."""

from __future__ import annotations

from html import escape
from typing import Any

import torch
from torch import Tensor, nn

from derain_edu.course.views.flipbook import as_output, in_book, still
from derain_edu.course.views.plots import (
    ERROR_SCALE,
    picture_png,
    strip_png,
)
from derain_edu.course.views.sliders import picture_below, slider_over
from derain_edu.errors import DerainError
from derain_edu.images import to_pil, to_tensor
from derain_edu.inference.restoration import derain
from derain_edu.language import local


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
    name = local("your photo")
    button = ipywidgets.FileUpload(accept="image/*", multiple=False, description=name)
    image = picture_below()
    words = ipywidgets.HTML(_small("Choose a file: it stays on this machine."))
    image.layout.display = "none"  # until there is something to show

    def update(_change: object = None) -> None:
        content = uploaded_bytes(button.value)
        if content is None:
            return
        try:
            image.value = before_and_after(content, model, long_side)
            image.layout.display = None
            words.value = _small("Rain that is left? Lesson 16 lets you train for it.")
        except DerainError as error:
            words.value = _small(escape(str(error)))

    button.observe(update, names="value")
    return ipywidgets.VBox([button, words, image])


def _small(words: str) -> str:
    return f"<small>{local(words)}</small>"
