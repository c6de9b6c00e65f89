"""Copies that get zeros, and what the figures of lesson 10 draw."""

from __future__ import annotations

import pytest
import torch

from derain_edu.course.views import forensics as views
from derain_edu.experiments.spanet_checkpoint import released_checkpoint


def test_a_copy_that_is_not_used_gets_zeros():
    used, unused = (torch.rand(3, requires_grad=True) for _ in range(2))
    copy, other = views.hand_out(used, unused)
    assert torch.equal(copy, used) and torch.equal(other, unused)
    copy.square().sum().backward()
    assert torch.equal(used.grad, 2 * used) and not unused.grad.any()


def test_each_tensor_is_a_point_and_zero_has_a_place():
    traces = released_checkpoint().traces
    axis = views.traces_figure(traces).axes[0]
    trained, idle = (line.get_xydata() for line in axis.get_lines()[:2])
    assert len(trained) + len(idle) == len(traces) and len(idle) == 6
    assert (idle[:, 1] == views.FLOOR).all() and trained[:, 1].min() > 10 * views.FLOOR
    assert (idle[:, 0] <= 1).all()
    assert [text.get_text() for text in axis.texts] == ["irnn1.beta", "irnn2.beta"]


def test_masks_stand_side_by_side():
    figure = views.masks_figure({"a": torch.rand(4, 5) > 0.5, "b": torch.ones(4, 5) > 0})
    assert [axis.get_title() for axis in figure.axes] == ["a", "b"]


def test_a_line_joins_the_variants_of_a_seed():
    rows = [{"variant": v, "seed": s, "x": s + k} for k, v in enumerate("ab") for s in (0, 1)]
    lines = views.seeds_figure(rows, "x", "label").axes[0].get_lines()
    assert [list(line.get_ydata()) for line in lines] == [[0, 1], [1, 2]]


def test_a_variant_without_a_seed_is_an_error():
    rows = [{"variant": "a", "seed": 0, "x": 1}, {"variant": "b", "seed": 1, "x": 2}]
    with pytest.raises(KeyError):
        views.seeds_figure(rows, "x", "label")
