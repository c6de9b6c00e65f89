"""Rain: what the module promises, checked by slow loops, by histograms, and to the bit."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.filters import gaussian
from torch import Tensor

from derain_edu.errors import DerainError
from derain_edu.rain.config import RainConfig
from derain_edu.rain.presets import MIXES, PRESETS
from derain_edu.rain.streaks import Streaks, draw_streaks, render_streaks
from derain_edu.rain.synthesis import VISIBLE, add_rain, blend

GREY = torch.full((3, 96, 128), 0.4)
MIX = [rain for rain, _ in MIXES["mix+faint"]]


def one_streak(**changes: float) -> Streaks:
    numbers = {"x": 20.3, "y": 24.6, "length": 22.0, "width": 2.0, "angle": 25.0, "brightness": 0.7}
    taper = changes.pop("taper", 0.5)
    arrays = {name: np.array([value]) for name, value in {**numbers, **changes}.items()}
    return Streaks(**arrays, layer=np.zeros(1, int), taper=taper)


def slow_streak(streak: Streaks, height: int, width: int, samples: int = 9) -> np.ndarray:
    """S(u, v) as the module's docstring defines it, averaged over samples² points per pixel."""
    x, y, length, thickness, angle, b = (
        float(getattr(streak, name)[0])
        for name in ("x", "y", "length", "width", "angle", "brightness")
    )
    down = (math.sin(math.radians(angle)), math.cos(math.radians(angle)))
    sigma = thickness / (2 * math.sqrt(2 * math.log(2)))
    ramp = max(streak.taper * length, 1e-9)
    picture = np.zeros((height, width))
    offsets = [(i + 0.5) / samples - 0.5 for i in range(samples)]
    for row in range(height):
        for column in range(width):
            for dy in offsets:
                for dx in offsets:
                    px, py = column + dx - x, row + dy - y
                    u, v = px * down[0] + py * down[1], px * down[1] - py * down[0]
                    t = min(max((length / 2 - abs(u)) / ramp + 0.5, 0.0), 1.0)
                    light = b * math.exp(-(v**2) / (2 * sigma**2)) * t * t * (3 - 2 * t)
                    picture[row, column] += light / samples**2
    return picture


# One streak -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "tolerance"),
    [
        ({}, 0.015),
        ({"angle": -40.0, "width": 1.2}, 0.015),
        ({"angle": -88.0, "x": 0.4, "taper": 1.0}, 0.015),  # flat, and half of it is outside
        ({"angle": 0.0, "y": 47.0, "length": 60.0}, 0.015),
        ({"angle": 70.0, "width": 3.0, "taper": 0.0}, 0.04),  # sharp ends show the pixel's shape
        ({"angle": 5.0, "width": 0.6}, 0.1),  # and more so a thin streak
    ],
)
def test_a_streak_is_what_the_formula_says(numbers: dict[str, float], tolerance: float) -> None:
    streak = one_streak(**numbers)
    fast = render_streaks(streak, 48, 40)[0].numpy()
    slow = slow_streak(streak, 48, 40, samples=5)
    error = float(np.abs(fast - slow).max() / slow.max())
    assert slow.max() > 0.25 and error < tolerance


def test_length_and_width_are_measured_at_half_brightness() -> None:
    streak = one_streak(x=40.0, y=40.0, length=30.0, width=8.0, angle=0.0, brightness=1.0)
    picture = render_streaks(streak, 81, 81)[0]
    assert picture[40, 40] == pytest.approx(1.0, abs=0.01)
    assert picture[25, 40] == pytest.approx(0.5, abs=0.01)  # 15 px up
    assert picture[40, 44] == pytest.approx(0.5, abs=0.01)  # 4 px to the right


def test_a_positive_angle_falls_to_the_right() -> None:
    picture = render_streaks(one_streak(angle=30.0, x=32.0, y=32.0, length=30.0), 64, 64)[0]
    upper, lower = picture[:24].sum(0), picture[40:].sum(0)
    columns = torch.arange(64.0)
    assert (lower * columns).sum() / lower.sum() > (upper * columns).sum() / upper.sum() + 8


def test_subpixel_steps_move_the_light_and_keep_its_sum() -> None:
    sums, centres = [], []
    for step in range(10):
        picture = render_streaks(one_streak(x=20 + step / 10, width=0.8, angle=7.0), 64, 48)[0]
        sums.append(picture.sum().item())
        centres.append(((picture.sum(0) * torch.arange(48.0)).sum() / picture.sum()).item())
    assert max(sums) / min(sums) < 1.01
    np.testing.assert_allclose(np.diff(centres), 0.1, atol=0.02)


