"""The hooks that hold parts of a network still, and what the sliders of lesson 09 show."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from derain_edu.course.views import attention as views
from derain_edu.errors import DerainError
from derain_edu.map_scores import auc, score_at
from derain_edu.models import create_model
from derain_edu.rain.synthesis import add_rain

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


def test_levelled_directions_are_equal_everywhere_and_keep_their_mean(paper):
    rainy = torch.rand(3, 8, 9)
    before = views.direction_weights(paper, rainy)[0]
    with views.levelled_directions(paper):
        level = views.direction_weights(paper, rainy)[0]
        changed = paper.attend(rainy[None])[1]
    assert torch.allclose(level, level[:, :1, :1].expand_as(level))
    assert torch.allclose(level.mean(dim=(1, 2)), before.mean(dim=(1, 2)))
    assert not torch.allclose(changed, paper.attend(rainy[None])[1], atol=1e-7)
    assert torch.equal(views.direction_weights(paper, rainy)[0], before)


def test_levelling_constant_weights_changes_nothing(paper):
    with torch.no_grad():
        paper.attention.directions.conv3.weight.zero_()  # only the biases speak
    rainy = torch.rand(1, 3, 8, 9)
    expected = paper(rainy)
    with views.levelled_directions(paper):
        assert torch.allclose(paper(rainy), expected, atol=1e-6)


def test_a_changed_map_changes_its_stage_every_time(paper):
    rainy = torch.rand(1, 3, 8, 9)
    maps = paper.attend(rainy)[1]
    with views.changed_map(paper, torch.zeros_like, stages=[2]):
        for _ in range(2):  # the count starts anew with each picture
            changed = paper.attend(rainy)[1]
            assert torch.equal(changed[:, 0], maps[:, 0])
            assert (changed[:, 1] == 0).all() and (changed[:, 2] > 0).all()
    assert torch.equal(paper.attend(rainy)[1], maps)


def test_with_all_maps_at_zero_the_gated_blocks_do_nothing(paper):
    rainy = torch.rand(1, 3, 8, 9)
    x = F.relu(paper.head(rainy))
    for block in (paper.blocks[0], *paper.blocks[-2:]):  # the ungated ones
        x = block(x)
    with views.changed_map(paper, torch.zeros_like, stages=[1, 2, 3]):
        assert torch.allclose(paper(rainy), paper.tail(x), atol=1e-6)


def test_an_error_inside_leaves_no_hook_behind(paper):
    rainy = torch.rand(1, 3, 8, 9)
    expected = paper(rainy)
    with (
        pytest.raises(ValueError, match="stop"),
        views.changed_map(paper, torch.zeros_like, stages=[1]),
    ):
        raise ValueError("stop")
    assert torch.equal(paper(rainy), expected)


def test_a_level_map_keeps_its_mean():
    maps = torch.rand(2, 1, 5, 6)
    level = views.level_map(maps)
    assert level.shape == maps.shape and torch.allclose(level.mean((2, 3)), maps.mean((2, 3)))
    assert (level == level[:, :, :1, :1]).all()


def test_an_angle_view_reports_means_by_place(paper):
    clean = torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(0)) * 0.4
    view = views.angle_view(paper, clean, 30, seed=1)
    rain = add_rain(clean, "light", seed=1, angle=30)
    weights, wet = views.direction_weights(paper, rain.rainy)[0].detach(), rain.mask[0]
    on = [float(w[wet].mean()) for w in weights]
    off = [float(w[~wet].mean()) for w in weights]
    assert view.on_streaks == pytest.approx(on) and view.elsewhere == pytest.approx(off)
    up, right, down, left = (a - b for a, b in zip(on, off, strict=True))
    assert view.leaning == pytest.approx((up + down - right - left) / 2)
    assert view.auc == auc(paper.attend(rain.rainy[None])[1][0, 0].detach(), wet)


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
        assert f"recall {score.recall:.0%}" in words.value
    assert len(set(seen)) == 3 and len({pixels(png).shape for png in seen}) == 1


def test_the_angle_slider_moves_the_picture(paper):
    clean = torch.full((3, 32, 32), 0.2)
    looks = [views.angle_view(paper, clean, angle, seed=2) for angle in (-40, 0, 40)]
    slider, image, words = views.angle_slider(looks).children
    seen = []
    for position, look in enumerate(looks):
        slider.value = position
        seen.append(image.value)
        assert f"Rain at {look.angle:.0f}°" in words.value
        assert f"leaning {look.leaning:+.3f}" in words.value
    # the chart and its title, and below them the weights, at twice their size, and theirs
    assert len(set(seen)) == 3 and pixels(seen[0]).shape[0] == (220 + 24) + (2 * 32 + 24)
