"""The score without a truth, against plain loops over pixels and frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import derain_edu as de
from derain_edu.datasets.video import frame_to_tensor
from derain_edu.errors import DerainError
from derain_edu.evaluation.flicker import edges, measure_flicker, places
from derain_edu.metrics import luma

pytest.importorskip("skimage")


class Fade(torch.nn.Module):
    """Brings every picture nearer to grey."""

    halo = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.5 + 0.5 * (x - 0.5)


@pytest.fixture(scope="module")
def clip() -> list[np.ndarray]:
    clean = de.load_photo("china", long_side=60)
    return [np.asarray(de.to_pil(de.add_rain(clean, "light", seed=k).rainy)) for k in range(7)]


def by_hand(pictures: list[torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each pixel's luma, a sum at a time."""
    y = [luma(picture[None].double())[0, 0].numpy() for picture in pictures]
    height, width = y[0].shape
    mean, variance = np.zeros((2, height, width))
    for i in range(height):
        for j in range(width):
            mean[i, j] = sum(frame[i, j] for frame in y) / len(y)
            squares = sum((frame[i, j] - mean[i, j]) ** 2 for frame in y)
            variance[i, j] = squares / (len(y) - 1)
    return mean, variance


def test_the_score_is_that_of_a_plain_loop(clip):
    rainy = [frame_to_tensor(frame) for frame in clip]
    mean, before = by_hand(rainy)
    mean_after, after = by_hand([Fade()(picture) for picture in rainy])
    down, right = np.gradient(mean)
    order = np.argsort(np.hypot(down, right).ravel(), kind="stable")
    flat, detail = order[: len(order) // 2], order[-(len(order) // 4) :]
    found = measure_flicker(Fade(), clip)
    for measured, variance, where in (
        (found.flat_rainy, before, flat),
        (found.flat_derained, after, flat),
        (found.detail_rainy, before, detail),
        (found.detail_derained, after, detail),
    ):
        assert measured == pytest.approx(255 * variance.ravel()[where].mean() ** 0.5, rel=0.01)
    assert found.flat_derained == pytest.approx(found.flat_rainy / 2, rel=1e-3)
    assert found.detail_kept == pytest.approx(0.5, rel=1e-3)
    assert found.stillness.frames == 7 and "edges kept: 50 %" in str(found)


def test_detail_and_flat_places():
    picture = torch.zeros(8, 20)
    picture[:, 12:] = 1.0  # an edge, and ramps that are weaker
    picture += torch.linspace(0, 0.2, 20) ** 2
    detail, flat = places(picture)
    assert detail.sum() == 40 and flat.sum() == 80 and not (detail & flat).any()
    assert detail[:, 11:13].all() and not flat[:, 11:13].any()
    assert edges(picture)[0, 11] > 0.4


def test_a_network_that_paints_grey_keeps_no_edge(clip):
    grey = torch.nn.Module()
    grey.halo, grey.forward = 0, lambda x: torch.full_like(x, 0.5)
    found = measure_flicker(grey, clip)
    assert found.flat_derained == 0 and found.detail_kept == 0


def test_what_can_not_be_scored(clip):
    with pytest.raises(DerainError, match="at least 5 frames, got 3"):
        measure_flicker(Fade(), clip, most=3)
    with pytest.raises(DerainError, match="4 frames are too few"):
        measure_flicker(Fade(), clip[:4])
    with pytest.raises(DerainError, match="camera moves|another scene"):
        measure_flicker(Fade(), [np.roll(clip[0], 4 * k, axis=1) for k in range(8)])
