"""The metric protocols against scikit-image and against arithmetic done by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from derain_edu import metrics
from derain_edu.errors import DerainError


def noisy_pair(height: int = 40, width: int = 52, seed: int = 0) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    clean = torch.rand(3, height, width, generator=generator)
    return clean + 0.1 * torch.randn(3, height, width, generator=generator), clean


def as_image(picture: torch.Tensor) -> np.ndarray:
    return picture.double().permute(1, 2, 0).numpy()


def test_every_8_bit_value_survives_truncation():
    values = torch.arange(256).float().div(255).expand(1, 3, 1, 256)
    assert torch.equal((metrics.truncate_to_8_bits(values) * 255).round(), (values * 255).round())


def test_truncation_cuts_where_rounding_rounds():
    picture = torch.full((1, 3, 2, 2), 99.9 / 255)
    assert metrics.truncate_to_8_bits(picture).mul(255).round().unique().item() == 99
    assert metrics.round_to_8_bits(picture).mul(255).round().unique().item() == 100


def test_luma_of_black_and_white_is_16_and_235():
    black_and_white = torch.stack((torch.zeros(3, 1, 1), torch.ones(3, 1, 1))).double()
    assert metrics.luma(black_and_white).mul(255).flatten().tolist() == pytest.approx([16, 235])


def test_luma_range_is_worth_1_32_db():
    grey = torch.full((3, 16, 16), 100 / 255)
    brighter = torch.full((3, 16, 16), 110 / 255)
    gain = metrics.psnr(brighter, grey) - metrics.psnr(brighter, grey, "rgb")
    assert gain == pytest.approx(20 * math.log10(255 / 219), abs=1e-6)


def test_prenet_matlab_against_scikit_image():
    derained, clean = noisy_pair()
    eight_bits = [np.floor(np.clip(as_image(x).astype(np.float32), 0, 1) * np.float32(255)) for x in
                  (derained, clean)]
    y = [(e.astype(float) / 255 @ [65.481, 128.553, 24.966] + 16) / 255 for e in eight_bits]
    assert metrics.psnr(derained, clean) == pytest.approx(
        peak_signal_noise_ratio(y[1], y[0], data_range=1), abs=1e-9
    )
    expected = structural_similarity(
        *y, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert metrics.ssim(derained, clean) == pytest.approx(expected, abs=1e-9)


def test_restormer_y_against_scikit_image():
    derained, clean = noisy_pair(seed=1)
    eight_bits = [np.round(np.clip(as_image(x), 0, 1) * 255) for x in (derained, clean)]
    y = [np.round(e / 255 @ [65.481, 128.553, 24.966] + 16) for e in eight_bits]
    assert metrics.psnr(derained, clean, "restormer_y") == pytest.approx(
        peak_signal_noise_ratio(y[1], y[0], data_range=255), abs=1e-9
    )
    expected = structural_similarity(
        *y, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert metrics.ssim(derained, clean, "restormer_y") == pytest.approx(expected, abs=1e-9)


def test_spanet_released_against_scikit_image():
    derained, clean = noisy_pair(seed=2)
    images = [np.clip(as_image(x), 0, 1) for x in (derained, clean)]
    assert metrics.psnr(derained, clean, "spanet_released") == pytest.approx(
        peak_signal_noise_ratio(images[1], images[0], data_range=1), abs=1e-9
    )
    wrong_range = structural_similarity(*images, data_range=2, channel_axis=2, win_size=7)
    assert metrics.ssim(derained, clean, "spanet_released") == pytest.approx(wrong_range, abs=1e-9)
    right_range = structural_similarity(*images, data_range=1, channel_axis=2, win_size=7)
    assert wrong_range > right_range  # the forgotten range flatters


def test_rgb_against_scikit_image():
    derained, clean = noisy_pair(seed=3)
    images = [np.round(np.clip(as_image(x), 0, 1) * 255) for x in (derained, clean)]
    assert metrics.psnr(derained, clean, "rgb") == pytest.approx(
        peak_signal_noise_ratio(images[1], images[0], data_range=255), abs=1e-9
    )
    expected = structural_similarity(
        *images, data_range=255, channel_axis=2, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False,
    )
    assert metrics.ssim(derained, clean, "rgb") == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("height", "width"), [(384, 400), (640, 700), (650, 641)])
def test_ssim_averages_large_pictures_down(height, width):
    """Against a plain loop over boxes that mirror the border, as MATLAB's imfilter does."""
    derained, clean = noisy_pair(height, width, seed=4)
    f = max(1, int(min(height, width) / 256 + 0.5))
    assert f > 1
    small = []
    for picture in (derained, clean):
        y = metrics.luma(metrics.truncate_to_8_bits(picture[None]))[0, 0].numpy()
        padded = np.pad(y, f, mode="symmetric")
        rows = range(0, height, f)
        columns = range(0, width, f)
        start = f - (f - 1) // 2
        small.append(np.array([
            [padded[i + start : i + start + f, j + start : j + start + f].mean() for j in columns]
            for i in rows
        ]))
    expected = structural_similarity(
        *small, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert metrics.ssim(derained, clean) == pytest.approx(expected, abs=1e-9)


def test_zero_padding_is_the_border_of_the_authors_loss():
    """The window may hang over the border, where both pictures are black."""
    x, y = (torch.rand(1, 1, 9, 9).double() for _ in range(2))
    padded = [torch.nn.functional.pad(z, (5, 5, 5, 5)) for z in (x, y)]
    ours = metrics.structural_similarity(x, y, padding="zero")
    theirs = metrics.structural_similarity(*padded, padding="valid")
    assert torch.allclose(ours, theirs, atol=1e-12)


def test_ssim_is_differentiable():
    x = torch.rand(1, 1, 12, 12, dtype=torch.float64, requires_grad=True)
    y = torch.rand(1, 1, 12, 12, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: metrics.structural_similarity(x, y), x)


def test_equal_pictures():
    _, clean = noisy_pair()
    for protocol in metrics.PROTOCOLS:
        assert metrics.psnr(clean, clean, protocol) == math.inf
        assert metrics.ssim(clean, clean, protocol) == pytest.approx(1)


def test_a_batch_is_the_mean_of_its_pictures():
    pairs = [noisy_pair(seed=seed) for seed in range(3)]
    batch = [torch.stack(pictures) for pictures in zip(*pairs, strict=True)]
    for score in (metrics.psnr, metrics.ssim):
        alone = [score(*pair) for pair in pairs]
        assert score(*batch) == pytest.approx(np.mean(alone), abs=1e-9)


@pytest.mark.parametrize(
    ("derained", "clean", "protocol", "message"),
    [
        (torch.rand(3, 8, 8), torch.rand(3, 8, 9), "rgb", "differ in shape"),
        (torch.rand(8, 8), torch.rand(8, 8), "rgb", r"\(B, 3, H, W\)"),
        (torch.ones(3, 8, 8, dtype=torch.uint8),) * 2 + ("rgb", "to_tensor"),
        (torch.rand(3, 8, 8), torch.ones(3, 8, 8).byte(), "rgb", "got torch.uint8"),
        (torch.rand(0, 3, 8, 8), torch.rand(0, 3, 8, 8), "rgb", "nothing to compare"),
        (torch.rand(3, 0, 8), torch.rand(3, 0, 8), "rgb", "nothing to compare"),
        (Image.new("RGB", (8, 8)), Image.new("RGB", (8, 8)), "rgb", "got Image: .*to_tensor"),
        ("a.png", torch.rand(3, 8, 8), "rgb", "got str: .*to_tensor"),
        (torch.rand(3, 8, 8), torch.rand(3, 8, 8), "matlab", "prenet_matlab, restormer_y"),
    ],
)
def test_bad_input_is_explained(derained, clean, protocol, message):
    with pytest.raises(DerainError, match=message):
        metrics.psnr(derained, clean, protocol)


@pytest.mark.parametrize("score", [metrics.psnr, metrics.ssim])
@pytest.mark.parametrize("protocol", metrics.PROTOCOLS)
def test_pictures_of_another_range_are_refused(score, protocol):
    derained, clean = noisy_pair()
    for scale in (lambda x: 255 * x, lambda x: 2 * x - 1):
        with pytest.raises(DerainError, match=r"not in \[0, 1\]: scale both pictures"):
            score(scale(derained), scale(clean), protocol)
    with pytest.raises(DerainError, match="the derained picture has a mean of 1"):
        score(255 * derained, clean, protocol)


def test_the_output_of_a_network_may_leave_the_range_here_and_there():
    _, clean = noisy_pair()
    derained = clean.clone()
    derained[:, 0, :2] = torch.tensor([-40.0, 40.0])
    assert metrics.psnr(derained, clean) == metrics.psnr(derained.clamp(0, 1), clean)
    derained[0, 0, 0] = torch.nan  # a score that nobody takes for a good one
    assert math.isnan(metrics.psnr(derained, clean, "spanet_released"))


def test_too_small_for_the_window_is_explained():
    with pytest.raises(DerainError, match="11×11"):
        metrics.ssim(torch.rand(3, 8, 30), torch.rand(3, 8, 30))
