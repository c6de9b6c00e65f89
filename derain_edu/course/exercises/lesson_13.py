"""The exercises of lesson 13: gradients per part, equal loudness, a parity test, a safe start."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from derain_edu.course.exercises.checking import Wrong, attempt, checker, expect, expect_close


class House(nn.Module):
    """Four parts with gradients that are written down, at two depths; one part has none."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.head = nn.Linear(1, 1)  # gradients 3 and 4
        self.body = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Sequential(nn.Linear(2, 1)))
        self.frozen = nn.Linear(2, 2)  # no gradient at all
        self.gate = nn.Linear(2, 1)  # a gradient for the weight only
        self.act = nn.ReLU()  # no weights
        some = [[3.0], [-4.0], [1.0, -2.0], [2.0, 4.0], [4.0, 2.0], [2.0]]
        weights = [*self.head.parameters(), *self.body.parameters()]
        for weight, values in zip(weights, some, strict=True):
            weight.grad = scale * torch.tensor(values).reshape(weight.shape)
        self.gate.weight.grad = scale * torch.tensor([[6.0, -8.0]])


_SQUARED = ("take the root of the sum of the squares",)
# the right norms, and what mistakes make of them, for the parts head, body and gate
_NORMS = {"head": 5.0, "body": 7.0, "frozen": 0.0, "gate": 10.0, "act": 0.0}
_WRONG_NORMS: dict[str, tuple[float, ...]] = {
    "norms don't add up: 3 and 4 make 5, the root of the sum of the squares": (
        7.0, 5 * math.sqrt(5) + 2, 10.0,
    ),
    "take the root of the sum of the squares": (25.0, 49.0, 100.0),
    "gradients of two signs must not cancel: square them": (-1.0, 13.0, -2.0),
    "that is the largest entry": (4.0, 4.0, 8.0),
    "don't divide by the number of weights": (5 / math.sqrt(2), math.sqrt(7), 10 / math.sqrt(2)),
    "the bias is missing: take all weights of the part": (3.0, math.sqrt(41), 10.0),
}


@checker("13.1")
def check_gradient_norms(answer: Callable[..., Any]) -> None:
    """Try ``gradient_norms(network)`` on a network with known gradients, twice."""
    for scale in (1.0, 0.5):
        house, untouched = House(scale), House(scale)
        try:
            found = attempt(answer, house)
        except Wrong as reason:
            if "NoneType" not in str(reason):
                raise
            raise Wrong(f"where no gradient came by, .grad is None: skip it ({reason})") from None
        expect(
            str([p.grad for p in house.parameters()])
            == str([p.grad for p in untouched.parameters()]),
            "your function changed the gradients: measure them, and leave them as they are",
        )
        expect(isinstance(found, dict), f"return a dictionary, not a {type(found).__name__}")
        _check_names(found)
        for k, name in enumerate(("head", "body", "gate")):
            weights = house.get_submodule(name).parameters()
            own = math.sqrt(sum(float(p.detach().square().sum()) for p in weights))
            mistakes = {"that is the norm of the weights, not of their gradients": own}
            for text, values in _WRONG_NORMS.items():
                mistakes[text] = values[k] * (scale**2 if text in _SQUARED else scale)
            right = scale * _NORMS[name]
            expect_close(found[name], right, f"the norm of {name!r}", mistakes=mistakes)
        for name in ("frozen", "act"):
            expect_close(found[name], 0.0, f"the norm of {name!r}, which has no gradient,")


def _check_names(found: Mapping[str, Any]) -> None:
    deeper = [name for name in found if name not in _NORMS]
    missing = [name for name in _NORMS if name not in found]
    hint = ": named_children() gives the direct parts, not what is inside of them" * bool(deeper)
    expect(not missing, f"the part {missing[:1]} is missing, you have {list(found)}{hint}")
    expect(not deeper, f"{deeper[:1]} is not a direct part of the network{hint}")


