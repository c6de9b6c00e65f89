"""Lessons in JupyterLab, with a mouse and a keyboard.

What other tests can't see: that the widgets are drawn, that a slider's picture follows the slider
and comes back with it, how long that takes, and that nothing complains on the way.
"""

from __future__ import annotations

import math
import statistics
import time

import pytest

from derain_edu.course.notebooks import find_lesson

# The slider that each lesson is about, and whether words below the picture repeat its numbers.
# In lesson 01 the numbers stand in the picture only.
LESSONS = {"01": "amount", "04": "stage", "09": "threshold"}
RAIN = ("length, px", "width, px", "angle, °", "brightness", "veil", "layers", "seed")
MOVES = 11  # to the right, and as many back


@pytest.fixture(scope="module", params=LESSONS)
def lesson(request, open_notebook):
    page = open_notebook(find_lesson(request.param))
    page.number = request.param
    return page


@pytest.fixture
def slider(lesson):
    """The lesson's slider, at its left end."""
    slider = lesson.slider(LESSONS[lesson.number])
    if not slider.at("min"):
        slider.press("Home")
    assert slider.at("min")
    return slider


def seen(slider):
    """Return the slider's number, the picture and the words as they stand."""
    return slider.number(), slider.picture(), slider.words()


def test_all_cells_run_and_nothing_complains(lesson):
    prompts = [p.strip("[]: \xa0") for p in lesson.prompts()]
    assert prompts == [str(k) for k in range(1, len(prompts) + 1)] and len(prompts) > 10
    assert lesson.errors() == []


def test_the_picture_follows_the_arrow_keys_and_comes_back(lesson, slider):
    views = [seen(slider)]
    for _ in range(3):
        slider.press("ArrowRight")
        views.append(seen(slider))
    numbers, pictures, words = map(set, zip(*views, strict=True))
    assert len(numbers) == len(pictures) == len(words) == 4 and "" not in words
    for view in reversed(views[:-1]):
        slider.press("ArrowLeft")
        assert seen(slider) == view
    assert lesson.errors() == []


def eventually(lesson, condition):
    """Wait until a condition holds: a drag is many moves, and the kernel answers each of them."""
    patience = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < patience, "what was awaited did not come"
        lesson.page.wait_for_timeout(50)


def test_the_picture_follows_the_mouse(lesson, slider):
    start = seen(slider)
    slider.press("End")
    end = seen(slider)
    assert slider.at("max") and end[1] != start[1]
    slider.drag(0.5)
    eventually(lesson, lambda: slider.picture() not in (start[1], end[1]))
    assert not slider.at("min") and not slider.at("max")
    slider.drag(0)
    eventually(lesson, lambda: seen(slider) == start)
    slider.drag(1)
    eventually(lesson, lambda: seen(slider) == end)
    assert lesson.errors() == []


@pytest.mark.parametrize("lesson", ["01"], indirect=True)
def test_every_rain_slider_moves_the_picture(lesson, slider):
    slider.press("End")  # of the amount: without rain nothing else can be seen
    for name in RAIN:
        other = lesson.slider(name)
        other.press("ArrowRight")
        before = seen(other)
        other.press("ArrowRight")
        assert other.number() != before[0] and other.picture() != before[1], name
        other.press("ArrowLeft")
        assert seen(other) == before, name
    assert lesson.errors() == []


def percentile_95(values):
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def test_each_key_brings_a_picture(lesson, slider):
    """How long that takes is printed and not asserted: it says more about the machine's load."""
    times = [slider.press(key) for key in ["ArrowRight"] * MOVES + ["ArrowLeft"] * MOVES]
    median, slow = statistics.median(times), percentile_95(times)
    moves = f"{len(times)} moves: median {median:.0f} ms, 95 % within {slow:.0f} ms"
    print(f"{lesson.notebook}, from key to picture, {moves}")
    assert lesson.errors() == []
