"""Hard clean patches: what each change does, and that a stream takes as many as it should."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.filters import gaussian
from torch import Tensor

from derain_edu.datasets import hard_patches
from derain_edu.datasets.photos import load_photo
from derain_edu.datasets.synthetic import SyntheticRain
from derain_edu.images import to_pil, to_tensor

CHANGES = tuple(way for way, _ in hard_patches.WAYS)


@pytest.fixture(scope="module")
def patch() -> Tensor:
    return load_photo("coffee")[:, 100:164, 200:264]


def dice(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("change", [*CHANGES, hard_patches.harder])
def test_a_patch_stays_a_patch_and_the_seed_decides(change, patch: Tensor) -> None:
    before = patch.clone()
    found = change(patch, dice(1))
    assert found.shape == patch.shape and found.dtype == torch.float32
    assert found.min() >= 0 and found.max() <= 1
    assert torch.equal(patch, before), "the patch itself is left alone"
    assert torch.equal(found, change(patch, dice(1)))
    assert not torch.equal(found, change(patch, dice(2)))


def test_harder_is_one_of_the_ways_each_in_its_share(patch: Tensor, monkeypatch) -> None:
    shares = [share for _, share in hard_patches.WAYS]
    assert sum(shares) == pytest.approx(1)
    ways = [(lambda patch, rng, k=k: k, share) for k, share in enumerate(shares)]
    monkeypatch.setattr(hard_patches, "WAYS", ways)
    found = [hard_patches.harder(patch, dice(seed)) for seed in range(2000)]
    counted = np.bincount(found, minlength=len(shares)) / 2000
    assert np.abs(counted - shares).max() < 0.04


def test_overexposed_is_clipped_where_it_was_bright() -> None:
    ramp = torch.linspace(0.1, 0.9, 64).expand(3, 64, 64)
    clipped = []
    for seed in range(30):
        found = hard_patches.overexposed(ramp, dice(seed))
        white = found == 1
        clipped.append(float(white.float().mean()))
        ratio = (found / ramp)[~white]
        assert ratio.max() - ratio.min() < 1e-4 and ratio.mean() > 1, "the rest is multiplied"
        assert ramp[white].min() > ramp[~white].max() - 1e-4
    assert 0.03 < min(clipped) < 0.15 and 0.5 < max(clipped) < 0.65


def test_haze_is_a_grey_veil() -> None:
    picture = torch.rand(3, 16, 16)
    for seed in range(10):
        found = hard_patches.hazed(picture, dice(seed))
        slope, ground = np.polyfit(picture.flatten(), found.flatten(), 1)
        assert 0.4 <= slope <= 0.9 and 0.5 <= ground / (1 - slope) <= 1.0001
        assert (found - (slope * picture + ground)).abs().max() < 1e-5


def test_noise_grows_with_the_square_root_of_brightness() -> None:
    """As shot noise does: four times as bright, twice the noise."""
    picture = torch.full((3, 64, 64), 0.16)
    picture[:, :32] = 0.64
    for seed in range(6):
        noise = hard_patches.noisy(picture, dice(seed)) - picture
        assert float(noise[:, 34:].std()) > 0.001
        assert float(noise[:, :30].std() / noise[:, 34:].std()) == pytest.approx(2, rel=0.1)


def test_compressed_is_what_a_jpeg_file_gives(patch: Tensor, tmp_path) -> None:
    to_pil(patch).save(tmp_path / "small.jpg", quality=40)
    found = hard_patches.compressed(patch, 40)
    with Image.open(tmp_path / "small.jpg") as opened:
        assert torch.equal(found, to_tensor(opened))
    assert not torch.equal(found, patch)


def test_both_pictures_of_a_pair_are_compressed() -> None:
    photo = load_photo("coffee")[:, 100:228, 200:328]
    plain = SyntheticRain([photo], "light", 32, seed=3)
    some = SyntheticRain([photo], "light", 32, seed=3, jpeg=0.4)
    changed = [k for k in range(60) if not torch.equal(some[k]["clean"], plain[k]["clean"])]
    assert 12 <= len(changed) <= 36
    for k in range(60):
        rainy_too = not torch.equal(some[k]["rainy"], plain[k]["rainy"])
        assert rainy_too == (k in changed) and torch.equal(some[k]["mask"], plain[k]["mask"])


def test_sharpened_is_an_unsharp_mask(patch: Tensor) -> None:
    middling = 0.3 + 0.3 * patch  # nothing is cut off at black or white
    for seed in range(4):
        rng = dice(seed)
        sigma = 0.6 * (2 / 0.6) ** rng.random()
        amount = rng.uniform(0.3, 2)
        soft = gaussian(middling.numpy(), sigma, mode="mirror", truncate=3.5, channel_axis=0)
        expected = middling + amount * (middling - torch.from_numpy(soft))
        found = hard_patches.sharpened(middling, dice(seed))
        inside = (..., slice(8, -8), slice(8, -8))  # the two treat borders differently
        assert (found - expected.clamp(0, 1))[inside].abs().max() < 0.01
    grey = torch.full((3, 32, 32), 0.5)
    torch.testing.assert_close(hard_patches.sharpened(grey, dice()), grey)


def test_stretched_keeps_the_picture_and_multiplies_its_contrast() -> None:
    grey = 0.5 + 0.1 * (torch.rand(3, 32, 32) - 0.5)
    factors, moves = [], []
    for seed in range(40):
        found = hard_patches.stretched(grey, dice(seed))
        factors.append(float(found.std() / grey.std()))
        moves.append(float(found.mean() - grey.mean()))
        assert np.corrcoef(found.flatten(), grey.flatten())[0, 1] > 0.9999
    assert 1 <= min(factors) < 1.2 and 1.8 < max(factors) <= 2.001
    assert -0.1001 <= min(moves) < -0.05 and 0.05 < max(moves) <= 0.1001


def test_leaves_have_the_colours_of_the_patch_and_hide_it() -> None:
    red = torch.zeros(3, 64, 64)
    red[0] = torch.rand(64, 64)
    leaves = hard_patches.dead_leaves(red, dice())
    assert not leaves[1:].any() and leaves[0].std() > 0.1
    assert abs(np.corrcoef(leaves[0].flatten(), red[0].flatten())[0, 1]) < 0.1
    flat = hard_patches.dead_leaves(torch.full((3, 64, 64), 0.5), dice())
    assert (flat - 0.5).abs().mean() < 0.1, "shades and veins are faint"


def test_leaves_are_about_equally_rich_at_two_scales(patch: Tensor) -> None:
    """Halved in size, a picture of noise has half the contrast; one of leaves keeps most of it."""
    def kept(pictures: list[Tensor]) -> float:
        halves = [torch.nn.functional.avg_pool2d(p, 2) for p in pictures]
        steps = [np.mean([p.diff(dim=-1).std() for p in some]) for some in (halves, pictures)]
        return float(steps[0] / steps[1])

    coloured = torch.rand(3, 64, 64)
    assert kept([hard_patches.dead_leaves(coloured, dice(k)) for k in range(20)]) > 0.9
    assert kept([torch.rand(3, 64, 64) for _ in range(20)]) == pytest.approx(0.5, abs=0.05)


def test_half_of_the_leaves_lean_the_same_way() -> None:
    """Seen in the angle's structure tensor: one direction stands out in some pictures only."""
    coloured = torch.rand(3, 64, 64)

    def one_way(seed: int) -> float:
        grey = hard_patches.dead_leaves(coloured, dice(seed)).mean(0).numpy()
        gy, gx = np.gradient(grey)
        double = complex(float((gx**2 - gy**2).sum()), float(2 * (gx * gy).sum()))
        return abs(double) / float((gx**2 + gy**2).sum())

    found = sorted(one_way(seed) for seed in range(40))
    assert found[5] < 0.15 and found[-5] > 0.3


def test_a_stream_makes_its_share_of_patches_hard() -> None:
    photo = load_photo("coffee")[:, 100:228, 200:328]
    usual = SyntheticRain([photo], "light", 32, seed=3)
    none, some = (SyntheticRain([photo], "light", 32, seed=3, hard=h) for h in (0.0, 0.3))
    assert all(torch.equal(none[k]["rainy"], usual[k]["rainy"]) for k in range(5))
    hard = sum(not torch.equal(some[k]["clean"], usual[k]["clean"]) for k in range(100))
    assert 18 <= hard <= 42
