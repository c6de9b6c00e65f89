"""The exercises of lesson 03: what a stack sees, the way back, a fair comparison."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any

import torch
from scipy.special import stdtrit
from torch import Tensor
from torch.nn import functional as F

from derain_edu.course.exercises.checking import Wrong, attempt, checker, expect, expect_close, show
from derain_edu.experiments.statistics import interval

Layers = list[tuple[int, int]]  # (kernel, dilation) of each

# ------------------------------------------------------------------------------ 03.1: the window


@checker("03.1")
def check_receptive_field(answer: Callable[[Layers], Any]) -> None:
    """Try ``receptive_field(layers)`` on stacks with other kernels and dilations."""
    stacks: list[Layers] = [
        [(9, 1)], [(3, 1)] * 4, [(5, 1), (3, 1), (3, 1)], [(3, 4)], [(3, 1), (3, 2), (3, 4)],
        [(1, 1), (7, 3), (1, 5)], [(5, 2), (3, 3), (5, 1), (3, 7)], [],
    ]
    for layers in stacks:
        got = attempt(answer, list(layers))
        expect_close(got, measured_span(layers), "the width", example=f"layers = {layers}",
                     mistakes=window_mistakes(layers))


def measured_span(layers: Layers, size: int = 101) -> int:
    """Return from which to which pixel the middle output depends on, measured by its gradient."""
    x = torch.zeros(1, 1, size, requires_grad=True)
    y = x
    for kernel, dilation in layers:
        y = F.conv1d(y, torch.ones(1, 1, kernel), padding=kernel // 2 * dilation, dilation=dilation)
    y[0, 0, size // 2].backward()
    seen = x.grad[0, 0].nonzero()
    return int(seen.max() - seen.min()) + 1


def window_mistakes(layers: Layers) -> dict[str, int]:
    """Return what comes out of the ways to count otherwise."""
    product = 1
    for kernel, _ in layers:
        product *= kernel
    grown = sum((kernel - 1) * dilation for kernel, dilation in layers)
    return {
        "one pixel sees itself before any layer: start at 1": grown,
        "the dilation is missing: a kernel of 3 with dilation 2 reaches over 5 pixels": 1 + sum(
            kernel - 1 for kernel, _ in layers
        ),
        "you add the kernels up. Neighbouring windows overlap: a kernel of 3 adds 2 pixels": sum(
            kernel for kernel, _ in layers
        ),
        "you multiply the kernels, as if each layer skipped pixels (a stride)": product,
        "a kernel of k has k − 1 steps between its pixels, and dilation stretches the steps":
        1 + sum(kernel * dilation - 1 for kernel, dilation in layers),
        "dilation d puts the pixels d apart: with d = 1 they are neighbours, so multiply by d": (
            1 + sum((kernel - 1) * (dilation + 1) for kernel, dilation in layers)
        ),
        "this is the reach to one side; the window goes to both": grown // 2,
        "you count one side only": 1 + grown // 2,
        "you take every kernel for one of 3: this one reaches farther to both sides": (
            1 + 2 * sum(dilation for _, dilation in layers)
        ),
        "you took the widest layer; a stack adds them up": max(
            ((kernel - 1) * dilation + 1 for kernel, dilation in layers), default=0
        ),
    }


# ----------------------------------------------------------------------------- 03.2: the way back


# sent, x, w1, w2: each mistake that we have thought of gives another gradient here
_BLOCK = (
    [2.0, -1.5, 1.5],
    [1.0, -1.5, -0.5],
    [[0.5, 0.0, 0.5], [0.5, 1.5, 1.5], [0.5, 0.0, -0.5]],
    [[1.0, -1.0, -2.0], [1.0, -2.0, 0.5], [1.5, 1.0, 0.5]],
)


@checker("03.2")
def check_send_back(answer: Callable[..., Any]) -> None:
    """Try ``send_back(sent, x, w1, w2)`` against autograd: square blocks, then rectangular ones."""
    draw = torch.Generator().manual_seed(66)
    blocks = [tuple(torch.tensor(part) for part in _BLOCK)]
    for given in blocks + [small_block(inner, draw) for inner in (3, 3, 5, 2, 5, 2, 1)]:
        got = attempt(answer, *given)
        sent, x, w1, w2 = given
        if not isinstance(got, Tensor):
            raise Wrong(f"the gradient should be a tensor, and yours is a {type(got).__name__}")
        expect(got.shape == x.shape, "the gradient should be of the shape of x, (3,), and "
                                     f"yours is {tuple(got.shape)}")
        words = f"sent = {show(sent)}, x = {show(x)}, w1 = {show(w1)}, w2 = {show(w2)}"
        expect_close(got, true_gradient(*given), "the gradient at x", example=words,
                     mistakes=gradient_mistakes(*given))


def small_block(inner: int, draw: torch.Generator) -> tuple[Tensor, ...]:
    """Return sent, x, w1, w2 in halves, so that no ReLU gets exactly 0 and some are closed."""
    while True:
        numbers = torch.randint(-4, 5, (6 + 6 * inner,), generator=draw) / 2
        sent, x, w1, w2 = numbers.split([3, 3, 3 * inner, 3 * inner])
        w1, w2 = w1.view(inner, 3), w2.view(3, inner)
        a = w1 @ x
        b = w2 @ a.relu()
        into = [a, b, x + b.relu()]
        mixed = inner == 1 or all((v > 0).any() and (v < 0).any() for v in into)
        if mixed and all((v != 0).all() for v in (*into, sent)):
            return sent, x, w1, w2


def true_gradient(sent: Tensor, x: Tensor, w1: Tensor, w2: Tensor) -> Tensor:
    """Return what autograd sends back to x."""
    x = x.clone().requires_grad_()
    y = F.relu(x + F.relu(w2 @ F.relu(w1 @ x)))
    return torch.autograd.grad((sent * y).sum(), x)[0]


def gradient_mistakes(sent: Tensor, x: Tensor, w1: Tensor, w2: Tensor) -> dict[str, Tensor]:
    """Return what comes back when one of the steps is wrong."""
    a = w1 @ x
    b = w2 @ a.relu()
    on_1, on_2, on_3 = (a > 0).float(), (b > 0).float(), (x + b.relu() > 0).float()
    g = on_3 * sent  # what arrives at the sum
    bent = (x + (w2 @ a).relu() > 0) * sent  # the same, with a ReLU forgotten on the way forward

    def branch(at_its_end: Tensor, gate_1: Tensor, gate_2: Tensor) -> Tensor:
        return w1.T @ (gate_1 * (w2.T @ (gate_2 * at_its_end)))

    through, one = branch(g, on_1, on_2), torch.ones(())
    return turned_mistakes(g, (on_1, on_2), w1, w2) | {
        "you return what was sent; the block changes it": sent,
        "this is y, the way forward": (x + b.relu()).relu(),
        "the skip is missing: x goes into the sum directly, too, and what comes back on the two "
        "ways adds up": through,
        "this is the skip alone: what comes back through the branch is missing": g,
        "a ReLU asks what goes into it: into the first one goes w1 @ x, and not x": (
            g + w1.T @ ((x > 0) * (w2.T @ (on_2 * g))) if len(w1) == len(x) else through
        ),
        "the two ways multiply in yours: after a sum, gradients add up": g * through,
        "the last ReLU lets nothing back where its input was negative, on neither way":
        sent + branch(sent, on_1, on_2),
        "the last ReLU stands behind the sum: it holds for the skip, too": sent + through,
        "the last ReLU stands behind the sum: it holds for the branch, too":
        g + branch(sent, on_1, on_2),
        "what opens the last ReLU is the sum x + branch, and not x alone":
        (x > 0) * sent + branch((x > 0) * sent, on_1, on_2),
        "the ReLU at the end of the branch is missing on the way back": g + branch(g, on_1, one),
        "the ReLU between the two layers is missing on the way back": g + branch(g, one, on_2),
        "the ReLU between the two layers is missing on the way forward, in w2 @ relu(w1 @ x)":
        bent + branch(bent, on_1, (w2 @ a > 0).float()),
        "both ReLUs of the branch are missing on the way back. (What comes out of a ReLU is never "
        "below 0: ask what is above 0.)": g + branch(g, one, one),
        "no ReLU lets anything back where its input was negative: there are three":
        sent + branch(sent, one, one),
    }


def turned_mistakes(
    g: Tensor, gates: tuple[Tensor, Tensor], w1: Tensor, w2: Tensor
) -> dict[str, Tensor]:
    """Return what comes out of the wrong matrix at the wrong place, if the shapes allow it."""
    if w1.shape != w2.shape:
        return {}
    on_1, on_2 = gates
    return {
        "the way back goes through the transposed matrices, w.T":
        g + w1 @ (on_1 * (w2 @ (on_2 * g))),
        "the way back begins with the last layer: w2.T first, then w1.T":
        g + w2.T @ (on_1 * (w1.T @ (on_2 * g))),
    }


# ------------------------------------------------------------------------ 03.3: a fair comparison


@checker("03.3")
def check_paired_interval(answer: Callable[..., Any]) -> None:
    """Try ``paired_interval(first, second)`` on three and five seeds, in any order."""
    cases = [
        ({0: 31.0, 1: 33.0, 2: 30.0}, {0: 30.7, 1: 32.8, 2: 29.6}),
        ({0: 31.0, 1: 33.0, 2: 30.0}, {2: 30.1, 0: 33.5, 1: 30.9}),  # not in the same order
        ({4: 28.2, 7: 29.1, 5: 30.4, 8: 27.0, 6: 28.8}, {4: 28.9, 5: 30.9, 6: 28.1, 7: 29.0,
                                                         8: 27.3}),
        ({0: 31.0, 1: 33.0, 2: 30.0, 3: 35.0}, {0: 30.7, 1: 32.2, 2: 29.6}),  # seed 3 is alone
    ]
    for first, second in cases:
        found = _paired(answer, first, second)
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise Wrong(f"return two numbers, `return mean, half`, and not {found!r}")
        ends = "these are the two ends, mean − half and mean + half: return mean and half"
        seeds = sorted(first.keys() & second.keys())
        differences = [first[seed] - second[seed] for seed in seeds]
        mean, half = interval(differences)
        example = f"first = {first}, second = {second}"
        low = found[0] if isinstance(found[0], float) else mean
        expect(abs(low - (mean - half)) > 1e-3 * abs(half), f"{ends} (for {example})")
        expect_close(found[0], mean, "the mean difference", example=example, mistakes={
            "the sign is wrong: `first − second`": -mean,
            "a seed that only one of the two has can't be paired: leave it out":
            statistics.fmean(first.values()) - statistics.fmean(second.values()),
        })
        expect_close(found[1], half, "the half-width", example=example, tolerance=1e-3,
                     mistakes=interval_mistakes(first, second))


def _paired(answer: Callable[..., Any], first: dict[int, float], second: dict[int, float]) -> Any:
    """Call the answer; say which seed or which n it looked up in vain."""
    try:
        return attempt(answer, dict(first), dict(second))
    except Wrong as reason:
        if "KeyError" not in str(reason):
            raise
        alone = sorted(first.keys() ^ second.keys())
        if alone:
            raise Wrong(
                f"only one of the two networks has seed {alone[0]}, and a difference needs both: "
                "leave such a seed out, and count n without it (for "
                f"first = {first}, second = {second})"
            ) from None
        raise Wrong(
            "you looked up what is not there: STUDENT goes by n, the number of differences, and "
            f"the scores go by seed (for first = {first}, second = {second})"
        ) from None


def interval_mistakes(first: Mapping[int, float], second: Mapping[int, float]) -> dict[str, float]:
    """Return the half-widths of other intervals."""
    seeds = sorted(first.keys() & second.keys())
    ours, theirs = ([scores[seed] for seed in seeds] for scores in (first, second))
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    by_order = [a - b for a, b in zip(first.values(), second.values(), strict=False)]
    by_rank = [a - b for a, b in zip(sorted(ours), sorted(theirs), strict=True)]
    half, spread, root = interval(differences)[1], statistics.stdev(differences), len(seeds) ** 0.5
    student = half * root / spread
    fewer = float(stdtrit(len(seeds) - 2, 0.975)) * spread / root
    all_seeds = len(first)
    counted = float(stdtrit(all_seeds - 1, 0.975)) * spread / all_seeds**0.5
    apart = (statistics.variance(ours) + statistics.variance(theirs)) ** 0.5
    return {
        "you did not pair: the seeds' own ups and downs are in your interval. Take the difference "
        "for each seed first, and then its deviation": student * apart / root,
        "you add up two intervals, and did not pair: take the difference for each seed first": (
            interval(ours)[1] + interval(theirs)[1]
        ),
        "you pair by place in the dictionary: seed 0 belongs to seed 0, wherever it stands": (
            interval(by_order)[1]
        ),
        "you pair the best with the best: seed 0 belongs to seed 0, good or bad": (
            interval(by_rank)[1]
        ),
        "n is the number of differences, and you count a seed that only one of the two has": (
            counted
        ),
        "the table STUDENT goes by n, the number of differences, and you took another line of it "
        "(n − 1?)": fewer,
        "1.96 is for very many values; few seeds need Student's t from the table": (
            1.96 * spread / root
        ),
        "2 is for very many values; few seeds need Student's t from the table": 2 * spread / root,
        "the deviation of a few values divides by n − 1, and yours by n (`statistics.stdev`)": (
            student * statistics.pstdev(differences) / root
        ),
        "this is the interval of a single run: the mean of n runs is surer, by √n": half * root,
        "you divide by n: the deviation of a mean falls by √n": half / root,
        "this is the standard error alone; times t it is the half-width": spread / root,
        "this is the standard deviation alone": spread,
        "you took the variance; its root is the deviation": half * spread,
        "this is the whole width: return half of it": 2 * half,
    }
