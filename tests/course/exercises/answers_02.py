"""Answers to the exercises of lesson 02: a second right one, and wrong ones with the reason."""

import math

import numpy as np
import torch

# ----------------------------------------------------------------------------------- 02.2: a score


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


def psnr_first_cut(derained, clean):
    y = y_of(clean, bits=lambda x: x.double().numpy() * 255)
    return -20 * math.log10(np.sqrt(np.mean((y_of(derained) - y) ** 2)) / 255)


def psnr_second_cut(derained, clean):
    y = y_of(derained, bits=lambda x: x.double().numpy() * 255)
    return -20 * math.log10(np.sqrt(np.mean((y - y_of(clean)) ** 2)) / 255)


def psnr_flat_weights(derained, clean):
    weights = torch.tensor([65.481, 128.553, 24.966])
    x, y = ((weights * p).sum(dim=0) for p in (derained, clean))
    return -10 * torch.log10((x - y).square().mean())


WEIGHTS = torch.tensor([65.481, 128.553, 24.966]).view(3, 1, 1)


def psnr_of(
    cut=lambda p: (p.clamp(0, 1) * 255).floor() / 255,
    y=lambda p: (16 + (WEIGHTS * p).sum(dim=0)) / 255,
    end=lambda error: -10 * torch.log10(error.square().mean()),
):
    """Return a PSNR in three steps: right, unless one of them is replaced."""
    return lambda derained, clean: end(y(cut(derained)) - y(cut(clean)))


def psnr_of_cut_difference(derained, clean):
    error = ((derained - clean) * 255).floor() / 255
    return -10 * torch.log10(((WEIGHTS * error).sum(dim=0) / 255).square().mean())


def psnr_of_byte_difference(derained, clean):
    x, y = ((p.clamp(0, 1) * 255).byte() for p in (derained, clean))
    return -10 * torch.log10(((WEIGHTS * ((x - y) / 255)).sum(dim=0) / 255).square().mean())


def psnr_of_weighted_squares(derained, clean):
    x, y = ((p.clamp(0, 1) * 255).floor() / 255 for p in (derained, clean))
    return -10 * torch.log10(((WEIGHTS * (x - y).square()).sum(dim=0) / 255).mean())


def psnr_of_floored_y(derained, clean):
    x, y = (((WEIGHTS * p).sum(dim=0) + 16).floor() / 255 for p in (derained, clean))
    return -10 * torch.log10((x - y).square().mean())


def psnr_in_place(derained, clean):
    return psnr_of()(derained.clamp_(0, 1), clean.clamp_(0, 1))


SCORES_WRONG = [
    (psnr_of(cut=lambda p: (p.clamp(0, 255) * 255).floor() / 255), r"only after times 255"),
    (psnr_of(cut=lambda p: p.clamp(0, 1).floor()), "your two pictures became equal"),
    (psnr_of(cut=lambda p: (p * 255).clamp(0, 1).floor()), "your two pictures became equal"),
    (psnr_of(cut=lambda p: math.floor(p * 255) / 255), r"for a picture use x.floor\(\)"),
    (psnr_of(cut=lambda p: int(p * 255) / 255), r"for a picture use x.floor\(\)"),
    (psnr_of(cut=lambda p: max(0, min(p, 1))), "min and max compare two numbers"),
    (psnr_of(cut=torch.clamp), "clamp needs its limits"),
    (psnr_of(y=lambda p: (16 + (WEIGHTS * p).mean(dim=0)) / 255), "9.54 dB too much"),
    (psnr_of(y=lambda p: (16 + WEIGHTS * p) / 255), "Y is one picture"),
    (psnr_of(y=lambda p: (16 + (WEIGHTS * p).sum(dim=-1)) / 255), "you add up the columns"),
    (psnr_of(y=lambda p: (16 + WEIGHTS.flatten() @ p) / 255), "@ is a product of matrices"),
    (psnr_of(y=lambda p: ((WEIGHTS * p).sum(dim=0) + 16).floor() / 255), "cut only red, green"),
    (psnr_of_floored_y, "red, green and blue, before Y"),
    (psnr_of_cut_difference, "you cut the difference to 8 bits"),
    (psnr_of_byte_difference, "bytes wrap around"),
    (psnr_of_weighted_squares, "its difference is squared"),
    (psnr_in_place, r"not x.clamp_\(\)"),
    (psnr_of(end=lambda e: -10 * torch.log10(-e.mean().abs())), "has no logarithm: square"),
    (psnr_of(end=lambda e: -10 * torch.log10(e.abs().mean())), "PSNR takes its square"),
    (psnr_of(end=lambda e: -20 * torch.log10(e.mean().abs())), "first, then take the mean"),
    (psnr_of(end=lambda e: -10 * torch.log10(e.square().mean() + 1e-8)), "add nothing to"),
    (psnr_of(end=lambda e: 10 * math.log10(1 / e.square().mean().item())), "1/0 is an error"),
    (psnr_of(end=lambda e: -10 * torch.log10(e.square().mean().item())), "leave out .item()"),
    (psnr_of(end=lambda e: 10 * torch.log10((235 / 255) ** 2 / e.square().mean())),
     "0.71 dB too little"),
    (psnr_of(end=lambda e: 10 * torch.log10(235**2 / e.square().mean())), "47.42 dB too much"),
    (psnr_of(end=lambda e: round(-10 * math.log10(e.square().mean() + 1e-30), 2)), "not rounded"),
]  # fmt: skip


