"""The figures of lesson 03 show the numbers that they are given."""

from __future__ import annotations

import pytest
import torch

from derain_edu.course.views.plots import figure_png
from derain_edu.course.views.residual import draw_gradients, draw_pairs, draw_windows


def test_windows_are_drawn_in_powers_of_ten():
    gradients = torch.zeros(5, 5)
    gradients[2, 2], gradients[2, 3] = 4, 0.04
    figure = draw_windows({"two pixels": gradients, "one": (gradients > 1).float()})
    shown = figure.axes[0].images[0].get_array()
    assert shown[2, 2] == 0 and shown[2, 3] == pytest.approx(-2) and shown[0, 0] < -6
    assert [axis.get_title() for axis in figure.axes[:2]] == ["two pixels", "one"]
    assert figure_png(figure).startswith(b"\x89PNG")


def test_gradients_are_drawn_by_depth():
    [axis] = draw_gradients({"with": [1.0, 1.1], "without": [0.1, 1e-5]}, (1, 16)).axes
    assert axis.get_yscale() == "log" and axis.get_xscale() == "linear"
    assert list(axis.lines[1].get_xdata()) == [1, 16]
    assert list(axis.lines[1].get_ydata()) == [0.1, 1e-5]


def test_runs_of_the_same_seed_are_joined():
    scores = {"first": {0: 3.0, 1: 4.0}, "second": {1: 2.0, 0: 1.0}}  # not in the same order
    [axis] = draw_pairs(scores, "dB").axes
    assert [list(line.get_ydata()) for line in axis.lines] == [[3.0, 1.0], [4.0, 2.0]]
