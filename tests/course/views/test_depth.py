"""What the layers know about the rain, against brute force and a planted answer."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from derain_edu.course.views.depth import depth_slider, depth_views, fit_read_out, read_out
from derain_edu.errors import DerainError
from derain_edu.map_scores import auc
from derain_edu.models import create_model


def pairs_and_picture(size: int = 24):
    """Three pairs with one bright rainy stripe each, and a fourth to look at."""
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(4, 3, size, size, generator=generator) * 0.5
    rain = torch.zeros(4, 1, size, size)
    for k in range(4):
        rain[k, :, :, 3 + 5 * k] = 0.4
    rainy = clean + rain
    seen = [{"rainy": rainy[k], "clean": clean[k]} for k in range(3)]
    return seen, rainy[3], rain[3] > 0


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return create_model("residual", channels=6, blocks=2).eval()


def test_auc_counts_the_pairs():
    values = torch.randint(0, 9, (6, 7), generator=torch.Generator().manual_seed(1)).float()
    mask = torch.rand(6, 7, generator=torch.Generator().manual_seed(2)) < 0.3
    wet, dry = values[mask], values[~mask]
    pairs = [(w > d).item() + 0.5 * (w == d).item() for w in wet for d in dry]
    assert auc(values, mask) == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)
    assert auc(-values, mask) == pytest.approx(1 - auc(values, mask), abs=1e-12)
    assert auc(3 * values - 5, mask) == auc(values, mask)


@pytest.mark.parametrize("mask", [torch.zeros(2, 2), torch.ones(2, 2)])
def test_auc_needs_rain_and_dry_pixels(mask):
    with pytest.raises(DerainError, match="inside and outside"):
        auc(torch.rand(2, 2), mask.bool())


def test_a_read_out_finds_a_planted_sum():
    features = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    target = 2 * features[:, :1] - 0.5 * features[:, 2:] + 3
    weights = fit_read_out(features, target)
    assert weights.tolist() == pytest.approx([2, 0, -0.5, 3], abs=1e-5)
    assert torch.allclose(read_out(features, weights), target, atol=1e-5)


def test_a_read_out_is_least_squares():
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(2, 3, 5, 7, generator=generator)
    target = torch.randn(2, 1, 5, 7, generator=generator)
    columns = features.permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    columns = np.column_stack([columns, np.ones(len(columns))])
    expected = np.linalg.lstsq(columns, target.flatten().numpy(), rcond=None)[0]
    assert fit_read_out(features, target).numpy() == pytest.approx(expected, abs=1e-6)


def test_a_dead_channel_does_not_stop_the_read_out():
    features = torch.zeros(1, 2, 4, 4)
    features[:, 0] = torch.rand(4, 4)
    assert torch.isfinite(fit_read_out(features, features[:, :1])).all()


def test_every_depth_is_asked(model):
    seen, rainy, mask = pairs_and_picture()
    views = depth_views(model, seen, rainy, mask)
    assert [view.name for view in views] == ["after the head", "after block 1", "after block 2"]
    with torch.no_grad():
        features = model.features(rainy[None])
    for view, found in zip(views, features, strict=True):
        by_hand = [max(auc(channel, mask), 1 - auc(channel, mask)) for channel in found[0]]
        assert view.channel_auc == pytest.approx(max(by_hand))
        assert auc(view.channel, mask) == pytest.approx(view.channel_auc)
        assert view.read_out.shape == mask.shape[1:]
        assert auc(view.read_out, mask) == view.read_out_auc


def test_the_read_out_is_fitted_on_the_pairs_that_are_seen(model):
    """With the opposite rain in the pairs, the read-out points the other way."""
    seen, rainy, mask = pairs_and_picture()
    dry = [{"rainy": pair["rainy"], "clean": 2 * pair["rainy"] - pair["clean"]} for pair in seen]
    for view, opposite in zip(
        depth_views(model, seen, rainy, mask), depth_views(model, dry, rainy, mask), strict=True
    ):
        assert torch.allclose(view.read_out, -opposite.read_out, atol=1e-5)


def test_the_depth_slider_moves_the_picture(model):
    widget = depth_slider(model, *pairs_and_picture())
    slider, image, words = widget.children
    assert (slider.min, slider.max) == (0, 2)
    seen = []
    for depth in (0, 1, 2):
        slider.value = depth
        Image.open(BytesIO(image.value)).verify()
        seen.append((image.value, words.value))
    assert len({picture for picture, _ in seen}) == 3
    assert "after block 2" in seen[2][1]