# ------------------------------------------------------------------------- 02.3: what Y can't see


def unseen_by_matrix(clean, strength):
    weights, blue = torch.tensor([65.481, 128.553, 24.966]), torch.tensor([0, 0, 1.0])
    direction = torch.linalg.cross(weights, blue)
    return clean + (direction / direction[0] * strength).view(3, 1, 1)


def tint(red, green, blue=0.0):
    """Return an answer that adds multiples of ``strength`` to the colours."""
    return lambda clean, s: clean + s * torch.tensor([red, green, blue]).view(3, 1, 1)


def unseen_in_place(clean, strength):
    clean[0] += strength
    clean[1] -= strength * 65.481 / 128.553
    return clean


def unseen_product(clean, strength):
    red, green, blue = clean
    return torch.stack([red * (1 + strength), green - strength * 65.481 / 128.553, blue])


def painted(paint):
    """Return an answer that changes the colours of a copy in place."""

    def unseen(clean, strength):
        copy = clean.clone()
        return paint(copy, strength) or copy

    return unseen


def paint(copy, red=0.0, green=0.0, blue=0.0):
    for colour, change in zip(copy, (red, green, blue), strict=True):
        colour += change


RATIO = 65.481 / 128.553


def unseen_clamped(clean, strength):
    return tint(1, -RATIO)(clean, strength).clamp(0, 1)


def unseen_replaced(clean, strength):
    red, green = (torch.full_like(clean[0], value) for value in (strength, -strength * RATIO))
    return torch.stack([red, green, clean[2]])


def unseen_multiplied(clean, strength):
    red, green, blue = clean
    return torch.stack([red * (1 + strength), green * (1 - strength * RATIO), blue])


def unseen_of_all_red(clean, strength):
    red = clean[0] + strength
    return torch.stack([red, clean[1] - red * RATIO, clean[2]])


def unseen_last_dimension(clean, strength):
    copy = clean.clone()
    copy[..., 0] += strength
    copy[..., 1] -= strength * RATIO
    return copy


PICTURES_WRONG = [
    (unseen_clamped, "you cut the values off"),
    (unseen_replaced, "replaces the colour"),
    (unseen_multiplied, "do not multiply by them"),
    (unseen_of_all_red, "what red gained"),
    (unseen_last_dimension, r"red is picture\[0\], green picture\[1\] \(your function raised"),
    (lambda clean, s: clean.clone(), "makes a new tensor and drops it"),
    (tint(0, -RATIO), "red is as it was"),
    (tint(-1, RATIO), "red has the wrong sign"),
    (tint(1 / 255, -RATIO / 255), "do not divide it by 255"),
    (tint(1, -RATIO / 2, -65.481 / 24.966 / 2), "green alone balances red"),
    (tint(0, -RATIO, 1), "you changed blue"),
    (tint(0, 1, -RATIO), "the colours are red, green, blue"),
    (painted(lambda copy, s: paint(copy, s, -(16 + s * 65.481) / 128.553)), "the 16 of Y"),
    (lambda clean, s: [clean[0] + s, clean[1] - s * RATIO, clean[2]], "return one picture"),
    (lambda clean, s: clean.copy(), r"clean.clone\(\)"),
    (lambda clean, s: clean.clone[0], r"clone is a method"),
]


# ---------------------------------------------------------------------- 02.4: what may be compared

SAME = ("trained on", "tested on", "protocol")


def comparable_by_key(rows):
    seen, pairs = {}, set()
    for j, row in enumerate(rows):
        earlier = seen.setdefault(tuple(row[column] for column in SAME), [])
        pairs |= {(i, j) for i in earlier}
        earlier.append(j)
    return pairs


def comparer(columns=SAME, first=lambda i: i + 1, last=lambda i, n: n):
    """Return an answer that looks at some columns, and at j from ``first`` to ``last``."""

    def compare(rows):
        return [
            (i, j) for i in range(len(rows)) for j in range(first(i), last(i, len(rows)))
            if all(rows[i][column] == rows[j][column] for column in columns)
        ]

    return compare


def first_pair_only(rows):
    return comparer()(rows)[:1]


