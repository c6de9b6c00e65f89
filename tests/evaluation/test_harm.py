"""Dry pictures: what a network that does nothing, and one that does harm, must score."""

import math

import pytest
import torch
from torch import nn

from derain_edu.datasets.gratings import grating
from derain_edu.datasets.photos import photo_names
from derain_edu.errors import DerainError
from derain_edu.evaluation.harm import (
    MOST,
    DryScore,
    Harm,
    dry_pictures,
    grating_map,
    measure_harm,
)
from derain_edu.metrics import psnr


class Brighter(nn.Module):
    """Adds a fixed amount: the PSNR is known in advance."""

    halo = 0

    def __init__(self, amount: float) -> None:
        super().__init__()
        self.amount = amount

    def forward(self, x):
        return x + self.amount


def test_no_dry_picture_is_trained_on_and_the_splits_share_none():
    dry = {split: set(photo_names(f"dry_{split}")) for split in ("validation", "test")}
    seen = set(photo_names("train+extra"))
    assert dry["validation"] and dry["test"]
    assert not dry["validation"] & dry["test"] and not seen & (dry["validation"] | dry["test"])


def test_each_photo_and_its_over_exposed_copy():
    pictures = dict(dry_pictures("validation", long_side=48))
    names = photo_names("dry_validation")
    assert list(pictures) == [f"{n}{more}" for n in names for more in ("", "-overexposed")]
    for name in names:
        plain, bright = pictures[name], pictures[f"{name}-overexposed"]
        assert max(plain.shape) == 48 and torch.equal((plain * 255).round() / 255, plain)
        dark = plain < 0.6
        assert (bright[dark] - 1.6 * plain[dark]).abs().max() <= 0.51 / 255
        assert (bright[plain > 0.63] == 1).all()
    with pytest.raises(DerainError, match="choose one of validation, test"):
        dry_pictures("train")


def test_doing_nothing_is_the_best_score_and_harm_is_measured(monkeypatch):
    # Grey pictures: on the luma that prenet_matlab measures, a step of s is 219/255 · s.
    pictures = [("one", torch.full((3, 12, 12), 102 / 255)), ("two", torch.ones(3, 12, 12))]
    monkeypatch.setattr("derain_edu.evaluation.harm.dry_pictures", lambda split: pictures)
    assert measure_harm(Brighter(0)) == Harm((DryScore("one", MOST), DryScore("two", MOST)))
    seen = []
    harm = measure_harm(Brighter(10 / 255), on_score=seen.append)
    expected = 20 * math.log10(255 / (10 * 219 / 255))
    assert harm.worst.name == "one" and harm.worst.psnr == pytest.approx(expected, abs=0.5)
    assert harm.scores[1].psnr == MOST  # white stays white: it is clipped
    assert harm.mean == pytest.approx((harm.worst.psnr + MOST) / 2)
    assert seen == list(harm.scores) and "worst" in str(harm) and "(one)" in str(harm)


def test_an_output_that_is_no_number(monkeypatch):
    monkeypatch.setattr(
        "derain_edu.evaluation.harm.dry_pictures", lambda split: [("a", torch.ones(3, 8, 8))]
    )
    with pytest.raises(DerainError):
        measure_harm(Brighter(math.nan))


def test_the_map_shows_what_is_taken_for_rain():
    """A network that blurs sideways harms upright bars, and leaves level ones alone."""

    class Blur(nn.Module):
        halo = 2

        def forward(self, x):
            return nn.functional.avg_pool2d(x, (1, 5), 1, (0, 2), count_include_pad=False)

    found = grating_map(Blur(), angles=(0, 90), periods=(6, 24), size=48)
    assert found.shape == (2, 2)
    assert (found[:, 1] > 50).all() and (found[:, 0] < 30).all()
    assert found[1, 0] > found[0, 0]  # wide bars suffer less than narrow ones
    again = grating(48, 0, 6, 0.6)
    again = (again * 255).round() / 255
    blurred = (Blur()(again[None])[0] * 255).round() / 255
    assert found[0, 0].item() == pytest.approx(psnr(blurred, again), abs=1e-4)
