"""The exercises of lesson 07: reach, sweep, ways of two rounds, two steps as one, the way back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor

from derain_edu.course.exercises.checking import Wrong, attempt, checker, expect, expect_close, show
from derain_edu.models.irnn import irnn_stack
from derain_edu.models.irnn_scan import ClampedAffine

Pixel = tuple[int, int]


# -- 05.1 -----------------------------------------------------------------------------------------


@checker("07.1")
def check_reach(answer: Callable[..., Any]) -> None:
    """Try ``reach(alpha, smallest)`` where the last power is far from, at, or beyond the limit."""
    cases = [(0.5, 0.2, 2), (0.2, 1.2e-7, 9), (0.9, 0.01, 43), (0.5, 0.25, 2), (0.3, 1.0, 0),
             (0.0, 0.5, 0)]  # fmt: skip
    for alpha, smallest, far in cases:
        expect_close(
            attempt(answer, alpha, smallest),
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


# -- 05.2 -----------------------------------------------------------------------------------------


def _swept(
    x: Tensor, alpha: Tensor, beta: Tensor, bend: Callable[[Tensor], Tensor] = torch.relu,
    first: str = "ReLU",
) -> Tensor:
    """Sweep (C, H, W) along H from the top; ``first``: the first line gets a ReLU, a bias, or is
    taken raw."""
    h = torch.zeros_like(x)
    for c, column in product(range(x.shape[0]), range(x.shape[2])):
        memory = torch.tensor(0.0)
        for t in range(x.shape[1]):
            plain = t == 0 and first != "bias"
            value = x[c, t, column] if plain else alpha[c] * memory + beta[c] + x[c, t, column]
            memory = h[c, t, column] = value if (t, first) == (0, "raw") else bend(value)
    return h


def _sweep_mistakes(x: Tensor, alpha: Tensor, beta: Tensor) -> dict[str, Tensor]:
    """Return what comes out of the known mistakes of a sweep upwards."""
    up, side = x.flip(1), x.transpose(1, 2)
    plain = _swept(up, alpha, beta, lambda value: value)
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
        "β is missing": _swept(up, alpha, 0 * beta).flip(1),
        "you took the α and β of channel 0 for all channels":
            _swept(up, alpha[:1].expand_as(alpha), beta[:1].expand_as(beta)).flip(1),
    }
    if x.shape[0] == x.shape[2]:  # then a wrong axis raises no error
        turned = _swept(up.transpose(0, 2), alpha, beta).flip(1).transpose(0, 2)
        found["each column got its own α, not each channel: (C,) meets the last axis, W; make it "
              "(C, 1) first"] = turned
    return found


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
            attempt(answer, x, alpha, beta),
            _swept(x.flip(1), alpha, beta).flip(1),
            "the sweep up",
            mistakes=_sweep_mistakes(x, alpha, beta),
            example=f"x = {show(x)}, α = {show(alpha)}, β = {show(beta)}",
        )


# -- 05.3 -----------------------------------------------------------------------------------------


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


def _counted(here: Pixel, there: Pixel, size: Pixel, itself: int = 4) -> int:
    """Count ways over all stopovers, if a pixel reaches itself on ``itself`` ways in one round."""

    def once(a: Pixel, b: Pixel) -> int:
        return itself if a == b else int(a[0] == b[0] or a[1] == b[1])

    stops = product(range(size[0]), range(size[1]))
    return sum(once(here, stop) * once(stop, there) for stop in stops)


@checker("07.3")
def check_ways(answer: Callable[..., Any]) -> None:
    """Try ``ways(here, there, size)`` on all pairs of pixels of four small pictures."""
    for size in ((3, 4), (5, 3), (1, 5), (1, 1)):
        truth = _all_ways(*size)
        pixels = list(product(range(size[0]), range(size[1])))
        pairs = sorted(product(pixels, pixels), key=lambda p: (p[0] == p[1], p[0][0] == p[1][0]))
        for here, there in pairs:  # off the cross first, then on it, then the pixel itself
            flipped = here[::-1], there[::-1], size
            mistakes = {
                "no way at all? One round leads to no pixel off the cross, but two do: along the "
                "row and then along the column, or the other way round": 0,
                "height and width are swapped": _counted(*flipped),
                "two ways lead to pixels off the cross only; on it, any pixel of the line can be "
                "the stopover": 2,
                "in one round a pixel reaches itself on four ways, not on one: all four sweeps "
                "hold the pixel they have come to": _counted(here, there, size, itself=1),
                "in one round a pixel reaches itself on four ways, not on two: it is in all four "
                "sweeps": _counted(here, there, size, itself=2),
                "in one of the two rounds the news may also stay where it is: a pixel reaches "
                "itself, on four ways": _counted(here, there, size, itself=0),
            }
            expect_close(
                attempt(answer, here, there, size),
                int(truth[(*here, *there)]),
                "the number of ways",
                mistakes=mistakes,
                example=f"here = {here}, there = {there}, size = {size}",
            )


# -- 05.4 -----------------------------------------------------------------------------------------

_BIG = torch.finfo(torch.float32).max  # stands for ∞
_FIRST = (0.5, 1.0, 0.0, _BIG)
_CHAINS = [  # maps a, b, lo, hi in the order in which they act
    [(1.0, 1.0, 2.0, 4.0), (2.0, -3.0, 0.0, 6.0)],
    [_FIRST, (-1.0, 3.0, 0.0, _BIG)],
    [(-2.0, 1.0, -1.0, 4.0), (-0.5, 0.0, -1.5, 0.25)],
    [(1.0, 0.0, 2.0, 5.0), (1.0, 0.0, 7.0, 9.0)],
    [(0.5, 2.0, 0.0, 6.0), (0.0, 1.0, 0.0, _BIG)],
    [(0.9, 0.5, 0.0, _BIG), (-0.6, 2.0, 0.0, _BIG), (0.8, -0.5, 0.0, _BIG)],
]


def _maps(rows: Sequence[Sequence[float]]) -> ClampedAffine:
    return ClampedAffine(*torch.tensor(rows).T)


def _formula(row: Sequence[float]) -> str:
    """Write the map (a, b, lo, hi) as one reads it."""
    a, b, lo, hi = row
    end = "∞" if hi == _BIG else f"{hi:g}"
    return f"clamp({a:g} h {'−' if b < 0 else '+'} {abs(b):g}, {lo:g}, {end})"


def _joined(answer: Callable[..., Any], second: ClampedAffine, first: ClampedAffine) -> Any:
    """Call the answer and return a map, or say why it is none."""
    try:
        result = attempt(answer, second, first)
    except Wrong as reason:
        if "ambiguous" not in str(reason):
            raise
        raise Wrong(
            "your function decides with `if` on a tensor. In the tree many maps are joined at "
            "once, with slopes of both signs: sort the two bounds with torch.minimum and "
            "torch.maximum"
        ) from None
    try:
        parts = [torch.as_tensor(part) for part in result]
    except (TypeError, ValueError, RuntimeError):
        parts = []
    expect(len(parts) == 4, f"return the four parts (a, b, lo, hi) of one map, not {show(result)}")
    return ClampedAffine(*parts)


def _join_mistakes(second: ClampedAffine, first: ClampedAffine) -> dict[str, ClampedAffine]:
    """Return the maps that come out of the known mistakes."""
    a, b = second.a * first.a, second.a * first.b + second.b
    low, high = (second.a * bound + second.b for bound in (first.lo, first.hi))
    ends = [end.clamp(second.lo, second.hi) for end in (low, high)]
    lo, hi = torch.minimum(*ends), torch.maximum(*ends)
    swapped = [(first.a * end + first.b).clamp(first.lo, first.hi) for end in second[2:]]
    return {
        "you joined them in the wrong order: `first` acts first, and `second` on what comes out":
            ClampedAffine(a, first.a * second.b + first.b, *(f(*swapped) for f in (
                torch.minimum, torch.maximum))),
        "a negative slope turns the bounds round: what was the lower end becomes the upper one; "
        "take the smaller as lo and the larger as hi": ClampedAffine(a, b, *ends),
        "the bounds of `first` are lost: send them through `second`":
            ClampedAffine(a, b, second.lo, second.hi),
        "the bounds of `first` have to go through the slope and the constant of `second`, too":
            ClampedAffine(a, b, *(end.clamp(second.lo, second.hi) for end in first[2:])),
        "the bounds of `first` went through slope and constant, but not through the clamp of "
        "`second`": ClampedAffine(a, b, torch.minimum(low, high), torch.maximum(low, high)),
        "the constant of `first` goes through the slope of `second`, too":
            ClampedAffine(a, first.b + second.b, lo, hi),
        "the slopes multiply, they don't add": ClampedAffine(first.a + second.a, b, lo, hi),
    }


@checker("07.4")
def check_join(answer: Callable[..., Any]) -> None:
    """Try ``join(second, first)`` by what the joined map does to many h."""
    h = torch.linspace(-20, 20, 161)
    for chain in _CHAINS:
        steps = [ClampedAffine(*torch.tensor(row)) for row in chain]
        joined, right = steps[0], steps[0](h)
        for after in steps[1:]:
            mistakes = {why: m(h) for why, m in _join_mistakes(after, joined).items()}
            joined, right = _joined(answer, after, joined), after(right)
            got = joined(h)
            expect(got.shape == h.shape, "one map at a time: a, b, lo and hi are one number each")
            worst = h[(got - right).abs().argmax()].item()
            example = f"h = {worst:g} and {', then '.join(map(_formula, chain))}"
            expect_close(got, right, "what the joined map does",
                         mistakes=mistakes, example=example)
            expect(joined.lo <= joined.hi, f"lo = {joined.lo} is above hi = {joined.hi}")
    first, second = (_maps([chain[k] for chain in _CHAINS[:5]]) for k in (0, 1))
    many = _joined(answer, second, first)
    for k, part in enumerate(many):
        expect(part.shape == (5,), f"five maps at once: part {k} has shape {tuple(part.shape)}")
    expect_close(
        many(h[:, None]), second(first(h[:, None])), "five maps at once",
        mistakes={r: m(h[:, None]) for r, m in _join_mistakes(second, first).items()},
    )


# -- 05.5 -----------------------------------------------------------------------------------------

_WAYS_TO_FAIL = {  # a reason, and what _back calls it
    "you forgot the ReLU: where h_t = 0 nothing gets through": "no mask",
    "the ReLU came too late: where h_t = 0 nothing goes on to the pixels before either":
        "mask at end",
    "what comes back from h_{t+1} was multiplied by α_{t+1} there, not by α_t": "own α",
    "G_t is missing on the way: each h_t is also an output, and gets its own G_t":
        "last G only",
    "only one step back: pass on g_{t+1}, all that has arrived there, not G_{t+1}":
        "passes G only",
}


def _row(x: Tensor, alpha: Tensor) -> Tensor:
    """Read a row with an α of its own per pixel; the first pixel has none."""
    h = [x[0].relu()]
    for t in range(1, len(x)):
        h.append((alpha[t] * h[-1] + x[t]).relu())
    return torch.stack(h)


def _back(h: Tensor, alpha: Tensor, G: Tensor, way: str = "") -> Tensor:
    """Return ∂x by the formula, or by one of the known mistakes in it."""
    g, after, last = torch.zeros_like(h), torch.tensor(0.0), len(h) - 1
    for t in range(last, -1, -1):
        weight = alpha[t] if way == "own α" else alpha[t + 1] if t < last else torch.tensor(0.0)
        arriving = G[t] + weight * after
        if way == "last G only" and t < last:
            arriving = weight * after
        if way == "passes G only" and t < last:
            arriving = G[t] + weight * G[t + 1]
        after = g[t] = arriving if way in ("no mask", "mask at end") else (h[t] > 0) * arriving
    return g * (h > 0) if way == "mask at end" else g


def _alpha_mistakes(g: Tensor, h: Tensor) -> dict[str, Tensor]:
    before = torch.cat((h.new_zeros(1), h[:-1]))
    late = torch.cat((h[1:], h.new_zeros(1)))
    return {
        "α_t meets the memory of the pixel before: multiply by h_{t−1}, not by h_t": g * h,
        "the first pixel has no α, so its derivative is 0; h[−1] in Python is the *last* h":
            g * h.roll(1),
        "α_t meets h_{t−1}, not h_{t+1}: the sweep came from the left": g * late,
        "you gave g alone; by the product rule each α has the memory it multiplied as a factor": g,
        "you summed: here each pixel has its own α, so each has its own derivative":
            (g * before).sum(),
        "the values moved by one place: ∂α_t = g_t · h_{t−1} belongs at place t":
            (g * before).roll(-1),
        "the first pixel is missing: its α is never used, so its derivative is 0, but it has a "
        "place": (g * before)[1:],
    }


@checker("07.5")
def check_sweep_gradients(answer: Callable[..., Any]) -> None:
    """Try ``sweep_gradients(h, alpha, G)`` on rows, against autograd."""
    some = torch.tensor
    cases = [
        (some([1.0, 1, 1, 1]), some([0.25, 2.0, 0.5, 3.0]), some([0.0, 1, 0, 2])),
        (some([1.0, 2, -9, 4]), some([0.5, 1.0, 2.0, 3.0]), some([1.0, 2, 4, 8])),
        (torch.randn(12), torch.rand(12) * 2 - 1, torch.randn(12)),
        (torch.rand(9), torch.rand(9), torch.randn(9)),
        (some([2.0]), some([0.5]), some([3.0])),
    ]
    for x, alpha, G in cases:
        x.requires_grad_(), alpha.requires_grad_()
        h = _row(x, alpha)
        by_x, by_alpha = torch.autograd.grad(h, (x, alpha), G, materialize_grads=True)
        h, alpha = h.detach(), alpha.detach()
        example = f"h = {show(h)}, α = {show(alpha)}, G = {show(G)}"
        result = attempt(answer, h, alpha, G)
        expect(isinstance(result, tuple | list) and len(result) == 2,
               f"return two tensors, the derivatives by x and by α, not {show(result)}")
        mistakes = {r: _back(h, alpha, G, way) for r, way in _WAYS_TO_FAIL.items()}
        turned = _back(h.flip(0), alpha.flip(0), G.flip(0)).flip(0)
        mistakes["you went from the start to the end: the way back starts at the end"] = turned
        mistakes["this is G itself: what comes back from the next pixel is missing"] = G
        mistakes["you swapped the two: the derivative by x comes first"] = by_alpha
        expect_close(result[0], by_x, "the derivative by x", mistakes=mistakes, example=example)
        expect_close(result[1], by_alpha, "the derivative by α",
                     mistakes=_alpha_mistakes(by_x, h), example=example)
