"""The exercises of lesson 09: a map that scales, pairs in order, calibration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from derain_edu.course.exercises.checking import (
    attempt,
    checker,
    expect,
    expect_close,
    hinted,
    show,
)
from derain_edu.map_scores import auc

# -- 09.1 -----------------------------------------------------------------------------------------


_ONE_MAP = "tensors are lined up from their last axis: make A (B, 1, H, W) first, A.unsqueeze(1)"
_GATE_HINTS = {
    "must match the size of tensor": _ONE_MAP,
    "is invalid for input of size": _ONE_MAP,
    "'Tensor' object is not callable": "`branch` is no function here: it is what the branch gave",
    "batch2 tensor": "@ is the product of matrices: * multiplies number by number",
}


@checker("09.1")
def check_gated(answer: Callable[..., Any]) -> None:
    """Try ``gated_block(x, branch, A)`` on four pixels, and on small batches."""
    x, branch = torch.tensor([1.0, 1, 1, -1]), torch.tensor([-4.0, 2, -0.5, -0.25])
    four = [t.view(1, 1, 1, 4) for t in (x, branch, torch.tensor([0.0, 0.5, 0.25, 1.0]))]
    cases = [(four[0], four[1], four[2][0])]
    for sizes in ((3, 3, 4, 5), (2, 3, 4, 4), (1, 4, 3, 2)):
        cases.append((torch.randn(sizes), torch.randn(sizes), torch.rand(sizes[0], *sizes[2:])))
    for x, branch, A in cases:
        scale = A.double()[:, None]  # (B, 1, H, W)
        mistakes = {
            "A did nothing: a line such as `branch.mul(A)` makes a new tensor, and drops it "
            "unless you keep it": branch + x,
            "A scales the whole block here; x should pass as it is": scale * (branch + x),
            "A scales x here; it should scale the branch": branch + scale * x,
            "A is turned round: where A = 0 the pixel should pass as it is":
                (1 - scale) * branch + x,
            "you took the map of the first picture for all": scale[:1] * branch + x,
            "x passes as it is, also where A = 1: the block adds to it, and does not replace it":
                scale * branch + (1 - scale) * x,
            "x is missing: the block adds the scaled branch to it": scale * branch,
        }
        if len(A) == x.shape[1]:  # then a wrong axis raises no error
            mistakes |= {
                "the first axis of A is the batch, but it met the channels: tensors are lined up "
                "from their last axis. Make A (B, 1, H, W) first": A * branch + x,
            }
        if x.numel() == 4:  # one row: a wrong axis raises no error
            mistakes |= {
                "the new axis stands last: make A (B, 1, H, W), `A.unsqueeze(1)`":
                    A.double()[..., None] * branch + x,
            }
        mistakes = {reason: value.relu() for reason, value in mistakes.items()} | {
            "the ReLU is missing": scale * branch + x,
            "the ReLU comes last, after x was added": (scale * branch).relu() + x,
        }
        example = f"x of shape {tuple(x.shape)}"
        if x.numel() == 4:
            example = ", ".join(f"{name} = {show(t.flatten())}" for name, t in
                                (("x", x), ("branch", branch), ("A", A)))
        truth = (scale * branch + x).relu()
        got = hinted(answer, _GATE_HINTS, x, branch, A)
        expect_close(got, truth, "the block", mistakes=mistakes, example=example)


# -- 09.2 -----------------------------------------------------------------------------------------


def _order_cases() -> list[tuple[Tensor, Tensor]]:
    """Return maps and masks: no tie, ties, all equal, many ties, few rainy pixels, two axes."""
    yes, no = True, False
    rows = [
        ([0.9, 0.8, 0.3, 0.6], [yes, no, yes, yes]),
        ([0.2, 0.5, 0.5, 0.7, 0.9], [no, no, yes, yes, no]),
        ([0.4, 0.4, 0.4], [no, yes, no]),
        ([0.1, 0.2, 0.8], [no, no, yes]),
    ]
    cases = [(torch.tensor(values), torch.tensor(mask)) for values, mask in rows]
    rounded = (torch.rand(6, 7) * 5).round() / 5
    return [*cases, (rounded, torch.arange(42).view(6, 7) % 5 == 0), (rounded, rounded < 0.5)]


_ORDER_HINTS = {
    "must match the size of tensor": "each rainy value meets each dry one: `wet[:, None] > dry`",
    "is ambiguous": "`if` and `not` want one yes or no, and a tensor holds many: `~mask` turns a "
    "mask round, and loops over single pixels need one row, values.flatten()",
}


@checker("09.2")
def check_order(answer: Callable[..., Any]) -> None:
    """Try ``in_order(values, mask)``, the AUC by counting pairs."""
    for values, mask in _order_cases():
        wet, dry = values[mask], values[~mask]
        larger = (wet[:, None] > dry).sum().item()
        equal = (wet[:, None] == dry).sum().item()
        found, number = larger + equal / 2, values.numel()
        pairs, least = wet.numel() * dry.numel(), min(wet.numel(), dry.numel())
        truth = auc(values, mask)
        kept, others = (values * mask).flatten(), (values * ~mask).flatten()
        mistakes = {
            "a tie counts a half, and you counted it as in order": (larger + equal) / pairs,
            "a tie counts a half, and you counted it as not in order": larger / pairs,
            "it is turned round: in order means that A is larger at the *rainy* pixel": 1 - truth,
            "you left out the ties, above and below": larger / max(pairs - equal, 1),
            "this is the number of pairs in order: divide it by all pairs": found,
            "you divided by the number of pixels: divide by the number of pairs": found / number,
            "you divided by the number of pixels, and `len` counts along the first axis only: "
            "divide by the number of pairs": found / len(values),
            "you divided by the number of rainy pixels: each of them meets *every* dry one":
                found / wet.numel(),
            "a / b * c divides by b only: put brackets around the product":
                found / wet.numel() * dry.numel(),
            "one to one is not enough: each rainy pixel meets *every* dry one":
                (wet[:least] > dry[:least]).sum() / wet.numel(),
            "`values * mask` makes 0 of the other pixels, and keeps them: values[mask] picks":
                ((kept[:, None] > others) + 0.5 * (kept[:, None] == others)).mean(),
            "return a share between 0 and 1, not percent": 100 * truth,
            "you divided by the pairs of all pixels: a pair has one rainy and one dry pixel":
                found / (number * (number - 1) / 2),
            "you divided by the square of the number of pixels: a pair has one rainy and one dry "
            "pixel": found / number**2,
            "you compared A with .5: an AUC needs no threshold, only the order":
                ((values >= 0.5) == mask).double().mean(),
            "you took the difference of the two means: count pairs": wet.mean() - dry.mean(),
        }
        example = f"A = {show(values)}, mask = {show(mask)}"
        got = hinted(answer, _ORDER_HINTS, values, mask)
        expect_close(got, truth, "the share of pairs in order", mistakes=mistakes,
                     example=example)


# -- 09.3 -----------------------------------------------------------------------------------------


def _gap_cases() -> list[tuple[Tensor, Tensor, int]]:
    """Return maps, masks and numbers of bins. Where two bins meet, either may have the pixel."""
    yes, no = True, False
    rows = [
        ([0.62, 0.68, 0.86, 0.3], [yes, no, yes, yes], 2),
        ([0.95, 0.99, 1.0, 0.03, 0.07], [yes, yes, no, no, yes], 10),
        ([0.1, 0.15, 0.9], [yes, no, yes], 4),
        ([0.0, 0.3, 1.0], [yes, no, yes], 1),
        ([0.5, 0.5, 0.5], [yes, no, no], 2),
    ]
    cases = [(torch.tensor(values), torch.tensor(mask), bins) for values, mask, bins in rows]
    values = torch.rand(2, 1, 9, 9) ** 2
    return [*cases, (values, torch.rand_like(values) < 0.4 + 0.3 * values, 7)]


def _bins_of(values: Tensor, mask: Tensor, bins: int) -> list[tuple[float, float, int, float]]:
    """Return mean A, share of rain, number and middle of each bin that holds a pixel."""
    found = []
    for k in range(bins):
        inside = (values >= k / bins) & ((values < (k + 1) / bins) | (k == bins - 1))
        if inside.any():
            said, true = (t[inside].double().mean().item() for t in (values, mask))
            found.append((said, true, int(inside.sum()), (k + 0.5) / bins))
    return found


def _gap_mistakes(values: Tensor, mask: Tensor, bins: int) -> dict[str, float]:
    rows = _bins_of(values, mask, bins)
    total, open_end = values.numel(), values < 1
    distances = [abs(said - true) for said, true, *_ in rows]
    below = _bins_of(values[open_end], mask[open_end], bins)
    lost = sum(n * abs(said - true) for said, true, n, _ in below)
    own = (values == 1).sum().item() * abs(1 - mask[values == 1].double().mean().nan_to_num())
    sized = [(n, d) for d, (*_, n, _) in zip(distances, rows, strict=True)]
    truth = sum(n * d for n, d in sized) / total
    signed = sum(n * (said - true) for said, true, n, _ in rows) / total
    lowest = int((values < 1 / bins).any())  # 1: the first of the rows is the bin 0
    return {
        "every bin counts the same here: weigh it by the number of its pixels":
            sum(distances) / len(distances),
        "you divided by the number of bins, the empty ones among them: weigh each by the number "
        "of its pixels": sum(distances) / bins,
        "what the map says is the *mean* of A in a bin, not the bin's middle":
            sum(n * abs(middle - true) for _, true, n, middle in rows) / total,
        "too much and too little cancel each other: take the distance in each bin, and add up "
        "then": signed,
        "too much and too little cancel each other: take the distance in each bin, before you add "
        "up": abs(signed),
        "take the distance itself, not its square": sum(n * d**2 for n, d in sized) / total,
        "`len(inside)` counts all pixels: those of the bin are `inside.sum()`": sum(distances),
        "the number of all pixels is values.numel(): len(values) counts along the first axis only":
            truth * total / len(values),
        "the first bin has the number 0: range(bins)":
            truth - sum(n * d for n, d in sized[:lowest]) / total,
        "this is the part of the first bin: does `return` stand inside of the loop?":
            sum(n * d for n, d in sized[:lowest]) / total,
        "the share of rain is that of the bin: divide by the number of its pixels, not of all":
            sum(n * abs(said - n * true / total) for said, true, n, _ in rows) / total,
        "this is the distance of each pixel from its own truth, 0 or 1: calibration compares "
        "means over a bin": (values.double() - mask.double()).abs().mean().item(),
        "a pixel with A = 1 is lost: it belongs to the last bin": lost / total,
        "a pixel with A = 1 is lost, also from the count: it belongs to the last bin":
            lost / max(int(open_end.sum()), 1),
        "a pixel with A = 1 got a bin of its own: it belongs to the last bin":
            (lost + float(own)) / total,
        "this is the sum over the pixels: divide by their number": truth * total,
        "return a share between 0 and 1, not points": 100 * truth,
    }


@checker("09.3")
def check_gap(answer: Callable[..., Any]) -> None:
    """Try ``mean_gap(values, mask, bins)`` with empty bins, with A = 1, and with uneven bins."""
    for values, mask, bins in _gap_cases():
        rows = _bins_of(values, mask, bins)
        truth = sum(n * abs(said - true) for said, true, n, _ in rows) / values.numel()
        got = attempt(answer, values, mask, bins)
        example = f"A = {show(values)}, mask = {show(mask)}, {bins} bins"
        bad = isinstance(got, float | Tensor) and torch.as_tensor(got).isnan().any()
        expect(not bad, f"your gap is not a number (nan): an empty bin has no mean, leave it out "
               f"(for {example})")
        expect_close(got, truth, "the gap", example=example,
                     mistakes=_gap_mistakes(values, mask, bins))
