"""The exercises of lesson 11: a residual, a hard constraint, an angle between gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from derain_edu.course import pinn
from derain_edu.course.exercises.checking import Wrong, checker, expect, expect_close, hinted
from derain_edu.language import local

_KEEP_GRAPH = (
    "a first derivative is differentiated again: for u_xx, and when the loss is. "
    "Pass create_graph=True each time"
)
_TUPLE = (
    "torch.autograd.grad returns a tuple, also for one derivative: take its first entry, "
    "grad(…)[0]"
)
_GRAPH_HINTS = {
    "does not require grad": _KEEP_GRAPH,
    "backward through the graph a second time": _KEEP_GRAPH,
    "scalar outputs": "autograd.grad wants one number: give it the sum over the points",
    "'tuple'": _TUPLE,
    "multiply sequence": _TUPLE,
    "'function'": "u is a function: call it first, value = u(x, t)",
    "not function": "u is a function: call it first, value = u(x, t)",
    "positional argument": "u takes both, the places and the times: u(x, t)",
}


def wrong_residuals(jet: Mapping[str, Tensor], nu: float) -> dict[str, Tensor]:
    """Return what typical mistakes make of u and its derivatives, each (N,)."""
    u, u_x, u_t, u_xx = (jet[name] for name in ("u", "u_x", "u_t", "u_xx"))
    right, n = u_t + u * u_x - nu * u_xx, len(u)
    mean = "a gradient of the mean is too small: take that of the sum over the points"
    return {
        "the viscosity has the wrong sign: ν·u_xx stands on the right-hand side of the equation, "
        "so it is subtracted": u_t + u * u_x + nu * u_xx,
        "ν·u_xx is missing": u_t + u * u_x,
        "u·u_x lost its factor u": u_t + u_x - nu * u_xx,
        "u_t is missing": u * u_x - nu * u_xx,
        "ν is missing": u_t + u * u_x - u_xx,
        "u_xx is the derivative of u_x, not its square": u_t + u * u_x - nu * u_x**2,
        "a first derivative stands where u_xx should": u_t + u * u_x - nu * u_x,
        "u_x was differentiated over t: u_xx is over x": u_t + u * u_x - nu * jet["u_xt"],
        "x and t changed places": u_x + u * u_t - nu * jet["u_tt"],
        "the derivatives come in the order in which you ask for them: (x, t) gives u_x, then u_t":
            u_x + u * u_t - nu * jet["u_xt"],
        "u·u_x needs u at each point, not the sum": u_t + u.sum() * u_x - nu * u_xx,
        mean: (u_t + u * u_x - nu * u_xx) / n,
        mean + " (both times)": (u_t + u * u_x - nu * u_xx / n) / n,
        "u·u_x is missing": u_t - nu * u_xx,
        "the sign is turned: it is the left-hand side minus the right-hand side": -right,
        "keep the sign; the loss will square it": right.abs(),
        "return the residual itself; the loss will square it": right**2,
        "return one number for each point": right.mean(),
        "return the residual at each point; the loss will square it and take the mean":
            (right**2).mean(),
    }


@checker("11.1")
def check_residual(answer: Callable[..., Any]) -> None:
    """Try ``residual(u, x, t, nu)`` on u = x² t³, on a sine, and on a network that must learn."""
    x = torch.tensor([1.0, -3.0], requires_grad=True)
    t = torch.tensor([0.5, 1.0], requires_grad=True)
    a, b, nu = x.detach(), t.detach(), 0.25
    jet = {
        "u": a**2 * b**3, "u_x": 2 * a * b**3, "u_t": 3 * a**2 * b**2, "u_xx": 2 * b**3,
        "u_xt": 6 * a * b**2, "u_tt": 6 * a**2 * b,
    }
    got = hinted(answer, _GRAPH_HINTS, lambda x, t: x**2 * t**3, x, t, nu)
    truth = jet["u_t"] + jet["u"] * jet["u_x"] - nu * jet["u_xx"]
    expect_close(
        got, truth, "the residual", mistakes=wrong_residuals(jet, nu),
        example="u = x²·t³, ν = 0.25, x = [1, -3], t = [0.5, 1]",
    )
    _check_that_it_teaches(answer)


def _check_that_it_teaches(answer: Callable[..., Any]) -> None:
    """Compare with the package's chain rule: the residual of a network, and its gradient."""
    network = pinn.Networks((0,), width=6, layers=2).double()
    x = torch.linspace(-0.9, 0.8, 7, dtype=torch.float64).requires_grad_()
    t = torch.linspace(0.9, 0.1, 7, dtype=torch.float64).requires_grad_()
    u, u_x, u_t, u_xx = (part[0] for part in network.jet(x.detach(), t.detach()))
    truth = u_t + u * u_x - 0.5 * u_xx
    got = hinted(answer, _GRAPH_HINTS, lambda x, t: network(x, t)[0], x, t, 0.5)
    expect_close(got, truth, "the residual", example="a small network, ν = 0.5, 7 points")
    cut = local("the numbers are right, but a loss made of them can't train the network: ")
    expect(
        isinstance(got, Tensor) and got.requires_grad,
        cut + local("they are cut off from its weights. Pass create_graph=True, and don't detach"),
    )
    weights = list(network.parameters())
    try:
        found = flat_gradient(got.square().mean(), weights)
    except RuntimeError:
        raise Wrong(cut + local(_KEEP_GRAPH)) from None
    expect_close(
        found, flat_gradient(truth.square().mean(), weights),
        cut + local("its gradient"),
        mistakes={
            cut + local("u_xx is cut off from the weights. Pass create_graph=True there, too"):
                flat_gradient((u_t + u * u_x - 0.5 * u_xx.detach()).square().mean(), weights),
        },
    )


