"""Answers to the exercises of lesson 01: a second right one, and wrong ones with the reason."""

import random

import numpy as np
import torch

# ------------------------------------------------------------------------------------- 01.1: rain


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


def rain_of_minimum(clean, streaks):
    rainy = min(clean + streaks, 1)
    return rainy, rainy - clean


def rain_clamp_without_limits(clean, streaks):
    rainy = torch.clamp(clean + streaks)
    return rainy, rainy - clean


def rain_of_clamped_streaks(clean, streaks):
    rainy = clean + streaks.clamp(0, 1)
    return rainy, rainy - clean


# -------------------------------------------------------------------------------- 01.2: the shift


def shift_by_views(rainy, clean, reach):
    """Compare the middle of ``rainy`` with windows of ``clean``, without roll."""
    height, width = rainy.shape[1] - 2 * reach, rainy.shape[2] - 2 * reach
    middle = rainy[:, reach : reach + height, reach : reach + width]
    errors = torch.stack([
        ((clean[:, y : y + height, x : x + width] - middle) ** 2).sum()
        for y in range(2 * reach, -1, -1) for x in range(2 * reach, -1, -1)
    ])
    row, column = divmod(int(errors.argmin()), 2 * reach + 1)
    return [row - reach, column - reach]


def shifter(low=None, high=None, dims=(1, 2), border=True, sign=1, worst=False):
    """Return a search: right, unless one of its parts is replaced."""

    def search(rainy, clean, reach):
        moves = range(-reach if low is None else low, reach + 1 if high is None else reach + high)
        errors = {}
        for y in moves:
            for x in moves:
                error = (rainy - clean.roll((y, x), dims)) ** 2
                error = error[:, reach:-reach, reach:-reach] if border else error
                errors[y, x] = error.mean()
        y, x = (max if worst else min)(errors, key=errors.get)
        return sign * y, sign * x

    return search


def searcher(cut, error=lambda d: d.square().mean(), first=float("inf"), whole=True, again=False):
    """Return a search by two loops: right, unless the border, the error or the loop is replaced."""

    def search(rainy, clean, reach):
        best, smallest, moved = (0, 0), first, clean
        for y in range(-reach, reach + 1):
            for x in range(-reach, reach + 1):
                moved = (moved if again else clean).roll((y, x), dims=(1, 2))
                one = error(cut(rainy - moved, reach))
                if one < smallest:
                    best, smallest = (y, x), one
            if not whole:
                return best
        return best

    return search


def inner(x, reach):
    return x[:, reach:-reach, reach:-reach]


def shift_with_error(rainy, clean, reach):
    return searcher(inner)(rainy, clean, reach), 0.1


def shift_of_rainy(rainy, clean, reach):
    return searcher(inner)(clean, rainy, reach)


def shift_one_cut(rainy, clean, reach):
    return searcher(lambda x, reach: x)(inner(rainy, reach), clean, reach)


def shift_at_most_one(rainy, clean, reach):
    return searcher(inner)(rainy, clean, 1)


BORDERS = [  # some of the four sides: each alone, two that meet, two that face each other, three
    lambda x, r: x[:, r:], lambda x, r: x[:, :-r],
    lambda x, r: x[..., r:], lambda x, r: x[..., :-r],
    lambda x, r: x[:, r:, r:], lambda x, r: x[:, :-r, :-r],
    lambda x, r: x[:, r:, :-r], lambda x, r: x[:, :-r, r:],
    lambda x, r: x[:, r:-r], lambda x, r: x[..., r:-r],
    lambda x, r: x[:, r:, r:-r], lambda x, r: x[:, :-r, r:-r],
    lambda x, r: x[:, r:-r, r:], lambda x, r: x[:, r:-r, :-r],
]  # fmt: skip


def shift_without_dims(rainy, clean, reach):
    return clean.roll((1, 1)), rainy


def smallest_error(rainy, clean, reach):
    return (rainy - clean.roll((0, 1), dims=(1, 2))).square().mean()


# -------------------------------------------------------------------------------- 01.3: sample k


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


def drawer(cut, integers=None, generator=lambda seed, k: np.random.default_rng((seed, k))):
    """Return a sampler that draws a place, and cuts both patches in its own way."""

    def sample(rainy, clean, size, seed, k):
        rng = generator(seed, k)
        draw = integers or (lambda rng, side, size: rng.integers(side - size + 1))
        top, left = draw(rng, rainy.shape[-2], size), draw(rng, rainy.shape[-1], size)
        return cut(rainy, top, left, size), cut(clean, top, left, size)

    return sample


