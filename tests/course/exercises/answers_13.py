"""Answers to the exercises of lesson 13: a second right one, and wrong ones with the reason."""

import torch
from torch import nn

# -- 09.1: gradient_norms(network) ----------------------------------------------------------------


def with_one_vector(network):
    def vector(part):
        grads = [p.grad.flatten() for p in part.parameters() if p.grad is not None]
        return torch.cat([torch.zeros(1), *grads])

    return {name: torch.linalg.vector_norm(vector(part)) for name, part in network.named_children()}


def grads_of(part):
    return [p.grad for p in part.parameters() if p.grad is not None]


def sum_of_norms(network):
    return {n: float(sum(g.norm() for g in grads_of(p))) for n, p in network.named_children()}


def without_root(network):
    return {n: float(sum((g**2).sum() for g in grads_of(p))) for n, p in network.named_children()}


def root_of_mean(network):
    def root(grads):
        return torch.cat([g.flatten() for g in grads]).square().mean().sqrt() if grads else 0.0

    return {n: root(grads_of(p)) for n, p in network.named_children()}


def of_weights(network):
    return {n: torch.cat([w.flatten() for w in p.parameters()] or [torch.zeros(1)]).norm()
            for n, p in network.named_children()}


def no_none(network):
    return {n: sum(p.grad.square().sum() for p in part.parameters()) ** 0.5
            for n, part in network.named_children()}


def every_module(network):
    return {n: sum(g.square().sum() for g in grads_of(m)) ** 0.5
            for n, m in network.named_modules() if n}


def skips_the_frozen(network):
    return {n: norm for n, norm in with_one_vector(network).items() if norm > 0}


def clips_on_the_way(network):
    return {n: nn.utils.clip_grad_norm_(list(p.parameters()), 1.0).item()
            for n, p in network.named_children()}


def signed_sum(network):
    return {n: float(sum(g.sum() for g in grads_of(p))) for n, p in network.named_children()}


# -- 09.2: match_scale(x, home) -------------------------------------------------------------------

AXES = (0, 2, 3)


def by_channel(x, home):
    done = []
    for c in range(x.shape[1]):
        own, other = x[:, c], home[:, c]
        factor = other.std() / own.std() if own.std() > 0 else 0.0
        done.append((own - own.mean()) * factor + other.mean())
    return torch.stack(done, dim=1)


def scaled(x, home, axes=AXES, correction=1, eps=1e-9):
    m, s = x.mean(axes, keepdim=True), x.std(axes, keepdim=True, correction=correction)
    m_home = home.mean(AXES, keepdim=True)
    return (x - m) / (s + eps) * home.std(AXES, keepdim=True, correction=correction) + m_home


def population(x, home):
    return scaled(x, home, correction=0)


def each_picture(x, home):
    return scaled(x, home, axes=(2, 3))


def all_channels(x, home):
    return (x - x.mean()) / x.std() * home.std() + home.mean()


def dead_is_nan(x, home):
    return scaled(x, home, eps=0.0)


def large_eps(x, home):
    return scaled(x, home, eps=1e-5)


def as_in_batch_norm(x, home):
    m, v = x.mean(AXES, keepdim=True), x.var(AXES, keepdim=True)
    standard = (x - m) / (v + 1e-5).sqrt()
    return standard * home.std(AXES, keepdim=True) + home.mean(AXES, keepdim=True)


def size_only(x, home):
    return x * home.std(AXES, keepdim=True) / (x.std(AXES, keepdim=True) + 1e-9)


def without_the_mean(x, home):
    return scaled(x, home) - home.mean(AXES, keepdim=True)


def by_variance(x, home):
    m, v = x.mean(AXES, keepdim=True), x.var(AXES, keepdim=True)
    return (x - m) / v * home.std(AXES, keepdim=True) + home.mean(AXES, keepdim=True)


def turned_round(x, home):
    return scaled(home, x)


# -- 09.3: largest_difference(one, other, sizes) --------------------------------------------------


def pixel_by_pixel(one, other, sizes):
    largest = 0.0
    for b, h, w in sizes:
        x = torch.rand(b, 3, h, w)
        a, c = one(x), other(x)
        if not (a.isfinite().all() and c.isfinite().all()):
            return float("inf")
        largest = max(largest, max((a - c).max().item(), (c - a).max().item()))
    return largest


def pictures(size):
    return torch.rand(size[0], 3, *size[1:])


def differences(one, other, sizes):
    return [one(x) - other(x) for x in map(pictures, sizes)]


def without_abs(one, other, sizes):
    return max(d.max().item() for d in differences(one, other, sizes))


