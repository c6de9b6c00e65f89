"""Answers to the exercises of lesson 03: a second right one, and wrong ones with the reason."""

import math
import statistics

import torch
from torch.nn import functional as F

from derain_edu.experiments.statistics import interval

# ------------------------------------------------------------------------------ 03.1: the window


def window_from_the_back(layers):
    left = right = 0
    for kernel, dilation in reversed(layers):
        left, right = left - (kernel // 2) * dilation, right + (kernel // 2) * dilation
    return right - left + 1


# ----------------------------------------------------------------------------- 03.2: the way back


def back_by_jacobian(sent, x, w1, w2):
    def gate(values):
        return torch.diag((values > 0).to(values))

    a = w1 @ x
    b = w2 @ a.relu()
    branch = gate(b) @ w2 @ gate(a) @ w1
    return (gate(x + b.relu()) @ (torch.eye(len(x)) + branch)).T @ sent


def back(sent, x, w1, w2, skip=1.0, branch=1.0, gates=(1, 1, 1), late=False):
    """Return the gradient, or a wrong one: parts can be left out."""
    a = w1 @ x
    b = w2 @ a.relu()
    on = [((v > 0) if used else torch.ones_like(v)) for v, used in
          zip((a, b, x + b.relu()), gates, strict=True)]
    g = on[2] * sent
    return skip * (sent if late else g) + branch * (w1.T @ (on[0] * (w2.T @ (on[1] * g))))


def back_not_transposed(sent, x, w1, w2):
    a = w1 @ x
    b = w2 @ a.relu()
    g = (x + b.relu() > 0) * sent
    return g + w1 @ ((a > 0) * (w2 @ ((b > 0) * g)))


def back_in_forward_order(sent, x, w1, w2):
    a = w1 @ x
    b = w2 @ a.relu()
    g = (x + b.relu() > 0) * sent
    return g + w2.T @ ((a > 0) * (w1.T @ ((b > 0) * g)))


def back_half_gated(sent, x, w1, w2):
    return back(sent, x, w1, w2, branch=0) + back(sent, x, w1, w2, skip=0, gates=(1, 1, 0))


def back_gated_by_x(sent, x, w1, w2):
    a = w1 @ x
    g = (x > 0) * sent
    return g + w1.T @ ((a > 0) * (w2.T @ ((w2 @ a.relu() > 0) * g)))


def back_without_inner_relu(sent, x, w1, w2):
    a = w1 @ x
    b = w2 @ a
    g = (x + b.relu() > 0) * sent
    return g + w1.T @ ((a > 0) * (w2.T @ ((b > 0) * g)))


def back_in_place(sent, x, w1, w2):
    sent *= x + (w2 @ (w1 @ x).relu()).relu() > 0
    return sent


def back_multiplied(sent, x, w1, w2):
    return back(sent, x, w1, w2, branch=0) * back(sent, x, w1, w2, skip=0)


# ------------------------------------------------------------------------ 03.3: a fair comparison

STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}


def paired_by_hand(first, second):
    pairs = [(first[s], second[s]) for s in second if s in first]
    n = len(pairs)
    mean = sum(a for a, _ in pairs) / n - sum(b for _, b in pairs) / n
    spread = math.sqrt(sum((a - b - mean) ** 2 for a, b in pairs) / (n - 1))
    return mean, STUDENT[n] * spread / math.sqrt(n)


def paired(half_of=lambda d: interval(d)[1], sign=1):
    """Return an answer with another half-width or another sign."""

    def answer(first, second):
        differences = [sign * (first[s] - second[s]) for s in first if s in second]
        return statistics.fmean(differences), half_of(differences)

    return answer


def unpaired(first, second):
    seeds = first.keys() & second.keys()
    spreads = [statistics.stdev([scores[s] for s in seeds]) for scores in (first, second)]
    n = len(seeds)
    return paired()(first, second)[0], STUDENT[n] * math.hypot(*spreads) / math.sqrt(n)


def two_intervals(first, second):
    halves = [interval([scores[s] for s in first if s in second])[1] for scores in (first, second)]
    return paired()(first, second)[0], sum(halves)


def paired_by_place(first, second):
    return interval([a - b for a, b in zip(first.values(), second.values(), strict=False)])


def paired_by_rank(first, second):
    seeds = first.keys() & second.keys()
    ours, theirs = (sorted(scores[s] for s in seeds) for scores in (first, second))
    return interval([a - b for a, b in zip(ours, theirs, strict=True)])


def needs_all_seeds(first, second):
    return interval([first[s] - second[s] for s in first])


