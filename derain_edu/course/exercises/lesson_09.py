"""The exercises of lesson 09: a map that scales, pairs in order, calibration."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from derain_edu.course.exercises.checking import Wrong, attempt, checker, expect, expect_close, show
from derain_edu.map_scores import auc

_YES_OR_NO = "yes or no has no mean: make numbers of it first, `.float()`"


def explained(call: Callable[[], Any], reasons: dict[str, str]) -> Any:
    """Try an answer; if it raises, add the reason whose key is a part of the error's text."""
    try:
        return call()
    except Wrong as error:
        known = [reason for part, reason in reasons.items() if part in str(error)]
        first_line = str(error).split("\n")[0]
        words = f"{first_line}. {known[0][0].upper()}{known[0][1:]}" if known else str(error)
        raise Wrong(words) from None


# -- 09.1 -----------------------------------------------------------------------------------------


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
            "x is missing: the block adds the scaled branch to it": scale * branch,
        }
        if len(A) == x.shape[1]:  # then a wrong axis raises no error
            mistakes["the first axis of A is the batch, but it met the channels: tensors are "
                     "lined up from their last axis. Make A (B, 1, H, W) first"] = A * branch + x
        if x.numel() == 4:  # one row: a wrong axis raises no error
            mistakes["the new axis stands last: make A (B, 1, H, W), `A.unsqueeze(1)`"] = (
                A.double()[..., None] * branch + x
            )
        mistakes = {reason: value.relu() for reason, value in mistakes.items()} | {
            "the ReLU is missing": scale * branch + x,
            "the ReLU comes last, after x was added": (scale * branch).relu() + x,
        }
        example = f"x of shape {tuple(x.shape)}"
        if x.numel() == 4:
            example = ", ".join(f"{name} = {show(t.flatten())}" for name, t in
                                (("x", x), ("branch", branch), ("A", A)))
        truth = (scale * branch + x).relu()
        reasons = {"size of tensor": "tensors are lined up from their last axis: make A "
                                     f"(B, 1, H, W) first, here {tuple(scale.shape)}"}
        got = explained(partial(attempt, answer, x, branch, A), reasons)
        expect_close(got, truth, "the block", mistakes=mistakes, example=example)


# -- 09.2 -----------------------------------------------------------------------------------------


def _order_cases() -> list[tuple[Tensor, Tensor]]:
    """Return maps and masks: no tie, ties, all equal, many ties, few rainy pixels, two axes."""
    yes, no = True, False
    rows = [
        ([0.9, 0.8, 0.3, 0.1], [yes, no, yes, yes]),
        ([0.5, 0.5, 0.2, 0.7, 0.9], [yes, no, no, yes, no]),
        ([0.4, 0.4, 0.4], [no, yes, no]),
        ([0.1, 0.2, 0.8], [no, no, yes]),
    ]
    cases = [(torch.tensor(values), torch.tensor(mask)) for values, mask in rows]
    rounded = (torch.rand(6, 7) * 5).round() / 5
    return [*cases, (rounded, torch.arange(42).view(6, 7) % 5 == 0), (rounded, rounded < 0.5)]


