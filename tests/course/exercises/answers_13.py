"""Answers to the exercises of lesson 13: a second right one, and wrong ones with the reason."""

import torch
from torch import nn

# -- 13.1: match_scale(x, home) -------------------------------------------------------------------

AXES = (0, 2, 3)


def by_channel(x, home):
    done = []
    for c in range(x.shape[1]):
        own, other = x[:, c], home[:, c]
        factor = other.std(correction=0) / (own.std(correction=0) + 1e-5)  # n, and a small ε
        done.append((own - own.mean()) * factor + other.mean())
    return torch.stack(done, dim=1)


def scaled(x, home, axes=AXES):
    m, s = x.mean(axes, keepdim=True), x.std(axes, keepdim=True)
    m_home = home.mean(AXES, keepdim=True)
    return (x - m) / s * home.std(AXES, keepdim=True) + m_home


def without_keepdim(x, home):
    return (x - x.mean(AXES)) / x.std(AXES) * home.std(AXES) + home.mean(AXES)


def each_picture(x, home):
    return scaled(x, home, axes=(2, 3))


def all_channels(x, home):
    return (x - x.mean()) / x.std() * home.std() + home.mean()


def mean_too_early(x, home):
    moved = x - x.mean(AXES, keepdim=True) + home.mean(AXES, keepdim=True)
    return moved / x.std(AXES, keepdim=True) * home.std(AXES, keepdim=True)


def number_per_picture(x, home):
    axes = (1, 2, 3)
    standard = (x - x.mean(axes, keepdim=True)) / x.std(axes, keepdim=True)
    return standard * home.std(axes, keepdim=True) + home.mean(axes, keepdim=True)


def two_variances(x, home):
    standard = (x - x.mean(AXES, keepdim=True)) / x.var(AXES, keepdim=True)
    return standard * home.var(AXES, keepdim=True) + home.mean(AXES, keepdim=True)


def pixel_by_pixel(x, home):
    return x - x.mean(AXES, keepdim=True) + home


def size_only(x, home):
    return x * home.std(AXES, keepdim=True) / (x.std(AXES, keepdim=True) + 1e-9)


def without_the_mean(x, home):
    return scaled(x, home) - home.mean(AXES, keepdim=True)


def by_variance(x, home):
    m, v = x.mean(AXES, keepdim=True), x.var(AXES, keepdim=True)
    return (x - m) / v * home.std(AXES, keepdim=True) + home.mean(AXES, keepdim=True)


def turned_round(x, home):
    return scaled(home, x)


# -- 13.2: gated_block(x, branch, A, gamma) --------------------------------------------------------


def in_parts(x, branch, A, gamma):
    """Keep the host's branch, and add what the map changes of it."""
    return (x + branch + gamma * (A - (1 - A)) * branch).clamp(min=0)


def dropped(x, branch, A, gamma):
    return torch.relu(A * branch + x)


def without_the_one(x, branch, A, gamma):
    return torch.relu(gamma * (2 * A - 1) * branch + x)


def a_alone(x, branch, A, gamma):
    return torch.relu((1 + gamma * A) * branch + x)


def a_minus_one(x, branch, A, gamma):
    return torch.relu((1 + gamma * (A - 1)) * branch + x)


def brackets(x, branch, A, gamma):
    return torch.relu((1 + gamma) * (2 * A - 1) * branch + x)


def gates_x(x, branch, A, gamma):
    return torch.relu(branch + (1 + gamma * (2 * A - 1)) * x)


def gates_the_sum(x, branch, A, gamma):
    return torch.relu((1 + gamma * (2 * A - 1)) * (branch + x))


def no_relu(x, branch, A, gamma):
    return (1 + gamma * (2 * A - 1)) * branch + x


def relu_of_the_branch(x, branch, A, gamma):
    return torch.relu((1 + gamma * (2 * A - 1)) * branch) + x


def no_skip(x, branch, A, gamma):
    return torch.relu((1 + gamma * (2 * A - 1)) * branch)


def gate_only(x, branch, A, gamma):
    return 1 + gamma * (2 * A - 1)


# -- 13.3: start_as_nothing(first, second) --------------------------------------------------------


def by_hand(first, second):
    with torch.no_grad():
        for weight in second.parameters():
            weight *= 0
    return [first, second]


def both_zero(first, second):
    for weight in (*first.parameters(), *second.parameters()):
        nn.init.zeros_(weight)
    return first, second


def first_zero(first, second):
    for weight in (*first.parameters(), second.bias):
        nn.init.zeros_(weight)
    return first, second


