"""The exercises of lesson 02: decibels, a paper's PSNR, what Y can't see, what to compare."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, SupportsIndex

import torch
from torch import Tensor

from derain_edu.course.exercises.checking import (
    Wrong,
    checker,
    expect,
    expect_close,
    hinted,
    show,
)
from derain_edu.language import local
from derain_edu.metrics import psnr

RED, GREEN, BLUE = 65.481, 128.553, 24.966  # the weights of Y

# What Python and PyTorch say about one exercise, and what it means there.
NUMBER_ERRORS = {
    "for ^": "a power is written ** in Python; ^ is another operation",
    "math domain error": "you take the logarithm of a negative number: on the way back from "
    "decibels no logarithm is left, 10**x undoes it",
    "must be Tensor, not float": "psnr is a plain number: math.sqrt takes it, or x**0.5",
    "invalid combination of arguments": "psnr is a plain number: write a power as 10**x",
}
SCORE_ERRORS = {
    "must match the size": "the three weights do not fit to a picture (3, H, W): give them the "
    "shape (3, 1, 1) with weights.view(3, 1, 1)",
    "mat1 and mat2": "@ is a product of matrices: multiply by weights of the shape (3, 1, 1), and "
    "sum over the three colours",
    "batch2 tensor": "@ is a product of matrices: multiply by weights of the shape (3, 1, 1), and "
    "sum over the three colours",
    "math domain error": "math.log10(0) is an error: for equal pictures return math.inf, or take "
    "torch.log10",
    "expected a positive input": "math.log10(0) is an error: for equal pictures return math.inf, "
    "or take torch.log10",
    "division by zero": "for equal pictures the error is 0, and 1/0 is an error: return math.inf, "
    "or take -10 * torch.log10(error)",
    "log10(): argument 'input'": "torch.log10 takes a tensor, and your error is a plain number: "
    "leave out .item(), or take math.log10 where the error is not 0",
    "only one element tensors": "math.floor and int take one number; for a picture use x.floor()",
    "At least one of 'min' or 'max'": "clamp needs its limits: x.clamp(0, 1)",
    "Boolean value of Tensor": "min and max compare two numbers, not pictures: use x.clamp(0, 1)",
}
PICTURE_ERRORS = {
    "out of bounds for dimension": "a picture is (3, H, W): red is picture[0], green picture[1]",
    "no attribute 'copy'": "the copy of a tensor is clean.clone()",
    "not subscriptable": "clone is a method: clean.clone()",
}
ROW_ERRORS = {
    "KeyError": 'the keys are written "trained on", "tested on" and "protocol"',
    "list index out of range": "j ends at the last row: range(i + 1, len(rows))",
    "'dict' object has no attribute": 'a row is a dictionary: rows[i]["protocol"]',
    "list indices must be integers": "i and j should be numbers of rows: for i in range(len(rows))",
}

# -------------------------------------------------------------------------------- 02.1: decibels


@checker("02.1")
def check_typical_error(answer: Callable[..., Any]) -> None:
    """Try ``typical_error(psnr)`` on good, bad and very bad scores."""
    for score in (20.0, 40.0, 33.5, 0.0):
        root = 10 ** (-score / 20)
        expect_close(hinted(answer, NUMBER_ERRORS, score), 255 * root, "the typical error",
                     example=f"psnr = {score:g}", mistakes={
            "this is the error of values in [0, 1]: times 255 makes grey levels of it": root,
            "this is the mean squared error: take its root": root**2,
            "this is 255 times the mean squared error: take the root of it first": 255 * root**2,
            "the mean squared error in grey levels: take its root": (255 * root) ** 2,
            "this is nearly 0: the exponent is −psnr / 20, in brackets, 10**(-psnr / 20)": 0.0,
            "a root halves the exponent, not the number": 255 * root**2 / 2,
            "take the root before you multiply by 255": math.sqrt(255) * root,
            "the sign is wrong: a larger PSNR is a smaller error": 255 / root,
            "the opposite of log₁₀ is 10**x, and not exp": 255 * math.exp(-score / 20),
            "the opposite of log₁₀ is 10**x, and not exp. And take the root": (
                255 * math.exp(-score / 10)
            ),
        })


# ----------------------------------------------------------------------------------- 02.2: a score


def decibels(error: Tensor) -> float:
    """Return −10·log10 of a mean squared error."""
    value = float(error)
    return math.inf if value == 0 else -10 * math.log10(value)


def weighted(picture: Tensor, weights: tuple[float, ...] = (65.481, 128.553, 24.966)) -> Tensor:
    """Return the sum of the three colours of (3, H, W), each times its weight, over 255."""
    return torch.einsum("chw,c->hw", picture, torch.tensor(weights, dtype=picture.dtype)) / 255


def picture_mistakes(x: Tensor, y: Tensor) -> dict[str, float]:
    """Return the scores of two pictures (3, H, W) that were prepared in another way."""

    def score(view: Callable[[Tensor], Tensor]) -> float:
        return decibels((view(x) - view(y)).square().mean())

    def cut(p: Tensor) -> Tensor:
        return (p.clamp(0, 1) * 255).floor() / 255

    def y_mean(miss: Callable[[Tensor], Tensor]) -> float:
        error = float(miss(weighted(cut(x)) - weighted(cut(y))))
        return decibels(torch.tensor(error)) if error >= 0 else math.nan

    def error_of(colours: Tensor) -> float:
        return decibels(weighted(colours).square().mean())

    bytes_x, bytes_y = ((p.clamp(0, 1) * 255).to(torch.uint8) for p in (x, y))
    unfit = "a value above 1 or below 0 does not fit into 8 bits: clamp the pictures first"
    wide = (0.299, 0.587, 0.114)
    return {
        "your two pictures became equal: each is 0 or 1 everywhere. Values are in [0, 1]: clamp "
        "them to (0, 1) first, then times 255, then floor, then / 255": math.inf,
        "you compare red, green and blue; the protocol compares Y": score(cut),
        "you cut only the first picture to 8 bits: cut both": decibels(
            (weighted(cut(x)) - weighted(y)).square().mean()
        ),
        "you cut only the second picture to 8 bits: cut both": decibels(
            (weighted(x) - weighted(cut(y))).square().mean()
        ),
        "you cut only the second picture to 8 bits: clamp and cut both": decibels(
            (weighted(x.clamp(0, 1)) - weighted(cut(y))).square().mean()
        ),
        "you did not turn the pictures into 8 bits: cut off what is below 1/255": score(
            lambda p: weighted(p.clamp(0, 1))
        ),
        "you round to 8 bits; these authors cut off (floor)": score(
            lambda p: weighted((p.clamp(0, 1) * 255).round() / 255)
        ),
        unfit: score(lambda p: weighted((p * 255).floor() / 255)),
        local(unfit) + local(", or they wrap around"): score(
            lambda p: weighted((p * 255).to(torch.uint8).double() / 255)
        ),
        "values are in [0, 1]: clamp them to (0, 1), and to (0, 255) only after times 255": score(
            lambda p: weighted((p.clamp(0, 255) * 255).floor() / 255)
        ),
        "your Y reaches 1, or your peak is 219/255; here white is 235/255, the peak 1": score(
            lambda p: 255 * weighted(cut(p), wide)
        ),
        "red and blue have changed places": score(lambda p: weighted(cut(p).flip(0))),
        "you weigh the three colours equally": score(lambda p: cut(p).mean(dim=0)),
        "Y is one picture (H, W): add the three weighted colours up, .sum(dim=0)": score(
            lambda p: cut(p) * torch.tensor((RED, GREEN, BLUE)).double().view(3, 1, 1) / 255
        ),
        "you add up the columns; the colours are the first dimension, .sum(dim=0)": score(
            lambda p: (cut(p) * torch.tensor((RED, GREEN, BLUE)).double().view(3, 1, 1)).sum(-1)
            / 255
        ),
        "you cut Y to 8 bits; these authors cut red, green and blue, before Y": score(
            lambda p: (255 * weighted(p.clamp(0, 1)) + 16).floor() / 255
        ),
        "you cut Y to 8 bits, too; these authors cut only red, green and blue": score(
            lambda p: (255 * weighted(cut(p)) + 16).floor() / 255
        ),
        "you cut the difference to 8 bits; cut both pictures, then take the difference": error_of(
            ((x - y) * 255).floor() / 255
        ),
        "bytes wrap around below 0: divide by 255 before you take the difference": error_of(
            (bytes_x - bytes_y).double() / 255
        ),
        "you weigh the squares of the colours' differences; Y comes first, its difference is "
        "squared": decibels(weighted((cut(x) - cut(y)).square()).mean()),
        "square the difference before you take the mean": y_mean(lambda error: error.mean()),
        "square the difference first, then take the mean": y_mean(
            lambda error: error.mean().square()
        ),
        "this is the mean of the absolute difference; PSNR takes its square": y_mean(
            lambda error: error.abs().mean()
        ),
        "you round Y to 8 bits, too. Another protocol does that, not this one": score(
            lambda p: (255 * weighted(cut(p)) + 16).round() / 255
        ),
    }


def number_mistakes(right: float, values: int) -> dict[str, float]:
    """Return what comes out of another formula for decibels; ``right`` is the score in dB."""
    peak = 20 * math.log10(255)
    return {
        "48.13 dB too much: your peak is 255, but your Y is at most 235/255": right + peak,
        "48.13 dB too little: your peak is 1, but your Y goes up to 235": right - peak,
        "47.42 dB too much: your peak is 235, but your Y is at most 235/255": (
            right + 20 * math.log10(235)
        ),
        "0.71 dB too little: your peak is 235/255, and this protocol takes 1": (
            right + 20 * math.log10(235 / 255)
        ),
        "9.54 dB too much: you take the mean of the three weighted colours; Y is their sum": (
            right + 20 * math.log10(3)
        ),
        "return the score as it is, not rounded": round(right, 2),
        "return the score as it is, without rounding": round(right, 1),
        "the sign is wrong: a smaller error is a larger score": -right,
        "20·log₁₀ belongs to the root of the mean squared error, 10·log₁₀ to itself": 2 * right,
        "10·log₁₀ belongs to the mean squared error, 20·log₁₀ to its root": right / 2,
        "the logarithm is the one to base 10": right * math.log(10),
        "you add the squared errors up; PSNR takes their mean": right - 10 * math.log10(values),
    }


@checker("02.2")
def check_psnr_y(answer: Callable[..., Any]) -> None:
    """Try ``psnr_y(derained, clean)`` on plain pictures, outside of [0, 1], and on equal ones."""
    clean = (torch.randint(20, 235, (3, 5, 4)) + torch.rand(3, 5, 4) * 0.8 + 0.1) / 255
    noise = torch.randint(-15, 16, clean.shape) / 255 + torch.rand(clean.shape) * 0.8 / 255
    inside = clean + noise
    inside = ((inside * 255).floor() + torch.rand(clean.shape) * 0.8 + 0.1) / 255
    outside = inside.clone()
    outside[:, 0], outside[:, 1] = -0.1, 1.1
    cases = {
        "two pictures (3, 5, 4)": (inside, clean),
        "a wide picture (3, 2, 7)": (inside.view(-1)[:42].view(3, 2, 7),
                                     clean.view(-1)[:42].view(3, 2, 7)),
        "a network's output with values of −0.1 and 1.1": (outside, clean),
    }
    for words, (x, y) in cases.items():
        got = hinted(answer, SCORE_ERRORS, x, y)
        if isinstance(got, float | Tensor) and torch.as_tensor(got).isnan().any():
            raise Wrong("the mean of your errors is negative, and has no logarithm: square the "
                        "difference before the mean")
        x, y = x.double(), y.double()
        expect_close(got, psnr(x, y), "the PSNR", example=words,
                     mistakes=picture_mistakes(x, y) | number_mistakes(psnr(x, y), x[0].numel()))
    same = hinted(answer, SCORE_ERRORS, clean, (clean * 255).floor().add(0.5) / 255)
    if isinstance(same, float | Tensor) and math.isfinite(same):
        raise Wrong(f"for pictures that are equal in 8 bits the error is 0 and the PSNR infinite, "
                    f"and yours is {show(float(same))}: add nothing to the error, and return "
                    "math.inf if it is 0")
    expect_close(same, math.inf, "the PSNR of pictures that are equal in 8 bits")


# ------------------------------------------------------------------------- 02.3: what Y can't see


@checker("02.3")
def check_unseen(answer: Callable[..., Any]) -> None:
    """Try ``unseen(clean, strength)`` on one pixel, and on pictures with room on both sides."""
    cases = [
        (torch.tensor([0.5, 0.5, 0.5]).view(3, 1, 1), 0.1),
        (0.3 + 0.4 * torch.rand(3, 2, 2), 0.2),
        (0.3 + 0.4 * torch.rand(3, 4, 5), -0.1),
        (torch.tensor([0.95, 0.5, 0.5]).view(3, 1, 1), 0.2),
    ]
    for clean, strength in cases:
        found = hinted(answer, PICTURE_ERRORS, clean, strength)
        expect(not isinstance(found, tuple | list), "return one picture (3, H, W), and not three "
               "colours: torch.stack([red, green, blue])")
        fitting = -strength * RED / GREEN
        unclamped = tinted(clean, strength, fitting)
        expect_close(
            found, unclamped, "the picture",
            example=f"clean = {show(clean)}, strength = {strength}", tolerance=1e-4,
            mistakes={
                "Y has grown: lower green, too": tinted(clean, strength, 0),
                "green weighs more in Y than red, so it must fall by less than red grows": tinted(
                    clean, strength, -strength
                ),
                "the weights have changed places: 65.481·s + 128.553·t = 0": tinted(
                    clean, strength, -strength * GREEN / RED
                ),
                "green has the wrong sign: it must go against red": tinted(
                    clean, strength, -fitting
                ),
                "leave blue as it was, and lower green": tinted(
                    clean, strength, 0, -strength * RED / BLUE
                ),
                "this makes the picture greener: red takes `strength`": tinted(
                    clean, -strength * GREEN / RED, strength
                ),
                "add strength to red; do not multiply": torch.stack(
                    [clean[0] * (1 + strength), clean[1] + fitting, clean[2]]
                ),
                "add the changes; do not multiply by them": torch.stack(
                    [clean[0] * (1 + strength), clean[1] * (1 + fitting), clean[2]]
                ),
                "this is `clean` as it was: `copy[0] + x` alone makes a new tensor and drops it, "
                "`copy[0] += x` writes": clean,
                "`copy[0] = x` replaces the colour; add to it, `copy[0] += x`": torch.stack(
                    [torch.full_like(clean[0], strength), torch.full_like(clean[1], fitting),
                     clean[2]]
                ),
                "red is as it was: add strength to it": tinted(clean, 0, fitting),
                "red has the wrong sign: add strength to it": tinted(clean, -strength, -fitting),
                "strength is in [0, 1] already: do not divide it by 255": tinted(
                    clean, strength / 255, fitting / 255
                ),
                "leave blue as it was; green alone balances red": tinted(
                    clean, strength, fitting / 2, -strength * RED / BLUE / 2
                ),
                "the colours are red, green, blue: red is picture[0], and you changed blue": tinted(
                    clean, 0, fitting, strength
                ),
                "the colours are red, green, blue: red is picture[0], green picture[1]": tinted(
                    clean, 0, strength, fitting
                ),
                "the 16 of Y is there before and after, so it drops out: 65.481·s + 128.553·t = 0":
                    tinted(clean, strength, -(16 + strength * RED) / GREEN),
                "green must balance what red gained (strength), not all of red": torch.stack(
                    [clean[0] + strength, clean[1] - (clean[0] + strength) * RED / GREEN, clean[2]]
                ),
                "you cut the values off at 0 or 1, and then Y is not the same: leave them": (
                    unclamped.clamp(0, 1)
                ),
            },
        )


def tinted(clean: Tensor, red: float, green: float, blue: float = 0.0) -> Tensor:
    """Return a picture (3, H, W) with something added to each colour."""
    return clean + torch.tensor([red, green, blue]).view(3, 1, 1)


# ---------------------------------------------------------------------- 02.4: what may be compared

_SAME = ("trained on", "tested on", "protocol")
Row = dict[str, Any]
Pair = tuple[int, int]


@checker("02.4")
def check_comparable(answer: Callable[..., Any]) -> None:
    """Try ``comparable(rows)`` on tables in which one thing differs, and on one of one row."""
    base = {"network": "A", "trained on": "L", "tested on": "T", "protocol": "Y", "psnr": 30.0}
    other = base | {"network": "B", "psnr": 31.0}
    cases = {
        "two networks, all else equal": [base, other],
        "other training data": [base, other | {"trained on": "H"}],
        "another test set": [base, other | {"tested on": "U"}],
        "another protocol": [base, other | {"protocol": "RGB"}],
        "a table of five rows": [
            base, other | {"trained on": "H"}, other, base | {"trained on": "H"},
            base | {"network": "C"},
        ],
        "a table of one row": [base],
    }
    for words, rows in cases.items():
        found = pairs_of(hinted(answer, ROW_ERRORS, rows))
        judge_pairs(found, rows, local(f" (for {words})"))


def pairs_of(found: Any) -> list[Pair]:
    """Return the pairs of an answer, or tell the reader to return pairs of numbers."""
    if not isinstance(found, Sequence | set | frozenset) or isinstance(found, str):
        raise Wrong(f"return a list of pairs, and not a {type(found).__name__}")
    pairs = list(found)
    if len(pairs) == 2 and all(isinstance(one, SupportsIndex) for one in pairs):
        raise Wrong("this is one pair: return a list of all of them, [(i, j), …]")
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise Wrong(f"your list holds {pair!r}, and it should hold pairs such as (0, 1)")
        if not all(isinstance(one, SupportsIndex) for one in pair):
            raise Wrong("a pair holds the numbers of two rows, such as (0, 1), not the rows or "
                        "their names")
    return [(int(i), int(j)) for i, j in pairs]


def judge_pairs(found: list[Pair], rows: list[Row], case: str) -> None:
    """Complain about pairs that are there and should not be, and about those that are missing."""
    right = [(i, j) for i, j in combinations(range(len(rows)), 2) if not differs(rows, i, j)]
    if any(i == j for i, j in found):
        raise Wrong(f"a row is not compared with itself: begin j at i + 1{case}")
    if any(j < i for i, j in found):
        raise Wrong(f"each pair once, with i < j: begin j at i + 1{case}")
    if len(set(found)) < len(found):
        raise Wrong(f"a pair stands in your list twice{case}")
    last = len(rows) - 1
    if any(i < 0 or j > last for i, j in found):
        raise Wrong(f"the rows have the numbers 0 to {last}, and your list holds {found}: count "
                    f"from 0{case}")
    for i, j in found:
        if (i, j) not in right:
            raise Wrong(f"rows {i} and {j} differ in {differs(rows, i, j)!r}, and you compare "
                        f"them{case}")
    for i, j in right:
        if (i, j) in found:
            continue
        if len(rows) == 2:
            cause = ("do you compare the network or the PSNR, too, or does a loop end before the "
                     "last row?")
        elif found and all(pair[0] == 0 for pair in found):
            cause = "does `return` stand after both loops?"
        else:
            cause = "are all pairs tried, also rows that are not neighbours?"
        raise Wrong(f"rows {i} and {j} agree in everything but the network, and you leave them "
                    f"out: {local(cause)}{case}")


def differs(rows: list[Row], i: int, j: int) -> str:
    """Return the first thing, other than the network, in which two rows differ, or ``""``."""
    return next((column for column in _SAME if rows[i][column] != rows[j][column]), "")
