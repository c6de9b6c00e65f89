"""Answers to the exercises of lesson 11: a second right one, and wrong ones with the reason."""

import math

import torch

# -- 11.1: residual(u, x, t, nu) ------------------------------------------------------------------


def d(y, by, keep=True):
    return torch.autograd.grad(y, by, torch.ones_like(y), create_graph=keep)[0]


def one_derivative_at_a_time(u, x, t, nu):
    flux = d(u(x, t) ** 2 / 2, x)  # (u²/2)_x = u·u_x
    return d(u(x, t), t) + flux - d(nu * d(u(x, t), x), x)


def wrong_sign(u, x, t, nu):
    v = u(x, t)
    return d(v, t) + v * d(v, x) + nu * d(d(v, x), x)


def no_graph_at_first(u, x, t, nu):
    v = u(x, t)
    u_x, u_t = torch.autograd.grad(v.sum(), (x, t), retain_graph=True)
    return u_t + v * u_x - nu * torch.autograd.grad(u_x.sum(), x)[0]


def no_graph_at_last(u, x, t, nu):
    v = u(x, t)
    u_x = d(v, x)
    return d(v, t) + v * u_x - nu * d(u_x, x, keep=False)


def retained_but_not_created(u, x, t, nu):
    v = u(x, t)
    u_x, u_t = d(v, x), d(v, t)
    [u_xx] = torch.autograd.grad(u_x.sum(), x, retain_graph=True)
    return u_t + v * u_x - nu * u_xx


def without_sum(u, x, t, nu):
    v = u(x, t)
    u_x, u_t = torch.autograd.grad(v, (x, t), create_graph=True)
    return u_t + v * u_x - nu * torch.autograd.grad(u_x, x, create_graph=True)[0]


def of_the_mean(u, x, t, nu):
    v = u(x, t)
    u_x, u_t = torch.autograd.grad(v.mean(), (x, t), create_graph=True)
    [u_xx] = torch.autograd.grad(u_x.sum(), x, create_graph=True)
    return u_t + v * u_x - nu * u_xx


def square_for_second(u, x, t, nu):
    v = u(x, t)
    return d(v, t) + v * d(v, x) - nu * d(v, x) ** 2


def swapped(u, x, t, nu):
    v = u(x, t)
    u_t, u_x = torch.autograd.grad(v.sum(), (x, t), create_graph=True)
    return u_t + v * u_x - nu * d(u_x, t)


def detached(u, x, t, nu):
    return one_derivative_at_a_time(u, x, t, nu).detach()


def in_the_wrong_order(u, x, t, nu):
    v = u(x, t)
    u_t, u_x = torch.autograd.grad(v.sum(), (x, t), create_graph=True)
    return u_t + v * u_x - nu * d(u_x, x)


def sum_for_u(u, x, t, nu):
    v = u(x, t)
    return d(v, t) + v.sum() * d(v, x) - nu * d(d(v, x), x)


def one_item(u, x, t, nu):
    v = u(x, t)
    return d(v, t).item() + v * d(v, x)


def grads_tuple(u, x, t, nu):
    v = u(x, t)
    u_x, u_t = torch.autograd.grad(v.sum(), (x, t), create_graph=True)
    return u_t + v * u_x - nu * torch.autograd.grad(u_x.sum(), x, create_graph=True)


def tuple_at_first(u, x, t, nu):
    v = u(x, t)
    u_x = torch.autograd.grad(v.sum(), x, create_graph=True)
    return d(v, t) + v * u_x[0] - nu * d(u_x.sum(), x)


def without_a_call(u, x, t, nu):
    return d(u, t) + u * d(u, x)


# -- 11.2: plucked(network, start, x, t) ----------------------------------------------------------


def with_sines(network, start, x, t):
    return start(x) + torch.sin(math.pi * x) * torch.tanh(t).square() * network(x, t)


def starts_moving(network, start, x, t):
    return start(x) + t * x * (1 - x) * network(x, t)


