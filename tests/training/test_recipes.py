"""Every shipped weight file has a recipe that makes such a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from derain_edu.inference.restoration import load_model
from derain_edu.models import model_options
from derain_edu.models.pretrained import open_weights_folder, read_weights
from derain_edu.training.recipes import (
    GPU_MINUTES,
    MINUTES,
    RECIPES,
    cost_of,
    history_of,
    minutes_of,
    recipe,
)
from derain_edu.training.trainer import Trainer

WEIGHTS = sorted(open_weights_folder().glob("*.safetensors"))


@pytest.mark.parametrize("weights", WEIGHTS, ids=lambda path: path.stem)
def test_a_shipped_file_is_what_its_recipe_makes(weights):
    config, options = recipe(f"open-{weights.stem}"), model_options(load_model(weights))
    assert read_weights(weights).model == config.model
    assert {name: options[name] for name in config.options} == config.options


def test_every_recipe_says_what_it_costs():
    assert {*MINUTES, *GPU_MINUTES} == set(RECIPES) and not {*MINUTES} & {*GPU_MINUTES}
    assert min((MINUTES | GPU_MINUTES).values()) > 0
    assert "one thread" in cost_of("open-prn") and "GPU" in cost_of("open-prenet")
    assert minutes_of("open-prn") == MINUTES["open-prn"]
    both = MINUTES["open-prenet-cpu"] + MINUTES["open-prenet-cpu-start"]
    assert minutes_of("open-prenet-cpu") == both and minutes_of("open-prenet") is None
    assert minutes_of("alchemy") is None


def test_a_recipe_on_top_of_another_names_it():
    starts = {name: Path(c.pretrained) for name, c in RECIPES.items() if c.pretrained}
    assert starts, "open-prenet-cpu is one"
    for name, start in starts.items():
        assert start == Path("runs", start.parent.name, "model.safetensors")
        assert RECIPES[start.parent.name].model == RECIPES[name].model


def test_only_prenet_saw_heavy_rain():
    """Lessons 00 and 16 build on it."""
    assert {name for name, c in RECIPES.items() if c.data != "light"} == {
        "open-prenet", "open-prenet-faint", "open-prenet-start",
        "open-prenet-cpu", "open-prenet-cpu-start",
    }  # fmt: skip


def test_the_history_of_a_recipe_begins_at_nothing():
    assert history_of("open-prn") == ["open-prn"]
    assert history_of("open-prenet") == ["open-prenet-start", "open-prenet-faint", "open-prenet"]
    for name in RECIPES:
        first, *rest = history_of(name)
        assert RECIPES[first].pretrained is None and all(RECIPES[r].pretrained for r in rest)


def test_a_recipe_with_another_number_of_stages():
    config = replace(recipe("open-prn"), stages=2, steps=1, out=None, validate_every=0)
    assert Trainer(config).model.config.stages == 2