def bias_stays(first, second):
    nn.init.zeros_(second.weight)
    return first, second


def nearly_zero(first, second):
    nn.init.normal_(second.weight, std=1e-4)
    nn.init.zeros_(second.bias)
    return first, second


def frozen(first, second):
    by_hand(first, second)
    return first.requires_grad_(False), second


def constant_first(first, second):
    nn.init.constant_(first.weight, 0.1)
    nn.init.constant_(first.bias, 0.1)
    return by_hand(first, second)


def dead_relu(first, second):
    nn.init.constant_(first.bias, -100.0)
    return by_hand(first, second)


def without_no_grad(first, second):
    second.weight.zero_()
    second.bias.zero_()
    return first, second


def replaced_by_tensors(first, second):
    second.weight = torch.zeros_like(second.weight)
    return first, second


def layer_for_a_tensor(first, second):
    nn.init.zeros_(second)
    return first, second


def other_shape(first, second):
    second.weight.data = torch.zeros(1)
    return first, second


def without_a_bias(first, second):
    nn.init.zeros_(second.weight)
    second.bias = None
    return first, second


def new_layer(first, second):
    other = nn.Conv2d(second.in_channels, second.out_channels, 3, padding=1)
    return by_hand(first, other)


def bias_alone(first, second):
    nn.init.zeros_(second.bias)
    return first, second


def first_zero_bias_random(first, second):
    nn.init.zeros_(first.weight)
    nn.init.zeros_(first.bias)
    return first, second


def second_only(first, second):
    return by_hand(first, second)[1]


def changed_copies(first, second):
    return first, nn.Identity()


ANSWERS = {
    "13.1": {
        "second": by_channel,
        "wrong": [
            (without_keepdim, "without keepdim=True"),
            (each_picture, "over all pictures"),
            (all_channels, "don't take them over the channels"),
            (mean_too_early, "you scaled it, too"),
            (number_per_picture, "dimension 0 counts the pictures and 1 the channels"),
            (two_variances, "its root is the standard deviation"),
            (pixel_by_pixel, "what you combine does not fit together"),
            (size_only, "the right spread and a wrong mean"),
            (without_the_mean, "add it"),
            (by_variance, "take its root"),
            (turned_round, "x and home are exchanged"),
        ],
    },
    "13.2": {
        "second": in_parts,
        "wrong": [
            (dropped, "where is γ"),
            (
                lambda x, branch, A, gamma: torch.relu((1 + gamma * 2 * A - 1) * branch + x),
                "brackets of its own",
            ),
            (without_the_one, "the 1 is missing"),
            (a_alone, "not neutral"),
            (a_minus_one, "2A − 1 and not A − 1"),
            (brackets, "1 is added to it"),
            (gates_x, "not for x"),
            (gates_the_sum, "you gated the sum"),
            (no_relu, "the relu around the sum is missing"),
            (
                lambda x, branch, A, gamma: torch.relu(1 + gamma * (2 * A - 1) * branch + x),
                "the gate needs brackets, too",
            ),
            (
                lambda x, branch, A, gamma: torch.relu((1 + gamma * (A**2 - 1)) * branch + x),
                "not its square",
            ),
            (lambda x, branch, A, gamma: branch(x), "and don't call it"),
            (lambda x, branch, A, gamma: gamma(2 * A - 1), "a product needs its sign"),
            (relu_of_the_branch, "the relu is for the sum"),
            (no_skip, "x is missing"),
            (gate_only, "The shape should be"),
        ],
    },
    "13.3": {
        "second": by_hand,
        "wrong": [
            (both_zero, "both are zero"),
            (first_zero, "`first` is zero"),
            (bias_stays, "its bias still adds something"),
            (nearly_zero, "expected exactly 0: small is not zero"),
            (bias_alone, "neither layer has weights of 0"),
            (first_zero_bias_random, "the weights of `first` are 0, but a bias"),
            (replaced_by_tensors, "don't replace a weight"),
            (layer_for_a_tensor, "a layer is no tensor"),
            (other_shape, "keep their shapes"),
            (without_a_bias, "a bias stays a bias"),
            (new_layer, "a network would keep its old ones"),
            (lambda first, second: by_hand(first, second)[::-1], "in this order"),
            (frozen, "requires_grad is off"),
            (constant_first, "leave it random"),
            (dead_relu, "have not moved: first.weight"),
            (without_no_grad, r"inside `with torch\.no_grad\(\):`"),
            (second_only, "return both layers"),
            (changed_copies, "these are new layers"),
        ],
    },
}
