"""The curricula that lesson 12 draws: their levels, their budgets, the widget, how they did."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import pytest
from PIL import Image

from derain_edu.course.views import curriculum as views
from derain_edu.errors import DerainError
from derain_edu.training.config import TrainConfig
from derain_edu.training.curriculum import ORDERS
from derain_edu.training.plan import Plan

CONFIG = TrainConfig(steps=60, patch_size=32, batch_size=4, data="mix", loss="neg_ssim+l1")


def plan_of(what: str, hardest: float, order: str = "easy_to_hard") -> Plan:
    return Plan(replace(CONFIG, curriculum=views.curriculum_of(what, hardest, order)))


@pytest.mark.parametrize("what", views.LEVELS)
@pytest.mark.parametrize("hardest", [0.1, 0.5, 1.0])
def test_levels_go_up_and_the_hardest_gets_its_share(what, hardest):
    plan = plan_of(what, hardest)
    for name, values in views.LEVELS[what].items():
        places = [values.index(level) for level in views.levels_of(plan, name)]
        assert places == sorted(places)
        assert places.count(len(values) - 1) == pytest.approx(60 * hardest, abs=1)


@pytest.mark.parametrize("what", views.LEVELS)
def test_every_order_spends_the_same(what):
    spent = [plan_of(what, 0.3, order).spent(4) for order in ORDERS]
    assert spent[0] == spent[1] == spent[2]


def test_budgets_beside_one_step():
    assert views.budget_shares(plan_of("stages", 0.25)) == {
        "steps": 1,
        "samples": 1,
        "compute": pytest.approx(0.625),
    }
    patches = views.budget_shares(plan_of("patches", 1 / 3))
    assert patches["compute"] == pytest.approx(1) and patches["samples"] == pytest.approx(
        1.75, abs=0.02
    )
    for what in ("rain", "loss"):
        assert views.budget_shares(plan_of(what, 0.3)) == {"steps": 1, "samples": 1, "compute": 1}


def test_wrong_questions_are_sentences():
    with pytest.raises(DerainError, match="choose one of stages"):
        views.curriculum_of("weather", 0.5)
    for share in (0, 1.1):
        with pytest.raises(DerainError, match="share above 0"):
            views.curriculum_of("rain", share)


def test_the_widget_draws_at_its_ends_and_in_the_middle():
    what, order, hardest, image, text = views.schedule_dial(CONFIG).children
    seen = set()
    for kind in views.LEVELS:
        what.value = kind
        for share, way in ((10, "random"), (50, "hard_to_easy"), (100, "easy_to_hard")):
            hardest.value, order.value = share, way
            assert Image.open(BytesIO(image.value)).width > 700
            assert kind in text.value
            seen.add(image.value)
    assert len(seen) == 12


def test_patches_grow_and_rain_gets_heavier_in_the_picture():
    plans = {what: plan_of(what, 1 / 3) for what in ("patches", "rain")}
    figure = views.draw_patches(plans)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[0] == "patches, 10%: 16 px" and titles[-1] == "rain, 95%: heavy"


def test_differences_have_a_dot_per_seed_and_an_interval():
    axis = views.draw_differences({"a": [1.0, 2.0, 3.0], "b": [0.0, 0.1]}).axes[0]
    assert [text.get_text() for text in axis.texts] == ["+2.00 ± 2.48", "+0.05 ± 0.64"]
    dots = [line for line in axis.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in dots] == [3, 2]


def test_recorded_curves_are_one_row_per_seed():
    row = {"variant": "a", "curve": " ".join(map(str, range(20, 31)))}
    curves = views.curves_of([row, row, {**row, "variant": "b"}], "a")
    assert curves.shape == (2, 10) and curves[0].tolist() == list(range(20, 30))
    figure = views.draw_histories({"one": {"a": curves}, "two": {"a": curves, "b": curves}})
    assert [len(axis.lines) for axis in figure.axes] == [1, 2]


def test_a_schedule_has_a_panel_per_value_and_a_mark():
    figure = views.draw_schedule({"side": [1, 2, 3], "count": [3, 2, 1]}, mark=1)
    assert [axis.get_ylabel() for axis in figure.axes] == ["side", "count"]
