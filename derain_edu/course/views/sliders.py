"""The shell of every slider in a lesson: controls above a picture that follows them.

A shell knows nothing of rain: it asks a pure function for the picture, and another one for the
same in words, for those who can't see it. The functions are tested without it. Only what
ipywidgets 7.7 (Colab) and 8 have in common is used. In the book, where no kernel runs, a shell
becomes a page of pictures that turn (:mod:`derain_edu.course.views.flipbook`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from derain_edu.course.views.flipbook import (
    as_output,
    fixed_controls,
    flipbook,
    frames_of,
    in_book,
    labelled_values,
)
from derain_edu.language import language, local


def shell(
    controls: Sequence[Any], draw: Callable[[], bytes], words: Callable[[], str] | None = None
) -> Any:
    """Put controls above a picture that follows them, and words below it.

    Parameters
    ----------
    controls : sequence of ipywidgets
        Whoever changes one of them gets a new picture.
    draw : callable
        Gives the PNG for the controls as they stand.
    words : callable, optional
        Gives a sentence for them.
    """
    import ipywidgets

    for control in controls:
        _speak(control)
    if in_book():
        frames, start = frames_of(controls, draw, words)
        name, note = controls[0].description, fixed_controls(controls[1:])
        return as_output(flipbook(name, frames, start, note))

    image = picture_below()
    text = ipywidgets.HTML()

    def update(_change: object = None) -> None:
        image.value = draw()
        if words is not None:
            text.value = f"<small>{local(words())}</small>"

    for control in controls:
        control.observe(update, names="value")
    update()
    return ipywidgets.VBox([*controls, image] if words is None else [*controls, image, text])


def _speak(control: Any) -> None:
    """Give a control a name, and choices, in the reader's language."""
    control.description = local(control.description)
    if hasattr(control, "options") and language() != "en":
        value = control.value
        control.options = [(local(label), choice) for label, choice in labelled_values(control)]
        control.value = value


def picture_below() -> Any:
    """Return an empty picture to put below controls: never stretched, and never too wide."""
    import ipywidgets

    layout = ipywidgets.Layout(max_width="100%", height="auto", align_self="flex-start")
    return ipywidgets.Image(format="png", layout=layout)


def slider_over(
    draw: Callable[[int], bytes], name: str, low: int, high: int, start: int,
    words: Callable[[int], str],
) -> Any:
    """Return a slider over the whole numbers from ``low`` to ``high``, see :func:`shell`."""
    import ipywidgets

    slider = ipywidgets.IntSlider(start, low, high, description=name)
    return shell([slider], lambda: draw(slider.value), lambda: words(slider.value))


def slider_with_stops(
    draw: Callable[[int], bytes], name: str, labels: Sequence[str], start: int,
    words: Callable[[int], str],
) -> Any:
    """Return a slider with one stop per label; ``draw`` and ``words`` take its position."""
    import ipywidgets

    stops = [(label, k) for k, label in enumerate(labels)]
    slider = ipywidgets.SelectionSlider(options=stops, value=start, description=name)
    return shell([slider], lambda: draw(slider.value), lambda: words(slider.value))
