"""What the sliders show, at the ends and in the middle of their ranges, without a browser."""

from __future__ import annotations

from io import BytesIO

import ipywidgets
import numpy as np
import pytest
import torch
from PIL import Image

from derain_edu.course.views.rain import config_from_sliders, rain_controls, rain_sliders, rain_view
from derain_edu.course.views.stages import stage_slider, stage_views
from derain_edu.course.views.your_photo import swipe, swipe_slider
from derain_edu.metrics import psnr
from derain_edu.models import create_model
from derain_edu.rain.presets import PRESETS
from derain_edu.rain.synthesis import add_rain


@pytest.fixture(scope="module")
def pair():
    clean = torch.rand(3, 24, 32, generator=torch.Generator().manual_seed(0))
    return add_rain(clean, "light", seed=0).rainy, clean


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return create_model("prn", channels=8, stages=3).eval()


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(png)))


def test_stage_views_are_the_stages_of_the_network(model, pair):
    rainy, clean = pair
    views = stage_views(model, rainy, clean, stages=5)
    with torch.no_grad():
        pictures = [x[0] for x in model.unroll(rainy[None], 5)]
    assert [view.stage for view in views] == [1, 2, 3, 4, 5]
    for view, picture in zip(views, pictures, strict=True):
        assert torch.equal(view.picture, picture.clamp(0, 1))
        assert view.psnr == pytest.approx(psnr(picture, clean))
    change = ((pictures[2] - pictures[1]).abs() * 10).clamp(0, 1)
    assert torch.equal(views[2].change, change)


def test_parameters_stay_and_flops_grow(model, pair):
    views = stage_views(model, *pair, stages=4)
    assert len({view.parameters for view in views}) == 1
    # Two operations per multiply-add: head 6→8, ten convolutions 8→8, tail 8→3, all 3×3.
    expected = 2 * 9 * (6 * 8 + 10 * 8 * 8 + 8 * 3) * 24 * 32 / 1e9
    assert [view.gflops for view in views] == pytest.approx([expected * k for k in (1, 2, 3, 4)])


def test_the_stage_slider_moves_the_picture(model, pair):
    widget = stage_slider(model, *pair, stages=4)
    slider, image, words = widget.children
    seen = []
    for stage in (1, 2, 4):
        slider.value = stage
        seen.append(image.value)
        assert f"stage {stage}" in words.value and "dB" in words.value
    assert len(set(seen)) == 3
    assert pixels(seen[0]).shape == pixels(seen[2]).shape


def test_swipe_at_its_ends_and_in_the_middle():
    before, after = torch.zeros(3, 4, 10), torch.full((3, 4, 10), 0.5)
    assert torch.equal(swipe(before, after, 1.0), before)
    assert torch.equal(swipe(before, after, 0.0), after)
    half = swipe(before, after, 0.5)
    assert (half[..., :4] == 0).all() and (half[..., 5:] == 0.5).all()
    assert (half[..., 4] == 1).all()  # the line


def test_the_swipe_slider_moves_the_picture(pair):
    slider, image, _ = swipe_slider(*pair).children
    seen = []
    for percent in (0, 50, 100):
        slider.value = percent
        seen.append(image.value)
    assert len(set(seen)) == 3


def test_every_rain_slider_changes_the_picture_over_its_range():
    clean = torch.full((3, 48, 64), 0.3)
    *controls, image, _ = rain_sliders(clean, "heavy").children
    assert len(controls) == 9
    for control in controls:
        start, shown = control.value, image.value
        ends = control.options if hasattr(control, "options") else (control.min, control.max)
        seen = set()
        for value in ends:
            control.value = value
            seen.add(image.value)
        assert len(seen) == 2, control.description
        control.value = start
        assert image.value == shown  # the same settings give the same rain


def test_the_words_below_the_rain_sliders_say_what_is_seen():
    clean = torch.full((3, 48, 64), 0.3)
    amount, *_, words = rain_sliders(clean, "light").children
    starts = {name: c.value for name, c in rain_controls(PRESETS["light"]).items()}
    rain = add_rain(clean, config_from_sliders(PRESETS["light"], **starts), seed=0)
    assert f"covers {100 * rain.mask.float().mean():.1f} %" in words.value
    assert f"PSNR {psnr(rain.rainy, clean):.2f} dB" in words.value
    amount.value = 0
    assert "No rain" in words.value


def test_every_rain_slider_starts_at_one_of_its_stops():
    for preset in PRESETS.values():
        for name, control in rain_controls(preset).items():
            if isinstance(control, ipywidgets.FloatSlider):
                steps = (control.value - control.min) / control.step
                assert abs(steps - round(steps)) < 1e-6, name


def test_sliders_replace_ranges_by_single_values():
    config = config_from_sliders(PRESETS["light"], angle=30.0, layers=2, amount=0.5, seed=3)
    assert (config.angle, config.layers, config.amount) == ((30, 30), (2, 2), 0.5)
    assert config.length == PRESETS["light"].length


def test_no_rain_leaves_the_photo_alone():
    clean = torch.full((3, 48, 64), 0.3)
    config = config_from_sliders(PRESETS["light"], amount=0.0)
    shown = pixels(rain_view(clean, config))
    assert np.abs(shown[24 : 24 + 48, :64] / 255 - 0.3).max() < 1 / 255
