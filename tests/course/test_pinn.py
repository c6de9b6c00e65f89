"""The small physics-informed network: its derivatives, its reference, its ways of training."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.func import jacfwd, vmap

from derain_edu.course import pinn
from derain_edu.course.pinn import NU, WAYS, Networks, Way
from derain_edu.training.curriculum import StepSchedule

ROUGH = 0.05  # a viscosity that a coarse grid resolves


# ------------------------------------------------------------------------------ the reference


def finite_volumes(nu: float, end: float, cells: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Solve Burgers' equation on a grid, knowing nothing of Cole and Hopf."""
    edges = np.linspace(-1, 1, cells + 1)
    x, dx = (edges[1:] + edges[:-1]) / 2, 2 / cells
    u, t = -np.sin(np.pi * x), 0.0
    step = min(0.2 * dx * dx / nu, 0.2 * dx)
    while t < end - 1e-12:
        dt = min(step, end - t)
        wide = np.concatenate([[-u[0]], u, [-u[-1]]])  # mirrored: u = 0 at the walls
        left, right = wide[:-1], wide[1:]
        # central flux: at ν = .05 and 400 cells the viscosity keeps it stable
        flux = (left**2 + right**2) / 4 - nu * (right - left) / dx
        u = u - dt / dx * (flux[1:] - flux[:-1])
        t += dt
    return x, u


def test_reference_agrees_with_finite_volumes():
    x, u = finite_volumes(ROUGH, 0.5)
    assert np.abs(pinn.reference(x, np.full_like(x, 0.5), ROUGH) - u).max() < 1e-3


def test_reference_has_the_known_slope_of_the_shock():
    """Basdevant et al. (1986): the steepest slope, at t = 1.6037 / π, is 152.005."""
    x = np.array([-1e-6, 1e-6])
    u = pinn.reference(x, np.full(2, 1.6037 / math.pi))
    assert abs((u[1] - u[0]) / 2e-6) == pytest.approx(152.005, abs=0.05)


def test_reference_keeps_its_symmetry_its_start_and_its_walls():
    x, t = np.linspace(-1, 1, 41), np.full(41, 0.7)
    u = pinn.reference(x, t)
    assert np.allclose(u, -u[::-1], atol=1e-12) and np.allclose(u[[0, 20, 40]], 0, atol=1e-12)
    assert np.allclose(pinn.reference(x, np.zeros(41)), -np.sin(np.pi * x), atol=1e-12)
    assert np.allclose(u, pinn.reference(x, t, nodes=300), atol=1e-6)


def test_reference_follows_the_characteristics_before_the_shock():
    """With little viscosity u hardly changes along x = x0 + u0 t, until t = 1 / π."""
    start = np.linspace(-0.9, 0.9, 19)
    u0, t = -np.sin(np.pi * start), 0.1
    assert np.abs(pinn.reference(start + u0 * t, np.full(19, t)) - u0).max() < 6e-3


# ------------------------------------------------------------------------------ the networks


@pytest.fixture(scope="module")
def points():
    x, t = torch.rand(2, 7, dtype=torch.float64)
    return 2 * x - 1, t


@pytest.fixture(scope="module")
def networks():
    return Networks((0, 1), width=8).double()


def derivatives(function, x, t):
    """Return u, u_x, u_t, u_xx of a function of scalars, by automatic differentiation."""
    forms = [function, jacfwd(function), jacfwd(function, 1), jacfwd(jacfwd(function))]
    return [vmap(form)(x, t).T for form in forms]


def test_derivatives_are_those_of_autograd(networks, points):
    def u(x, t):
        return networks(x[None], t[None])[:, 0]

    for ours, true in zip(networks.jet(*points), derivatives(u, *points), strict=True):
        assert torch.allclose(ours, true, atol=1e-10)


def test_derivatives_with_the_hard_constraint(networks, points):
    def u(x, t):
        return pinn.initial(x) + t * (1 - x * x) * networks(x[None], t[None])[:, 0]

    jet = pinn.with_conditions(*points, networks.jet(*points))
    for ours, true in zip(jet, derivatives(u, *points), strict=True):
        assert torch.allclose(ours, true, atol=1e-10)


def test_the_hard_constraint_holds_without_any_training():
    solved = pinn.Solved(Networks((0,)), WAYS["hard constraint"], [])
    x, t = pinn.grid(21, 11)
    u = solved(x, t)[0].reshape(11, 21)
    assert torch.equal(u[0], pinn.initial(x[:21]))
    assert u[:, [0, -1]].abs().max() < 1e-6


