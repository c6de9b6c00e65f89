"""The pictures of lesson 11: waves, losses, errors, the flow chart."""

from __future__ import annotations

from io import BytesIO

import pytest
import torch
from PIL import Image

from derain_edu.course import pinn
from derain_edu.course.views import waves as views
from derain_edu.course.views.plots import figure_png


def test_waves_stand_side_by_side_on_one_scale():
    figure = views.draw_waves({"one": torch.zeros(20), "other": torch.ones(20)}, rows=4, columns=5)
    maps = [axis for axis in figure.axes if axis.images]
    assert [axis.get_title() for axis in maps] == ["one", "other"]
    assert {axis.images[0].get_clim() for axis in maps} == {(-1, 1)}


def test_terms_are_the_means_over_the_seeds():
    log = pinn.solve(pinn.WAYS["all at once"], seeds=(0, 1), steps=3, log_every=2).log
    found = views.mean_of(log, "losses")
    assert found["initial"][1] == pytest.approx(sum(log[1]["losses"]["initial"]) / 2)
    left, right = views.draw_terms(log).axes
    assert left.get_yscale() == right.get_yscale() == "log"
    assert [len(line.get_xdata()) for line in left.lines] == [2, 2, 2]


def test_errors_in_a_picture_and_in_words():
    errors = {"all at once": [0.4, 0.5], "hard constraint": [0.2, 0.2]}
    said = [text.get_text() for text in views.draw_errors(errors).axes[0].texts]
    assert said == ["45 %", "20 %"]
    assert "all at once 45%, hard constraint 20%" in views.errors_in_words(errors)


def test_every_no_of_the_flow_chart_says_dont():
    assert all(no.startswith("Don't.") for _, no in views.QUESTIONS)
    figure = views.draw_flow_chart()
    said = [text.get_text() for text in figure.axes[0].texts]
    assert sum("Don't" in text for text in said) == len(views.QUESTIONS)
    assert Image.open(BytesIO(figure_png(figure))).width == 850