def walls_of_the_lesson(network, start, x, t):
    return start(x) + t**2 * (1 - x**2) * network(x, t)


def one_wall(network, start, x, t):
    return start(x) + t**2 * x * network(x, t)


def no_start(network, start, x, t):
    return t**2 * x * (1 - x) * network(x, t)


def not_at_the_start(network, start, x, t):
    return start(x) + x * (1 - x) * network(x, t)


def a_standing_wave(network, start, x, t):
    return start(x) * torch.cos(math.pi * t)


def dead_middle(network, start, x, t):
    return start(x) + t**2 * torch.sin(2 * math.pi * x) * network(x, t)


def moves_with_the_start(network, start, x, t):
    return start(x) * (1 + t**2 * network(x, t))


def its_own_wave(network, start, x, t):
    return -torch.sin(math.pi * x) + t**2 * x * (1 - x) * network(x, t)


def time_before_place(network, start, x, t):
    return start(x) + t**2 * x * (1 - x) * network(t, x)


def sine_of_math(network, start, x, t):
    return start(x) + t**2 * math.sin(math.pi * x) * network(x, t)


def subtracts_the_start(network, start, x, t):
    zero = torch.zeros_like(t)
    return start(x) + x * (1 - x) * (network(x, t) - network(x, zero))


# -- 11.3: cosine(network, one, other) ------------------------------------------------------------


def with_backward(network, one, other):
    found = []
    for loss in (one, other):
        network.zero_grad()
        loss(network).backward()
        parts = [p.grad for p in network.parameters()]
        found.append(torch.nn.utils.parameters_to_vector(parts).clone())
    a, b = found
    return (a @ b) / (a.norm() * b.norm())


def gradients(network, loss):
    return torch.autograd.grad(loss(network), list(network.parameters()))


def mean_over_tensors(network, one, other):
    pairs = zip(gradients(network, one), gradients(network, other), strict=True)
    each = [torch.cosine_similarity(a.flatten(), b.flatten(), dim=0) for a, b in pairs]
    return torch.stack(each).mean()


def keeps_the_old_gradient(network, one, other):
    found = []
    for loss in (one, other):
        loss(network).backward()
        found.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
    return torch.cosine_similarity(*found, dim=0)


def forgets_zero_between(network, one, other):
    network.zero_grad()
    return keeps_the_old_gradient(network, one, other)


def without_a_copy(network, one, other):
    for p in network.parameters():
        p.grad = torch.zeros_like(p)
    one(network).backward()
    a = [p.grad for p in network.parameters()]
    network.zero_grad(set_to_none=False)
    other(network).backward()
    b = [p.grad for p in network.parameters()]
    a, b = (torch.cat([g.flatten() for g in part]) for part in (a, b))
    return torch.cosine_similarity(a, b, dim=0)


def scalar_product(network, one, other):
    a, b = (torch.cat([g.flatten() for g in gradients(network, loss)]) for loss in (one, other))
    return a @ b


def absolute(network, one, other):
    return abs(with_backward(network, one, other))


def not_flat(network, one, other):
    a, b = (torch.cat(gradients(network, loss)) for loss in (one, other))
    return torch.cosine_similarity(a, b, dim=0)


def without_dim(network, one, other):
    a, b = (torch.cat([g.flatten() for g in gradients(network, loss)]) for loss in (one, other))
    return torch.cosine_similarity(a, b)


def of_numbers(network, one, other, number, together=False):
    """Make one number of each tensor, or of all together."""
    found = []
    for loss in (one, other):
        found.append(torch.stack([number(g) for g in gradients(network, loss)]))
    if together:
        found = [part.sum().view(1) for part in found]
    return torch.cosine_similarity(*found, dim=0)


def all_added_up(network, one, other):
    return of_numbers(network, one, other, torch.sum, together=True)


def one_tensor_only(network, one, other, which=0):
    a, b = (gradients(network, loss)[which].flatten() for loss in (one, other))
    return torch.cosine_similarity(a, b, dim=0)


