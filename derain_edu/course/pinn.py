r"""A small physics-informed network, to see what *progressive training* can and can't do.

The equation is Burgers' with little viscosity, a classic of the field::

    u_t + u u_x = ν u_xx      −1 ≤ x ≤ 1,  0 ≤ t ≤ 1
    u(0, x) = −sin(πx)        u(t, ±1) = 0        ν = 0.01 / π

A wave that steepens: at t ≈ 0.4 it turns into a step at x = 0, about 0.01 wide. The network is a
function u(x, t); nobody shows it the solution. Its loss has three terms: how far it is from
obeying the equation, from the initial condition, and from the boundary condition.

A :class:`Way` says how they count in the course of training. All of them have the same network,
the same points and the same number of steps; :data:`WAYS` are those of lesson 11. The truth comes
from another method, the Cole-Hopf formula in :func:`reference`.

>>> round(float(reference(np.array([-0.5]), np.array([0.25]))[0]), 4)
0.8032
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from derain_edu.training.curriculum import StepSchedule

NU = 0.01 / math.pi  # viscosity
TERMS = ("equation", "initial", "boundary")
Jet = tuple[Tensor, Tensor, Tensor, Tensor]  # u, u_x, u_t, u_xx


@dataclass(frozen=True)
class Way:
    """How the terms count, and how hard the equation is, as functions of the progress.

    Attributes
    ----------
    equation : float | StepSchedule, default 1.0
        Weight of the squared residual of the equation.
    initial : float | StepSchedule, default 1.0
        Weight of the squared error at t = 0.
    boundary : float | StepSchedule, default 1.0
        Weight of the squared error at x = ±1.
    viscosity : float | StepSchedule, default NU
        ν. A larger one makes a smoother, easier solution. The default is 0.01 / π.
    hard : bool, default False
        Use u = u0 + t (1 − x²) network, which meets both conditions by construction.
    shuffled : float, default 0.0
        This share of the steps, from the start on, comes in a random order; the rest follows as
        written. Each seed has an order of its own.
    """

    equation: float | StepSchedule = 1.0
    initial: float | StepSchedule = 1.0
    boundary: float | StepSchedule = 1.0
    viscosity: float | StepSchedule = NU
    hard: bool = False
    shuffled: float = 0.0

    def at(self, progress: float) -> dict[str, float]:
        """Return the three weights and the viscosity at ``progress`` in [0, 1)."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            name: value(progress) if isinstance(value, StepSchedule) else float(value)
            for name, value in values.items()
            if name not in ("hard", "shuffled")
        }


_FIRST = StepSchedule((0.0, 1.0), (0.0, 0.2))
EASY = 0.6  # the share of the run in which the viscosity is larger than the true one
_EASIER = StepSchedule(
    tuple(NU * 2**k for k in (5, 4, 3, 2, 1, 0)), tuple(EASY * k / 5 for k in range(6))
)

WAYS = {
    "all at once": Way(),
    "initial first": Way(equation=_FIRST, boundary=_FIRST),
    "initial × 10": Way(initial=10.0),
    "initial × 100": Way(initial=100.0),
    "hard constraint": Way(hard=True),
    "viscosity falls": Way(viscosity=_EASIER),
    "viscosity shuffled": Way(viscosity=_EASIER, shuffled=EASY),  # and then the true one, too
}


def initial(x: Tensor) -> Tensor:
    """Return u(0, x)."""
    return -torch.sin(math.pi * x)


def reference(x: np.ndarray, t: np.ndarray, nu: float = NU, nodes: int = 200) -> np.ndarray:
    r"""Return the solution, by a way that has nothing to do with a network.

    Cole and Hopf found that u = −2ν φ_x / φ turns Burgers' equation into the heat equation for
    φ. Its solution is a Gaussian mean over the start, here a sum over Gauss-Hermite nodes η::

        u = Σ w u0(y) f(y) / Σ w f(y),   y = x − √(4νt) η,   f(y) = exp(−cos(πy) / (2πν))

    Parameters
    ----------
    x, t : ndarray
        Of one shape.
    nu : float
    nodes : int
        More of them don't change the first six decimals.
    """
    eta, weight = np.polynomial.hermite.hermgauss(nodes)  # (nodes,) each
    x, t = np.asarray(x, float)[..., None], np.asarray(t, float)[..., None]
    y = x - np.sqrt(4 * nu * t) * eta  # (..., nodes)
    power = -np.cos(np.pi * y) / (2 * np.pi * nu)
    f = weight * np.exp(power - power.max(axis=-1, keepdims=True))  # no overflow
    return (-np.sin(np.pi * y) * f).sum(axis=-1) / f.sum(axis=-1)


