"""The exercises of lesson 07: how far a memory reaches, a sweep, the ways of two rounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

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
from derain_edu.models.irnn import irnn_stack

Pixel = tuple[int, int]


# -- 07.1 -----------------------------------------------------------------------------------------


_REACH_HINTS = {
    "unsupported operand type(s) for ^": "a power is ** in Python: alpha ** d",
    "must be Tensor, not float": "α and `smallest` are plain numbers: math.log, or a loop",
}


def _reached(answer: Callable[..., Any], alpha: float, smallest: float) -> Any:
    """Call the answer, or say why it broke down where α is 0."""
    try:
        return hinted(answer, _REACH_HINTS, alpha, smallest)
    except Wrong as reason:
        if alpha or "raised" not in str(reason):
            raise
        raise Wrong(
            "α = 0 broke your function: 0 has no logarithm. Nothing is left after one step there, "
            f"so the reach is 0; treat this case first ({reason})"
        ) from None


@checker("07.1")
def check_reach(answer: Callable[..., Any]) -> None:
    """Try ``reach(alpha, smallest)`` where the last power is far from, at, or beyond the limit."""
    cases = [(0.5, 0.2, 2), (0.2, 1.2e-7, 9), (0.9, 0.01, 43), (0.5, 0.25, 2), (0.3, 1.0, 0),
             (0.99, 1e-6, 1374), (0.0, 0.5, 0)]  # fmt: skip
    for alpha, smallest, far in cases:
        expect_close(
            _reached(answer, alpha, smallest),
            far,
            "the reach",
            mistakes={
                "this is the first distance that is too far: the one before it still counts":
                    far + 1,
                "one further still counts: at least `smallest` includes equal, and α itself is "
                "α^1": far - 1,
                "this is the power, and not the distance": alpha**far,
                "a distance in pixels is whole: round down":
                    math.log(smallest) / math.log(alpha) if alpha else math.nan,
            },
            example=f"α = {alpha:g}, smallest = {smallest:g}",
        )


# -- 07.2 -----------------------------------------------------------------------------------------


def _swept(
    x: Tensor, alpha: Tensor, beta: Tensor, bend: Callable[[Tensor], Tensor] = torch.relu,
    first: str = "ReLU",
) -> Tensor:
    """Sweep (C, H, W) along H from the top; ``first``: the first line gets a ReLU, a bias, a bias
    and its α, or is taken raw."""
    h = torch.zeros_like(x)
    for c, column in product(range(x.shape[0]), range(x.shape[2])):
        memory = torch.tensor(0.0)
        for t in range(x.shape[1]):
            plain = t == 0 and first != "bias"
            value = x[c, t, column] if plain else alpha[c] * memory + beta[c] + x[c, t, column]
            if (t, first) == (0, "scaled"):
                value = alpha[c] * x[c, t, column] + beta[c]
            memory = h[c, t, column] = value if (t, first) == (0, "raw") else bend(value)
    return h


_ROW = (
    "x[t] takes channel t: axis 0 of (C, H, W) are the channels. A row of the picture is x[:, t]"
)


def _sweep_mistakes(x: Tensor, alpha: Tensor, beta: Tensor) -> dict[str, Tensor]:
    """Return what comes out of the known mistakes of a sweep upwards."""
    up, side = x.flip(1), x.transpose(1, 2)
    plain = _swept(up, alpha, beta, lambda value: value)
    right = _swept(up, alpha, beta).flip(1)
    twice = torch.cat((up[:, :1], up), dim=1)  # the bottom row is visited two times
    a, b = alpha[:, None], beta[:, None]
    inside, below = [up[:, 0].relu()], [up[:, 0].relu()]
    for before, line in zip(up.unbind(1), up.unbind(1)[1:], strict=False):
        inside.append((a * inside[-1]).relu() + b + line)
        below.append((a * before + b + line).relu())
    on_axis_0 = (
        "you stacked along axis 0: (H, C, W); torch.stack(rows, dim=1) puts the rows where they "
        "belong"
    )
    found = {
        "you swept down: the sweep up starts at the bottom row": _swept(x, alpha, beta),
        "the rows stand on their heads: you stacked them in the order of the sweep, from the "
        "bottom; the result should have the bottom row at the bottom": _swept(up, alpha, beta),
        "you swept to the right: up moves along the columns, axis 1 of (C, H, W)":
            _swept(side, alpha, beta).transpose(1, 2),
        "you swept to the left: up moves along the columns, axis 1 of (C, H, W)":
            _swept(side.flip(1), alpha, beta).flip(1).transpose(1, 2),
        "you forgot the ReLU": plain.flip(1),
        "you took the ReLU once, at the end: each step needs it, because the next step takes "
        "along what came out of it": plain.relu().flip(1),
        "the bottom row did not go through the ReLU":
            _swept(up, alpha, beta, first="raw").flip(1),
        "the bottom row got a β: nothing came before it, so it has neither α nor β":
            _swept(up, alpha, beta, first="bias").flip(1),
        "the bottom row is taken as it is, with a ReLU: it has neither α nor β":
            _swept(up, alpha, beta, first="scaled").flip(1),
        "the ReLU belongs around the whole sum, α · h + β + x":
            torch.stack(inside[::-1], dim=1),
        "each step takes along h of the row below, and you took its x":
            torch.stack(below[::-1], dim=1),
        "β is missing": _swept(up, alpha, 0 * beta).flip(1),
        "you took the α and β of channel 0 for all channels":
            _swept(up, alpha[:1].expand_as(alpha), beta[:1].expand_as(beta)).flip(1),
        "the top row is missing: `range` stops before its end, so end it at −1": right[:, 1:],
        "the top row is missing (`range` stops before its end, so end it at −1), and the rows "
        "stand on their heads": right[:, 1:].flip(1),
        "the bottom row is there twice: the loop begins with the row above it, H − 2":
            _swept(twice, alpha, beta).flip(1),
        "only the bottom row is there: to count down, `range` needs a third number, −1":
            right[:, -1:],
        "you stacked along axis 2: (C, W, H); torch.stack(rows, dim=1) puts the rows where they "
        "belong": right.movedim(1, 2),
        _ROW: x.relu().movedim(0, 1),
        on_axis_0: right.movedim(1, 0),
        f"{on_axis_0}. And the bottom row has to be the last": right.flip(1).movedim(1, 0),
        "this is the last h only: collect the h of every row": right[:, 0],
    }
    if x.shape[0] == x.shape[2]:  # then a wrong axis raises no error
        turned = _swept(up.transpose(0, 2), alpha, beta).flip(1).transpose(0, 2)
        found["each column got its own α, not each channel: (C,) meets the last axis, W; make it "
              "(C, 1) first"] = turned
    return found


_SWEEP_HINTS = {
    "out of bounds for dimension 0": _ROW,
    "step must be greater than zero":
    "PyTorch has no slices that run backwards: x.flip(1), or count t down",
    "stack expects each tensor to be equal size":
    "not all of your rows are (C, W): `alpha[:, None]` is (C, 1), and one None more is too many",
    "must match the size of tensor":
    "α and β (C,) meet the last axis, W, and do not fit: alpha[:, None] is (C, 1), one number per "
    "channel",
}


def _swept_by(answer: Callable[..., Any], x: Tensor, alpha: Tensor, beta: Tensor) -> Any:
    """Call the answer, and say what is wrong with a result that is no tensor."""
    result = hinted(answer, _SWEEP_HINTS, x, alpha, beta)
    expect(isinstance(result, Tensor),
           f"return one tensor, torch.stack(rows, dim=1), and not a {type(result).__name__}")
    return result


@checker("07.2")
def check_sweep_up(answer: Callable[..., Any]) -> None:
    """Try ``sweep_up(x, alpha, beta)`` on small pictures."""
    columns = torch.tensor([[[1.0, 0], [0, 2], [2, -3], [-1, 1]]])  # (1, 4, 2)
    cases = [
        (columns, torch.tensor([0.5]), torch.tensor([0.0])),
        (columns, torch.tensor([0.5]), torch.tensor([1.5])),
        (torch.randn(3, 4, 3), torch.tensor([0.9, -0.5, 0.2]), torch.tensor([0.3, 0.0, -0.2])),
        (torch.randn(2, 3, 5), torch.tensor([1.0, -0.8]), torch.tensor([0.1, 0.4])),
        (torch.randn(2, 1, 3), torch.tensor([1.0, 0.5]), torch.tensor([0.7, 0.7])),
    ]
    for x, alpha, beta in cases:
        expect_close(
            _swept_by(answer, x, alpha, beta),
            _swept(x.flip(1), alpha, beta).flip(1),
            "the sweep up",
            mistakes=_sweep_mistakes(x, alpha, beta),
            example=f"x = {show(x)}, α = {show(alpha)}, β = {show(beta)}",
        )


# -- 07.3 -----------------------------------------------------------------------------------------


def _all_ways(height: int, width: int) -> Tensor:
    """Return the ways of two rounds between all pixels, by autograd: (H, W, H, W)."""
    ones, zeros = torch.ones(4, 1).double(), torch.zeros(4, 1).double()

    def two_rounds(x: Tensor) -> Tensor:
        x = x.view(1, 1, height, width)
        for _ in range(2):
            x = irnn_stack(x, ones, zeros, "loop").sum(dim=1)  # (1, 1, H, W)
        return x.view(height, width)

    picture = torch.ones(height, width, dtype=torch.float64)  # positive: no ReLU cuts
    return torch.autograd.functional.jacobian(two_rounds, picture)


def _counted(
    here: Pixel, there: Pixel, size: Pixel, itself: int = 4, line: int = 1, added: bool = False,
    between: bool = False,
) -> int:
    """Count ways over all stopovers, or those ``between`` the two alone: in one round a pixel has
    ``itself`` ways to itself and ``line`` ways to another one of its row or column."""

    def once(a: Pixel, b: Pixel) -> int:
        return itself if a == b else line * int(a[0] == b[0] or a[1] == b[1])

    stops = list(product(range(size[0]), range(size[1])))
    if between:
        stops = [stop for stop in stops
                 if all(min(p) <= s <= max(p) for *p, s in zip(here, there, stop, strict=True))]
    return sum(
        once(here, stop) + once(stop, there) if added else once(here, stop) * once(stop, there)
        for stop in stops
    )


_WAYS_HINTS = {
    "'tuple' object cannot be interpreted as an integer":
    "`size` is (height, width): the rows are range(size[0])",
}


@checker("07.3")
def check_ways(answer: Callable[..., Any]) -> None:
    """Try ``ways(here, there, size)`` on all pairs of pixels of four small pictures."""
    for size in ((3, 4), (5, 3), (1, 5), (1, 1)):
        truth = _all_ways(*size)
        pixels = list(product(range(size[0]), range(size[1])))
        pairs = sorted(product(pixels, pixels), key=lambda p: (
            p[0] == p[1], p[0][0] == p[1][0] or p[0][1] == p[1][1], p[0][0] == p[1][0]
        ))  # fmt: skip
        for here, there in pairs:  # off the cross first, then on it, then the pixel itself
            flipped = here[::-1], there[::-1], size
            mistakes = {
                "no way at all? One round leads to no pixel off the cross, but two do: along the "
                "row and then along the column, or the other way round (rows and columns begin at "
                "0)": 0,
                "height and width are swapped": _counted(*flipped),
                "two ways lead to pixels off the cross only; on it, any pixel of the line can be "
                "the stopover": 2,
                "in one round a pixel reaches itself on four ways, not on one: all four sweeps "
                "hold the pixel they have come to": _counted(here, there, size, itself=1),
                "in one round a pixel reaches itself on four ways, not on two: it is in all four "
                "sweeps": _counted(here, there, size, itself=2),
                "in one round two pixels of a line are joined by one sweep, not by two: the "
                "opposite one moves the other way": _counted(here, there, size, line=2),
                "each first part goes with each second part: multiply the two, don't add them":
                    _counted(here, there, size, added=True),
                "the stopover may lie anywhere on the line, not only between the two":
                    _counted(here, there, size, between=True),
                "in one of the two rounds the value may also stay where it is: a pixel reaches "
                "itself, on four ways": _counted(here, there, size, itself=0),
            }
            expect_close(
                hinted(answer, _WAYS_HINTS, here, there, size),
                int(truth[(*here, *there)]),
                "the number of ways",
                mistakes=mistakes,
                example=f"here = {here}, there = {there}, size = {size}",
            )