def mean_of_pixels(one, other, sizes):
    return torch.stack([d.abs().mean() for d in differences(one, other, sizes)]).max()


def last_size(one, other, sizes):
    return differences(one, other, sizes)[-1].abs().max()


def returns_in_the_loop(one, other, sizes):
    for size in sizes:
        x = pictures(size)
        return (one(x) - other(x)).abs().max()


def loses_nan(one, other, sizes):
    largest = 0.0
    for d in differences(one, other, sizes):
        largest = max(largest, d.abs().max().item())
    return largest


def nan_to_num(one, other, sizes):
    return max(d.nan_to_num().abs().max().item() for d in differences(one, other, sizes))


def two_pictures(one, other, sizes):
    found = [(one(pictures(s)) - other(pictures(s))).abs().max() for s in sizes]
    return torch.stack(found).max()


def black_pictures(one, other, sizes):
    found = [(one(x) - other(x)).abs().max() for x in (0 * pictures(s) for s in sizes)]
    return torch.stack(found).max()


def normal_pictures(one, other, sizes):
    found = [(one(x) - other(x)).abs().max() for x in (torch.randn(s[0], 3, *s[1:]) for s in sizes)]
    return torch.stack(found).max()


def first_of_the_batch(one, other, sizes):
    return torch.stack([d[0].abs().max() for d in differences(one, other, sizes)]).max()


def one_picture_each(one, other, sizes):
    found = [(one(x) - other(x)).abs().max() for x in (pictures((1, *s[1:])) for s in sizes)]
    return torch.stack(found).max()


def with_itself(one, other, sizes):
    return torch.stack([d.abs().max() for d in differences(one, one, sizes)]).max()


def sum_of_sizes(one, other, sizes):
    return sum(d.abs().max().item() for d in differences(one, other, sizes))


# -- 09.4: start_as_nothing(first, second) --------------------------------------------------------


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


def second_only(first, second):
    return by_hand(first, second)[1]


def changed_copies(first, second):
    return first, nn.Identity()


ANSWERS = {
    "13.1": {
        "second": with_one_vector,
        "wrong": [
            (sum_of_norms, "norms don't add up"),
            (without_root, "take the root"),
            (root_of_mean, "don't divide by the number"),
            (of_weights, "norm of the weights, not of their gradients"),
            (no_none, r"\.grad is None: skip it"),
            (every_module, "is not a direct part"),
            (skips_the_frozen, r"the part \['frozen'\] is missing"),
            (signed_sum, "must not cancel"),
            (clips_on_the_way, "changed the gradients"),
            (lambda network: [5.0], "return a dictionary"),
        ],
    },
    "13.2": {
        "second": by_channel,
        "wrong": [
            (population, "divides by n - 1"),
            (each_picture, "over all pictures"),
            (all_channels, "don't take them over the channels"),
            (dead_is_nan, "a dead channel has the standard deviation 0"),
            (large_eps, "must be much smaller"),
            (as_in_batch_norm, "inside the root|the result is not right"),
            (size_only, "the right spread and a wrong mean"),
            (without_the_mean, "add it"),
            (by_variance, "take its root"),
            (turned_round, "The shape should be"),
        ],
    },
    "13.3": {
        "second": pixel_by_pixel,
        "wrong": [
            (without_abs, r"\(abs\)"),
            (mean_of_pixels, "one bad pixel is enough"),
            (last_size, "one bad size is enough"),
            (first_of_the_batch, "one bad pixel is enough"),
            (returns_in_the_loop, "was never given pictures of the shape"),
            (loses_nan, "a NaN must not get lost"),
            (nan_to_num, "a NaN must not get lost"),
            (two_pictures, "make x once"),
            (black_pictures, "different networks may agree"),
            (normal_pictures, r"pictures lie in \[0, 1\]"),
            (one_picture_each, r"never given pictures of the shape \(2, 3, 5, 7\)"),
            (with_itself, "one of the networks was never given"),
            (sum_of_sizes, "not a sum"),
        ],
    },
    "13.4": {
        "second": by_hand,
        "wrong": [
            (both_zero, "both are zero"),
            (first_zero, "`first` is zero"),
            (bias_stays, "its bias still adds something"),
            (nearly_zero, "expected exactly 0"),
            (frozen, "requires_grad is off"),
            (constant_first, "leave it random"),
            (dead_relu, "have not moved: first.weight"),
            (without_no_grad, r"inside `with torch\.no_grad\(\):`"),
            (second_only, "return both layers"),
            (changed_copies, "return both layers"),
        ],
    },
}
