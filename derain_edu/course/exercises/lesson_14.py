"""The exercises of lesson 14: a scene from a film, flicker, a grating, strength of the effect."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from derain_edu.course.exercises.checking import (
    Wrong,
    attempt,
    checker,
    expect,
    expect_close,
    hinted,
    show,
)

# -- 14.1 -----------------------------------------------------------------------------------------


_SCENE_HINTS = {
    "range [0, 1]": "`quantile` wants a share from 0 to 1, and the percentile goes to 100: divide",
}


@checker("14.1")
def check_scene(answer: Callable[..., Any]) -> None:
    """Try ``scene_of(frames, percentile)`` on one pixel, and on small films."""
    one = torch.tensor([0.2, 0.9, 0.25, 0.3, 0.8]).view(5, 1, 1, 1).expand(5, 3, 1, 1).clone()
    cases = [(one, 25), (one, 50), (torch.rand(6, 3, 2, 4), 20), (torch.rand(4, 3, 3, 3), 90)]
    for frames, percentile in cases:
        q = percentile / 100
        truth = torch.quantile(frames, q, dim=0)
        mistakes = {
            "this is the mean over the frames: a few bright values pull it up":
                frames.mean(dim=0),
            "this is the median, whatever the percentile is": torch.quantile(frames, 0.5, dim=0),
            "it is turned round: 20 means that one fifth of the values lie *below*":
                torch.quantile(frames, 1 - q, dim=0),
            "this is one number for the whole film: give `dim=0`, each pixel has a percentile of "
            "its own": torch.quantile(frames, q),
            "the percentile goes over the colours: dimension 0 is the time":
                torch.quantile(frames, q, dim=1),
            "the darkest value of each pixel is the percentile 0 (// cuts off what is behind the "
            "point)": frames.amin(dim=0),
            "without keepdim: the scene is one picture, (3, H, W)": truth[None],
            "each colour has its own percentile: you averaged the colours":
                torch.quantile(frames.mean(dim=1), q, dim=0),
            "this is 20 %, whatever the percentile is": torch.quantile(frames, 0.2, dim=0),
            "np.percentile goes to 100 itself: don't divide":
                torch.quantile(frames, q / 100, dim=0),
            "this is a part of the way from the darkest value to the brightest one; a percentile "
            "counts values": torch.lerp(frames.amin(dim=0), frames.amax(dim=0), q),
        }
        mistakes |= {
            "this is the next value below: between two values torch.quantile interpolates":
                torch.quantile(frames, q, dim=0, interpolation="lower"),
            "this is the next value above: between two values torch.quantile interpolates":
                torch.quantile(frames, q, dim=0, interpolation="higher"),
        }
        for name, dim in (("rows", 2), ("columns", 3)):
            mistakes[f"the percentile goes over the {name}: dimension 0 is the time"] = (
                torch.quantile(frames, q, dim=dim)
            )
        if percentile == 25:
            example = f"a pixel with {show(frames[:, 0, 0, 0])} and percentile {percentile}"
        else:
            example = f"frames of shape {tuple(frames.shape)} and percentile {percentile}"
        got = hinted(answer, _SCENE_HINTS, frames, percentile)
        if isinstance(got, tuple):
            raise Wrong("your function returned a tuple: `median(dim=…)` gives values and places")
        whole = isinstance(got, Tensor) and any(torch.equal(got, frame) for frame in frames)
        expect(frames[0].numel() == 3 or not whole,
               "this is one of the frames: each pixel has a percentile of its own")
        expect_close(got, truth, "the scene", mistakes=mistakes, example=example)


# -- 14.2 -----------------------------------------------------------------------------------------


@checker("14.2")
def check_flicker(answer: Callable[..., Any]) -> None:
    """Try ``flicker(frames)`` on small films: random ones, and one with a pixel that stays."""
    two = torch.tensor([0.2, 0.4]).view(2, 1, 1, 1).expand(2, 3, 1, 2).clone()
    two[:, :, :, 1] = 0.7
    for frames in (torch.rand(6, 3, 4, 5), torch.rand(3, 3, 4, 5), two):
        variance = frames.var(dim=0)
        truth = 255 * variance.mean().sqrt()
        mistakes = {
            "return it in grey levels of 255": variance.mean().sqrt(),
            "the square root is missing": 255 * variance.mean(),
            "the square root is missing, and the variance is in squares of white: root first, "
            "then 255": 255**2 * variance.mean(),
            "the mean of the roots is not the root of the mean: average the variances first":
                255 * variance.sqrt().mean(),
            "with N − 1: a variance from N frames has lost one to their mean; `var` divides so by "
            "itself": 255 * frames.var(dim=0, correction=0).mean().sqrt(),
            "this is the variance over the picture, not over time": 255
            * frames.flatten(2).var(dim=2).mean().sqrt(),
            "one variance over everything: take it over time (`dim=0`), pixel by pixel":
                255 * frames.var().sqrt(),
            "the sum over the pixels should be a mean": 255 * variance.sum().sqrt(),
            "255 belongs outside of the root: inside it would have to be 255²":
                (255 * variance.mean()).sqrt(),
            "there are three colours at each pixel: divide the sum by the number of values":
                255 * (3 * variance.mean()).sqrt(),
            "this is the variance among the colours, not over time":
                255 * frames.var(dim=1).mean().sqrt(),
            "each colour counts by itself: you averaged the colours first":
                255 * frames.mean(dim=1).var(dim=0).mean().sqrt(),
            "one number for all: take the mean of the variances, then the root":
                255 * variance.sqrt(),
        }
        example = f"frames of shape {tuple(frames.shape)}"
        got = attempt(answer, frames)
        expect_close(got, truth, "the flicker", mistakes=mistakes, example=example, tolerance=1e-4)


# -- 14.3 -----------------------------------------------------------------------------------------


def _bars(
    size: int, theta: float, period: float, sign: int = -1, turned: bool = False, start: float = 0
) -> Tensor:
    x = start + torch.arange(size, dtype=torch.float64)
    y = x[:, None]
    if turned:
        x, y = y, x
    u = x * math.cos(theta) + sign * y * math.sin(theta)
    return 2 * math.pi * u / period


_ARANGE = "`range` can't be added or multiplied: torch.arange(size)"
_GRATING_HINTS = {
    "can be converted to Python scalars":
    "2πu/period is a whole picture, and math.cos takes one number: torch.cos",
    "must be Tensor, not":
    "torch's cos, sin and deg2rad take tensors, and the angle is a number: math.radians, math.cos, "
    "math.sin",
    "'range'": _ARANGE,
    "range indices": _ARANGE,
}


@checker("14.3")
def check_grating(answer: Callable[..., Any]) -> None:
    """Try ``grating(size, angle, period)`` upright, level, and leaning to both sides."""
    for size, angle, period in ((8, 0, 4), (8, 90, 4), (9, 30, 5.0), (12, -20, 6)):
        steps = torch.linspace(0, size, size, dtype=torch.float64)
        theta = math.radians(angle)
        phase = _bars(size, theta, period)
        truth = 0.5 + 0.5 * phase.cos()
        still = {
            "at 90 degrees your bars still stand upright: does the angle reach cosine and sine, in "
            "radians?": 0.5 + 0.5 * _bars(size, 0, period).cos()
        }
        mistakes = (still if angle == 90 else {}) | {
            "it leans to the other side: u is x·cos θ *minus* y·sin θ":
                0.5 + 0.5 * _bars(size, theta, period, sign=1).cos(),
            "rows and columns are swapped (x counts the columns), or cosine and sine":
                0.5 + 0.5 * _bars(size, theta, period, turned=True).cos(),
            "the angle is in degrees, and the cosine wants radians": 0.5
            + 0.5 * _bars(size, angle, period).cos(),
            "it goes from −1 to 1: a picture has values from 0 to 1": phase.cos(),
            "the half is missing in front of the cosine, or before it": 0.5 * phase.cos(),
            "half of the whole sum: (1 + cos(…)) / 2 needs its brackets": 1 + 0.5 * phase.cos(),
            "x and y count pixels: don't divide them by the size":
                0.5 + 0.5 * (phase / size).cos(),
            "x and y are counted from 0, and yours from 1":
                0.5 + 0.5 * _bars(size, theta, period, start=1).cos(),
            "x = 0 is the first column, not the middle":
                0.5 + 0.5 * _bars(size, theta, period, start=-(size - 1) / 2).cos(),
            "x counts the columns 0, 1, 2, …: torch.arange(size)":
                0.5 + 0.5 * (
                    2 * math.pi / period
                    * (steps * math.cos(theta) - steps[:, None] * math.sin(theta))
                ).cos(),
            "this is the sine: at x = y = 0 a bar is brightest": 0.5 + 0.5 * phase.sin(),
            "2π is missing: the cosine needs it to come back after one period":
                0.5 + 0.5 * (phase / (2 * math.pi)).cos(),
            "u times the period: divide by it, so that a longer period means wider bars":
                0.5 + 0.5 * (phase * period**2).cos(),
            "this is one row: y should make (size, size) of it": (0.5 + 0.5 * phase.cos())[0],
        }
        if angle == 0:  # a single row of y, by which nothing changes down the picture
            mistakes["x and y are the same row: y needs a second dimension, x[:, None]"] = (
                0.5 + 0.5 * phase.cos()[0]
            )
        expect_close(hinted(answer, _GRATING_HINTS, size, angle, period), truth, "the grating",
                     mistakes=mistakes, tolerance=1e-3,
                     example=f"size {size}, angle {angle}, period {period:g}")


# -- 14.4 -----------------------------------------------------------------------------------------


@checker("14.4")
def check_blend(answer: Callable[..., Any]) -> None:
    """Try ``blend(rainy, derained, strength)`` on four pixels, and on a picture."""
    rainy, derained = torch.tensor([0.9, 0.5, 0.3, 0.95]), torch.tensor([0.5, 0.5, 0.1, 1.0])
    cases = [(rainy, derained, s) for s in (0.25, 2, 0, 1)]
    cases.append((torch.rand(3, 4, 5), torch.rand(3, 4, 5), 1.5))
    for x, y, strength in cases:
        free = x + strength * (y - x)
        mistakes = {
            "it is turned round: strength 0 is the rainy picture": (y + strength * (x - y)),
            "keep it between 0 and 1: with strength 2 some pixels fall out of that range": free,
            "this adds the effect to the derained picture": y + strength * (y - x),
            "the effect goes the wrong way: the network adds derained − rainy":
                x + strength * (x - y),
            "this is the effect alone: add it to the rainy picture": strength * (y - x),
            "you scaled the derained picture and left the rainy one as it is": x + strength * y,
            "strength is cut off at 1: 2 takes away twice as much": x + min(strength, 1) * (y - x),
            "strength does nothing": y,
            "brackets: strength · (derained − rainy)": strength * y,
            "you subtracted the derained picture; subtract what the network took, rainy − derained":
                x - strength * y,
        }
        both = {reason: value.clamp(0, 1) for reason, value in mistakes.items()}
        both["keep it between 0 and 1: with strength 2 some pixels fall out of that range"] = free
        both["it must not fall below 0 either: clamp(0, 1)"] = free.clamp(max=1)
        both["it must not rise above 1 either: clamp(0, 1)"] = free.clamp(min=0)
        both["clamp the picture at the end, and not what is added"] = (
            x + (strength * (y - x)).clamp(0, 1)
        )
        example = f"strength {strength:g}"
        if x.numel() == 4:
            example = f"rainy {show(x)}, derained {show(y)}, {example}"
        expect_close(attempt(answer, x, y, strength), free.clamp(0, 1), "the picture",
                     mistakes=both, example=example)