def means_of_all(first, second):
    mean = statistics.fmean(first.values()) - statistics.fmean(second.values())
    return mean, paired()(first, second)[1]


def spread(differences):
    return statistics.stdev(differences)


ANSWERS = {
    "03.1": {
        "second": window_from_the_back,
        "wrong": [
            (lambda layers: sum(k for k, _ in layers), "you add the kernels up"),
            (lambda layers: 1 + sum(k - 1 for k, _ in layers), "the dilation is missing"),
            (lambda layers: sum((k - 1) * d for k, d in layers), "start at 1"),
            (lambda layers: math.prod(k for k, _ in layers), "you multiply the kernels"),
            (lambda layers: 1 + sum(k * d - 1 for k, d in layers), "k − 1 steps between"),
            (lambda layers: sum((k - 1) * d + 1 for k, d in layers), "you add the kernels up"),
            (lambda layers: sum(k // 2 * d for k, d in layers), "the reach to one side"),
            (lambda layers: 1 + sum(k // 2 * d for k, d in layers), "one side only"),
            (lambda layers: max(((k - 1) * d + 1 for k, d in layers), default=1), "a stack adds"),
            (lambda layers: 1 + 2 * sum(d for _, d in layers), "every kernel for one of 3"),
            (lambda layers: 1 + 2 * len(layers), "every kernel for one of 3"),
        ],
    },
    "03.2": {
        "second": back_by_jacobian,
        "wrong": [
            (lambda *given: back(*given, skip=0), "the skip is missing"),
            (lambda *given: back(*given, branch=0), "the skip alone"),
            (lambda *given: back(*given, gates=(1, 1, 0)), "the last ReLU lets nothing back"),
            (lambda *given: back(*given, gates=(1, 0, 1)), "the ReLU at the end of the branch"),
            (lambda *given: back(*given, gates=(0, 1, 1)), "the ReLU between the two layers"),
            (lambda *given: back(*given, gates=(0, 0, 0)), "there are three"),
            (lambda *given: back(*given, gates=(0, 0, 1)), "ask what is above 0"),
            (lambda *given: back(*given, late=True), "it holds for the skip, too"),
            (back_not_transposed, r"transposed matrices, w\.T"),
            (back_in_forward_order, r"w2\.T first, then w1\.T"),
            (back_half_gated, "it holds for the branch, too"),
            (back_gated_by_x, "the sum x . branch, and not x alone"),
            (back_without_inner_relu, "missing on the way forward"),
            (lambda sent, *rest: 1 * sent, "you return what was sent"),
            (back_in_place, "changed the tensor it was given"),
            (back_multiplied, "after a sum, gradients add up"),
            (lambda s, x, w1, w2: F.relu(x + F.relu(w2 @ F.relu(w1 @ x))), "the way forward"),
            (lambda *given: back(*given).tolist(), "should be a tensor, and yours is a list"),
            (lambda *given: back(*given)[None], r"of the shape of x, \(3,\)"),
            (lambda *given: back(*given, branch=0.5), "the gradient at x is not right"),
        ],
    },
    "03.3": {
        "second": paired_by_hand,
        "wrong": [
            (unpaired, "you did not pair"),
            (two_intervals, "you add up two intervals"),
            (paired_by_place, "you pair by place"),
            (paired_by_rank, "you pair the best with the best"),
            (needs_all_seeds, "only one of the two networks has seed 3"),
            (paired(lambda d: STUDENT[len(d) - 1] * spread(d) / len(d) ** 0.5), r"\(n − 1\?\)"),
            (paired(lambda d: STUDENT[7]), "STUDENT goes by n, the number of differences"),
            (means_of_all, "leave it out"),
            (paired(sign=-1), "the sign is wrong"),
            (paired(lambda d: 1.96 * spread(d) / len(d) ** 0.5), "1.96 is for very many values"),
            (paired(lambda d: 2 * spread(d) / len(d) ** 0.5), "2 is for very many values"),
            (paired(lambda d: STUDENT[len(d)] * statistics.pstdev(d) / len(d) ** 0.5), "n − 1"),
            (paired(lambda d: STUDENT[len(d)] * spread(d)), "the interval of a single run"),
            (paired(lambda d: STUDENT[len(d)] * spread(d) / len(d)), "falls by √n"),
            (paired(lambda d: spread(d) / len(d) ** 0.5), "the standard error alone"),
            (paired(spread), "the standard deviation alone"),
            (paired(lambda d: 2 * interval(d)[1]), "the whole width"),
            (paired(lambda d: interval(d)[1] * spread(d)), "you took the variance"),
            (lambda first, second: 0.3, r"return two numbers, `return mean, half`"),
        ],
    },
}
