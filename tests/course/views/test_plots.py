"""Figures: right order, right size, an alternative text; pictures as PNG bytes."""

from __future__ import annotations

from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.font_manager import findfont, get_font
from PIL import Image

from derain_edu.course.views import plots
from derain_edu.errors import DerainError
from derain_edu.text import compare_guess


def opened(png: bytes) -> Image.Image:
    return Image.open(BytesIO(png))


def test_a_picture_survives_png():
    picture = torch.rand(3, 5, 7)
    pixels = np.asarray(opened(plots.picture_png(picture)))
    assert np.abs(pixels / 255 - picture.permute(1, 2, 0).numpy()).max() <= 0.5 / 255 + 1e-6


def test_zoom_repeats_pixels():
    pixels = np.asarray(opened(plots.picture_png(torch.rand(3, 4, 5), zoom=3)))
    assert pixels.shape == (12, 15, 3)
    assert (pixels[:3, :3] == pixels[0, 0]).all()


def test_the_row_is_rainy_derained_clean_error():
    clean = torch.rand(3, 20, 30) * 0.5
    figure = plots.derained_row(clean + 0.2, clean + 0.02, clean)
    titles = [axis.get_title() for axis in figure.axes]
    assert [title.split(",")[0] for title in titles] == ["rainy", "derained", "clean", "error ×5"]
    assert "dB" in titles[0] and "dB" in titles[1]
    shown_error = figure.axes[3].images[0].get_array()
    assert shown_error.mean() == pytest.approx(5 * 0.02, abs=1e-3)


def test_a_strip_keeps_pictures_as_they_are():
    left, right = torch.rand(3, 30, 40), torch.rand(1, 30, 20)
    figure, _ = plots.chart(100, 80)
    strip = opened(plots.strip_png({"a": left, "b": right, "c": figure}, gap=10))
    assert strip.size == (40 + 10 + 20 + 10 + 100, 80 + 24)
    pixels = np.asarray(strip)
    assert np.abs(pixels[24:54, :40] / 255 - left.permute(1, 2, 0).numpy()).max() < 1 / 255


def test_a_strip_can_have_rows_of_different_widths():
    wide, narrow = torch.rand(3, 30, 40), torch.rand(3, 10, 20)
    sheet = opened(plots.strip_png({"a": narrow}, {"b": wide, "c": narrow}, gap=10))
    assert sheet.size == (40 + 10 + 20, (10 + 24) + (30 + 24))
    pixels = np.asarray(sheet)
    assert np.abs(pixels[24:34, :20] / 255 - narrow.permute(1, 2, 0).numpy()).max() < 1 / 255
    assert np.abs(pixels[58:88, :40] / 255 - wide.permute(1, 2, 0).numpy()).max() < 1 / 255
    assert (pixels[:34, 20:] == 255).all(), "white where the shorter row ends"


def test_titles_of_a_strip_can_say_times_and_degrees():
    blank = torch.ones(3, 20, 200)
    strips = [
        np.asarray(opened(plots.strip_png({sign: blank})))[:24] for sign in ("×", "°", "\U0010ffff")
    ]
    assert all((strip < 128).any() for strip in strips)
    assert not any((strip == strips[-1]).all() for strip in strips[:2])  # not the "unknown" box


def test_show_displays_the_alternative_text(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    plots.show(plots.new_figure()[0], "A rainy street.")
    data, metadata = shown[0]._repr_png_()
    assert data and metadata == {"alt": "A rainy street."}


def test_bars_and_curves_draw_what_they_are_given():
    _, axes = plots.new_figure(1, 2)
    plots.draw_bars(axes[0, 0], ["a", "b"], [1.0, 2.0], errors=[0.1, 0.2])
    assert [bar.get_height() for bar in axes[0, 0].patches] == [1.0, 2.0]
    plots.draw_curves(axes[0, 1], {"x": [3.0, 4.0], "y": [1.0, 2.0]})
    assert [list(line.get_ydata()) for line in axes[0, 1].lines] == [[3, 4], [1, 2]]
    assert axes[0, 1].get_legend() is not None


def test_points_stand_at_their_values_with_their_intervals():
    _, axes = plots.new_figure()
    plots.draw_points(axes[0, 0], ["a", "b"], [3.0, 4.0], errors=[0.5, 0.25])
    points = [container.lines[0] for container in axes[0, 0].containers]
    assert [float(point.get_ydata()[0]) for point in points] == [3.0, 4.0]
    bars = [container.lines[2][0].get_segments()[0][:, 1] for container in axes[0, 0].containers]
    assert [list(bar) for bar in bars] == [[2.5, 3.5], [3.75, 4.25]]
    assert [text.get_text() for text in axes[0, 0].texts] == ["3.0", "4.0"]


@pytest.mark.parametrize(
    ("guess", "expected"),
    [
        (None, "no guess yet · measured 3.2 dB\n"),
        (5, "you said 5.0 dB · measured 3.2 dB · you were off by 1.8\n"),
    ],
)
def test_a_guess_is_put_beside_the_measurement(capsys, guess, expected):
    compare_guess(guess, 3.21, "dB")
    assert capsys.readouterr().out == expected


def test_a_wrong_shape_is_explained():
    with pytest.raises(DerainError, match=r"one picture \(3, H, W\)"):
        plots.picture_row({"two": torch.rand(2, 3, 4, 4)})


def rows_of_a_run(count: int) -> list[dict]:
    """Rows as the trainer writes them: every second one with a validation."""
    return [
        {"step": 10 * k, "loss": 1 / k, "validation_psnr": 30.0 + k if k % 2 == 0 else None}
        for k in range(1, count + 1)
    ]


def test_the_training_curve_draws_the_log():
    figure = plots.training_curve(rows_of_a_run(5), total_steps=80)
    loss, score = (axis.lines[0] for axis in figure.axes)
    assert list(loss.get_xdata()) == [10, 20, 30, 40, 50]
    assert list(loss.get_ydata()) == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])
    assert list(score.get_xdata()) == [20, 40] and list(score.get_ydata()) == [32, 34]
    assert all(axis.get_xlim() == (0, 80) for axis in figure.axes)


