"""The exercises of lesson 13: features of one scale, a gate, a safe start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from derain_edu.course.exercises.checking import (
    Wrong,
    attempt,
    checker,
    expect,
    expect_close,
    show,
)


@checker("13.1")
def check_match_scale(answer: Callable[..., Any]) -> None:
    """Try ``match_scale(x, home)`` on two channels to read, on quiet ones, and on a dead one."""
    x = torch.tensor([[[[0.0, 1.0]], [[5.0, 5.0]]], [[[2.0, 5.0]], [[1.0, 9.0]]]])  # (2, 2, 1, 2)
    home = torch.tensor([[[[10.0, 20.0, 30.0]], [[-1.0, 0.0, 4.0]]]])  # (1, 2, 1, 3)
    example = "x of shape (2, 2, 1, 2), home of shape (1, 2, 1, 3)"
    expect_close(attempt(answer, x, home), matched(x, home), "the result",
                 mistakes=wrong_matches(x, home), example=example)
    quiet = 1e-3 * torch.randn(2, 3, 4, 5) + torch.tensor([0.0, 0.01, -0.02])[:, None, None]
    home = torch.randn(3, 3, 6, 2) * torch.tensor([1.0, 5.0, 0.2])[:, None, None] + 2
    expect_close(
        attempt(answer, quiet, home), matched(quiet, home), "the result", tolerance=4e-3,
        mistakes={
            "a small number that keeps you from dividing by zero must be much smaller than these "
            "features": matched(quiet, home, extra=1e-5),
            "1e-5 inside the root is large beside the variance of quiet features":
                matched(quiet, home, inside=1e-5),
        },
        example="quiet features: a standard deviation of 0.001 in each channel",
    )
    dead = torch.stack([torch.full((4, 4), 0.5), torch.arange(16.0).reshape(4, 4)])[None]
    home = torch.randn(2, 2, 3, 3)
    got, truth = attempt(answer, dead, home), matched(dead, home)
    expect(
        torch.as_tensor(got).isfinite().all(),
        "a dead channel has the standard deviation 0, and you divided by it: NaN or inf came out",
    )
    expect_close(got, truth, "the result", tolerance=1e-4,
                 example="channel 0 is 0.5 everywhere: it gets the mean of home")


def matched(
    x: Tensor, home: Tensor, axes: tuple[int, ...] = (0, 2, 3), correction: int = 1,
    extra: float = 0.0, inside: float = 0.0,
) -> Tensor:
    """Return x with the mean and spread of ``home``, in float64, in right ways and wrong ones."""
    x, home = x.double(), home.double()
    spread = (x.var(axes, correction=correction, keepdim=True) + inside).sqrt() + extra
    wanted = home.std(axes, correction=correction, keepdim=True)
    standard = (x - x.mean(axes, keepdim=True)) / spread.clamp_min(1e-30)
    return standard * wanted + home.mean(axes, keepdim=True)


def wrong_matches(x: Tensor, home: Tensor) -> dict[str, Tensor]:
    """Return what typical mistakes make of the first example."""
    axes = (0, 2, 3)
    mean, spread = x.mean(axes, keepdim=True), x.std(axes, keepdim=True)
    mean_home, spread_home = home.mean(axes, keepdim=True), home.std(axes, keepdim=True)
    standard = (x - mean) / spread
    flat = (x - x.mean(axes)) / x.std(axes) * home.std(axes) + home.mean(axes)
    return {
        "without keepdim=True the means of the channels meet the columns: keep (1, C, 1, 1)":
            flat,
        "torch's std divides by n - 1, yours by n: with other sizes of x and home that is another "
        "number": matched(x, home, correction=0),
        "each channel has its own mean and spread: don't take them over the channels":
            matched(x, home, axes=(0, 1, 2, 3)),
        "take mean and spread over all pictures, not for each one":
            (x - x.mean((2, 3), keepdim=True))
            / x.std((2, 3), keepdim=True).clamp_min(1e-8) * spread_home + mean_home,
        "the spread is not that of home: multiply by it": standard + mean_home,
        "the mean is not that of home: add it": standard * spread_home,
        "that has mean 0 and spread 1; give it those of home": standard,
        "the mean of x stayed": standard * spread_home + mean,
        "first subtract the mean, then scale": x / spread * spread_home + mean_home,
        "that is x with the right spread and a wrong mean": x * spread_home / spread,
        "you divided by the variance: take its root": (x - mean) / spread**2 * spread_home
        + mean_home,
        "the variance of home is not its standard deviation": standard * spread_home**2 + mean_home,
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
            got = attempt(answer, *tensors, gamma)
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
        "the gate is for the branch, not for x": F.relu(branch + gate * x),
        "only the branch is gated: you gated the sum": F.relu(gate * (branch + x)),
        "the relu is missing": gate * branch + x,
        "the relu is for the sum, not for the branch": F.relu(gate * branch) + x,
        "x is missing: out = relu(gate · branch + x)": F.relu(gate * branch),
    }  # fmt: skip


@checker("13.3")
def check_start_as_nothing(answer: Callable[..., Any]) -> None:
    """Try ``start_as_nothing(first, second)`` on two sizes: exactly nothing, and it learns."""
    for channels, inside in ((2, 5), (4, 3)):
        first = nn.Conv2d(channels, inside, 3, padding=1)
        second = nn.Conv2d(inside, channels, 3, padding=1)
        shapes = [tuple(p.shape) for p in (*first.parameters(), *second.parameters())]
        try:
            found = attempt(answer, first, second)
        except Wrong as reason:
            if "leaf Variable" in str(reason):
                raise Wrong(
                    f"change weights inside `with torch.no_grad():`, or with nn.init ({reason})"
                ) from None
            raise
        pair = found if isinstance(found, tuple | list) and len(found) == 2 else ()
        expect(
            pair and all(isinstance(part, nn.Module) for part in pair)
            and [tuple(p.shape) for part in pair for p in part.parameters()] == shapes,
            "return both layers, (first, second), with weights and biases of the same shapes",
        )
        _check_start(*pair, torch.randn(4, channels, 6, 6))
        _check_learning(*pair, torch.randn(4, channels, 6, 6))


def _check_start(first: nn.Module, second: nn.Module, x: Tensor) -> None:
    added = second(F.relu(first(x)))
    largest = float(added.detach().abs().max())
    reason = f"at the start the adapter adds up to {largest:.2g}, expected exactly 0"
    if not any(p.any() for name, p in second.named_parameters() if name == "weight"):
        reason += ": all weights of `second` are 0, but its bias still adds something"
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
    expect(not still, f"after three steps these have not moved: {', '.join(still)}{why}")
    units = named["first.weight"].detach().flatten(1)
    expect(
        not torch.allclose(units, units[:1].expand_as(units), atol=1e-6),
        "all units of `first` start alike, get the same gradient, and stay alike: leave it random",
    )
