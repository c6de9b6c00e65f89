"""The exercises of lesson 13: features of one scale, a gate, a safe start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from derain_edu.course.exercises.checking import (
    checker,
    expect,
    expect_close,
    hinted,
    show,
)
from derain_edu.language import local


@checker("13.1")
def check_match_scale(answer: Callable[..., Any]) -> None:
    """Try ``match_scale(x, home)`` on two channels to read, and on features of other sizes."""
    x = torch.tensor([[[[0.0, 1.0]], [[5.0, 6.0]]], [[[2.0, 5.0]], [[0.0, 9.0]]]])  # (2, 2, 1, 2)
    home = torch.tensor([[[[10.0, 20.0, 30.0, 40.0]], [[-1.0, 0.0, 4.0, 2.0]]]])  # (1, 2, 1, 4)
    larger = 4 * torch.randn(2, 3, 5, 4) + torch.arange(3.0)[:, None, None]
    # As many values in both: it is all one whether a standard deviation divides by n or by n − 1.
    for features, wanted in ((x, home), (torch.randn(2, 3, 4, 5), larger)):
        expect_close(
            hinted(answer, _SCALE_HINTS, features, wanted), matched(features, wanted), "the result",
            mistakes=wrong_matches(features, wanted),
            tolerance=1e-3,  # a small ε beside a divisor is no mistake
            example=f"x of shape {tuple(features.shape)}, home of shape {tuple(wanted.shape)}",
        )


_SCALE_HINTS = {
    "must match the size of tensor":
    "what you combine does not fit together: a mean over the axes (0, 2, 3) with keepdim=True is "
    "(1, C, 1, 1), and fits both x and home",
}


def matched(x: Tensor, home: Tensor, axes: tuple[int, ...] = (0, 2, 3)) -> Tensor:
    """Return x with the mean and spread of ``home``, in float64, over the right axes or others."""
    x, home = x.double(), home.double()
    spread, wanted = x.std(axes, keepdim=True), home.std(axes, keepdim=True)
    standard = (x - x.mean(axes, keepdim=True)) / spread.clamp_min(1e-30)
    return standard * wanted + home.mean(axes, keepdim=True)


def wrong_matches(x: Tensor, home: Tensor) -> dict[str, Tensor]:
    """Return what typical mistakes make of an example."""
    axes = (0, 2, 3)
    mean, spread = x.mean(axes, keepdim=True), x.std(axes, keepdim=True)
    mean_home, spread_home = home.mean(axes, keepdim=True), home.std(axes, keepdim=True)
    standard = (x - mean) / spread
    found = {
        "each channel has its own mean and spread: don't take them over the channels":
            matched(x, home, axes=(0, 1, 2, 3)),
        "take mean and spread over all pictures, not for each one":
            (x - x.mean((2, 3), keepdim=True))
            / x.std((2, 3), keepdim=True) * spread_home + mean_home,
        "the spread is not that of home: multiply by it": standard + mean_home,
        "the mean is not that of home: add it": standard * spread_home,
        "that has mean 0 and spread 1; give it those of home": standard,
        "the mean of x stayed": standard * spread_home + mean,
        "first subtract the mean, then scale": x / spread * spread_home + mean_home,
        "that is x with the right spread and a wrong mean": x * spread_home / spread,
        "you divided by the variance: take its root": (x - mean) / spread**2 * spread_home
        + mean_home,
        "the variance of home is not its standard deviation": standard * spread_home**2 + mean_home,
        "you used the variance: its root is the standard deviation":
            (x - mean) / spread**2 * spread_home**2 + mean_home,
        "x and home are exchanged: the numbers are those of x": matched(home, x),
        "dimension 0 counts the pictures and 1 the channels: a number per channel is a mean over "
        "(0, 2, 3)": matched(x, home, axes=(1, 2, 3)),
        "add the mean of home at the end: you scaled it, too":
            (x - mean + mean_home) / spread * spread_home,
    }
    if x.shape[1] == x.shape[3] == home.shape[1]:  # then means per channel fit the columns
        flat = (x - x.mean(axes)) / x.std(axes) * home.std(axes) + home.mean(axes)
        found = {
            "without keepdim=True the means of the channels meet the columns: keep (1, C, 1, 1)":
                flat,
            **found,
        }
    return found


_GATE_HINTS = {
    "'Tensor' object is not callable":
    "`branch` is a tensor, already computed: multiply it, and don't call it",
    "'float' object is not callable": "a product needs its sign: gamma * (2 * A − 1)",
}


@checker("13.2")
def check_gated_block(answer: Callable[..., Any]) -> None:
    """Try ``gated_block(x, branch, A, gamma)`` on numbers to read, and on features."""
    shape = (1, 2, 1, 2)
    x = torch.tensor([0.4, -0.3, 1.0, -2.0]).reshape(shape)
    branch = torch.tensor([1.0, 2.0, -0.5, 1.5]).reshape(shape)
    A = torch.tensor([0.9, 0.2]).reshape(1, 1, 1, 2)
    features = [torch.randn(2, 5, 3, 4), torch.randn(2, 5, 3, 4), torch.rand(2, 1, 3, 4)]
    for tensors in ([x, branch, A], features):
        for gamma in (0.3, 0.0, -1.0):
            got = hinted(answer, _GATE_HINTS, *tensors, gamma)
            small = tensors[0].numel() < 9
            numbers = "x = {}, branch = {}, A = {}".format(*(show(t.flatten()) for t in tensors))
            example = f"γ = {gamma}" + f", {numbers}" * small
            expect_close(got, _gated(*tensors, gamma), "the output", example=example,
                         mistakes=_wrong_gates(*tensors, gamma))  # fmt: skip


def _gated(x: Tensor, branch: Tensor, A: Tensor, gamma: float) -> Tensor:
    return F.relu((1 + gamma * (2 * A - 1)) * branch + x)


def _wrong_gates(x: Tensor, branch: Tensor, A: Tensor, gamma: float) -> dict[str, Tensor]:
    """Return what typical mistakes make of a gated block."""
    gate = 1 + gamma * (2 * A - 1)
    return {
        "that is the graft dropped, with the gate A: where is γ?": F.relu(A * branch + x),
        "at γ = 0 the branch is gone, and it should be as in the host: the 1 is missing":
            F.relu(gamma * (2 * A - 1) * branch + x),
        "the gate is 1 + γ·A: then A = ½ is not neutral. Take 2A − 1":
            F.relu((1 + gamma * A) * branch + x),
        "γ multiplies all of 2A − 1: it needs brackets of its own": (
            F.relu((1 + gamma * 2 * A - 1) * branch + x)
        ),
        "2A − 1 and not A − 1": F.relu((1 + gamma * (A - 1)) * branch + x),
        "only γ·(2A − 1) belongs together, and 1 is added to it":
            F.relu((1 + gamma) * (2 * A - 1) * branch + x),
        "the gate needs brackets, too: (1 + γ·(2A − 1)) · branch":
            F.relu(1 + gamma * (2 * A - 1) * branch + x),
        "2A is two times A, and not its square": F.relu((1 + gamma * (A**2 - 1)) * branch + x),
        "the gate is for the branch, not for x": F.relu(branch + gate * x),
        "only the branch is gated: you gated the sum": F.relu(gate * (branch + x)),
        "the relu around the sum is missing": gate * branch + x,
        "the relu is for the sum, not for the branch": F.relu(gate * branch) + x,
        "x is missing: out = relu(gate · branch + x)": F.relu(gate * branch),
    }  # fmt: skip


_START_HINTS = {
    "leaf Variable": "change weights inside `with torch.no_grad():`, or with nn.init",
    "cannot assign": "don't replace a weight, change the numbers in it: torch.nn.init does it",
    "has no attribute 'zero_'": "a layer is no tensor: its numbers are in .weight and .bias",
}


@checker("13.3")
def check_start_as_nothing(answer: Callable[..., Any]) -> None:
    """Try ``start_as_nothing(first, second)`` on two sizes: exactly nothing, and it learns."""
    for channels, inside in ((2, 5), (4, 3)):
        first = nn.Conv2d(channels, inside, 3, padding=1)
        second = nn.Conv2d(inside, channels, 3, padding=1)
        shapes = [tuple(p.shape) for p in (*first.parameters(), *second.parameters())]
        found = hinted(answer, _START_HINTS, first, second)
        pair = found if isinstance(found, tuple | list) and len(found) == 2 else ()
        expect(
            pair and all(isinstance(part, nn.Module) for part in pair),
            "return both layers, (first, second)",
        )
        expect(pair[0] is not second, "return them in this order: (first, second)")
        expect(
            pair[0] is first and pair[1] is second,
            "these are new layers, and a network would keep its old ones: change the weights of "
            "the two that you were given",
        )
        expect(
            [tuple(p.shape) for part in pair for p in part.parameters()] == shapes,
            "weights and biases keep their shapes, and a bias stays a bias: change the numbers in "
            "them",
        )
        _check_start(*pair, torch.randn(4, channels, 6, 6))
        _check_learning(*pair, torch.randn(4, channels, 6, 6))


def _check_start(first: nn.Module, second: nn.Module, x: Tensor) -> None:
    added = second(F.relu(first(x)))
    largest = float(added.detach().abs().max())
    reason = local(f"at the start the adapter adds up to {largest:.2g}, expected exactly 0")
    blank = {name: not layer.weight.any() for name, layer in (("first", first), ("second", second))}
    if blank["second"]:
        reason += local(": all weights of `second` are 0, but its bias still adds something")
    elif blank["first"]:
        reason += local(": the weights of `first` are 0, but a bias still adds something")
    elif largest < 0.01:
        reason += local(": small is not zero")
    else:
        reason += local(": neither layer has weights of 0")
    expect(torch.equal(x + added, x) and largest == 0, reason)


def _check_learning(first: nn.Module, second: nn.Module, x: Tensor) -> None:
    """Three steps of gradient descent must move all weights, and keep the units apart."""
    named = {f"{place}.{name}": p for place, part in (("first", first), ("second", second))
             for name, p in part.named_parameters()}
    frozen = [name for name, p in named.items() if not p.requires_grad]
    expect(not frozen, f"{frozen} can't learn: requires_grad is off")
    before = {name: p.detach().clone() for name, p in named.items()}
    blank = [part for part in ("first", "second") if not before[f"{part}.weight"].any()]
    for _ in range(3):
        loss = (second(F.relu(first(x))) - x.flip(-1)).square().mean()
        parts = torch.autograd.grad(loss, list(named.values()))
        with torch.no_grad():
            for p, part in zip(named.values(), parts, strict=True):
                p -= 0.1 * part
    still = [name for name, p in named.items() if torch.equal(p, before[name])]
    why = {
        2: ": both are zero, and each one waits for the other",
        1: f": `{blank[0] if blank else ''}` is zero, and so is what the other one sees or sends",
        0: "",
    }[len(blank)]
    reason = local(f"after three steps these have not moved: {', '.join(still)}")
    expect(not still, reason + local(why))
    units = named["first.weight"].detach().flatten(1)
    expect(
        not torch.allclose(units, units[:1].expand_as(units), atol=1e-6),
        "all units of `first` start alike, get the same gradient, and stay alike: leave it random",
    )
