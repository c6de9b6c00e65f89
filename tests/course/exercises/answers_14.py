"""Answers to the exercises of lesson 14: a second right one, and wrong ones with the reason."""

import math

import numpy as np
import torch

# --------------------------------------------------------------------------------- the percentile


def sorted_by_hand(frames, percentile):
    values = frames.sort(dim=0).values
    place = percentile / 100 * (len(frames) - 1)
    low = math.floor(place)
    high = min(low + 1, len(frames) - 1)
    return torch.lerp(values[low], values[high], place - low)


def mean_of_all(frames, percentile):
    return frames.mean(dim=0)


def median_always(frames, percentile):
    return frames.quantile(0.5, dim=0)


def values_and_places(frames, percentile):
    return frames.median(dim=0)


def not_divided(frames, percentile):
    return torch.quantile(frames, float(percentile), dim=0)


def from_above(frames, percentile):
    return torch.quantile(frames, 1 - percentile / 100, dim=0)


def one_for_all(frames, percentile):
    return torch.quantile(frames, percentile / 100)


def over_colours(frames, percentile):
    return torch.quantile(frames, percentile / 100, dim=1)


def over_rows(frames, percentile):
    return torch.quantile(frames, percentile / 100, dim=2)


def darkest(frames, percentile):
    return frames.min(dim=0).values


def one_whole_frame(frames, percentile):
    by_brightness = frames.mean(dim=(1, 2, 3)).argsort()
    return frames[by_brightness[int(percentile / 100 * (len(frames) - 1))]]


# ------------------------------------------------------------------------------------ the flicker


def flicker_by_numpy(frames):
    return 255 * float(np.sqrt(frames.numpy().var(axis=0, ddof=1).mean()))


def share_of_white(frames):
    return frames.var(dim=0).mean().sqrt()


def no_root(frames):
    return 255 * frames.var(dim=0).mean()


def mean_of_roots(frames):
    return 255 * frames.std(dim=0).mean()


def divided_by_n(frames):
    return 255 * ((frames - frames.mean(0)) ** 2).mean(0).mean().sqrt()


def over_the_picture(frames):
    return 255 * frames.flatten(2).var(dim=2).mean().sqrt()


def over_everything(frames):
    return 255 * frames.std()


def by_pixels(frames):
    variance = frames.var(dim=0)
    return 255 * (variance.sum() / variance[0].numel()).sqrt()


# ------------------------------------------------------------------------------------ the grating


def grating_by_loops(size, angle, period):
    theta = math.radians(angle)
    rows = []
    for y in range(size):
        across = [x * math.cos(theta) - y * math.sin(theta) for x in range(size)]
        rows.append([0.5 + 0.5 * math.cos(2 * math.pi * u / period) for u in across])
    return torch.tensor(rows)


def made(change=lambda phase, period: 0.5 + 0.5 * phase.cos(), sign=-1, radians=math.radians,
         turned=False, start=0, name=""):
    def grating(size, angle, period):
        x = start + torch.arange(size).double()
        y = x[:, None]
        if turned:
            x, y = y, x
        u = x * math.cos(radians(angle)) + sign * y * math.sin(radians(angle))
        return change(2 * math.pi * u / period, period)

    grating.__name__ = name
    return grating


def one_row(size, angle, period):
    x = torch.arange(size)
    theta = math.radians(angle)
    return 0.5 + 0.5 * torch.cos(2 * math.pi * (x * math.cos(theta) - 0 * x) / period)


def divided_by_the_size(size, angle, period):
    return made(lambda phase, _: 0.5 + 0.5 * (phase / size).cos())(size, angle, period)


def stretched(size, angle, period):
    x = torch.linspace(0, size, size)
    theta = math.radians(angle)
    u = x * math.cos(theta) - x[:, None] * math.sin(theta)
    return 0.5 + 0.5 * torch.cos(2 * math.pi * u / period)


# ----------------------------------------------------------------------------------- the strength


def weighted(rainy, derained, strength):
    return torch.clamp((1 - strength) * rainy + strength * derained, 0, 1)


def turned_round(rainy, derained, strength):
    return (derained + strength * (rainy - derained)).clamp(0, 1)


def not_clamped(rainy, derained, strength):
    return rainy + strength * (derained - rainy)


def effect_alone(rainy, derained, strength):
    return (strength * (derained - rainy)).clamp(0, 1)


def wrong_way(rainy, derained, strength):
    return (rainy + strength * (rainy - derained)).clamp(0, 1)


def onto_the_derained(rainy, derained, strength):
    return (derained + strength * (derained - rainy)).clamp(0, 1)


def at_most_one(rainy, derained, strength):
    return (rainy + min(strength, 1) * (derained - rainy)).clamp(0, 1)


def no_strength(rainy, derained, strength):
    return derained