class Networks(nn.Module):
    """Several small tanh networks (x, t) → u with the same shape, one per seed, run together.

    Parameters
    ----------
    seeds : sequence of int
        The start of a network depends on its seed only, not on its neighbours.
    width, layers : int
        Of the hidden layers.
    """

    def __init__(self, seeds: Sequence[int], width: int = 32, layers: int = 3) -> None:
        super().__init__()
        sizes = [2, *[width] * layers, 1]
        dice = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for a, b in zip(sizes, sizes[1:], strict=False):
            drawn = torch.stack([torch.rand(a, b, generator=die) for die in dice])  # (S, a, b)
            self.weights.append(nn.Parameter((2 * drawn - 1) * math.sqrt(6 / (a + b))))
            self.biases.append(nn.Parameter(torch.zeros(len(dice), 1, b)))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Return u: points (N,) and (N,) -> (S, N)."""
        h = torch.stack([x, t], dim=-1)  # (N, 2)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            h = torch.tanh(h @ weight + bias)  # (S, N, width)
        return (h @ self.weights[-1] + self.biases[-1])[..., 0]

    def jet(self, x: Tensor, t: Tensor) -> Jet:
        """Return u, u_x, u_t and u_xx, each (S, N).

        The chain rule, carried through the layers together with the values: for h = tanh(z) it
        says h_x = (1 − h²) z_x and h_xx = (1 − h²) z_xx − 2 h (1 − h²) z_x².
        """
        n = len(x)
        one, zero = torch.ones_like(x), torch.zeros_like(x)
        starts = ((x, t), (one, zero), (zero, one), (zero, zero))  # of (x, t): itself, ∂x, ∂t, ∂xx
        z = torch.cat([torch.stack(pair, dim=-1) for pair in starts])  # (4N, 2)
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            z, z_x, z_t, z_xx = (z @ weight).split(n, dim=1)  # (S, N, width) each
            z = z + bias
            if k < len(self.weights) - 1:
                h = torch.tanh(z)
                slope = 1 - h * h
                parts = [h, slope * z_x, slope * z_t, slope * (z_xx - 2 * h * z_x * z_x)]
                z = torch.cat(parts, dim=1)  # (S, 4N, width)
        return z[..., 0], z_x[..., 0], z_t[..., 0], z_xx[..., 0]


def with_conditions(x: Tensor, t: Tensor, jet: Jet) -> Jet:
    """Turn a network's jet into that of u0(x) + t (1 − x²) network(x, t)."""
    v, v_x, v_t, v_xx = jet
    b = 1 - x * x
    u0, slope, bend = initial(x), -math.pi * torch.cos(math.pi * x), -(math.pi**2) * initial(x)
    u_x = slope + t * (b * v_x - 2 * x * v)
    u_xx = bend + t * (b * v_xx - 4 * x * v_x - 2 * v)
    return u0 + t * b * v, u_x, b * (v + t * v_t), u_xx


def losses(
    networks: Networks, way: Way, points: dict[str, Tensor], nu: float | Tensor
) -> list[Tensor]:
    """Return the three unweighted terms of :data:`TERMS`, each (S,). ``nu``: one number, or (S, 1).
    """
    x, t = points["x"], points["t"]
    jet = networks.jet(x, t)
    u, u_x, u_t, u_xx = with_conditions(x, t, jet) if way.hard else jet
    equation = (u_t + u * u_x - nu * u_xx).square().mean(dim=1)  # (S, N) -> (S,)
    if way.hard:
        return [equation, torch.zeros_like(equation), torch.zeros_like(equation)]
    start, edge = points["start"], points["edge"]
    # The whole border in one pass: small tensors cost by the piece.
    x = torch.cat([start, -torch.ones_like(edge), torch.ones_like(edge)])
    t = torch.cat([torch.zeros_like(start), edge, edge])
    at_start, at_walls = networks(x, t).tensor_split([len(start)], dim=1)
    misfit = at_start - initial(start)
    return [equation, misfit.square().mean(dim=1), at_walls.square().mean(dim=1)]


@dataclass(frozen=True)
class Solved:
    """Trained networks, one per seed, and how their training went.

    Attributes
    ----------
    networks : Networks
        One network per seed.
    way : Way
        How they were trained.
    log : list[dict[str, Any]]
        Rows: step, and lists over the seeds (losses, gradients, cosine, and the weights and the
        viscosity of this step).
    """

    networks: Networks
    way: Way
    log: list[dict[str, Any]]

    @torch.no_grad()
    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """Return u at the points (N,), (N,): (S, N)."""
        u = self.networks(x, t)
        return initial(x) + t * (1 - x * x) * u if self.way.hard else u