def test_a_seed_does_not_depend_on_its_neighbours():
    alone = pinn.solve(Way(), seeds=(1,), steps=5)
    together = pinn.solve(Way(), seeds=(0, 1), steps=5)
    a, b = pinn.relative_error(alone), pinn.relative_error(together)
    assert a[0] == pytest.approx(b[1].item(), rel=1e-4) and a[0] != pytest.approx(b[0].item())


# ------------------------------------------------------------------------------ the terms


def test_the_true_solution_has_no_loss():
    """The terms vanish for a function that obeys them: here the reference, by differences."""
    x, t = np.linspace(-0.9, 0.9, 31), np.full(31, 0.3)
    h = 1e-4

    def u(dx=0.0, dt=0.0):
        return pinn.reference(x + dx, t + dt, ROUGH)

    u_x, u_t = (u(h) - u(-h)) / (2 * h), (u(0, h) - u(0, -h)) / (2 * h)
    u_xx = (u(h) - 2 * u() + u(-h)) / h**2
    jet = [torch.from_numpy(part)[None] for part in (u(), u_x, u_t, u_xx)]

    class Fixed:
        def jet(self, x, t):
            return jet

        def __call__(self, x, t):
            return torch.from_numpy(pinn.reference(x.numpy(), t.numpy(), ROUGH))[None]

    places = {
        "x": torch.from_numpy(x),
        "t": torch.from_numpy(t),
        "start": torch.linspace(-1, 1, 11),
        "edge": torch.linspace(0, 1, 11),
    }
    for term in pinn.losses(Fixed(), Way(), places, ROUGH):
        assert term.item() < 1e-6
    assert pinn.losses(Fixed(), Way(), places, 2 * ROUGH)[0] > 1e-3


# ------------------------------------------------------------------------------ the ways


def test_weights_and_viscosity_follow_the_progress():
    first = WAYS["initial first"]
    assert first.at(0.1) == {"equation": 0, "initial": 1, "boundary": 0, "viscosity": NU}
    assert first.at(0.2) == {"equation": 1, "initial": 1, "boundary": 1, "viscosity": NU}
    falls = [WAYS["viscosity falls"].at(k / 100)["viscosity"] for k in range(100)]
    assert falls == sorted(falls, reverse=True) and falls[0] == 32 * NU and falls[-1] == NU


def test_a_shuffled_way_has_the_same_steps_in_another_order_and_the_same_end():
    logs = [
        pinn.solve(WAYS[f"viscosity {kind}"], (0, 1), steps=20, log_every=1).log
        for kind in ("falls", "shuffled")
    ]
    falls, shuffled = (np.array([row["viscosity"] for row in log]) for log in logs)  # (20, 2)
    assert np.array_equal(np.sort(falls, 0), np.sort(shuffled, 0))
    assert (falls[:12] != shuffled[:12]).any(0).all(), "each seed is shuffled"
    assert (shuffled[:, 0] != shuffled[:, 1]).any(), "by an order of its own"
    assert np.allclose(shuffled[12:], NU) and np.array_equal(falls[12:], shuffled[12:])


def test_a_seed_keeps_its_shuffle_without_its_neighbour():
    way = WAYS["viscosity shuffled"]
    alone, both = (pinn.solve(way, seeds, 20, log_every=1).log for seeds in ((1,), (0, 1)))
    assert [row["viscosity"][0] for row in alone] == [row["viscosity"][1] for row in both]


def test_every_way_runs_and_reports():
    for way in WAYS.values():
        solved = pinn.solve(way, seeds=(0, 1), steps=3, log_every=2)
        assert [row["step"] for row in solved.log] == [0, 2]
        for row in solved.log:
            assert len(row["cosine"]) == len(row["viscosity"]) == 2
            assert set(row["gradients"]) == set(row["losses"]) == set(pinn.TERMS)
            assert np.isfinite(list(row["gradients"].values())).all()
        assert solved(*pinn.grid(5, 4)).shape == (2, 20)


def test_training_helps():
    smooth = Way(viscosity=StepSchedule((32 * NU,), (0.0,)), hard=True)
    solved = pinn.solve(smooth, seeds=(0,), steps=150)
    first, last = solved.log[0]["losses"]["equation"][0], solved.log[-1]["losses"]["equation"][0]
    assert last < first / 5