ANSWERS = {
    "14.1": {
        "second": sorted_by_hand,
        "wrong": [
            (mean_of_all, "the mean over the frames"),
            (median_always, "the median, whatever"),
            (values_and_places, "gives values and places"),
            (not_divided, "a share from 0 to 1"),
            (from_above, "turned round"),
            (one_for_all, "one number for the whole film"),
            (over_colours, "over the colours"),
            (over_rows, "over the rows"),
            (darkest, "the percentile 0"),
            (lambda f, p: torch.quantile(f, p // 100, dim=0), "// cuts off"),
            (lambda f, p: torch.quantile(f, p / 100, dim=0, keepdim=True), "without keepdim"),
            (lambda f, p: torch.quantile(f.mean(dim=1), p / 100, dim=0), "averaged the colours"),
            (lambda f, p: torch.quantile(f, 0.2, dim=0), "20 %, whatever"),
            (lambda f, p: np.percentile(f, p / 100, axis=0), "don't divide"),
            (lambda f, p: torch.lerp(f.amin(0), f.amax(0), p / 100), "counts values"),
            (lambda f, p: f.sort(dim=0).values[int(p / 100 * len(f))], "the next value above"),
            (lambda f, p: f.sort(0).values[int(p / 100 * (len(f) - 1))], "the next value below"),
            (one_whole_frame, "one of the frames"),
        ],
    },
    "14.2": {
        "second": flicker_by_numpy,
        "wrong": [
            (share_of_white, "grey levels of 255"),
            (no_root, "the square root is missing"),
            (mean_of_roots, "average the variances first"),
            (divided_by_n, "N − 1"),
            (over_the_picture, "not over time"),
            (over_everything, "pixel by pixel"),
            (by_pixels, "three colours at each pixel"),
            (lambda f: (255 * f.var(dim=0).mean()).sqrt(), "outside of the root"),
            (lambda f: 255**2 * f.var(dim=0).mean(), "root first, then 255"),
            (lambda f: 255 * f.var(dim=0).sum().sqrt(), "should be a mean"),
            (lambda f: 255 * f.var(dim=1).mean().sqrt(), "among the colours"),
            (lambda f: 255 * f.mean(1).var(dim=0).mean().sqrt(), "each colour counts by itself"),
            (lambda f: 255 * f.var(dim=0).sqrt(), "one number for all"),
        ],
    },
    "14.3": {
        "second": grating_by_loops,
        "wrong": [
            (made(sign=1, name="leans_back"), "the other side"),
            (made(turned=True, name="swapped"), "rows and columns are swapped"),
            (made(radians=float, name="degrees"), "wants radians"),
            (made(lambda p, _: p.cos(), name="minus_one"), "from −1 to 1"),
            (made(lambda p, _: 0.5 * p.cos(), name="half"), "the half is missing"),
            (made(lambda p, _: 0.5 + 0.5 * p.sin(), name="sine"), "this is the sine"),
            (made(lambda p, _: 0.5 + 0.5 * (p / 2 / math.pi).cos(), name="no_pi"), "2π is missing"),
            (made(lambda p, d: 0.5 + 0.5 * (p * d * d).cos(), name="times"), "divide by it"),
            (one_row, "one row"),
            (made(lambda p, _: 1 + p.cos() / 2, name="brackets"), "half of the whole sum"),
            (made(start=1, name="from_one"), "are counted from 0"),
            (made(start=-3.5, name="from_the_middle"), "not the middle"),
            (divided_by_the_size, "don't divide them by the size"),
            (stretched, "x counts the columns 0, 1, 2"),
            (lambda s, a, p: grating_by_loops(s, 0, p), "still stand upright"),
            (lambda s, a, p: torch.cos(math.radians(a)), "the angle is a number"),
            (lambda s, a, p: math.cos(torch.arange(s)), "and math.cos takes one number"),
            (lambda s, a, p: range(s)[:, None], "`range` can't be added or multiplied"),
            (lambda s, a, p: range(s) * math.cos(a), "`range` can't be added or multiplied"),
        ],
    },
    "14.4": {
        "second": weighted,
        "wrong": [
            (turned_round, "turned round"),
            (not_clamped, "between 0 and 1"),
            (effect_alone, "the effect alone"),
            (wrong_way, "the wrong way"),
            (onto_the_derained, "to the derained picture"),
            (at_most_one, "cut off at 1"),
            (no_strength, "strength does nothing"),
            (lambda x, y, s: (x + s * y - x).clamp(0, 1), r"brackets: strength · \(derained"),
            (lambda x, y, s: (x - s * y).clamp(0, 1), "you subtracted the derained picture"),
            (lambda x, y, s: (x + s * (y - x)).clamp(max=1), "must not fall below 0"),
            (lambda x, y, s: (x + s * (y - x)).clamp(min=0), "must not rise above 1"),
            (lambda x, y, s: x + (s * (y - x)).clamp(0, 1), "and not what is added"),
        ],
    },
}