def flat_gradient(loss: Tensor, weights: list[Tensor]) -> Tensor:
    """Return the gradient of a loss as one vector; 0 for a weight that it does not use."""
    parts = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
    pairs = zip(weights, parts, strict=True)
    return torch.cat([(torch.zeros_like(w) if p is None else p).flatten() for w, p in pairs])


Function = Callable[..., Tensor]
_STRING_HINTS = {
    "'function'": "`network` and `start` are functions: call them, network(x, t) and start(x)",
    "positional argument": "call network(x, t) with both, and start(x) with x only",
}
_NETWORKS: dict[str, Function] = {
    "a network that says 1 everywhere": lambda x, t: torch.ones_like(x),
    "a network that says -2": lambda x, t: torch.full_like(x, -2),
    "a network that says cos(3x + t)": lambda x, t: torch.cos(3 * x + t),
}
_FORMS: dict[str, Function] = {
    "start = x(1 - x)": lambda x: x * (1 - x),
    "start = 0.4 · min(x, 1 - x)": lambda x: 0.4 * torch.minimum(x, 1 - x),
    "start = sin(2πx)": lambda x: torch.sin(2 * math.pi * x),  # 0 in the middle, too
}


@checker("11.2")
def check_plucked(answer: Callable[..., Any]) -> None:
    """Try ``plucked(network, start, x, t)``: held, of the right form, at rest, and free."""
    half = torch.tensor([0.5], dtype=torch.float64)
    found = hinted(answer, _STRING_HINTS, lambda x, t: x, lambda x: x * (1 - x), half, half)
    expect(isinstance(found, Tensor), f"return u, a tensor (N,), not a {type(found).__name__}")
    for form, start in _FORMS.items():
        for words, network in _NETWORKS.items():
            _check_conditions(answer, network, start, f"{local(words)}, {form}")
        _check_freedom(answer, start, form)


def _check_conditions(answer: Function, network: Function, start: Function, example: str) -> None:
    """At t = 0: the form, and no velocity. At both ends: nothing moves."""
    x = torch.tensor([0.25, 0.5, 0.8], dtype=torch.float64)
    none = torch.zeros_like(x)
    expect_close(
        hinted(answer, _STRING_HINTS, network, start, x, none), start(x),
        "u at t = 0, x = [0.25, 0.5, 0.8],",
        example=example, mistakes={
            "at t = 0 the string is straight: did you forget start(x)?": none,
            "begin with start(x), not with the wave of Burgers' equation":
                -torch.sin(math.pi * x),
            "begin with start(x), and not with a wave of your own": torch.sin(math.pi * x),
            "the network acts at t = 0: its factor must be zero there":
                start(x) + x * (1 - x) * network(x, none),
        },
    )
    t = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
    for side in (1.0, 0.0):
        wall = torch.full_like(t, side)
        free = "the network acts at the ends: its factor must be zero at x = 0 and at x = 1"
        if side == 0:  # what is wrong here only
            free = "1 - x² is zero at -1 and 1, the walls of Burgers' equation, but not at 0"
        mistakes = {free: t**2 * network(wall, t)}
        expect_close(
            hinted(answer, _STRING_HINTS, network, start, wall, t), torch.zeros_like(t),
            f"the string is not held: u at x = {side:.0f}, t = [0.5, 1, 3],",
            mistakes=mistakes, example=example,
        )
    little = torch.full_like(x, 1e-4)
    velocity = (hinted(answer, _STRING_HINTS, network, start, x, little) - start(x)) / little
    expect(
        velocity.abs().max() < 0.02,
        f"the string does not start at rest: at t = 0 and x = 0.5 it has the velocity "
        f"{velocity[1]:.2g}, expected 0 (for {example}). A factor t has the slope 1 there",
    )


def _spot(x: Tensor, t: Tensor) -> Tensor:
    """Return 1 near x = 0.3, t = 1, and 0 elsewhere."""
    return (((x - 0.3).abs() < 0.06) & ((t - 1).abs() < 0.15)).to(x)