def patch_of(x, top, left, size):
    return x[:, top : top + size, left : left + size]


def sample_one_place(rainy, clean, size, seed, k):
    rng = np.random.default_rng((seed, k))
    start, mirrored = rng.integers(rainy.shape[1] - size + 1), rng.random() < 0.5
    return tuple(cut(x, start, start, size, mirrored) for x in (rainy, clean))


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
            (rain_of_minimum, r"use x.clamp\(0, 1\) \(your function raised RuntimeError"),
            (rain_clamp_without_limits, "clamp needs its limits"),
            (rain_of_clamped_streaks, "you cut the streaks alone"),
            (lambda b, r: ((b + r).clamp(0, 1), r.clamp(0, 1) + 0 * b), "depends on the picture"),
            (lambda b, r: ((b + r).clamp(0, 1), (b + r).clamp(0, 1) - r), "take the clean picture"),
        ],
    },
    "01.2": {
        "second": shift_by_views,
        "wrong": [
            (shifter(sign=-1), "the move of `rainy`: move `clean`"),
            (lambda *given: shifter()(*given)[::-1], "columns and rows have changed places"),
            (shifter(border=False), "came in again on the other side"),
            (shifter(high=0), r"never try a move of \+reach"),
            (shifter(low=0), "begin at −reach"),
            (shifter(dims=(0, 1)), "you moved the colours"),
            (shifter(worst=True), "has the largest error"),
            (lambda rainy, clean, reach: (reach, reach), "the last move that is tried"),
            (lambda rainy, clean, reach: (-reach, -reach), "the first move that is tried"),
            (shift_without_dims, r"needs two dimensions: clean.roll"),
            (smallest_error, "return the move that has it"),
            (lambda rainy, clean, reach: 1, "return two whole numbers"),
            *((searcher(cut), "leave out `reach` pixels on all four sides") for cut in BORDERS),
            (searcher(lambda x, reach: x[:, 1:-1, 1:-1]), "you leave out one pixel on each side"),
            (searcher(lambda x, r: x[r:-r, r:-r]), "the mean of an empty piece"),
            (searcher(inner, first=0), r"begin with an error that is larger than all"),
            (searcher(inner, error=torch.mean), "square the difference before"),
            (searcher(inner, error=lambda d: d.mean() ** 2), "square the difference before"),
            (searcher(inner, error=lambda d: d.abs().mean()), "here its square counts"),
            (searcher(inner, error=torch.square), "an error is one number for each move"),
            (searcher(inner, whole=False), "`return` stands after both loops"),
            (searcher(inner, again=True), "roll the `clean` that you were given"),
            (shift_of_rainy, "the move of `rainy`: move `clean`"),
            (shift_with_error, "without the error"),
            (shift_one_cut, "the border off one picture alone"),
            (shift_at_most_one, "moves of at most 1 pixel"),
            (shifter(low=0, high=0), "begin at −reach"),
        ],
    },
    "01.3": {
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
            (sample_one_place, "draw the row and the column apart"),
            (drawer(lambda x, top, left, size: x[top : top + size, left : left + size]),
             "the first index of a picture is the colour"),
            (drawer(lambda x, top, left, size: x[:, top:size, left:size]), "ends at start .+ size"),
            (drawer(patch_of, lambda rng, side, size: rng.integers(side)), "ends outside of the"),
            (drawer(patch_of, lambda rng, side, size: rng.randint(side)), "and no `randint`"),
            (drawer(patch_of, lambda rng, side, size: rng.integers(side - 9)), "of at least 1"),
            (drawer(patch_of, generator=lambda seed, k: np.random.default_rng(seed, k)),
             "give both numbers as one pair"),
            (drawer(patch_of, generator=lambda *both: np.random.RandomState(both)),
             "RandomState is the old kind"),
            (drawer(lambda x, top, left, size: patch_of(x, top, left, size)[..., ::-1]),
             r"use x.flip\(-1\)"),
            (lambda o, b, *rest: sampler()(b, o, *rest), "return rainy first"),
            (lambda o, b, *rest: sampler()(o, b, *rest)[0], "return two tensors"),
        ],
    },
}