def test_many_streaks_are_the_sum_of_single_ones() -> None:
    config = RainConfig(angle=(-90, 90), layers=4, density=8)
    streaks = draw_streaks(config, 50, 70, np.random.default_rng(3))
    together = render_streaks(streaks, 50, 70)
    singly = sum(render_streaks(streaks.select([i]), 50, 70) for i in range(len(streaks)))
    assert len(streaks) > 10
    torch.testing.assert_close(together, singly, atol=1e-6, rtol=0)


def test_a_streak_that_crosses_the_border_is_the_cut_out_of_a_larger_picture() -> None:
    big = draw_streaks(PRESETS["heavy"], 160, 160, np.random.default_rng(0))
    shifted = Streaks(**{**vars(big), "x": big.x - 50, "y": big.y - 50})
    cut = render_streaks(big, 160, 160)[:, 50:114, 50:130]
    torch.testing.assert_close(render_streaks(shifted, 64, 80), cut, atol=1e-5, rtol=0)


@pytest.mark.parametrize("angle", [-60, 0, 25])
def test_the_border_is_as_rainy_as_the_middle(angle: float) -> None:
    black = torch.zeros(40, 3, 64, 64)
    rain = add_rain(black, "heavy", seed=0, angle=angle).streaks[:, 0].mean(0)
    edges = torch.cat([rain[0], rain[-1], rain[:, 0], rain[:, -1]]).mean()
    assert edges.item() == pytest.approx(rain[16:48, 16:48].mean().item(), rel=0.15)


# The whole ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rain", PRESETS)
def test_amount_zero_is_the_identity(rain: str) -> None:
    clean = torch.rand(3, 40, 50)
    result = add_rain(clean, rain, seed=1, amount=0)
    assert torch.equal(result.rainy, clean)
    assert not result.streaks.any() and not result.mask.any()
    assert len(result.params.streaks) == 0


@pytest.mark.parametrize("rain", [*PRESETS.values(), *MIX])
def test_shapes_ranges_and_the_mask(rain: RainConfig) -> None:
    result = add_rain(torch.rand(3, 37, 53), rain, seed=5)
    assert result.rainy.shape == result.streaks.shape == (3, 37, 53)
    assert result.mask.shape == (1, 37, 53) and result.mask.dtype == torch.bool
    assert result.rainy.min() >= 0 and result.rainy.max() <= 1 and result.streaks.min() >= 0
    assert torch.equal(result.mask[0], result.streaks.max(0).values > VISIBLE)
    assert result.mask.any() or rain.density[0] < 0.1  # (next to nothing may be nothing)


def test_the_same_seed_gives_the_same_rain_whatever_else_is_drawn() -> None:
    first = add_rain(GREY, "heavy", seed=7)
    np.random.seed(123)
    torch.manual_seed(123)
    states = np.random.get_state()[1].copy(), torch.get_rng_state()
    second = add_rain(GREY, "heavy", seed=7)
    assert torch.equal(first.rainy, second.rainy)
    assert (np.random.get_state()[1] == states[0]).all()  # and it leaves no trace elsewhere
    assert torch.equal(torch.get_rng_state(), states[1])
    assert not torch.equal(first.rainy, add_rain(GREY, "heavy", seed=8).rainy)


def test_without_a_seed_it_never_rains_the_same_twice() -> None:
    assert not torch.equal(add_rain(GREY).streaks, add_rain(GREY).streaks)


def test_pictures_of_a_batch_are_drawn_independently_and_repeatably() -> None:
    batch = GREY.expand(4, -1, -1, -1)
    result = add_rain(batch, "heavy", seed=0)
    assert result.rainy.shape == (4, 3, 96, 128) and result.mask.shape == (4, 1, 96, 128)
    assert len(result.params) == 4
    assert torch.equal(result.rainy, add_rain(batch, "heavy", seed=0).rainy)
    assert torch.equal(result.rainy[:2], add_rain(batch[:2], "heavy", seed=0).rainy)
    assert torch.equal(result.rainy[3], add_rain(GREY, "heavy", seed=(0, 3)).rainy)
    angles = [params.streaks.layers[0].angle for params in result.params]
    assert len(set(angles)) == 4
    flat = result.streaks[:, 0].flatten(1)
    assert torch.corrcoef(flat).fill_diagonal_(0).abs().max() < 0.2