@checker("13.2")
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
    return {
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


class Witness(nn.Module):
    """A network that remembers what it was asked, and adds ``change(x)`` to x / 2."""

    def __init__(self, change: Callable[[Tensor], Tensor] = torch.zeros_like) -> None:
        super().__init__()
        self.change, self.asked = change, []

    def forward(self, x: Tensor) -> Tensor:
        self.asked.append(x.detach().clone())
        return x / 2 + self.change(x)


_SIZES = [(1, 8, 8), (2, 5, 7), (1, 6, 4)]  # the second one is odd, and a batch
_ONE_SIZE = (
    "one bad size is enough: keep the largest of all sizes, not the first, the last or a mean"
)


def _only(height: int, value: float) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.full_like(x, value if x.shape[-2] == height else 0.0)


def _one_pixel(x: Tensor) -> Tensor:
    changed = torch.zeros_like(x)
    changed[1:, 1, -1, 0] = 0.5
    return changed


# how the second network differs from the first one, and what to say to whom that escapes
_PAIRS: list[tuple[str, Callable[[Tensor], Tensor], str]] = [
    ("they are the same", torch.zeros_like, "give both networks the same pictures"),
    ("0.5 too low everywhere", lambda x: torch.full_like(x, -0.5), "a difference below zero "
     "counts, too (abs); and it is the largest one, not a sum, that is asked for"),
    ("0.25 too high for (1, 8, 8) only", _only(8, 0.25), _ONE_SIZE),
    ("0.25 too high for (2, 5, 7) only", _only(5, 0.25), _ONE_SIZE),
    ("0.25 too high for (1, 6, 4) only", _only(6, 0.25), _ONE_SIZE),
    ("0.5 too high in one pixel of the second picture", _one_pixel, "one bad pixel is enough: take "
     "the largest difference of all pixels, channels and pictures, not a mean"),
    ("half of x too high", lambda x: x / 2, "the difference hangs on the picture here"),
]


@checker("13.3")
def check_largest_difference(answer: Callable[..., Any]) -> None:
    """Try ``largest_difference(one, other, sizes)`` on pairs that differ in a known way."""
    for words, change, reason in _PAIRS:
        for turned in (False, True):
            pair = Witness(), Witness(change)
            got = attempt(answer, *(pair[::-1] if turned else pair), list(_SIZES))
            _check_pictures(*pair)
            truth = max(float(change(x).abs().max()) for x in pair[1].asked)
            expect_close(
                got, truth, "the largest difference", mistakes={reason: got}, tolerance=1e-6,
                example=f"{'the first' if turned else 'the second'} network: {words}",
            )
    lost = "NaN came out at the size (2, 5, 7), and your result is {}: a NaN must not get lost"
    for around in (0.0, 0.5):
        pair = Witness(), Witness(
            lambda x, v=around: torch.full_like(x, math.nan if x.shape[-2] == 5 else v)
        )
        got = attempt(answer, *pair, list(_SIZES))
        expect(not math.isfinite(float(got)), lost.format(got))


def _check_pictures(one: Witness, other: Witness) -> None:
    """Both were asked for each size, with the same pictures, in which something can be seen."""
    for network in (one, other):
        shapes = {tuple(x.shape) for x in network.asked}
        for batch, height, width in _SIZES:
            expect(
                (batch, 3, height, width) in shapes,
                f"one of the networks was never given pictures of the shape "
                f"{(batch, 3, height, width)}: use every size, as (B, 3, H, W), for both",
            )
    same = [torch.equal(a, b) for a, b in zip(one.asked, other.asked, strict=False)]
    expect(all(same), "each network got pictures of its own: make x once, and give it to both")
    for x in one.asked:
        expect(0 <= x.min() and x.max() <= 1, "pictures lie in [0, 1]: take torch.rand")
        expect(
            x.std() > 0.05,
            f"all pixels are {x.flatten()[0]:.2g}: on such a picture different networks may agree. "
            "Take random ones",
        )


@checker("13.4")
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