def rows_as_numbers(rows):
    return [(i, j) for i in rows for j in rows if rows[i]["protocol"] == rows[j]["protocol"]]


def rows_as_objects(rows):
    return [(i, j) for i, one in enumerate(rows) for j in range(i) if one.protocol]


ANSWERS = {
    "02.1": {
        "second": lambda psnr: math.sqrt(255**2 / 10 ** (psnr / 10)),
        "wrong": [
            (lambda psnr: 10 ** (-psnr / 20), "times 255"),
            (lambda psnr: 10 ** (-psnr / 10), "take its root"),
            (lambda psnr: 255 * 10 ** (-psnr / 10), "255 times the mean squared error"),
            (lambda psnr: (255 * 10 ** (-psnr / 10)) ** 0.5, "before you multiply by 255"),
            (lambda psnr: 255 * 10 ** (psnr / 20), "the sign is wrong"),
            (lambda psnr: 255 * math.exp(-psnr / 20), "and not exp"),
            (lambda psnr: 255 * math.exp(-psnr / 10), "And take the root"),
            (lambda psnr: 255 * 10**-psnr / 20, "this is nearly 0"),
            (lambda psnr: 255 * 10 ** (-psnr / 10) / 2, "a root halves the exponent"),
            (lambda psnr: 255**2 * 10 ** (-psnr / 10), "squared error in grey levels"),
            (lambda psnr: 255 * 10 ^ (-psnr / 20), r"a power is written \*\*"),
            (lambda psnr: 255 * math.log10(-psnr / 20), "no logarithm is left"),
            (lambda psnr: 255 * torch.sqrt(10 ** (-psnr / 10)), "psnr is a plain number"),
            (lambda psnr: 255 * torch.pow(10, -psnr / 20), "psnr is a plain number"),
        ],
    },
    "02.2": {
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
            (psnr_without_zero, r"math.log10\(0\) is an error"),
            (psnr_first_cut, "cut only the first picture"),
            (psnr_second_cut, "cut only the second picture"),
            (psnr_flat_weights, r"weights.view\(3, 1, 1\)"),
            (lambda x, y: -psnr_numpy(x, y), "the sign is wrong"),
            (lambda x, y: 2 * psnr_numpy(x, y), "belongs to the root"),
            (lambda x, y: psnr_numpy(x, y) / 2, "20·log₁₀ to its root"),
            (lambda x, y: psnr_numpy(x, y) * math.log(10), "base 10"),
            *SCORES_WRONG,
        ],
    },
    "02.3": {
        "second": unseen_by_matrix,
        "wrong": [
            (tint(1, 0), "lower green, too"),
            (tint(1, -1), "green weighs more in Y than red"),
            (tint(1, -128.553 / 65.481), "the weights have changed places"),
            (tint(1, 65.481 / 128.553), "green has the wrong sign"),
            (tint(1, 0, -65.481 / 24.966), "leave blue as it was"),
            (tint(-128.553 / 65.481, 1), "this makes the picture greener"),
            (unseen_product, "do not multiply"),
            (unseen_in_place, "changed the tensor it was given"),
            (lambda clean, s: clean[0] + s, "The shape should be"),
            *PICTURES_WRONG,
        ],
    },
    "02.4": {
        "second": comparable_by_key,
        "wrong": [
            (comparer(columns=SAME[1:]), "differ in 'trained on'"),
            (comparer(columns=(SAME[0], SAME[2])), "differ in 'tested on'"),
            (comparer(columns=SAME[:2]), "differ in 'protocol'"),
            (comparer(columns=(*SAME, "network")), "agree in everything but the network"),
            (comparer(first=lambda i: i), "not compared with itself"),
            (lambda rows: [p[::-1] for p in comparer()(rows)], "with i < j"),
            (comparer(last=lambda i, n: min(i + 2, n)), "rows that are not neighbours"),
            (lambda rows: 2 * comparer()(rows), "twice"),
            (lambda rows: len(comparer()(rows)), "return a list of pairs"),
            (lambda rows: (0, 1), "this is one pair"),
            (lambda rows: [0], "it should hold pairs"),
            (lambda rows: [(rows[0], rows[-1])], "not the rows"),
            (comparer(columns=(*SAME, "psnr")), "do you compare the network or the PSNR, too"),
            (comparer(last=lambda i, n: n - 1), "does a loop end before the last row"),
            (comparer(last=lambda i, n: n + 1), r"range\(i \+ 1, len\(rows\)\)"),
            (comparer(columns=("trained_on",)), "the keys are written"),
            (lambda rows: [(i + 1, j + 1) for i, j in comparer()(rows)], "count from 0"),
            (first_pair_only, "does `return` stand after both loops"),
            (rows_as_numbers, "should be numbers of rows"),
            (rows_as_objects, "a row is a dictionary"),
        ],
    },
}
