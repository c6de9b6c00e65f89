"""What lesson *real rain* shows: the truth of a film, maps of gratings, some of the effect."""

from __future__ import annotations

from io import BytesIO

import pytest
import torch
from PIL import Image

import derain_edu as de
from derain_edu.course.views import harm


def size_of(png: bytes) -> tuple[int, int]:
    return Image.open(BytesIO(png)).size


def test_the_percentile_of_the_first_frames_is_scored():
    clean = 0.4 * torch.rand(3, 20, 24)
    frames = clean.expand(9, -1, -1, -1).clone()
    frames[::3] += 0.5  # every third frame is rainy
    assert "Percentile 20 over 9 frames: inf dB" in harm.truth_in_words(frames, clean, 20, 9)
    wrong = de.psnr(clean + 0.5, clean)
    assert f"over 1 frames: {wrong:.1f} dB" in harm.truth_in_words(frames, clean, 20, 1)
    width, height = size_of(harm.truth_view(frames, clean, 20, 9))
    assert width >= 3 * 24 and height >= 20


def test_every_cell_of_a_grating_map_has_its_number():
    maps = {"one": torch.tensor([[60.0, 9.2], [33.0, 20.0]]), "two": torch.full((2, 2), 41.0)}
    figure = harm.draw_grating_maps(maps, (0, 90), (4, 8))
    axes = figure.axes
    assert [axis.get_title() for axis in axes] == ["one", "two"]
    assert [text.get_text() for text in axes[0].texts] == ["60", "9", "33", "20"]
    assert [tick.get_text() for tick in axes[0].get_xticklabels()] == ["0°", "90°"]


@pytest.mark.parametrize("strength", harm.STRENGTHS)
def test_the_strength_moves_both_pictures(strength):
    rainy, derained, clean, dry, after = (0.2 + 0.6 * torch.rand(3, 8, 9) for _ in range(5))
    view = harm.strength_view(rainy, derained, clean, dry, after, strength)
    rest = harm.strength_view(rainy, derained, clean, dry, after, 0.0)
    assert (view == rest) == (strength == 0)
