"""The hook that reads direction weights, and what the slider and figures of lesson 09 show."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from derain_edu.course.views import attention as views
from derain_edu.errors import DerainError
from derain_edu.map_scores import calibration, score_at
from derain_edu.models import create_model

SMALL = {"channels": 4, "blocks": 1, "stages": 3}


@pytest.fixture
def paper():
    torch.manual_seed(0)
    return create_model("spanet", direction_attention=True, **SMALL).eval()


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(png)))


def test_direction_weights_are_what_the_branch_says_of_each_stage(paper):
    rainy, seen = torch.rand(3, 8, 9), []
    hook = paper.attention.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    weights = views.direction_weights(paper, rainy)
    hook.remove()
    assert weights.shape == (3, 4, 8, 9)
    expected = torch.cat([paper.attention.directions(x) for x in seen])
    assert torch.equal(weights, expected)


def test_without_acting_weights_there_is_nothing_to_show():
    with pytest.raises(DerainError, match="direction_attention=True"):
        views.direction_weights(create_model("spanet", **SMALL), torch.rand(3, 8, 8))


def test_the_verdicts_are_painted_in_their_colours(map_and_mask):
    values, mask = map_and_mask
    picture, called = views.hits_and_misses(values, mask, 0.5), values >= 0.5

    def painted(colour):
        return (picture == torch.tensor(colour).view(3, 1, 1)).all(dim=0)

    assert torch.equal(painted(views.FOUND), called & mask)
    assert torch.equal(painted(views.MISSED), ~called & mask)
    assert torch.equal(painted(views.FALSE), called & ~mask)
    assert torch.equal(painted(views.DRY), ~called & ~mask)


def test_the_threshold_slider_moves_the_picture(map_and_mask):
    values, mask = map_and_mask
    widget = views.threshold_slider(torch.rand(3, 9, 11), values, mask)
    slider, image, words = widget.children
    seen = []
    for position in (0, 25, 50):
        slider.value = position
        seen.append(image.value)
        score = score_at(values, mask, views.THRESHOLDS[position])
        assert f"A ≥ {score.threshold:.2f}" in words.value
        assert f"recall {score.recall:.0%}, false alarms {score.false_alarms:.0%}" in words.value
    assert len(set(seen)) == 3 and len({pixels(png).shape for png in seen}) == 1


def test_the_first_threshold_finds_all_rain_and_the_recall_falls(map_and_mask):
    recalls = [score_at(*map_and_mask, threshold).recall for threshold in views.THRESHOLDS]
    assert recalls[0] == 1 and recalls == sorted(recalls, reverse=True)


def test_the_figures_draw_one_panel_per_map(map_and_mask):
    values, mask = map_and_mask
    picture = torch.rand(3, *values.shape)
    stages = views.stages_figure(values.expand(4, -1, -1), [0.9, 0.6, 0.6, 0.6], [3, 0, 0.1, 0.1])
    assert len(stages.axes) == 4 + 4 + 2  # maps, their colour bars, two charts
    assert len(views.map_figure(picture, picture, mask, values).axes) == 4 + 1
    bins = calibration(values, mask)
    found = views.calibration_figure({"light": bins}).axes[0].get_lines()[0].get_data()
    assert list(found[0]) == [b.value for b in bins] and list(found[1]) == [b.share for b in bins]