def of_the_losses(network, one, other):
    return torch.cosine_similarity(one(network).view(1), other(network).view(1), dim=0)


def never_flat(network, one, other):
    return torch.cosine_similarity(gradients(network, one), gradients(network, other), dim=0)


def by_the_network(network, one, other):
    return torch.autograd.grad(one(network), network)[0]


def in_radians(network, one, other):
    return math.acos(with_backward(network, one, other))


ANSWERS = {
    "11.1": {
        "second": one_derivative_at_a_time,
        "wrong": [
            (wrong_sign, "the viscosity has the wrong sign"),
            (no_graph_at_first, "a first derivative is differentiated again"),
            (no_graph_at_last, "can't train the network: .*create_graph=True"),
            (retained_but_not_created, "u_xx is cut off from the weights"),
            (without_sum, "give it the sum over the points"),
            (of_the_mean, "take that of the sum over the points"),
            (square_for_second, "not its square"),
            (swapped, "x and t changed places"),
            (in_the_wrong_order, "come in the order in which you ask for them"),
            (sum_for_u, "u at each point, not the sum"),
            (one_item, r"`\.item\(\)` is for a tensor of one number"),
            (lambda u, x, t, nu: u(x), "u takes both"),
            (lambda *given: one_derivative_at_a_time(*given).square().mean(), "at each point"),
            (grads_tuple, "returns a tuple, also for one derivative"),
            (tuple_at_first, "returns a tuple, also for one derivative"),
            (without_a_call, "u is a function: call it first"),
            (detached, "cut off from its weights"),
            (lambda u, x, t, nu: one_derivative_at_a_time(u, x, t, nu) ** 2, "the loss will"),
        ],
    },
    "11.2": {
        "second": with_sines,
        "wrong": [
            (starts_moving, "does not start at rest"),
            (lambda network, start, x, t: start + t**2 * network(x, t), "functions: call them"),
            (lambda network, start, x, t: start(x) + t**2 * network(x), "with both"),
            (moves_with_the_start, r"can't change anything at x = 0\.50"),
            (its_own_wave, "not with the wave of Burgers"),
            (lambda network, start, x, t: torch.sin(math.pi * x), "a wave of your own"),
            (time_before_place, "x first"),
            (sine_of_math, "such as torch.sin"),
            (walls_of_the_lesson, "walls of Burgers' equation"),
            (one_wall, "zero at x = 0 and at x = 1"),
            (lambda net, start, x, t: start(x) + t**2 * net(x, t), "zero at x = 0 and at x = 1"),
            (no_start, r"did you forget start\(x\)"),
            (not_at_the_start, "the network acts at t = 0"),
            (a_standing_wave, "the network can't change anything"),
            (dead_middle, r"the network can't change anything at x = 0\.50"),
            (subtracts_the_start, "does not start at rest"),
        ],
    },
    "11.3": {
        "second": with_backward,
        "wrong": [
            (mean_over_tensors, "first make one long vector"),
            (keeps_the_old_gradient, "the old gradient is still in there"),
            (forgets_zero_between, "holds the first one"),
            (without_a_copy, "keep a copy of the first"),
            (scalar_product, "divide by both norms"),
            (absolute, "keep the sign"),
            (all_added_up, "of single numbers the cosine is 1 or -1"),
            (one_tensor_only, "leave no tensor out"),
            (lambda *given: one_tensor_only(*given, which=1), "the second tensor alone"),
            (lambda *given: of_numbers(*given, torch.sum), "don't add the numbers of a tensor up"),
            (lambda *given: of_numbers(*given, torch.mean), "take no mean over a tensor"),
            (lambda *given: of_numbers(*given, torch.norm), "take no norms"),
            (of_the_losses, "the two losses, not their gradients"),
            (never_flat, "flatten each gradient"),
            (by_the_network, r"list\(network\.parameters\(\)\)"),
            (not_flat, "flatten each gradient"),
            (without_dim, "pass dim=0"),
            (in_radians, "the angle in radians"),
        ],
    },
}