def grid(columns: int = 129, rows: int = 51) -> tuple[Tensor, Tensor]:
    """Return x and t of a regular grid, each (rows · columns,), t outside."""
    t, x = torch.meshgrid(torch.linspace(0, 1, rows), torch.linspace(-1, 1, columns), indexing="ij")
    return x.flatten(), t.flatten()


def relative_error(solved: Solved, columns: int = 129, rows: int = 51) -> Tensor:
    """Return ‖u − reference‖ / ‖reference‖ over a grid, one number per seed (S,)."""
    truth = _truth(columns, rows)
    return (solved(*grid(columns, rows)) - truth).norm(dim=1) / truth.norm()


@lru_cache(maxsize=2)  # a lesson asks for the error of many ways
def _truth(columns: int, rows: int) -> Tensor:
    """Return the reference solution on a grid, (rows · columns,)."""
    x, t = grid(columns, rows)
    return torch.from_numpy(reference(x.numpy(), t.numpy())).float()


def training_points(count: int = 400) -> dict[str, Tensor]:
    """Return the points at which the terms are asked: a Sobol set inside, lines on the border."""
    inside = torch.quasirandom.SobolEngine(2, scramble=True, seed=1).draw(count)  # (count, 2)
    return {
        "x": 2 * inside[:, 0] - 1,
        "t": inside[:, 1].clone(),
        "start": torch.linspace(-1, 1, 101),
        "edge": torch.linspace(0, 1, 51),
    }


def solve(
    way: Way,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 1200,
    lr: float = 3e-3,
    log_every: int = 60,
) -> Solved:
    """Train one network per seed in one of the :data:`WAYS`.

    The networks share the loop and nothing else: a seed gives the same result alone.
    """
    networks, points = Networks(seeds), training_points()
    solved = Solved(networks, way, [])
    optimizer = torch.optim.Adam(networks.parameters(), lr=lr, fused=True)  # one call, not dozens
    order = _orders(way, seeds, steps)  # (S, steps)
    for step in range(steps):
        each = [way.at(place / steps) for place in order[:, step]]
        now = {name: torch.tensor([one[name] for one in each]) for name in each[0]}  # (S,) each
        for group in optimizer.param_groups:
            group["lr"] = lr * 0.5 * (1 + math.cos(math.pi * step / steps))
        found = losses(networks, way, points, now["viscosity"][:, None])
        if log_every and (step % log_every == 0 or step == steps - 1):
            settings = {name: values.tolist() for name, values in now.items()}
            solved.log.append({"step": step, **_look(solved, found), **settings})
        total = sum(now[name] * term for name, term in zip(TERMS, found, strict=True))
        optimizer.zero_grad()
        total.sum().backward()
        optimizer.step()
    return solved


def _orders(way: Way, seeds: Sequence[int], steps: int) -> np.ndarray:
    """Return the place in the schedule of each step, (S, steps)."""
    order = np.tile(np.arange(steps), (len(seeds), 1))
    first = round(way.shuffled * steps)
    for row, seed in zip(order, seeds, strict=True):
        row[:first] = np.random.default_rng(seed).permutation(first)
    return order


def _look(solved: Solved, found: list[Tensor]) -> dict[str, Any]:
    """Return the unweighted terms, the size of each one's gradient, and whether two of them agree.

    Per seed. ``cosine`` is that of the angle between the gradients of equation and initial
    condition: 1 if they pull the same way, −1 if against each other.
    """
    weights = list(solved.networks.parameters())
    pulls = []
    for term in found:
        if not term.requires_grad:  # a term that holds by construction
            pulls.append(torch.zeros_like(pulls[0]))
            continue
        parts = torch.autograd.grad(term.sum(), weights, retain_graph=True, allow_unused=True)
        pairs = zip(weights, parts, strict=True)  # the last bias moves no derivative: None
        flat = [(torch.zeros_like(w) if p is None else p).flatten(1) for w, p in pairs]
        pulls.append(torch.cat(flat, dim=1))  # (S, parameters)
    return {
        "losses": {name: term.tolist() for name, term in zip(TERMS, found, strict=True)},
        "gradients": {n: p.norm(dim=1).tolist() for n, p in zip(TERMS, pulls, strict=True)},
        "cosine": torch.cosine_similarity(pulls[0], pulls[1]).tolist(),
    }
