"""The exercises of lesson 05: the shares of a shared weight, a backward by hand, an LSTM step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from derain_edu.course.exercises.checking import attempt, checker, expect, expect_close, show
from derain_edu.evaluation.timing import LiveMemory
from derain_edu.models.blocks import ConvLSTM

Step = Callable[[Tensor, Tensor], Tensor]  # (x_{t-1}, w) to x_t

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
        got = attempt(answer, w, o, stages)
        words = f"w = {w:g}, o = {o:g}, T = {stages}"
        single = isinstance(got, int | float) or (isinstance(got, Tensor) and got.ndim == 0)
        expect(
            not single, f"return a list with the share of each use, not one number (for {words})"
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
        f"{way}, not the ones before": [x[t - 1] * w ** (t - 1) for t in uses],
        f"{way}, on its way back: w^(T - t) is missing": x[:last],
        "that is the error alone: multiply it by what came in": [w ** (last - t) for t in uses],
        "you left out the o that each stage adds": [x[0] * w ** (last - 1)] * last,
        "the order is from the first use to the last one": truth[::-1],
        "the uses have different shares, and you split the sum evenly": [total / last] * last,
        "each use has a share of the sum, and you gave the sum to each": [total] * last,
    }
    return {reason: torch.tensor(values) for reason, values in wrong.items()}


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
            got = attempt(answer, step, w.clone().requires_grad_(learns), x, stages, loss)
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
    cut = torch.zeros_like(truth)
    cut[-1] = truth[-1]
    return {
        "that is the sum, the gradient of the shared weight: return the share of each use": total,
        "each use has the gradient of the shared weight: give each one a copy of its own": every,
        "you split the sum evenly: give each use a copy of its own": every / stages,
        "the loss compares the last draft only, and you took the loss of each stage": direct,
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


def _plain(step: Step, w: Tensor, x: Tensor, stages: int, loss: Callable) -> Tensor:
    leaf = w.clone().requires_grad_()
    [gradient] = torch.autograd.grad(loss(_run(step, [leaf] * stages, x)[-1]), leaf)
    return gradient


@checker("05.3")
def check_gradient_from_drafts(answer: Callable[..., Any]) -> None:
    """Try ``gradient_from_drafts(step, w, x, stages, loss)``: its value, then what it keeps."""
    for step, w, x, loss, words in _examples()[1:]:
        for stages in (3, 1):
            got = attempt(answer, step, w, x, stages, loss)
            truth = _plain(step, w, x, stages, loss)
            mistakes = _wrong_backwards(step, w, x, stages, loss)
            example = f"{words}, T = {stages}"
            expect_close(got, truth, "the gradient", mistakes=mistakes, example=example)
    w, x = torch.randn(4, 64, dtype=torch.float64), torch.randn(50, 4, dtype=torch.float64)
    given = (_wide, w, x, 12, lambda y: y.square().mean())
    got, alive = _most_alive(lambda: attempt(answer, *given))
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

    def walk(starts: Sequence[Tensor], pass_on: bool) -> Tensor:
        error, total = first_error, torch.zeros_like(w)
        for start in reversed(starts):
            before, leaf = start.clone().requires_grad_(), w.clone().requires_grad_()
            back, share = torch.autograd.grad(step(before, leaf), (before, leaf), error)
            total, error = total + share, back if pass_on else error
        return total

    return {
        "you kept the last share that you made (stage 1), and all T must be added up": shares[0],
        "that is the share of stage T alone: walk on to stage 1": shares[-1],
        "each stage got the error of the last one: pass on what autograd gives for x_{t-1}": (
            walk(drafts[:-1], pass_on=False)
        ),
        "stage t runs again from x_{t-1}, what came in, and you started it from x_t": (
            walk(drafts[1:], pass_on=True)
        ),
        "the drafts are in the order of the forward way: walk from the last one to the first": (
            walk(drafts[:-1][::-1], pass_on=True)
        ),
        "you divided the sum by T": shares.mean(dim=0),
    }


# ------------------------------------------------------------------------------------ an LSTM step


class Gates(nn.Module):
    """The convolution of the four gates; it says what it expects."""

    def __init__(self, conv: nn.Module, inputs: int) -> None:
        super().__init__()
        self.conv, self.inputs = conv, inputs

    def forward(self, both: Tensor) -> Tensor:
        if both.ndim != 4 or both.shape[1] != self.inputs:
            raise ValueError(
                f"the convolution takes (B, {self.inputs}, H, W), z and h side by side along dim "
                f"1, and it got {tuple(both.shape)}"
            )
        return self.conv(both)


def _one_pixel() -> tuple[ConvLSTM, Tensor]:
    """Return a memory of one channel whose gates see ``raw`` at z = 1 and h = 2, and z, h, c."""
    memory = ConvLSTM(1)
    nn.init.zeros_(memory.gate_conv.weight)
    memory.gate_conv.weight.data[:, 0, 1, 1] = torch.tensor([0.5, 2.0, 1.0, -1.0])
    nn.init.zeros_(memory.gate_conv.bias)
    return memory, torch.tensor([1.0, 2.0, 0.4]).view(3, 1, 1, 1, 1)


@checker("05.4")
def check_lstm_step(answer: Callable[..., Any]) -> None:
    """Try ``lstm_step(conv, z, h, c)`` against the package's cell, then its way back."""
    first = "one pixel, conv(cat(z, h)) = [0.5, 2, 1, -1], c = 0.4"
    random = ConvLSTM(3)
    cases = [(*_one_pixel(), first), (random, torch.randn(3, 2, 3, 4, 5), "random, C = 3")]
    for memory, (z, h, c), words in cases:
        conv = Gates(memory.gate_conv, 2 * z.shape[1])
        got = attempt(answer, conv, z, h, c)
        two = isinstance(got, tuple | list) and [isinstance(x, Tensor) for x in got] == [True] * 2
        expect(two, f"return two tensors, the new h and the new c, not {type(got).__name__}")
        _, truth = memory(z, (h, c))
        wrong = _wrong_steps(memory, z, h, c)
        for place, name in ((1, "the new c"), (0, "the new h")):
            mistakes = {reason: pair[place] for reason, pair in wrong.items()}
            expect_close(got[place], truth[place], name, mistakes=mistakes, example=words)
    _check_way_back(answer, random, torch.randn(3, 2, 3, 4, 5))