def _check_freedom(answer: Function, start: Function, form: str) -> None:
    """Everywhere inside, two networks must give two different strings."""
    t, x = torch.meshgrid(
        torch.linspace(0.2, 2, 10, dtype=torch.float64),
        torch.linspace(0.05, 0.95, 19, dtype=torch.float64), indexing="ij",
    )
    x, t = x.flatten(), t.flatten()
    networks = (lambda x, t: torch.zeros_like(x), lambda x, t: torch.ones_like(x), _spot)
    nothing, ones, marked = (
        hinted(answer, _STRING_HINTS, network, start, x, t) for network in networks
    )
    same = (ones - nothing).abs() < 1e-6
    if same.any():
        k = int(same.int().argmax())
        raise Wrong(
            f"the network can't change anything at x = {x[k]:.2f}, t = {t[k]:.1f} ({form}): its "
            "factor may be zero only at both ends and at t = 0"
        )
    expect(
        torch.equal((marked - nothing).abs() > 1e-6, _spot(x, t) == 1),
        "u at a point (x, t) must follow what the network says at the same point: a network that "
        "is 1 near x = 0.3, t = 1 and 0 elsewhere changed u elsewhere, or not there. Do you call "
        "network(x, t), x first?",
    )


class Three(nn.Module):
    """Three weights in two tensors, a and b, with an old gradient of (1, 1, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(2))
        for weight in self.parameters():
            weight.grad = torch.ones_like(weight)


def linear_loss(*gradient: float) -> Callable[[Three], Tensor]:
    """Return the loss that has this gradient, everywhere."""
    on_a, *on_b = gradient

    def loss(network: Three) -> Tensor:
        return on_a * network.a.sum() + (torch.tensor(on_b) * network.b).sum()

    return loss


_FLAT = "the weights have different shapes: flatten each gradient, then torch.cat them"
_ANGLE_HINTS = {
    "a second time": "call each loss on its own, or pass retain_graph=True",
    "same number of dimensions": _FLAT,
    "equal size": _FLAT,
    "Sizes of tensors must match": _FLAT,
    "not tuple": _FLAT,
    "'tuple'": "autograd.grad returns a tuple, a tensor per weight: flatten each, then torch.cat",
    "Dimension out of range": "these are vectors, with one dimension: pass dim=0",
    "'function'": "`one` and `other` are functions: one(network) is the loss",
    "'Three' object": "ask for the derivatives by the weights: list(network.parameters())",
}


def _cos(a: Any, b: Any) -> float:
    a, b = (torch.as_tensor(v, dtype=torch.float64) for v in (a, b))
    return float(a @ b / (a.norm() * b.norm()))


@checker("11.3")
def check_cosine(answer: Callable[..., Any]) -> None:
    """Try ``cosine(network, one, other)`` on gradients that are written down, and on a network."""
    one, other = (3.0, 4.0, 0.0), (-6.0, 2.0, 3.0)
    truth, each = _cos(one, other), (-1.0, _cos(one[1:], other[1:]))  # of all weights, of a and b
    got = hinted(answer, _ANGLE_HINTS, Three(), linear_loss(*one), linear_loss(*other))
    old = torch.ones(3) + torch.tensor(one)
    expect_close(
        got, truth, "the cosine", example=f"gradients {one} and {other}",
        mistakes={
            "you took the mean over the tensors: first make one long vector of all weights":
                sum(each) / 2,
            "the second tensor alone: make one long vector of all weights": each[1],
            "a gradient has one number per weight: don't add the numbers of a tensor up":
                _cos((3, 4), (-6, 5)),
            "a gradient has one number per weight: take no mean over a tensor":
                _cos((3, 2), (-6, 2.5)),
            "a gradient has one number per weight, with its sign: take no norms":
                _cos((3, 4), (6, 13**0.5)),
            "a gradient has one number per weight: of single numbers the cosine is 1 or -1. Don't "
            "add all up, and leave no tensor out": -1.0,
            "you compared the two losses, not their gradients": 0.0,
            "the old gradient is still in there: .grad adds up, so call zero_grad first":
                _cos(old, old + torch.tensor(other)),
            "the second gradient holds the first one: .grad adds up, so call zero_grad between "
            "them, and copy the first": _cos(one, torch.tensor(one) + torch.tensor(other)),
            "both are the same gradient: keep a copy of the first": 1.0,
            "that is the scalar product: divide by both norms": 35 * truth,
            "keep the sign: opposite gradients have the cosine -1": abs(truth),
            "that is the angle in radians; return its cosine": math.acos(truth),
            "that is the angle in degrees; return its cosine": math.degrees(math.acos(truth)),
            "that is a ratio of sizes, not an angle": 5 / 7,
        },
    )
    _check_on_a_network(answer)


def _check_on_a_network(answer: Callable[..., Any]) -> None:
    network, x = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1)), torch.randn(8, 2)
    tasks = [lambda n: (n(x) - 1).square().mean(), lambda n: (n(x) - x[:, :1]).square().mean()]
    gradients = [flat_gradient(task(network), list(network.parameters())) for task in tasks]
    got = hinted(answer, _ANGLE_HINTS, network, *tasks)
    words = "a network of two layers, two squared errors"
    expect_close(got, _cos(*gradients), "the cosine", example=words, tolerance=1e-4)
