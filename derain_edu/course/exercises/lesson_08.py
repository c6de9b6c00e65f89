"""The exercises of lesson 08: two steps as one, a scan, the way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from derain_edu.course.exercises.checking import Wrong, checker, expect, expect_close, hinted, show
from derain_edu.models.irnn_scan import ClampedAffine

# -- 08.1 -----------------------------------------------------------------------------------------

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


_JOIN_HINTS = {
    "converted to": "torch.tensor makes single numbers of the parts, and here they are tensors, "
    "one number per map: torch.stack((a, b, lo, hi))",
    "cannot be concatenated": "torch.cat needs an axis to go along: torch.stack((a, b, lo, hi)) "
    "makes one",
    "is ambiguous": "your function decides with `if` (or min, max) on a tensor. In the tree many "
    "maps are joined at once, with slopes of both signs: sort the two bounds with torch.minimum "
    "and torch.maximum",
    "equal size": "torch.min makes one number of many maps: torch.minimum(end1, end2) compares "
    "number by number",
}


def _joined(answer: Callable[..., Any], second: ClampedAffine, first: ClampedAffine) -> Any:
    """Call the answer and return a map, or say why it is none."""
    result = hinted(answer, _JOIN_HINTS, torch.stack(second), torch.stack(first))
    if isinstance(result, tuple | list) and len(result) == 4:
        raise Wrong("put the four parts into one tensor: torch.stack((a, b, lo, hi))")
    expect(isinstance(result, Tensor) and result.ndim > 0 and len(result) == 4,
           f"return the four parts (a, b, lo, hi) of one map as a tensor, not {show(result)}")
    return ClampedAffine(*result)


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
        "the clamp cuts what comes out of a map, not its constant: b is a2 * b1 + b2":
            ClampedAffine(a, b.clamp(second.lo, second.hi), lo, hi),
        "the lower end is the smaller of the two, torch.minimum, and the upper end the larger":
            ClampedAffine(a, b, hi, lo),
        "the slopes multiply, they don't add": ClampedAffine(first.a + second.a, b, lo, hi),
    }


@checker("08.1")
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
            example = f"h = {worst:g}: {' → '.join(map(_formula, chain))}"
            expect_close(got, right, "what the joined map does",
                         mistakes=mistakes, example=example)
            expect(joined.lo <= joined.hi, f"lo = {joined.lo} is above hi = {joined.hi}")
    first, second = (_maps([chain[k] for chain in _CHAINS[:5]]) for k in (0, 1))
    many = _joined(answer, second, first)
    for k, part in enumerate(many):
        expect(part.shape == (5,), "join all maps that you are given: for five at once, (4, 5), "
               f"row {k} of your result has the shape {tuple(part.shape)}, not (5,)")
    expect_close(
        many(h[:, None]), second(first(h[:, None])), "five maps at once",
        mistakes={r: m(h[:, None]) for r, m in _join_mistakes(second, first).items()},
    )


# -- 08.2 -----------------------------------------------------------------------------------------


def _joined_numbers(second: Tensor, first: Tensor) -> Tensor:
    """A join that is easy to read: the maps h ↦ h + b are one number, and joining adds them."""
    return first + second


def _joined_slopes(second: Tensor, first: Tensor) -> Tensor:
    """Join h ↦ a·h + b: rows a and b. The order matters."""
    return torch.stack((second[0] * first[0], second[0] * first[1] + second[1]))


class _Counted:
    """A ``join`` that counts its calls, and says what is wrong with what it is given."""

    def __init__(self, join: Callable[[Tensor, Tensor], Tensor], length: int) -> None:
        self.join, self.length, self.calls = join, length, 0

    def __call__(self, second: Tensor, first: Tensor) -> Tensor:
        self.calls += 1
        expect(self.calls < 3 * self.length + 9,
               "your loop does not end: does the distance grow in each round?")
        expect(isinstance(second, Tensor) and isinstance(first, Tensor),
               "join takes two tensors of maps, such as maps[:, d:] and maps[:, :-d]")
        expect(len(second) and len(first),
               "you joined no maps at all: maps[d:] cuts the axis of a, b, lo, hi; the pixels "
               "are axis 1, maps[:, d:]")
        expect(second.numel() and first.numel(),
               "you joined no maps at all: where d is as large as L, no map has a partner. Go on "
               "only while d < L")
        expect(second.shape == first.shape,
               "the two tensors that you join have different sizes: maps[:, d:] lacks the "
               "first d maps, so the other one has to lack the last d, maps[:, :-d]")
        return self.join(second, first)


def _one_by_one(maps: Tensor, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return what a scan has to return, by a plain loop."""
    done = [maps[:, 0]]
    for t in range(1, maps.shape[1]):
        done.append(join(maps[:, t], done[-1]))
    return torch.stack(done, dim=1)


