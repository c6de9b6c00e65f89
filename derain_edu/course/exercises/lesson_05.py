"""The exercises of lesson 05: the shares of a shared weight, and a backward by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from derain_edu.course.exercises.checking import checker, expect, expect_close, hinted
from derain_edu.evaluation.timing import LiveMemory

Step = Callable[[Tensor, Tensor], Tensor]  # (x_{t-1}, w) to x_t

# What PyTorch and Python say, and what it means in these exercises.
ERRORS = {
    "does not require grad": "nothing leads from the loss back to what you ask for: does each copy "
    "of w, and each draft that you ask for, call `.requires_grad_()`, does the stage use the copy, "
    "and does it run outside of torch.no_grad()?",
    "to not have been used": "what you ask for does not lead to the loss: does each stage use its "
    "copy and go on from the draft before it, without detach, and is the call "
    "autograd.grad(loss, list_of_copies)?",
    "only for scalar outputs": "autograd.grad starts at one number: at the loss of x_T, or at x_t "
    "with the error that comes back to it as third argument. Is that error None? The draft that "
    "goes into a stage needs `.requires_grad_()`, too",
    "backward through the graph a second time": "the same graph is walked twice: run the stage "
    "again, or ask for all gradients in one call",
    "but got NoneType": "one of the copies does not reach the loss, and its gradient is None: is a "
    "draft cut off by detach?",
    "shapes cannot be multiplied": "step(x, w) takes the draft first, then the weight",
    "cannot be concatenated": "w may be a single number, of no dimension: torch.stack puts the "
    "shares into a new first dimension, torch.cat can't",
    "cannot be converted to Scalar": "w may be of any shape, and a share is as large as w: leave "
    "out .item()",
    "'builtin_function_or_method'": "requires_grad_ is a method: write `.requires_grad_()`, with "
    "brackets",
    "Mismatch in shape": "the error that comes back to x_t has the shape of x_t: autograd.grad "
    "returns its results in the order in which you ask, (x, w)",
    "float division by zero": "w may be 0: multiply by w once for each later use, and don't divide",
    "0.0 cannot be raised to a negative power": "w may be 0: an exponent of yours is negative, "
    "and the error of use t passes T - t later uses",
    "for ^": "a power is written ** in Python; ^ is another operation",
    "assignment index out of range": "a list does not grow by itself: use append",
}


# ------------------------------------------------------------------------- one number, used T times


def _last(o: float, weights: Sequence[float]) -> list[float]:
    """Return x_0 to x_T of x_t = o + w_t · x_{t-1}, where each use has a weight of its own."""
    drafts = [o]
    for w in weights:
        drafts.append(o + w * drafts[-1])
    return drafts


@checker("05.1")
def check_shares_of_uses(answer: Callable[..., Any]) -> None:
    """Try ``shares_of_uses(w, o, stages)``: y is linear in each use, so differences are exact."""
    for w, o, stages in (
        (3.0, 2.0, 2),
        (0.5, 1.0, 4),
        (-0.5, 2.0, 3),
        (0.0, 2.0, 3),
        (3.0, 5.0, 1),
    ):
        got = hinted(answer, ERRORS, w, o, stages)
        words = f"w = {w:g}, o = {o:g}, T = {stages}"
        single = isinstance(got, int | float) or (isinstance(got, Tensor) and got.ndim == 0)
        expect(
            not single, f"return a list with the share of each use, not one number (for {words})"
        )
        expect(
            isinstance(got, list | tuple | Tensor | np.ndarray),
            f"return a list, and not a {type(got).__name__}",
        )
        expect(
            len(got) == stages,
            f"the shape should be ({stages},): a share for each of the {stages} uses, and yours "
            f"has {len(got)}: does the loop end too early, or is `return` inside of it?",
        )
        drafts = _last(o, [w] * stages)
        truth = []
        for t in range(stages):
            more = [w + (k == t) for k in range(stages)]
            truth.append(_last(o, more)[-1] - drafts[-1])
        mistakes = _wrong_shares(w, drafts, truth)
        expect_close(
            got, torch.tensor(truth), "the list of shares", mistakes=mistakes, example=words
        )


def _wrong_shares(w: float, x: list[float], truth: list[float]) -> dict[str, Tensor]:
    uses, last, total = range(1, len(truth) + 1), len(truth), sum(truth)
    way = "the error passes the uses after t, T - t of them"
    wrong = {
        "a use is given x_{t-1}, and you took x_t, what went out": [
            x[t] * w ** (last - t) for t in uses
        ],
        f"{way}: you took one more": [x[t - 1] * w ** (last - t + 1) for t in uses],
        f"{way}: you took one too few": [
            x[t - 1] * w ** (last - t - 1) if w else math.nan for t in uses
        ],
        f"{way}, and you took T - 1 for each": [x[t - 1] * w ** (last - 1) for t in uses],
        f"{way}, and you took T for each": [x[t - 1] * w**last for t in uses],
        "each later use multiplies by w once more: w to the power of T - t, not w times (T - t)": [
            x[t - 1] * w * (last - t) for t in uses
        ],
        f"{way}, and you took t": [x[t - 1] * w**t for t in uses],
        "what comes in at use t is x_{t-1}, and you took o each time": [
            x[0] * w ** (last - t) for t in uses
        ],
        f"{way}, not the ones before": [x[t - 1] * w ** (t - 1) for t in uses],
        f"{way}, on its way back: w^(T - t) is missing": x[:last],
        "that is the error alone: multiply it by what came in": [w ** (last - t) for t in uses],
        "that is the share without the o that each stage adds: here the uses have different ones": [
            w ** (last - 1)
        ]
        * last,
        "you left out the o that each stage adds": [x[0] * w ** (last - 1)] * last,
        "the order is from the first use to the last one": truth[::-1],
        "the uses have different shares, and you split the sum evenly": [total / last] * last,
        "each use has a share of the sum, and you gave the sum to each": [total] * last,
    }
    drafts = {  # and a loop that makes other drafts
        "x_0 is o: the first use is given o, and you began with 0": [0.0, *x],
        "each stage adds o, and you added the draft: x = o + w * x": [
            x[0] * (1 + w) ** t for t in range(last)
        ],
        "each stage adds o after w: x = o + w * x": _added_before(w, x[0], last),
    }
    wrong |= {
        reason: [before * w ** (last - t) for t, before in zip(uses, values, strict=False)]
        for reason, values in drafts.items()
    }
    return {reason: torch.tensor(values) for reason, values in wrong.items()}


def _added_before(w: float, o: float, stages: int) -> list[float]:
    """Return the drafts of x_t = w · (o + x_{t-1})."""
    drafts = [o]
    for _ in range(stages):
        drafts.append(w * (o + drafts[-1]))
    return drafts


# ----------------------------------------------------------------------------- a copy for each use


def _plus(x: Tensor, w: Tensor) -> Tensor:
    return 1 + w * x


def _mix(x: Tensor, w: Tensor) -> Tensor:
    return x + torch.tanh(x @ w)


def _run(step: Step, weights: Sequence[Tensor], x: Tensor) -> list[Tensor]:
    drafts = []
    for w in weights:
        x = step(x, w)
        drafts.append(x)
    return drafts


def _differences(step: Step, w: Tensor, x: Tensor, stages: int, loss: Callable) -> Tensor:
    """Return the share of each use by central differences, without any backward: (T, *w.shape)."""
    shares = torch.zeros(stages, w.numel(), dtype=torch.float64)
    h = 1e-5
    for t in range(stages):
        for k in range(w.numel()):
            ends = []
            for sign in (h, -h):
                weights = [w.clone() for _ in range(stages)]
                weights[t].view(-1)[k] += sign
                ends.append(loss(_run(step, weights, x)[-1]).item())
            shares[t, k] = (ends[0] - ends[1]) / (2 * h)
    return shares.view(stages, *w.shape)


def _examples() -> list[tuple[Step, Tensor, Tensor, Callable, str]]:
    w, x = torch.randn(2, 2, dtype=torch.float64), torch.randn(3, 2, dtype=torch.float64)
    one, two = torch.tensor([3.0, 2.0], dtype=torch.float64)
    return [
        (lambda x, w: w * x, one, two, lambda y: y, "x_t = w · x, w = 3, x = 2, loss = x_T"),
        (_plus, one, two, lambda y: y, "x_t = 1 + w · x, w = 3, x = 2, loss = x_T"),
        (_mix, w, x, lambda y: y.square().mean(), "x_t = x + tanh(x @ w), w of shape (2, 2)"),
    ]


@checker("05.2")
def check_share_of_each_use(answer: Callable[..., Any]) -> None:
    """Try ``share_of_each_use(step, w, x, stages, loss)`` against finite differences."""
    for step, w, x, loss, words in _examples():
        for stages, learns in ((2, False), (3, True), (1, False)):
            got = hinted(answer, ERRORS, step, w.clone().requires_grad_(learns), x, stages, loss)
            if isinstance(got, list | tuple) and all(isinstance(part, Tensor) for part in got):
                got = torch.stack(list(got)) if len({part.shape for part in got}) == 1 else got
            truth = _differences(step, w, x, stages, loss)
            mistakes = _wrong_splits(step, w, x, truth, loss)
            what, example = "what you return", f"{words}, T = {stages}"
            expect_close(got, truth, what, mistakes=mistakes, example=example)


def _wrong_splits(
    step: Step, w: Tensor, x: Tensor, truth: Tensor, loss: Callable
) -> dict[str, Tensor]:
    stages, total = len(truth), truth.sum(dim=0)
    every = total.expand_as(truth)
    leaves = [w.clone().requires_grad_() for _ in range(stages)]
    drafts = _run(step, leaves, x)
    losses = sum(loss(draft) for draft in drafts)
    everything = torch.stack(torch.autograd.grad(losses, leaves))
    direct = torch.zeros_like(truth)
    for t in range(stages):
        before = x if t == 0 else drafts[t - 1].detach()
        leaf = w.clone().requires_grad_()
        [direct[t]] = torch.autograd.grad(loss(step(before, leaf)), leaf)
    again = torch.zeros_like(truth)
    leaf = w.clone().requires_grad_()
    again[:] = torch.autograd.grad(loss(step(x, leaf)), leaf)[0]
    cut = torch.zeros_like(truth)
    cut[-1] = truth[-1]
    return {
        "that is the sum, the gradient of the shared weight: return the share of each use": total,
        "each use has the gradient of the shared weight: give each one a copy of its own": every,
        "you split the sum evenly: give each use a copy of its own": every / stages,
        "the loss compares the last draft only, and you took the loss of each stage": direct,
        "each stage goes on from the draft before it, x = step(x, own), and yours all start at "
        "x_0": again,
        "that is the last share alone: keep all T copies in a list": truth[-1],
        "these are the copies themselves: return their gradients": w.expand_as(truth),
        "return the shares themselves, not their lengths": truth.flatten(1).norm(dim=1)
        if w.ndim
        else truth.abs(),
        "a share keeps the shape of w": truth.reshape(stages, -1),
        "the uses come first, (T, *w.shape): torch.stack(shares) puts them there": truth.movedim(
            0, -1
        ),
        "only the last use got something: is a draft cut off by detach?": cut,
        "the loss looks at the last draft only, and you added up the losses of all": everything,
        "the order is from the first use to the last one": truth.flip(0),
    }


# ------------------------------------------------------------------- backward with the drafts alone


def _wide(x: Tensor, w: Tensor) -> Tensor:
    return x + 0.1 * torch.tanh(torch.sin(x @ w)) @ w.T  # inside: 16 times as wide as a draft


def _most_alive(run: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """Return what ``run`` returns, and the most KiB of its tensors that were alive at once."""
    with LiveMemory() as memory:
        result = run()
    return result, memory.peak / 1024


def _examples_with_an_error() -> list[tuple[Step, Tensor, Tensor, Callable, str]]:
    """Return examples whose first error is not 1, so that one which was left out is seen."""
    _, (step, w, x, _, _), matrix = _examples()
    return [(step, w, x, lambda y: 2 * y, "x_t = 1 + w · x, w = 3, x = 2, loss = 2 x_T"), matrix]


def _plain(step: Step, w: Tensor, x: Tensor, stages: int, loss: Callable) -> Tensor:
    leaf = w.clone().requires_grad_()
    [gradient] = torch.autograd.grad(loss(_run(step, [leaf] * stages, x)[-1]), leaf)
    return gradient


@checker("05.3")
def check_gradient_from_drafts(answer: Callable[..., Any]) -> None:
    """Try ``gradient_from_drafts(step, w, x, stages, loss)``: its value, then what it keeps."""
    for step, w, x, loss, words in _examples_with_an_error():
        for stages in (3, 1):
            got = hinted(answer, ERRORS, step, w, x, stages, loss)
            truth = _plain(step, w, x, stages, loss)
            mistakes = _wrong_backwards(step, w, x, stages, loss)
            example = f"{words}, T = {stages}"
            expect_close(got, truth, "the gradient", mistakes=mistakes, example=example)
    w, x = torch.randn(4, 64, dtype=torch.float64), torch.randn(50, 4, dtype=torch.float64)
    given = (_wide, w, x, 12, lambda y: y.square().mean())
    got, alive = _most_alive(lambda: hinted(answer, ERRORS, *given))
    truth, plain = _most_alive(lambda: _plain(*given))
    expect_close(got, truth, "the gradient", example="x of shape (50, 4), T = 12")
    needs = f"{alive:.0f} KiB were alive at once, and the plain backward needs {plain:.0f} KiB"
    advice = "run the loop in torch.no_grad(), keep its drafts alone, and run one stage again when "
    reason = f"the gradient is right, but {needs} (T = 12): {advice}its turn comes"
    expect(alive < plain / 2, reason)


def _wrong_backwards(
    step: Step, w: Tensor, x: Tensor, stages: int, loss: Callable
) -> dict[str, Tensor]:
    """Return what goes wrong in the walk from the last stage to the first."""
    shares = _differences(step, w, x, stages, loss)
    drafts = [x, *_run(step, [w] * stages, x)]
    end = drafts[-1].clone().requires_grad_()
    [first_error] = torch.autograd.grad(loss(end), end)

    def walk(
        starts: Sequence[Tensor],
        error: Tensor = first_error,
        rule: Callable[[Tensor, Tensor], Tensor] = lambda error, back: back,
        exchange: bool = False,
    ) -> Tensor:
        """Walk back from the drafts in ``starts``; ``rule`` makes the error for the next."""
        total = torch.zeros_like(w)
        for start in reversed(starts):
            before, leaf = start.clone().requires_grad_(), w.clone().requires_grad_()
            back, share = torch.autograd.grad(step(before, leaf), (before, leaf), error)
            back, share = (share, back) if exchange else (back, share)
            total, error = total + share, rule(error, back)
        return total

    ones, starts = torch.ones_like(first_error), drafts[:-1]
    right = walk(starts)
    wrong = {
        "you kept the last share that you made (stage 1), and all T must be added up": shares[0],
        "that is the share of stage T alone: walk on to stage 1": shares[-1],
        "add the T shares up: the gradient has the shape of w": shares.flip(0),
        "each stage got the error of the last one, or of a loss of its own: pass on what autograd "
        "gives for x_{t-1}": walk(starts, rule=lambda error, back: error),
        "autograd.grad takes the error that came back to x_t as third argument; without it the "
        "error is 1": walk(starts, ones, lambda error, back: ones),
        "the error for the stage before is None: the draft that goes into a stage needs "
        "`.requires_grad_()`, too": walk(starts, rule=lambda error, back: ones),
        "the first error is the gradient of the loss for x_T, and you began with 1": walk(
            starts, ones
        ),
        "the first error is the gradient of the loss for x_T, and you began with the loss": walk(
            starts, loss(drafts[-1]).expand_as(ones)
        ),
        "autograd.grad returns its results in the order in which you ask: the error for x_{t-1}, "
        "then the share": walk(starts, exchange=True) if w.shape == x.shape else math.nan,
        "the error is what comes back from a stage: do not add it to the one before": walk(
            starts, rule=lambda error, back: error + back
        ),
        "stage t runs again from x_{t-1}, what came in, and you started it from x_t": (
            walk(drafts[1:])
        ),
        "one stage too many: no stage starts at x_T, so the walk back begins at x_{T-1}": (
            walk(drafts)
        ),
        "the drafts are in the order of the forward way: walk from the last one to the first": (
            walk(starts[::-1])
        ),
        "you divided the sum by T": shares.mean(dim=0),
        "the sum begins at 0: torch.zeros_like(w)": right + w,
        "the sum begins at 0, and yours at 1: torch.zeros_like(w)": right + 1,
    }
    if stages > 1:
        wrong |= {
            "the walk back begins at stage T, and you began at stage T - 1": walk(starts[:-1]),
            "the walk back ends at stage 1, and you stopped at stage 2": walk(starts[1:]),
        }
    return wrong
