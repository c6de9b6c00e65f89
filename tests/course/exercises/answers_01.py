"""Answers to the exercises of lesson 01: a second right one, and wrong ones with the reason."""

import math
import random

import numpy as np
import torch

# ------------------------------------------------------------------------------- 01.1, 01.2: rain


def rain_by_minimum(clean, streaks):
    layer = torch.minimum(streaks.expand_as(clean), 1 - clean)
    return clean + layer, layer


def rain_unclipped(clean, streaks):
    return clean + streaks, streaks + 0 * clean


def rain_normalised(clean, streaks):
    rainy = (clean + streaks) / (clean + streaks).max().clamp(min=1)
    return rainy, rainy - clean


def rain_as_it_fell(clean, streaks):
    return (clean + streaks).clamp(0, 1), streaks.expand_as(clean)


def rain_lost(clean, streaks):
    rainy = (clean + streaks).clamp(0, 1)
    return rainy, streaks - (rainy - clean)


def rain_negative(clean, streaks):
    rainy = (clean + streaks).clamp(0, 1)
    return rainy, clean - rainy


def rain_in_place(clean, streaks):
    before = clean.clone()
    clean += streaks
    return clean.clamp(0, 1), clean.clamp(0, 1) - before


def rain_as_one(clean, streaks):
    return (clean + streaks).clamp(0, 1)


def rain_clamp_dropped(clean, streaks):
    rainy = clean + streaks
    rainy.clamp(0, 1)
    return rainy, rainy - clean


def undo_by_loop(rainy, streaks):
    dry = 1 - streaks.expand_as(rainy)
    values = [1 - (1 - o) / t if t > 0 else 0.0
              for o, t in zip(rainy.flatten().tolist(), dry.flatten().tolist(), strict=True)]
    return torch.tensor(values).view_as(rainy)


def undo_with_a_tiny_number(rainy, streaks):
    return (rainy - streaks) / (1 - streaks).clamp(min=1e-6)


# ----------------------------------------------------------------------------------- 01.3: a score


def eight_bits(x):
    return np.floor(np.clip(x.numpy(), 0, 1) * np.float32(255)).astype(np.float64)


def y_of(x, bits=eight_bits, weights=(65.481, 128.553, 24.966)):
    red, green, blue = bits(x)
    return (weights[0] * red + weights[1] * green + weights[2] * blue) / 255


def psnr_numpy(derained, clean, **options):
    root = np.sqrt(np.mean((y_of(derained, **options) - y_of(clean, **options)) ** 2))
    return 20 * np.log10(255 / root) if root else np.inf


def psnr_rgb(derained, clean):
    error = ((eight_bits(derained) - eight_bits(clean)) ** 2).mean() / 255**2
    return -10 * math.log10(error)


def psnr_rounded(derained, clean):
    return psnr_numpy(derained, clean, bits=lambda x: (x.clamp(0, 1) * 255).round().numpy())


def psnr_no_bits(derained, clean):
    return psnr_numpy(derained, clean, bits=lambda x: x.clamp(0, 1).double().numpy() * 255)


def psnr_unclamped(derained, clean):
    return psnr_numpy(derained, clean, bits=lambda x: (x * 255).floor().double().numpy())


def psnr_wrapped(derained, clean):
    return psnr_numpy(derained, clean, bits=lambda x: (x.double() * 255).byte().double().numpy())


def psnr_white_is_one(derained, clean):
    return psnr_numpy(derained, clean, weights=(255 * 0.299, 255 * 0.587, 255 * 0.114))


def psnr_blue_first(derained, clean):
    return psnr_numpy(derained.flip(0), clean.flip(0))


def psnr_greys(derained, clean):
    return psnr_numpy(derained, clean, weights=(85, 85, 85))


def psnr_wrong_peak(derained, clean):
    error = np.mean((y_of(derained) / 255 - y_of(clean) / 255) ** 2)
    return 10 * np.log10(255**2 / error)


def psnr_peak_too_small(derained, clean):
    return -10 * np.log10(np.mean((y_of(derained) - y_of(clean)) ** 2))


