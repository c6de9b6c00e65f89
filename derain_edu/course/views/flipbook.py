"""Sliders for the book: pictures that are drawn beforehand, so that no kernel is needed.

A slider of ipywidgets needs a running notebook. While the book is built, the environment variable
``DERAIN_EDU_BOOK`` is 1, and :func:`derain_edu.course.views.sliders.shell` draws the pictures for
up to :data:`MOST_FRAMES` positions of its first control beforehand. A page then holds them all,
with a slider and a few lines of JavaScript, and loads nothing else. Without JavaScript it shows
the picture where the slider starts.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from typing import Any

import PIL.Image

from derain_edu.errors import DerainError
from derain_edu.language import local

MOST_FRAMES = 13

# The label is hidden until the script runs: without JavaScript nobody sees a dead slider.
_SCRIPT = """\
(function (book) {
  const slider = book.querySelector("input"), shown = book.querySelector("output");
  const pictures = book.querySelectorAll("img"), words = book.querySelector(".flipbook-words");
  function turn() {
    pictures.forEach((picture, k) => { picture.hidden = k !== Number(slider.value); });
    const now = pictures[slider.value];
    shown.textContent = now.dataset.label;
    slider.setAttribute("aria-valuetext", now.dataset.label);
    words.textContent = now.dataset.words;
  }
  slider.addEventListener("input", turn);
  book.querySelector("label").hidden = false;
  turn();
})(document.currentScript.parentElement);
"""


@dataclass(frozen=True)
class Frame:
    """One position of a slider.

    Attributes
    ----------
    label : str
        The text beside the slider, such as ``"0.25"``.
    png : bytes
        The picture.
    words : str, default ""
        What it shows, in a sentence, for those who can't see it.
    """

    label: str
    png: bytes
    words: str = ""


def in_book() -> bool:
    """Say whether the lessons run for the book."""
    return os.environ.get("DERAIN_EDU_BOOK") == "1"


def positions(count: int, start: int, most: int = MOST_FRAMES) -> list[int]:
    """Choose at most ``most`` of ``count`` positions: both ends, ``start``, and evenly between.

    >>> positions(5, 2)
    [0, 1, 2, 3, 4]
    >>> positions(101, 50, most=5)
    [0, 25, 50, 75, 100]
    """
    if count <= most:
        return list(range(count))
    chosen = [round(k * (count - 1) / (most - 1)) for k in range(most)]
    if start not in chosen:  # it takes the place of its neighbour, but not of an end
        nearest = min(range(1, most - 1), key=lambda k: abs(chosen[k] - start))
        chosen[nearest] = start
    return chosen


def labelled_values(control: Any) -> list[tuple[str, Any]]:
    """Return all values of a control of ipywidgets, each with the label that a reader sees.

    Raises
    ------
    DerainError
        If the control has no values that can be counted.
    """
    if hasattr(control, "options"):
        options = control.options
        pairs = options.items() if isinstance(options, Mapping) else options
        return [pair if isinstance(pair, tuple) else (str(pair), pair) for pair in pairs]
    if not hasattr(control, "step"):
        raise DerainError(f"{type(control).__name__} has neither options nor steps")
    count = round((control.max - control.min) / control.step) + 1
    decimals = 0 if isinstance(control.value, int) else 2
    values = [round(control.min + k * control.step, 10) for k in range(count)]
    return [(f"{value:.{decimals}f}", value) for value in values]


def frames_of(
    controls: Sequence[Any], draw: Callable[[], bytes], words: Callable[[], str] | None = None
) -> tuple[list[Frame], int]:
    """Move the first control through its positions, and leave it where it stood.

    Returns
    -------
    frames : list of Frame
    start : int
        Which of them belongs to the value that the control had.
    """
    control = controls[0]
    before, pairs = control.value, labelled_values(control)
    first = next((k for k, (_, value) in enumerate(pairs) if value == before), 0)
    chosen = positions(len(pairs), first)
    frames = []
    for label, value in (pairs[k] for k in chosen):
        control.value = value
        frames.append(Frame(label, smaller(draw()), local(words()) if words is not None else ""))
    control.value = before
    return frames, chosen.index(first)


def smaller(png: bytes) -> bytes:
    """Return the same picture in fewer bytes: sliders write theirs for speed."""
    buffer = BytesIO()
    PIL.Image.open(BytesIO(png)).save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()


def flipbook(name: str, frames: Sequence[Frame], start: int = 0, note: str = "") -> str:
    """Return the HTML of a slider over ``frames``, complete in itself.

    Parameters
    ----------
    name : str
        What is moved.
    frames : sequence of Frame
    start : int
        The frame that is seen first.
    note : str
        A line below, for example about controls that can't be moved here.
    """
    pictures = "\n".join(
        _picture(frame, f"{name} {frame.label}", "" if k == start else " hidden")
        for k, frame in enumerate(frames)
    )
    name, label = escape(name), escape(frames[start].label)
    return (
        f'<div class="flipbook" role="group" aria-label="slider: {name}">\n'
        f'<label hidden>{name} <input type="range" min="0" max="{len(frames) - 1}" step="1" '
        f'value="{start}" autocomplete="off"> <output>{label}</output></label>\n'
        f'{pictures}\n<p class="flipbook-words">{escape(frames[start].words)}</p>\n'
        f"{_note(note)}<script>\n{_SCRIPT}</script>\n</div>"
    )


def still(note: str, frame: Frame | None = None) -> str:
    """Return the HTML of what can't be moved in a page: a picture, if any, and a line."""
    picture = "" if frame is None else _picture(frame, frame.label) + "\n"
    return f'<div class="flipbook">\n{picture}{_note(note)}</div>'


def fixed_controls(controls: Sequence[Any]) -> str:
    """Return a line about the controls that a page can't move, or nothing if there are none."""
    if not controls:
        return ""
    names = local(" and ").join(control.description for control in controls)
    return f"Run the notebook to move {names} as well."


def as_output(html: str) -> Any:
    """Return ``html`` as something that a notebook displays."""
    from IPython.display import HTML

    return HTML(html)


def _picture(frame: Frame, alt: str, hidden: str = "") -> str:
    data = b64encode(frame.png).decode()
    return (
        f'<img src="data:image/png;base64,{data}" alt="{escape(frame.words or alt)}" '
        f'data-label="{escape(frame.label)}" data-words="{escape(frame.words)}"{hidden}>'
    )


def _note(note: str) -> str:
    return f'<p class="flipbook-note">{escape(local(note))}</p>\n' if note else ""