def test_a_training_curve_without_validation_is_drawn():
    assert plots.figure_png(plots.training_curve(rows_of_a_run(1)))


class FakeNotebook:
    """A display and a clock: counts what a cell would show, and when."""

    def __init__(self, monkeypatch):
        self.now, self.new, self.updated = 0.0, [], []
        monkeypatch.setattr("IPython.display.display", self.display)
        monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace(kernel=object()))
        monkeypatch.setattr(plots.time, "monotonic", lambda: self.now)

    def display(self, image, display_id):
        assert display_id is True
        self.new.append(image)
        return SimpleNamespace(update=self.updated.append)


def test_the_live_curve_replaces_one_picture_about_once_a_second(monkeypatch):
    notebook, log = FakeNotebook(monkeypatch), rows_of_a_run(40)
    redraw = plots.live_curve(total_steps=400, every=1.0)
    for count in range(1, 41):  # a row every 0.3 s
        notebook.now = 0.3 * count
        redraw(log[:count])
    assert len(notebook.new) == 1
    # Drawn at rows 1, 5, 9, … 37 (each 1.2 s after the one before), and at the last, 40.
    steps = [image._repr_png_()[1]["alt"].split()[-1] for image in notebook.updated]
    assert steps == [f"{10 * row}." for row in (*range(5, 41, 4), 40)]


def test_the_live_curve_is_silent_outside_of_a_notebook(monkeypatch, capsys):
    monkeypatch.setattr("IPython.display.display", lambda *_, **__: pytest.fail("displayed"))
    for shell in (None, SimpleNamespace()):  # plain Python, and a terminal IPython
        monkeypatch.setattr("IPython.get_ipython", lambda shell=shell: shell)
        plots.live_curve()(rows_of_a_run(3))
    assert capsys.readouterr().out == ""


# -- Chinese labels


@pytest.fixture
def chinese(monkeypatch):
    monkeypatch.setenv("DERAIN_EDU_LANGUAGE", "zh")


def a_figure():
    figure, axes = plots.new_figure(1, 1)
    plots.draw_bars(axes[0, 0], ["rainy", "abc"], [1.0, 2.0], ylabel="loss")
    axes[0, 0].set_title("rainy, 26.80 dB")
    return figure


def labels(figure):
    axis = figure.axes[0]
    ticks = [label.get_text() for label in axis.get_xticklabels()]
    return [axis.get_title(), axis.get_ylabel(), *ticks]


def test_labels_are_chinese_where_a_font_has_every_character(chinese):
    font = plots.chinese_font()
    if font is None:
        pytest.skip("no Chinese font on this machine (Debian: apt-get install fonts-wqy-zenhei)")
    figure = a_figure()
    plots.speak(figure)
    said = labels(figure)
    assert said[0].endswith("26.80 dB") and said[1] == "损失" and said[3] == "abc"
    known = get_font(findfont(font))
    letters = {letter for label in said for letter in label if ord(letter) > 0x2E80}
    assert letters and all(known.get_char_index(ord(letter)) for letter in letters)


def test_labels_stay_english_where_no_font_has_chinese(chinese, monkeypatch):
    monkeypatch.setattr(plots, "_installed_chinese_font", lambda: None)
    figure = a_figure()
    plots.speak(figure)
    assert labels(figure) == ["rainy, 26.80 dB", "loss", "rainy", "abc"]


def test_titles_of_a_strip_fit_in_either_language(chinese):
    pictures = {"rainy": torch.zeros(3, 40, 80), "error ×5": torch.zeros(3, 40, 80)}
    assert plots.strip_png(pictures).startswith(b"\x89PNG")