def test_additive_rain_is_the_difference() -> None:
    result = add_rain(GREY, "heavy", seed=0)
    assert torch.equal(result.rainy, (GREY + result.streaks).clamp(0, 1))
    inside = result.rainy < 1
    assert 0.5 < inside.float().mean() < 1  # some pixels clip, most don't
    difference = (result.rainy - GREY)[inside]
    torch.testing.assert_close(difference, result.streaks[inside], atol=6e-8, rtol=0)


@pytest.mark.parametrize("blending", ["additive", "screen"])
def test_the_background_is_untouched_where_no_streak_is(blending: str) -> None:
    clean = torch.randint(256, (3, 96, 128)) / 255  # 1 - (1 - B) is not B in float32
    result = add_rain(clean, "light", seed=0, blending=blending)
    dry = result.streaks == 0
    assert 0.2 < dry.float().mean() < 1
    assert torch.equal(result.rainy[dry], clean[dry])
    assert (result.rainy >= clean).all()


def test_screen_blending_is_one_minus_the_product_of_the_rests() -> None:
    clean = torch.rand(3, 96, 128)
    result = add_rain(clean, "heavy", seed=0, blending="screen")
    expected = 1 - (1 - clean) * (1 - result.streaks)
    torch.testing.assert_close(result.rainy, expected, atol=2e-7, rtol=0)


def test_the_veil_mixes_in_the_airlight() -> None:
    clean = 0.5 * torch.rand(3, 96, 128)
    result = add_rain(clean, "light", seed=0, veil=0.25, airlight=0.9)
    assert result.params.transmission == 0.75 and result.params.airlight == 0.9
    expected = 0.75 * (clean + result.streaks) + 0.25 * 0.9
    torch.testing.assert_close(result.rainy, expected.clamp(0, 1))
    rebuilt = blend(clean, result.streaks, "additive", 0.75, 0.9)
    assert torch.equal(result.rainy, rebuilt)


def test_tint_colours_the_rain_and_white_is_the_default() -> None:
    white = add_rain(GREY, "light", seed=0).streaks
    assert torch.equal(white[0], white[1]) and torch.equal(white[1], white[2])
    blue = add_rain(GREY, "light", seed=0, tint=0.1).streaks
    torch.testing.assert_close(blue[0], 0.9 * white[0])
    torch.testing.assert_close(blue[2], 1.1 * white[2])


def test_more_rain_keeps_the_streaks_that_were_there() -> None:
    covered, previous = [], torch.zeros(3, 96, 128)
    for amount in (0.25, 0.5, 1.0, 2.0):
        result = add_rain(GREY, "heavy", seed=4, amount=amount)
        assert (result.streaks >= previous - 1e-6).all()
        previous = result.streaks
        covered.append(result.mask.float().mean().item())
    assert covered[0] < 0.6 and np.diff(covered).min() > 0.03


def test_either_blending_is_a_fair_coin() -> None:
    results = [add_rain(GREY[:, :8, :8], seed=k, blending="either") for k in range(200)]
    screens = sum(result.params.blending == "screen" for result in results)
    assert 70 < screens < 130


# Angles ---------------------------------------------------------------------------------------


def orientation(picture: Tensor) -> float:
    """Angle of the streaks from the vertical by the structure tensor, + falls to the right."""
    # Differences of neighbours are biased for lines as thin as a pixel, so smooth first.
    gy, gx = np.gradient(gaussian(picture.double().numpy(), sigma=2))
    xx, yy, xy = (gx * gx).sum(), (gy * gy).sum(), (gx * gy).sum()
    across = 0.5 * math.atan2(2 * xy, xx - yy)  # direction of the strongest change, from the x axis
    return (-math.degrees(across) + 90) % 180 - 90


@pytest.mark.parametrize("angle", [-75, -40, -10, 0, 20, 44, 46, 60])
def test_the_picture_shows_the_angle_that_was_asked_for(angle: float) -> None:
    result = add_rain(GREY, "heavy", seed=angle % 7, angle=angle, angle_spread=0, layers=1)
    assert orientation(result.streaks[0]) == pytest.approx(angle, abs=1.5)


def test_the_picture_shows_the_angle_that_was_drawn() -> None:
    for seed in range(12):
        result = add_rain(GREY, "light", seed=seed, angle=(-60, 60), density=3)
        (layer,) = result.params.streaks.layers
        assert orientation(result.streaks[0]) == pytest.approx(layer.angle, abs=4)