def _rounds(
    maps: Tensor, join: Callable[[Tensor, Tensor], Tensor], way: str = ""
) -> Tensor:
    """Scan in rounds, or with one of the known mistakes."""
    distance, length = 1, maps.shape[-1 if way == "last axis" else 1]
    if way == "floor":
        length = 1 << (length.bit_length() - 1)
    given = maps
    while distance < length:
        maps = given if way == "forgets" else maps
        later, earlier = maps[:, distance:], maps[:, :-distance]
        both = join(earlier, later) if way == "order" else join(later, earlier)
        if way == "drops":
            return both
        maps = torch.cat((maps[:, : 1 if way == "first only" else distance], both), dim=1)
        distance = distance + 1 if way in ("steps", "few steps") else 2 * distance
        if way == "once" or way == "few steps" and distance == length.bit_length():
            break
    return maps


_AXIS = "the pixels are axis 1, not the last axis: maps (4, L, N) have N rows behind it"


def _last_axis_mistakes(
    maps: Tensor, join: Callable[[Tensor, Tensor], Tensor]
) -> dict[str, Tensor]:
    """Return what comes out if the last axis is taken for the pixels."""
    if maps.ndim < 3:
        return {}
    along = _rounds(maps.transpose(1, 2), join).transpose(1, 2)
    return {_AXIS: along, f"{_AXIS}; so L is maps.shape[1]": _rounds(maps, join, "last axis")}


@checker("08.2")
def check_scan(answer: Callable[..., Any]) -> None:
    """Try ``scan(maps, join)``: what comes out, and how many rounds it took."""
    easy = "maps = {}, and join adds two numbers"
    cases = [(_joined_numbers, torch.tensor([values])) for values in (
        [1.0, 1, 1, 1], [1.0, 2, 3, 4, 5, 6, 7, 8], [3.0, 1, 4, 1, 5], [7.0])]
    cases += [(_joined_slopes, torch.randn(shape)) for shape in ((2, 8), (2, 13), (2, 9, 3))]
    for join, maps in cases:
        counted = _Counted(join, maps.shape[1])
        what = easy.format(show(maps)) if join is _joined_numbers else (
            f"{maps.shape[1]} maps h ↦ a·h + b, where the order matters; the shape of maps is "
            f"{tuple(maps.shape)}")
        got = _scanned(answer, maps, counted)
        last = _one_by_one(maps, join)[:, -1:]
        mistakes = {
            "only one round: go on with a distance of 2, 4, 8 … while it is smaller than L":
                _rounds(maps, join, "once"),
            "double the distance after each round: it joins *blocks*, and a distance that grows by "
            "1 leaves steps out or takes them twice": _rounds(maps, join, "steps"),
            "one round too few: L may lie between two powers of 2. Go on while d < L":
                _rounds(maps, join, "floor"),
            "the distances are 1, 2, 4 …, twice as large each time, and not 1, 2, 3":
                _rounds(maps, join, "few steps"),
            "each round starts from what went in: go on with what the round before gave":
                _rounds(maps, join, "forgets"),
            "you joined them in the wrong order: join(second, first), where the first is the one "
            "further to the left": _rounds(maps, join, "order"),
            "the first maps got lost: those that have nothing at this distance to their left stay "
            "as they are; torch.cat puts them in front": _rounds(maps, join, "drops"),
            "the first d maps stay as they are, not the first one only: maps[:, :d]":
                _rounds(maps, join, "first only"),
            "nothing was joined: this is what went in": maps,
            **_last_axis_mistakes(maps, join),
            "this is the map of the last pixel only: every pixel needs its own, and the first d of "
            "a round stay as they are, in front": last if got.ndim == maps.ndim else last[:, 0],
        }
        expect_close(got, _one_by_one(maps, join), "what the scan returns",
                     mistakes=mistakes, example=what)
        length = maps.shape[1]
        expect(
            counted.calls <= (length - 1).bit_length(),
            f"the numbers are right, but you called `join` {counted.calls} times for {length} "
            "maps: that is a loop again. Join all pairs of a round in one call",
        )


_SCAN_HINTS = {
    "to unpack": "a scan does not look into a map: what is in its rows is join's business",
    "must match except in dimension 0": "torch.cat puts tensors together along axis 0 unless you "
    "say otherwise, and the pixels are axis 1: torch.cat((…, …), dim=1)",
    "Sizes of tensors must match": _AXIS,
    "as an integer": "math.log2 gives a fraction, and L may lie between two powers of 2: double d "
    "while d < L",
}


