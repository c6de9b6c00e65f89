"""Losses against independent truths: the paper's formula in a plain loop, scikit-image, numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from derain_edu.errors import DerainError
from derain_edu.training.losses import (
    MASK_THRESHOLD,
    TERMS,
    attention_loss,
    l1,
    make_loss,
    mse,
    neg_psnr,
    neg_ssim,
    rain_mask,
    stage_loss,
)


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(3)
    clean = torch.rand(2, 3, 20, 17, generator=generator)
    return (clean + 0.1 * torch.randn(clean.shape, generator=generator)), clean


def ssim_as_in_the_paper(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Two-dimensional windows and a border of zeros, written down from the formula."""
    g = torch.exp(-((torch.arange(11, dtype=x.dtype) - 5) ** 2) / (2 * 1.5**2))
    window = torch.outer(g, g) / g.sum() ** 2

    def mean(z):
        padded = F.pad(z, (5, 5, 5, 5))
        return (padded.unfold(2, 11, 1).unfold(3, 11, 1) * window).sum(dim=(-1, -2))

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    return (
        (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    ).mean()


def test_neg_ssim_is_the_papers_formula(pair):
    x, y = (z.double() for z in pair)
    assert torch.allclose(neg_ssim(x, y), -ssim_as_in_the_paper(x, y), atol=1e-10)


def test_neg_ssim_of_equal_pictures_is_minus_one(pair):
    _, clean = pair
    assert neg_ssim(clean, clean).item() == pytest.approx(-1, abs=1e-6)


def test_neg_ssim_gradient_by_finite_differences(pair):
    x, y = (z[:1, :, :12, :12].double() for z in pair)
    assert torch.autograd.gradcheck(lambda z: neg_ssim(z, y), x.requires_grad_())


def test_neg_psnr_is_the_score_of_each_picture_and_ends_softly(pair):
    x, y = (picture.double() for picture in pair)
    errors = [((a - b) ** 2).mean() for a, b in zip(x.numpy(), y.numpy(), strict=True)]
    expected = np.mean([10 * np.log10(error + 1e-5) for error in errors])
    assert neg_psnr(x, y).item() == pytest.approx(expected, rel=1e-9)
    assert neg_psnr(y, y).item() == pytest.approx(-50)
    assert torch.autograd.gradcheck(lambda z: neg_psnr(z, y), x.requires_grad_())


def test_l1_and_mse_are_means(pair):
    x, y = pair
    difference = x.numpy().astype(float) - y.numpy().astype(float)
    assert l1(x, y).item() == pytest.approx(np.abs(difference).mean(), rel=1e-6)
    assert mse(x, y).item() == pytest.approx((difference**2).mean(), rel=1e-6)


def test_sums_and_factors(pair):
    x, y = pair
    expected = neg_ssim(x, y) + 0.25 * l1(x, y) + mse(x, y)
    assert torch.allclose(make_loss("neg_ssim + 0.25*l1+mse")(x, y), expected)


@pytest.mark.parametrize("name", TERMS)
def test_a_batch_is_the_mean_of_its_halves(pair, name):
    """What data-parallel training relies on."""
    x, y = pair
    loss = make_loss(name)
    halves = (loss(x[:1], y[:1]) + loss(x[1:], y[1:])) / 2
    assert torch.allclose(loss(x, y), halves, atol=1e-6)


@pytest.mark.parametrize("name", ["", "ssim", "l1+", "l1+huber", "x*l1", "l1*2", "l1,mse"])
def test_unknown_names_are_explained(name):
    with pytest.raises(DerainError, match="choose neg_ssim, l1, mse"):
        make_loss(name)


def test_last_stage_alone_is_the_default(pair):
    x, y = pair
    assert torch.equal(stage_loss([y, y, x], y, l1), l1(x, y))


def test_stage_weights(pair):
    x, y = pair
    stages = [x, 0.5 * x, y]
    got = stage_loss(stages, y, l1, (0.5, 0.0, 1.5))
    assert got.item() == pytest.approx(0.5 * l1(x, y).item())
    assert stage_loss(stages, y, l1, (0, 0.5, 0)).item() == pytest.approx(
        0.5 * l1(0.5 * x, y).item()
    )


def test_one_weight_per_stage(pair):
    x, y = pair
    with pytest.raises(DerainError, match="2 stage weights for 3 stages"):
        stage_loss([x, x, x], y, l1, (0.5, 1.5))


# -- masks of the rain ----------------------------------------------------------------------------


def test_the_released_mask_is_what_numpy_does_with_bytes():
    """The authors' line, in NumPy: bytes wrap around, so a darker pixel counts as rain too."""
    clean = torch.randint(0, 256, (2, 3, 9, 8), dtype=torch.uint8)
    noise = torch.randint(-1, 2, (2, 3, 9, 8)) * (torch.rand(2, 1, 9, 8) < 0.3)
    rainy = (clean.long() + noise).clamp(0, 255).byte()
    expected = np.clip((rainy.numpy() - clean.numpy()).sum(axis=1, keepdims=True), 0, 1)
    ours = rain_mask(rainy.float() / 255, clean.float() / 255, "released")
    assert ours.dtype == torch.float32 and np.array_equal(ours.numpy(), expected)
    darker = (rainy.long() - clean.long()).sum(1, keepdim=True) < 0
    assert darker.any() and ours[darker].min() == 1  # the wrap-around
    assert rain_mask(rainy.float() / 255, clean.float() / 255, "paper")[darker].max() == 0


def test_the_papers_mask_is_a_threshold():
    rainy, clean = torch.zeros(2, 1, 3, 1, 4)
    rainy[0, :, 0] = torch.tensor([0.0, 0.9 * MASK_THRESHOLD, 1.1 * MASK_THRESHOLD, 1.0])
    assert rain_mask(rainy, clean).flatten().tolist() == [0, 0, 1, 1]
    with pytest.raises(DerainError, match="unknown mask 'true'"):
        rain_mask(rainy, clean, "true")


def test_the_attention_loss_is_the_square_error_to_the_mask():
    batch = {"rainy": torch.rand(2, 3, 5, 4), "clean": torch.rand(2, 3, 5, 4)}
    batch["mask"] = torch.rand(2, 1, 5, 4) < 0.5
    attention = torch.rand(2, 1, 5, 4)
    by_hand = sum(
        (a - bool(m)) ** 2
        for a, m in zip(attention.flatten().tolist(), batch["mask"].flatten(), strict=True)
    )
    found = attention_loss(attention, batch, "true", weight=2.0)
    assert found.item() == pytest.approx(2 * by_hand / 40, rel=1e-5)
    mask = rain_mask(batch["rainy"], batch["clean"])
    assert attention_loss(mask, batch, "paper").item() == 0
    del batch["mask"]
    with pytest.raises(DerainError, match="don't say where the rain is: choose the mask 'paper'"):
        attention_loss(attention, batch, "true")