def test_the_histogram_of_drawn_angles_fills_its_range_on_both_sides() -> None:
    results = [add_rain(GREY[:, :8, :8], "light", seed=k, angle=(-30, 30)) for k in range(300)]
    angles = np.array([result.params.streaks.layers[0].angle for result in results])
    counts, _ = np.histogram(angles, bins=6, range=(-30, 30))
    assert counts.sum() == 300 and counts.min() > 25 and counts.max() < 80


def test_streaks_stay_within_the_spread_and_variation_of_their_layer() -> None:
    config = RainConfig(layers=3, angle=(-45, 45), angle_spread=5, variation=0.3, density=5)
    streaks = draw_streaks(config, 200, 200, np.random.default_rng(0))
    assert len(streaks.layers) == 3 and sum(x.count for x in streaks.layers) == len(streaks) > 100
    for number, layer in enumerate(streaks.layers):
        own = streaks.select(streaks.layer == number)
        assert len(own) == layer.count
        assert np.abs(own.angle - layer.angle).max() <= 5 and own.angle.std() > 2
        for name in ("length", "width", "brightness"):
            ratios = np.log(getattr(own, name) / getattr(layer, name))
            assert np.abs(ratios).max() <= 0.3 + 1e-9 and ratios.std() > 0.1


def test_density_is_streaks_per_1000_square_pixels() -> None:
    config = RainConfig(density=2.0, layers=2)
    streaks = draw_streaks(config, 500, 400, np.random.default_rng(0))
    centred = (abs(streaks.x - 199.5) <= 200) & (abs(streaks.y - 249.5) <= 250)
    assert centred.sum() == pytest.approx(400, rel=0.15)


# What people give -----------------------------------------------------------------------------


def test_one_number_stands_for_a_range() -> None:
    assert RainConfig(length=30) == RainConfig(length=(30, 30))
    assert add_rain(GREY, PRESETS["light"], seed=0, layers=2).params.config.layers == (2, 2)


def test_other_float_types_stay_what_they_are() -> None:
    for dtype in (torch.float64, torch.float16):
        result = add_rain(GREY.to(dtype), seed=0)
        assert result.rainy.dtype == result.streaks.dtype == dtype


def test_the_smallest_picture_and_the_densest_rain() -> None:
    result = add_rain(torch.zeros(3, 1, 1), "storm", seed=0, amount=20)
    assert 0 < result.streaks.max() <= 1 < len(result.params.streaks)


@pytest.mark.parametrize(
    ("clean", "message"),
    [
        (torch.zeros(3, 8, 8, dtype=torch.uint8), "uint8 .*to_tensor"),
        (np.zeros((8, 8, 3)), "to_tensor"),
        (torch.zeros(8, 8), r"got torch.float32 \(8, 8\)"),
        (torch.zeros(8, 8, 3), "expected|should be"),
        (torch.zeros(0, 3, 8, 8), "should be"),
        (torch.full((3, 8, 8), 255.0), "divide 8-bit"),
        (torch.full((3, 8, 8), math.nan), "NaN"),
        ("photo.jpg", "photo.jpg"),
    ],
)
def test_a_bad_picture_is_told_what_to_do(clean: object, message: str) -> None:
    with pytest.raises(DerainError, match=message):
        add_rain(clean)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rain": "hail"}, "unknown rain 'hail': choose one of drizzle, light, heavy, storm"),
        ({"rain": 3}, "int: give a RainConfig"),
        ({"lenght": 3}, "no 'lenght': you can change amount, density"),
        ({"density": (-1, 2)}, r"density is \(-1, 2\): give a number from 0 to 1000, or a range"),
        ({"length": (40, 20)}, "low, high"),
        ({"length": 0}, "from 1 to"),
        ({"width": math.nan}, "width is nan"),
        ({"layers": 1.5}, "whole number from 1 to 20"),
        ({"layers": (1, 2, 3)}, "layers is"),
        ({"amount": -1}, "amount is -1: give a number from 0 to 100$"),
        ({"amount": (0, 1)}, "amount is"),
        ({"angle": "left"}, "from -90 to 90"),
        ({"blending": "multiply"}, "choose one of additive, screen, either"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 0.5}, "seed is 0.5"),
    ],
)
def test_a_bad_setting_is_told_what_to_do(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(DerainError, match=message):
        add_rain(GREY, **arguments)


def test_blend_knows_its_modes() -> None:
    with pytest.raises(DerainError, match="'additive' or 'screen'"):
        blend(GREY, GREY, "either")
