"""The book form of sliders: which positions are drawn, and what the HTML holds."""

from __future__ import annotations

import re
from base64 import b64decode
from io import BytesIO

import ipywidgets
import numpy as np
import pytest
import torch
from PIL import Image

from derain_edu.course.views import flipbook, sliders, sweeps
from derain_edu.course.views.plots import picture_png
from derain_edu.course.views.rain import rain_sliders
from derain_edu.course.views.stages import stage_slider
from derain_edu.course.views.your_photo import own_photo
from derain_edu.errors import DerainError
from derain_edu.models import create_model


def png(value: int) -> bytes:
    return picture_png(torch.full((3, 4, 6), value / 255))


def shown(html: str) -> list[dict[str, str]]:
    """Return label, words, alternative text and grey value of each picture, and if it is hidden."""
    pattern = (
        r'<img src="data:image/png;base64,(?P<data>[^"]+)" alt="(?P<alt>[^"]*)" '
        r'data-label="(?P<label>[^"]*)" data-words="(?P<words>[^"]*)"(?P<hidden>[^>]*)>'
    )
    found = [match.groupdict() for match in re.finditer(pattern, html)]
    for picture in found:
        pixels = np.asarray(Image.open(BytesIO(b64decode(picture.pop("data")))))
        picture["grey"] = int(pixels[0, 0, 0])
        picture["hidden"] = bool(picture["hidden"])
    return found


@pytest.fixture
def in_book(monkeypatch):
    monkeypatch.setenv("DERAIN_EDU_BOOK", "1")


@pytest.mark.parametrize("count", [1, 2, 12, 13, 14, 51, 101])
@pytest.mark.parametrize("where", [0, 0.1, 0.5, 1])
def test_positions_hold_both_ends_and_the_start(count, where):
    start = round(where * (count - 1))
    chosen = flipbook.positions(count, start)
    assert {0, start, count - 1} <= set(chosen)
    assert chosen == sorted(set(chosen)) and len(chosen) == min(count, flipbook.MOST_FRAMES)
    assert max(np.diff(chosen), default=1) <= 2 * max(1, count / (flipbook.MOST_FRAMES - 1))


@pytest.mark.parametrize(
    ("control", "labels"),
    [
        (ipywidgets.IntSlider(2, 1, 5, step=2), ["1", "3", "5"]),
        (ipywidgets.FloatSlider(0.5, min=0, max=1, step=0.5), ["0.00", "0.50", "1.00"]),
        (ipywidgets.SelectionSlider(options=["a", "b"], value="b"), ["a", "b"]),
        (ipywidgets.Dropdown(options=[("one", 1), ("two", 2)]), ["one", "two"]),
    ],
)
def test_every_kind_of_control_has_labelled_values(control, labels):
    pairs = flipbook.labelled_values(control)
    assert [label for label, _ in pairs] == labels
    for _, value in pairs:
        control.value = value
        assert control.value == value


def test_a_control_without_positions_is_refused():
    with pytest.raises(DerainError, match="Text has neither options nor steps"):
        flipbook.labelled_values(ipywidgets.Text())


def test_a_slider_becomes_a_flipbook(in_book):
    page = sliders.slider_over(lambda k: png(10 * k), "stage", 1, 4, 3, lambda k: f"stage <{k}>")
    pictures = shown(page.data)
    assert [picture["grey"] for picture in pictures] == [10, 20, 30, 40]
    assert [picture["label"] for picture in pictures] == ["1", "2", "3", "4"]
    assert [picture["words"] for picture in pictures] == [f"stage &lt;{k}&gt;" for k in range(1, 5)]
    assert [picture["hidden"] for picture in pictures] == [True, True, False, True]
    assert 'max="3" step="1" value="2"' in page.data and "<output>3</output>" in page.data
    assert "http" not in page.data and "flipbook-note" not in page.data


def test_without_words_the_alternative_text_is_name_and_label(in_book):
    slider = ipywidgets.SelectionSlider(options=["3 bits", "8 bits"], description="size")
    pictures = shown(sliders.shell([slider], lambda: png(len(slider.value))).data)
    assert [picture["alt"] for picture in pictures] == ["size 3 bits", "size 8 bits"]


def test_a_long_slider_is_sampled_and_left_where_it_stood(in_book):
    slider = ipywidgets.IntSlider(41, 0, 100, description="swipe")
    page = sliders.shell([slider], lambda: png(slider.value), lambda: f"{slider.value} %")
    pictures = shown(page.data)
    assert slider.value == 41 and len(pictures) == flipbook.MOST_FRAMES
    assert [p["label"] for p in pictures if not p["hidden"]] == ["41"]
    assert all(picture["grey"] == int(picture["label"]) for picture in pictures)


def test_further_controls_are_named_and_stand_still(in_book):
    spot = torch.zeros(5, 5)
    spot[2, 2] = 1
    page = sweeps.sweep_sliders(spot)
    assert "Run the notebook to move α as well." in page.data
    assert len(shown(page.data)) == 6  # positions 0 to 5
    assert all("α = 1.0" in picture["words"] for picture in shown(page.data))


def test_the_stage_slider_shows_all_stages_in_the_book(in_book):
    torch.manual_seed(0)
    model = create_model("prn", channels=4, stages=3).eval()
    clean = torch.rand(3, 24, 32)
    pictures = shown(stage_slider(model, clean * 0.9, clean, stages=12).data)
    assert [picture["label"] for picture in pictures] == [str(k) for k in range(1, 13)]
    assert len({picture["words"] for picture in pictures}) == 12


def test_what_can_not_be_moved_stands_still(in_book):
    page = rain_sliders(torch.full((3, 48, 64), 0.3))
    assert len(shown(page.data)) == 1 and "<input" not in page.data and "<script" not in page.data
    assert re.search(r"Run the notebook to move amount, .*seed\.", page.data)
    assert "a button for your own photo" in own_photo(torch.nn.Identity()).data


def test_smaller_keeps_every_pixel():
    picture = picture_png(torch.rand(3, 40, 60))
    files = (picture, flipbook.smaller(picture))
    before, after = (np.asarray(Image.open(BytesIO(file))) for file in files)
    assert np.array_equal(before, after) and len(flipbook.smaller(picture)) <= len(picture)


@pytest.mark.parametrize("value", ["", "0"])
def test_outside_of_the_book_sliders_are_widgets(monkeypatch, value):
    monkeypatch.setenv("DERAIN_EDU_BOOK", value)
    box = sliders.slider_over(png, "stage", 1, 4, 1, str)
    assert isinstance(box, ipywidgets.VBox)
