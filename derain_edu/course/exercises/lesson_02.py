"""The exercises of lesson 02: decibels, a paper's PSNR, what Y can't see, what to compare."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from derain_edu.course.exercises.checking import Wrong, attempt, checker, expect_close, show
from derain_edu.metrics import psnr

RED, GREEN, BLUE = 65.481, 128.553, 24.966  # the weights of Y

# -------------------------------------------------------------------------------- 02.1: decibels


@checker("02.1")
def check_typical_error(answer: Callable[..., Any]) -> None:
    """Try ``typical_error(psnr)`` on good, bad and very bad scores."""
    for score in (20.0, 40.0, 33.5, 0.0):
        root = 10 ** (-score / 20)
        expect_close(attempt(answer, score), 255 * root, "the typical error",
                     example=f"psnr = {score:g}", mistakes={
            "this is the error of values in [0, 1]: times 255 makes grey levels of it": root,
            "this is the mean squared error: take its root": root**2,
            "this is 255 times the mean squared error: take the root of it first": 255 * root**2,
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

    unfit = "a value above 1 or below 0 does not fit into 8 bits: clamp the pictures first"
    wide = (0.299, 0.587, 0.114)
    return {
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
        unfit + ", or they wrap around": score(
            lambda p: weighted((p * 255).to(torch.uint8).double() / 255)
        ),
        "your Y reaches 1; here white is 235/255": score(lambda p: 255 * weighted(cut(p), wide)),
        "red and blue have changed places": score(lambda p: weighted(cut(p).flip(0))),
        "you weigh the three colours equally": score(lambda p: cut(p).mean(dim=0)),
        "you round Y to 8 bits, too. Another protocol does that, not this one": score(
            lambda p: (255 * weighted(cut(p)) + 16).round() / 255
        ),
    }


def attempt_score(answer: Callable[..., Any], *given: Any) -> Any:
    """Call the answer; say in our words what PyTorch and Python say in theirs."""
    try:
        return attempt(answer, *given)
    except Wrong as reason:
        words = str(reason)
        if "must match the size" in words or "mat1 and mat2" in words or "size mismatch" in words:
            raise Wrong("the three weights do not fit to a picture (3, H, W): give them the shape "
                        "(3, 1, 1) with weights.view(3, 1, 1)") from None
        if "math domain error" in words or "expected a positive input" in words:
            raise Wrong("math.log10(0) is an error: for equal pictures return math.inf, or take "
                        "torch.log10") from None
        raise


def number_mistakes(right: float, values: int) -> dict[str, float]:
    """Return what comes out of another formula for decibels; ``right`` is the score in dB."""
    peak = 20 * math.log10(255)
    return {
        "48.13 dB too much: your peak is 255, but your Y is at most 235/255": right + peak,
        "48.13 dB too little: your peak is 1, but your Y goes up to 235": right - peak,
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
        got = attempt_score(answer, x, y)
        x, y = x.double(), y.double()
        expect_close(got, psnr(x, y), "the PSNR", example=words,
                     mistakes=picture_mistakes(x, y) | number_mistakes(psnr(x, y), x[0].numel()))
    same = attempt_score(answer, clean, (clean * 255).floor().add(0.5) / 255)
    expect_close(same, math.inf, "the PSNR of pictures that are equal in 8 bits")


# ------------------------------------------------------------------------- 02.3: what Y can't see


@checker("02.3")
def check_unseen(answer: Callable[..., Any]) -> None:
    """Try ``unseen(clean, strength)`` on one pixel, and on pictures with room on both sides."""
    cases = [
        (torch.tensor([0.5, 0.5, 0.5]).view(3, 1, 1), 0.1),
        (0.3 + 0.4 * torch.rand(3, 2, 2), 0.2),
        (0.3 + 0.4 * torch.rand(3, 4, 5), -0.1),
    ]
    for clean, strength in cases:
        found = attempt(answer, clean, strength)
        fitting = -strength * RED / GREEN
        expect_close(
            found, tinted(clean, strength, fitting), "the picture",
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
        found = pairs_of(attempt(answer, rows))
        judge_pairs(found, rows, f" (for {words})")


def pairs_of(found: Any) -> list[Pair]:
    """Return the pairs of an answer, or tell the reader to return pairs of numbers."""
    if not isinstance(found, Sequence | set | frozenset) or isinstance(found, str):
        raise Wrong(f"return a list of pairs, and not a {type(found).__name__}")
    pairs = list(found)
    if len(pairs) == 2 and all(isinstance(one, int) for one in pairs):
        raise Wrong("this is one pair: return a list of all of them, [(i, j), …]")
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise Wrong(f"your list holds {pair!r}, and it should hold pairs such as (0, 1)")
        if not all(isinstance(one, int) for one in pair):
            raise Wrong("a pair holds the numbers of two rows, such as (0, 1), not the rows")
    return [(i, j) for i, j in pairs]


def judge_pairs(found: list[Pair], rows: list[Row], case: str) -> None:
    """Complain about pairs that are there and should not be, and about those that are missing."""
    right = [(i, j) for i, j in combinations(range(len(rows)), 2) if not differs(rows, i, j)]
    if any(i == j for i, j in found):
        raise Wrong(f"a row is not compared with itself: begin j at i + 1{case}")
    if any(j < i for i, j in found):
        raise Wrong(f"each pair once, with i < j: begin j at i + 1{case}")
    if len(set(found)) < len(found):
        raise Wrong(f"a pair stands in your list twice{case}")
    for i, j in found:
        if (i, j) not in right:
            raise Wrong(f"rows {i} and {j} differ in {differs(rows, i, j)!r}, and you compare "
                        f"them{case}")
    for i, j in right:
        if (i, j) not in found:
            raise Wrong(f"rows {i} and {j} agree in everything but the network, and you leave "
                        f"them out: are all pairs tried, also rows that are not neighbours?{case}")


def differs(rows: list[Row], i: int, j: int) -> str:
    """Return the first thing, other than the network, in which two rows differ, or ``""``."""
    return next((column for column in _SAME if rows[i][column] != rows[j][column]), "")
