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
        ],
    },
}