def psnr_sum(derained, clean):
    return -10 * np.log10(np.sum((y_of(derained) / 255 - y_of(clean) / 255) ** 2))


def psnr_without_zero(derained, clean):
    return -10 * math.log10(np.mean((y_of(derained) / 255 - y_of(clean) / 255) ** 2))


def psnr_undefined(derained, clean):
    score = psnr_numpy(derained, clean)
    return score if math.isfinite(score) else math.nan


# -------------------------------------------------------------------------------- 01.4: sample k


def cut(x, top, left, size, mirrored):
    patch = x[:, top : top + size, left : left + size]
    return patch.flip(-1) if mirrored else patch


def sampler(generator=lambda seed, k: np.random.default_rng((seed, k)), spare=0, coins=(0.5, 0.5)):
    """Return a sampler: right, unless one of its parts is replaced."""

    def sample(rainy, clean, size, seed, k):
        rng = generator(seed, k)
        top = rng.integers(rainy.shape[1] - size + 1 - spare)
        left = rng.integers(rainy.shape[2] - size + 1 - spare)
        dice = rng.random()
        return tuple(
            cut(x, top, left, size, dice < coin)
            for x, coin in zip((rainy, clean), coins, strict=True)
        )

    return sample


def sample_with_torch(rainy, clean, size, seed, k):
    own = torch.Generator().manual_seed(random.Random(f"{seed}, {k}").getrandbits(60))
    top, left = (
        int(torch.randint(0, side - size + 1, (1,), generator=own)) for side in rainy.shape[1:]
    )
    both = torch.stack([rainy, clean])[..., top : top + size, left : left + size]
    if torch.rand(1, generator=own) < 0.5:
        both = both.flip(3)
    return both[0], both[1]


def sample_twice(rainy, clean, size, seed, k):
    rng = np.random.default_rng((seed, k))
    tops, lefts = (rng.integers(side - size + 1, size=2) for side in rainy.shape[1:])
    return cut(rainy, tops[0], lefts[0], size, False), cut(clean, tops[1], lefts[1], size, False)


def sample_global(rainy, clean, size, seed, k):
    torch.manual_seed(1_000_003 * seed + k)
    top, left = (int(torch.randint(side - size + 1, ())) for side in rainy.shape[1:])
    mirrored = bool(torch.rand(()) < 0.5)
    return cut(rainy, top, left, size, mirrored), cut(clean, top, left, size, mirrored)


def sample_upside_down(rainy, clean, size, seed, k):
    return tuple(x.flip(1) for x in sampler()(rainy, clean, size, seed, k))


def sample_axes_exchanged(rainy, clean, size, seed, k):
    rng = np.random.default_rng((seed, k))
    left, top = rng.integers(rainy.shape[1] - size + 1), rng.integers(rainy.shape[2] - size + 1)
    return cut(rainy, top, left, size, False), cut(clean, top, left, size, False)


def sample_on_the_diagonal(rainy, clean, size, seed, k):
    rng = np.random.default_rng((seed, k))
    dice, mirrored = rng.random(), rng.random() < 0.5
    top, left = (int(dice * (side - size + 1)) for side in rainy.shape[1:])
    return cut(rainy, top, left, size, mirrored), cut(clean, top, left, size, mirrored)


def sample_too_wide(rainy, clean, size, seed, k):
    return tuple(cut(x, 0, 0, size + 1, False) for x in (rainy, clean))


ONE = np.random.default_rng(0)  # a generator that remembers how often it was asked