def _wrong_steps(
    memory: ConvLSTM, z: Tensor, h: Tensor, c: Tensor
) -> dict[str, tuple[Tensor, Tensor]]:
    raw = memory.gate_conv(torch.cat((z, h), dim=1))
    i, f, g, o = memory.gates(z, h)
    i_raw, f_raw, g_raw, o_raw = raw.chunk(4, dim=1)
    new = f * c + i * g

    def end(c: Tensor, o: Tensor = o) -> tuple[Tensor, Tensor]:
        return o * torch.tanh(c), c

    swapped = memory(h, (z, c))[1]
    return {
        "the two results are swapped: first h, then c": end(new)[::-1],
        "the channels of the gates come in the order i, f, g, o, and you took i, f, o, g": (
            end(f * c + i * o_raw.tanh(), g_raw.sigmoid())
        ),
        "f (forget) belongs to the old c and i (write) to g, and you exchanged them": (
            end(i * c + f * g)
        ),
        "g is not a gate but what may be written: tanh, not a sigmoid": end(
            f * c + i * g_raw.sigmoid()
        ),
        "the gates i, f and o are sigmoids": end(f_raw * c + i_raw * g, o_raw),
        "g goes through a tanh first": end(f * c + i * g_raw),
        "h shows tanh(c), and you left out the tanh": (o * new, new),
        "h shows the new c, and you took the old one": (o * torch.tanh(c), new),
        "the forget gate f is a gate of its own, not 1 - i": end((1 - i) * c + i * g),
        "the write gate i is a gate of its own, not 1 - f": end(f * c + (1 - f) * g),
        "the old c is multiplied by the forget gate f": end(c + i * g),
        "the old c counts, too: f · c": end(i * g),
        "what is written is i · g, and you left out the gate": end(f * c + g),
        "the convolution wants z first and h second": swapped,
        "the memory is c: the old h only helps to set the gates": end(f * h + i * g),
    }


def _check_way_back(answer: Callable[..., Any], memory: ConvLSTM, values: Tensor) -> None:
    """Compare the gradients that come back to z, h and c: a detached memory has none."""
    conv = Gates(memory.gate_conv, 2 * values.shape[2])
    leaves = [value.clone().requires_grad_() for value in values]
    marks = torch.randn(2, *values.shape[1:])

    def back(pair: Sequence[Tensor]) -> list[Tensor | None]:
        end = sum((mark * result).sum() for mark, result in zip(marks, pair, strict=True))
        if not end.requires_grad:
            return [None] * 3
        return list(torch.autograd.grad(end, leaves, allow_unused=True))

    got = back(attempt(lambda: answer(conv, *leaves)))
    truth = back(memory(leaves[0], (leaves[1], leaves[2]))[1])
    for name, found, want in zip("zhc", got, truth, strict=True):
        cut = f"h and c are right, but no gradient comes back to {name}: is it cut off (detach)?"
        expect(found is not None, f"{cut} Training needs this road (section 8)")
        what = f"h and c are right, but the gradient that comes back to {name}"
        expect_close(found, want, what, example=f"random, {show(values[0])} each")