@checker("09.2")
def check_order(answer: Callable[..., Any]) -> None:
    """Try ``in_order(values, mask)``, the AUC by counting pairs."""
    for values, mask in _order_cases():
        wet, dry = values[mask], values[~mask]
        larger = (wet[:, None] > dry).sum().item()
        equal = (wet[:, None] == dry).sum().item()
        pairs, number = wet.numel() * dry.numel(), values.numel()
        truth = auc(values, mask)
        mistakes = {
            "a tie counts a half, and you counted it as in order": (larger + equal) / pairs,
            "a tie counts a half, and you counted it as not in order": larger / pairs,
            "it is turned round: in order means that A is larger at the *rainy* pixel": 1 - truth,
            "you left out the ties, above and below": larger / max(pairs - equal, 1),
            "this is the number of pairs: divide it by all pairs": larger + equal / 2,
            "return a share between 0 and 1, not percent": 100 * truth,
            "you divided by the pairs of all pixels: a pair has one rainy and one dry pixel":
                (larger + equal / 2) / (number * (number - 1) / 2),
            "you divided by the square of the number of pixels: a pair has one rainy and one dry "
            "pixel": (larger + equal / 2) / number**2,
            "you compared A with .5: an AUC needs no threshold, only the order":
                ((values >= 0.5) == mask).double().mean(),
            "you took the difference of the two means: count pairs": wet.mean() - dry.mean(),
        }
        example = f"A = {show(values)}, mask = {show(mask)}"
        reasons = {"size of tensor": "each rainy value meets each dry one: `wet[:, None] > dry`",
                   "infer output dtype": _YES_OR_NO}
        got = explained(partial(attempt, answer, values, mask), reasons)
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
    truth = sum(n * d for d, (*_, n, _) in zip(distances, rows, strict=True)) / total
    over_zero = _bins_of(values[values > 0], mask[values > 0], bins)
    without_zero = sum(n * abs(said - true) for said, true, n, _ in over_zero) / total
    return {
        "every bin counts the same here: weigh it by the number of its pixels":
            sum(distances) / len(distances),
        "you divided by the number of bins, the empty ones among them: weigh each by the number "
        "of its pixels": sum(distances) / bins,
        "what the map says is the *mean* of A in a bin, not the bin's middle":
            sum(n * abs(middle - true) for _, true, n, middle in rows) / total,
        "too much and too little cancel each other: take the distance in each bin, and add up "
        "then": sum(n * (said - true) for said, true, n, _ in rows) / total,
        "you compared truth minus map, and the signs cancelled: take the distance in each bin":
            sum(n * (true - said) for said, true, n, _ in rows) / total,
        "this is the distance of each pixel from its own truth, 0 or 1: calibration compares "
        "means over a bin": (values.double() - mask.double()).abs().mean().item(),
        "a pixel with A = 1 is lost: it belongs to the last bin": lost / total,
        "a pixel with A = 1 is lost, also from the count: it belongs to the last bin":
            lost / max(int(open_end.sum()), 1),
        "a pixel with A = 1 got a bin of its own: it belongs to the last bin":
            (lost + float(own)) / total,
        "a pixel with A = 0 is lost: it belongs to the first bin": without_zero,
        "this is the sum over the pixels: divide by their number": truth * total,
        "return a share between 0 and 1, not points": 100 * truth,
        "you always made ten bins: take as many as `bins` says": sum(
            n * abs(said - true) for said, true, n, _ in _bins_of(values, mask, 10)) / total,
    }


@checker("09.3")
def check_gap(answer: Callable[..., Any]) -> None:
    """Try ``mean_gap(values, mask, bins)`` with empty bins, with A = 1, and with uneven bins."""
    for values, mask, bins in _gap_cases():
        rows = _bins_of(values, mask, bins)
        truth = sum(n * abs(said - true) for said, true, n, _ in rows) / values.numel()
        got = explained(partial(attempt, answer, values, mask, bins),
                        {"infer output dtype": _YES_OR_NO})
        example = f"A = {show(values)}, mask = {show(mask)}, {bins} bins"
        bad = isinstance(got, float | Tensor) and torch.as_tensor(got).isnan().any()
        on_edge = bool((values == 0.5).all())  # of two bins
        twice = {"a pixel where two bins meet was counted in both: let a bin hold its lower edge, "
                 "and not its upper one": 2 * truth} if on_edge else {}
        expect(not bad, f"your gap is not a number (nan): an empty bin has no mean, leave it out "
               f"(for {example})")
        expect_close(got, truth, "the gap", example=example,
                     mistakes=twice | _gap_mistakes(values, mask, bins))