def _scanned(answer: Callable[..., Any], maps: Tensor, join: _Counted) -> Tensor:
    """Call the answer; what ``join`` finds wrong inside of it comes out as it says it."""
    result = hinted(answer, _SCAN_HINTS, maps, join)
    expect(isinstance(result, Tensor),
           f"return one tensor of the shape of maps, and not a {type(result).__name__}")
    return result


# -- 08.3 -----------------------------------------------------------------------------------------

_WAYS_TO_FAIL = {  # a reason, and what _back calls it
    "the last pixel has a ReLU, too: where its h is 0 nothing gets through": "no mask at last",
    "you forgot the ReLU: where h_t = 0 nothing gets through": "no mask",
    "the ReLU came too late: where h_t = 0 nothing goes on to the pixels before either":
        "mask at end",
    "the ReLU cuts all that arrives at h_t, G_t and what comes back: put brackets around the sum":
        "mask on G only",
    "the last pixel is missing: nothing comes back to it, but its own G arrives": "last missing",
    "[h_t > 0] is 1 or 0, the slope of the ReLU, and not h_t itself": "h for mask",
    "what comes back from h_{t+1} was multiplied by α_{t+1} there, not by α_t": "own α",
    "G_t is missing on the way: each h_t is also an output, and gets its own G_t":
        "last G only",
    "only one step back: pass on g_{t+1}, all that has arrived there, not G_{t+1}":
        "passes G only",
}
_BACK_HINTS = {
    "is out of bounds for": "the last pixel has no pixel after it, so there is no t + 1 to ask: "
    "nothing comes back there, only its own G",
    "tuple index out of range": "here h is one row, (L,): len(h) is its length, and h[t] a number",
    "too many indices": "here h is one row, (L,): len(h) is its length, and h[t] a number",
    "expand(": "alpha is a row, one number per pixel: take one of them, alpha[…]",
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
        if way == "last missing" and t == last:
            continue
        weight = alpha[t] if way == "own α" else alpha[t + 1] if t < last else torch.tensor(0.0)
        back = weight * (G[t + 1] if way == "passes G only" and t < last else after)
        arriving = back if way == "last G only" and t < last else G[t] + back
        mask = h[t] if way == "h for mask" else (h[t] > 0).float()
        if way in ("no mask", "mask at end") or way == "no mask at last" and t == last:
            mask = torch.tensor(1.0)
        after = g[t] = mask * G[t] + back if way == "mask on G only" else mask * arriving
    return g * (h > 0) if way == "mask at end" else g


@checker("08.3")
def check_way_back(answer: Callable[..., Any]) -> None:
    """Try ``way_back(h, alpha, G)`` on rows, against autograd."""
    some = torch.tensor
    cases = [
        (some([1.0, 1, 1, 1]), some([0.25, 2.0, 0.5, 3.0]), some([0.0, 1, 0, 2])),
        (some([1.0, 2, -9, 4]), some([0.5, 1.0, 2.0, 3.0]), some([1.0, 2, 4, 8])),
        (some([1.0, 2, -9]), some([0.5, 1.0, 2.0]), some([1.0, 2, 4])),
        (torch.randn(12), torch.rand(12) * 2 - 1, torch.randn(12)),
        (torch.rand(9), torch.rand(9), torch.randn(9)),
        (some([2.0]), some([0.5]), some([3.0])),
    ]
    for x, alpha, G in cases:
        x.requires_grad_()
        h = _row(x, alpha)
        [truth] = torch.autograd.grad(h, x, G)
        h = h.detach()
        got = hinted(answer, _BACK_HINTS, h, alpha, G)
        expect(not isinstance(got, tuple | list),
               f"return one tensor g, the derivative by x, and not a {type(got).__name__}")
        mistakes = {r: _back(h, alpha, G, way) for r, way in _WAYS_TO_FAIL.items()}
        turned = (h.flip(0), alpha.flip(0), G.flip(0))
        mistakes |= {
            "you went from the start to the end: the way back starts at the end":
                _back(*turned).flip(0),
            "you went from the start to the end: the way back starts at the end, reversed(…)":
                _back(*turned, "own α").flip(0),
            "the last pixel comes first in yours: turn the list round, .flip(0)": truth.flip(0),
            "this is G itself: what comes back from the next pixel is missing": G,
            "this is the derivative by α; here the one by x is asked for, g itself":
                truth * torch.cat((h.new_zeros(1), h[:-1])),
        }
        example = f"h = {show(h)}, α = {show(alpha)}, G = {show(G)}"
        expect_close(got, truth, "the derivative by x", mistakes=mistakes, example=example)
