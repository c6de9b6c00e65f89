"""The gate slider of lesson 06: what rain does to the gates of an LSTM, without a browser."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from derain_edu.course.views import gates, plots
from derain_edu.course.views.gates import gate_slider
from derain_edu.errors import DerainError
from derain_edu.models import create_model

SIZE = (20, 28)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return create_model("prenet", channels=8, blocks=2, stages=3).eval()


@pytest.fixture(scope="module")
def pair():
    clean = torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(0)) * 0.5
    rainy = clean.clone()
    rainy[:, 4:12, 6] += 0.4  # one upright streak
    return rainy, clean


def changes_by_hand(model, pair):
    """Run the cell by its equations, stage by stage, and compare i, f and o."""
    result = []
    with torch.no_grad():
        runs = [{"O": picture[None], "x": picture[None], "h": None} for picture in pair]
        for _ in range(model.config.stages):
            both = []
            for run in runs:
                z = torch.relu(model.head(torch.cat((run["O"], run["x"]), dim=1)))
                if run["h"] is None:
                    run["h"] = run["c"] = torch.zeros_like(z)
                pre = model.memory.gate_conv(torch.cat((z, run["h"]), dim=1))
                i, f, g, o = pre[:, :8], pre[:, 8:16], pre[:, 16:24], pre[:, 24:]
                run["c"] = f.sigmoid() * run["c"] + i.sigmoid() * g.tanh()
                run["h"] = y = o.sigmoid() * run["c"].tanh()
                for block in model.blocks:
                    y = block(y)
                run["x"] = model.tail(y) + run["O"]
                both.append([gate.sigmoid() for gate in (i, f, o)])
            result.append([(a - b).abs()[0].mean(0) for a, b in zip(*both, strict=True)])
    return result


def test_gate_views_are_the_gates_of_the_equations(model, pair):
    views = gates.gate_views(model, *pair)
    assert [view.stage for view in views] == [1, 2, 3]
    for view, expected in zip(views, changes_by_hand(model, pair), strict=True):
        assert list(view.changes) == ["write gate i", "forget gate f", "output gate o"]
        for change, truth in zip(view.changes.values(), expected, strict=True):
            assert change.shape == SIZE
            torch.testing.assert_close(change, truth)
            assert change.max() > 0
    with torch.no_grad():
        pictures = model.unroll(pair[0][None])
    for view, picture in zip(views, pictures, strict=True):
        assert torch.equal(view.picture, picture[0].clamp(0, 1))


def test_no_rain_no_change_and_far_away_no_change(model, pair):
    _, clean = pair
    dry = gates.gate_views(model, clean, clean)
    assert not any(change.any() for view in dry for change in view.changes.values())
    first = gates.gate_views(model, *pair, stages=1)[0]  # head and gates: two 3×3 convolutions
    for change in first.changes.values():
        assert not change[:, 9:].any() and change[8, 6] > 0


def test_the_hook_is_gone_afterwards(model, pair):
    gates.gate_views(model, *pair)
    assert not model.memory._forward_hooks


def test_a_network_without_lstm_is_refused(pair):
    for name in ("prn", "prenet_gru"):
        with pytest.raises(DerainError, match="no LSTM"):
            gates.gate_views(create_model(name, channels=8, stages=2), *pair)


def test_the_gate_slider_moves_the_pictures(model, pair):
    slider, image, words = gate_slider(model, *pair, zoom=2).children
    seen = set()
    for stage in (1, 2, 3):
        slider.value = stage
        assert words.value.startswith(f"<small>Stage {stage}:")
        picture = Image.open(BytesIO(image.value))
        assert picture.height >= 2 * SIZE[0] and picture.width > 4 * 2 * SIZE[1]
        seen.add(image.value)
    assert len(seen) == 3


def test_coloured_runs_from_dark_to_bright_and_the_bar_is_its_key():
    picture = plots.coloured(torch.tensor([[0.0, 0.5, 1.0, 7.0]]))  # (1, 4) -> (3, 1, 4)
    assert picture.shape == (3, 1, 4) and 0 <= picture.min() and picture.max() <= 1
    brightness = picture.mean(dim=0)[0]
    assert brightness[0] < brightness[1] < brightness[2] == brightness[3]
    bar = np.asarray(Image.open(BytesIO(plots.figure_png(plots.colour_bar(0.2, 160)))))
    assert bar.shape[0] == 160
    column = bar[20:-20, int(0.17 * bar.shape[1]), :3].astype(float).mean(axis=1)
    assert column[0] > column[-1]  # large values on top


def test_forget_gates_are_read_and_exchanged_by_hand(model, pair):
    rainy, clean = pair
    gate = gates.forget_gates(model, rainy)
    assert gate.shape == (3, 8, *SIZE) and 0 < gate.min() and gate.max() < 1
    where = (rainy - clean)[0] > 0
    changes = gates.forget_changes(model, rainy, clean, where)
    difference = (gate - gates.forget_gates(model, clean)).abs()[:, :, where].mean(dim=(1, 2))
    torch.testing.assert_close(torch.tensor(changes["both"]), difference)
    assert changes["by the memory"][0] == 0  # the first stage has an empty one
    assert changes["by the pictures"][0] == changes["both"][0]
    assert min(changes["by the memory"][1:]) > 0


def test_the_table_of_gates_has_a_column_for_each_stage(model, pair):
    views = gates.gate_views(model, *pair)
    figure, axes = plots.new_figure(4, 3)
    gates.draw_gate_table(axes, views)
    assert [axis.get_title() for axis in axes[0]] == [f"after stage {k}" for k in (1, 2, 3)]
    assert axes[2, 1].get_title() == "forget gate f"