ANSWERS = {
    "01.1": {
        "second": rain_by_minimum,
        "wrong": [
            (rain_unclipped, "nothing is brighter than white"),
            (rain_clamp_dropped, "nothing is brighter than white"),
            (rain_normalised, "you made the whole picture darker"),
            (rain_as_it_fell, "what fell, not what the pair shows"),
            (rain_lost, "the light that was lost"),
            (rain_negative, "the layer has the wrong sign"),
            (rain_in_place, "changed the tensor it was given"),
            (rain_as_one, "return two tensors, `return rainy, layer`"),
            (lambda b, r: (b + r * (1 - b), r), "this is screen blending"),
            (lambda b, r: rain_by_minimum(b, r)[::-1], "your first tensor is the layer"),
            (lambda b, r: ((b + r).clamp(0, 1), b + r - b), "not what the pair shows"),
        ],
    },
    "01.2": {
        "second": undo_by_loop,
        "wrong": [
            (lambda o, r: o - r, "undoes an addition"),
            (lambda o, r: (o - r).clamp(0, 1), "undoes an addition"),
            (lambda o, r: 1 - (1 - o) * (1 - r), "puts the rain on a second time"),
            (lambda o, r: o / (1 - r), "forgets the light that the rain itself added"),
            (lambda o, r: (o - r) / (1 - r), "you divide 0 by 0"),
            (lambda o, r: (o - r) / (1 - r + 1e-3), "the small number in your divisor"),
            (lambda o, r: (o - r) / (1 - o), "you divide by 1 − O"),
            (lambda o, r: torch.where(r < 1, (o - r) / (1 - r), o), "no background is left"),
            (lambda o, r: undo_by_loop(o, r)[..., :1], "The shape should be"),
        ],
    },
    "01.3": {
        "second": psnr_numpy,
        "wrong": [
            (psnr_rgb, "you compare red, green and blue"),
            (psnr_rounded, "you round to 8 bits"),
            (psnr_no_bits, "did not turn the pictures into 8 bits"),
            (psnr_unclamped, "clamp the pictures first"),
            (psnr_wrapped, "clamp the pictures first"),
            (psnr_white_is_one, "white is 235/255"),
            (psnr_blue_first, "red and blue have changed places"),
            (psnr_greys, "weigh the three colours equally"),
            (psnr_wrong_peak, "48.13 dB too much"),
            (psnr_peak_too_small, "48.13 dB too little"),
            (psnr_sum, "you add the squared errors up"),
            (psnr_undefined, "equal in 8 bits is not right. Yours is nan, expected inf"),
            (psnr_without_zero, "your function raised ValueError"),
            (lambda x, y: -psnr_numpy(x, y), "the sign is wrong"),
            (lambda x, y: 2 * psnr_numpy(x, y), "belongs to the root"),
            (lambda x, y: psnr_numpy(x, y) / 2, "20·log₁₀ to its root"),
            (lambda x, y: psnr_numpy(x, y) * math.log(10), "base 10"),
        ],
    },
    "01.4": {
        "second": sample_with_torch,
        "wrong": [
            (sampler(lambda seed, k: np.random.default_rng()), "only seed and k may decide"),
            (sampler(lambda seed, k: ONE), "only seed and k may decide"),
            (sampler(lambda seed, k: np.random.default_rng(seed)), "k must count, too"),
            (sampler(lambda seed, k: np.random.default_rng(k)), "the seed must count, too"),
            (sampler(lambda seed, k: np.random.default_rng(seed + k)), "do not add seed and k"),
            (sampler(lambda seed, k: np.random.default_rng(1000 * seed + k)), "from sample 1000"),
            (sampler(lambda seed, k: np.random.default_rng(seed * k)), "k must count, too"),
            (sampler(lambda *both: np.random.default_rng(sorted(both))), "change places"),
            (sampler(spare=1), r"never started at row \[2\]. Mind the end of the range"),
            (sampler(coins=(0.5, 0.0)), "only one of the two patches is mirrored"),
            (sampler(coins=(0.0, 0.0)), "no patch is mirrored"),
            (sampler(coins=(1.0, 1.0)), "all patches are mirrored"),
            (sampler(coins=(0.1, 0.1)), "it should be half"),
            (sample_twice, "the two patches are not a pair"),
            (sample_global, "random numbers that the whole program shares"),
            (sample_upside_down, "mirrored from left to right"),
            (sample_axes_exchanged, r"should be \(3, 4, 4\)"),
            (sample_on_the_diagonal, "draw all three apart"),
            (sample_too_wide, r"yours is \(3, 5, 5\)"),
            (lambda o, b, *rest: sampler()(b, o, *rest), "return rainy first"),
            (lambda o, b, *rest: sampler()(o, b, *rest)[0], "return two tensors"),
        ],
    },
}
