"""Answers to the exercises of lesson 07: a second right one, and wrong ones with the reason."""

import math

import torch
from torch import relu

from derain_edu.models.irnn_scan import ClampedAffine, compose

# ------------------------------------------------------------------------------------ the sweep up


def up_by_flipping(x, alpha, beta):
    lines = x.flip(1).movedim(1, 0)  # (H, C, W), the bottom row first
    out = torch.empty_like(lines)
    out[0] = lines[0].clamp(min=0)
    for t in range(1, len(lines)):
        out[t] = (out[t - 1] * alpha.view(-1, 1) + beta.view(-1, 1) + lines[t]).clamp(min=0)
    return out.movedim(0, 1).flip(1)


def general(x, alpha, beta, start="row", bend=relu, turn=True):
    """Sweep up with one thing wrong."""
    alpha, beta = alpha[:, None], beta[:, None]
    h = bend(x[:, -1] + beta if start == "β" else x[:, -1])
    if start == "raw":
        h = x[:, -1]
    swept = [h]
    for t in range(x.shape[1] - 2, -1, -1):
        h = bend(alpha * h + beta + x[:, t])
        swept.append(h)
    return torch.stack(swept[::-1] if turn else swept, dim=1)


def down(x, alpha, beta):
    return up_by_flipping(x.flip(1), alpha, beta).flip(1)


def left(x, alpha, beta):
    return up_by_flipping(x.transpose(1, 2), alpha, beta).transpose(1, 2)


def right(x, alpha, beta):
    return left(x.flip(2), alpha, beta).flip(2)


def alpha_per_column(x, alpha, beta):
    h = relu(x[:, -1])
    swept = [h]
    for t in range(x.shape[1] - 2, -1, -1):
        h = relu(alpha * h + beta + x[:, t])
        swept.append(h)
    return torch.stack(swept[::-1], dim=1)


def stacked_on_the_wrong_axis(x, alpha, beta):
    return up_by_flipping(x, alpha, beta).movedim(1, 0)


def writes_into_x(x, alpha, beta):
    for t in range(x.shape[1] - 2, -1, -1):
        x[:, t] = relu(alpha[:, None] * x[:, t + 1] + beta[:, None] + x[:, t])
    return x


def relu_of_the_memory_only(x, alpha, beta):
    swept = [relu(x[:, -1])]
    for t in range(x.shape[1] - 2, -1, -1):
        swept.append(relu(alpha[:, None] * swept[-1]) + beta[:, None] + x[:, t])
    return torch.stack(swept[::-1], dim=1)


# -------------------------------------------------------------------------------------- the ways


def ways_by_formula(here, there, size):
    (r, c), (height, width) = here, size
    if here == there:
        return 4 * 4 + (width - 1) + (height - 1)
    if r == there[0]:
        return (width - 2) + 4 + 4
    return (height - 2) + 4 + 4 if c == there[1] else 2


def by_stops(itself):
    def ways(here, there, size):
        def once(a, b):
            return itself if a == b else int(a[0] == b[0] or a[1] == b[1])

        stops = [(r, c) for r in range(size[0]) for c in range(size[1])]
        return sum(once(here, stop) * once(stop, there) for stop in stops)

    ways.__name__ = f"itself_{itself}"
    return ways


def one_round(here, there, size):
    return 4 if here == there else int(here[0] == there[0] or here[1] == there[1])


def turned_size(here, there, size):
    return ways_by_formula(here, there, size[::-1])


def always_two(here, there, size):
    return 2


def all_ways_to_reach(here, there, size):
    return torch.tensor([2, 2])


def forgets_itself(here, there, size):
    return 99 if here == there else ways_by_formula(here, there, size)


def nothing_off_the_cross(here, there, size):
    return ways_by_formula(here, there, size) * int(here[0] == there[0] or here[1] == there[1])


# -------------------------------------------------------------------------------------- the join


def join_with_where(second, first):
    low = (second.a * first.lo + second.b).clamp(second.lo, second.hi)
    high = (second.a * first.hi + second.b).clamp(second.lo, second.hi)
    falling = second.a < 0
    a, b = first.a * second.a, second.b + first.b * second.a
    return a, b, torch.where(falling, high, low), torch.where(falling, low, high)


def joined_in_the_wrong_order(second, first):
    return compose(first, second)


def unswapped(second, first):
    return *compose(second, first)[:2], second(first.lo), second(first.hi)


def bounds_of_the_second(second, first):
    return *compose(second, first)[:2], second.lo, second.hi


def bounds_not_sent_through(second, first):
    ends = (first.lo.clamp(second.lo, second.hi), first.hi.clamp(second.lo, second.hi))
    return *compose(second, first)[:2], *ends


def bounds_not_clamped(second, first):
    ends = [second.a * end + second.b for end in (first.lo, first.hi)]
    a, b, *_ = compose(second, first)
    return a, b, torch.minimum(*ends), torch.maximum(*ends)


def constants_added(second, first):
    return compose(second, first)._replace(b=first.b + second.b)


def decides_with_if(second, first):
    ends = [second(first.lo), second(first.hi)]
    return *compose(second, first)[:2], *(ends[::-1] if second.a < 0 else ends)


def slope_and_constant_only(second, first):
    return compose(second, first)[:2]


def tighter_bounds(second, first):
    a, b, lo, hi = compose(second, first)
    return a, b, torch.maximum(lo, second.lo + 0.1), hi


def returns_a_function(second, first):
    return lambda h: second(first(h))


def loses_the_shape(second, first):
    return ClampedAffine(*(part.reshape(-1)[0] for part in compose(second, first)))


# ----------------------------------------------------------------------------------- the way back


def gradients_by_matrix(h, alpha, G):
    """Sum over all pairs: what x_s does to h_t is the product of the slopes between them."""
    active, length = (h > 0).to(h), len(h)
    by_x = torch.stack([
        sum(G[t] * active[s] * (alpha[s + 1 : t + 1] * active[s + 1 : t + 1]).prod()
            for t in range(s, length))
        for s in range(length)
    ])
    return by_x, torch.cat((torch.zeros(1), by_x[1:] * h[:-1]))


def back(h, alpha, G, mask=True, own=False, late=False):
    g, after = torch.zeros_like(h), 0
    for t in reversed(range(len(h))):
        weight = alpha[t] if own else (alpha[t + 1] if t + 1 < len(h) else 0)
        g[t] = G[t] + weight * after
        if mask:
            g[t] = g[t] * (h[t] > 0)
        after = g[t]
    if late:
        g = g * (h > 0)
    return g, torch.cat((torch.zeros(1), g[1:] * h[:-1]))


def without_relu(h, alpha, G):
    return back(h, alpha, G, mask=False)


def relu_at_the_end(h, alpha, G):
    return back(h, alpha, G, mask=False, late=True)


def own_alpha(h, alpha, G):
    return back(h, alpha, G, own=True)


def own_h(h, alpha, G):
    g = back(h, alpha, G)[0]
    return g, g * h


def round_the_corner(h, alpha, G):
    g = back(h, alpha, G)[0]
    return g, g * torch.stack([h[t - 1] for t in range(len(h))])


def summed(h, alpha, G):
    g, by_alpha = back(h, alpha, G)
    return g, by_alpha.sum()


def one_too_short(h, alpha, G):
    g, by_alpha = back(h, alpha, G)
    return g, by_alpha[1:]


def swapped(h, alpha, G):
    return back(h, alpha, G)[::-1]


def one_only(h, alpha, G):
    return back(h, alpha, G)[0]


def forwards(h, alpha, G):
    g, before = torch.zeros_like(h), 0
    for t in range(len(h)):
        g[t] = (h[t] > 0) * (G[t] + (alpha[t - 1] * before if t else 0))
        before = g[t]
    return g, torch.cat((torch.zeros(1), g[1:] * h[:-1]))


def g_in_place(h, alpha, G):
    for t in reversed(range(len(h) - 1)):
        G[t] += alpha[t + 1] * G[t + 1]
    return G, G


def one_step_only(h, alpha, G):
    after = torch.cat(((alpha * G)[1:], torch.zeros(1)))
    g = (h > 0) * (G + after)
    return g, torch.cat((torch.zeros(1), g[1:] * h[:-1]))


def only_the_last_g(h, alpha, G):
    last = torch.zeros_like(G)
    last[-1] = G[-1]
    return back(h, alpha, last)


def reach_by_logarithm(alpha, smallest):
    return math.floor(math.log(smallest) / math.log(alpha)) if alpha else 0


def reach_by_multiplying(alpha, smallest, includes=True, start=0):
    d, power = start, alpha
    while power >= smallest if includes else power > smallest:
        d, power = d + 1, alpha * power
    return d


ANSWERS = {
    "07.1": {
        "second": reach_by_logarithm,
        "wrong": [
            (lambda a, s: reach_by_multiplying(a, s, start=1), "the first distance that is too f"),
            (lambda a, s: reach_by_multiplying(a, s, start=-1), "one further still counts"),
            (lambda a, s: reach_by_multiplying(a, s, includes=False), "at least `smallest` inclu"),
            (lambda a, s: a ** reach_by_logarithm(a, s), "the power, and not the distance"),
            (lambda a, s: math.log(s) / math.log(a), "whole: round down"),
            (lambda a, s: math.floor(math.log(s) / math.log(a)), "raised ValueError"),
            (lambda a, s: "far", "the reach should be a number"),
        ],
    },
    "07.2": {
        "second": up_by_flipping,
        "wrong": [
            (down, "you swept down: the sweep up starts at the bottom row"),
            (left, "you swept to the left"),
            (right, "you swept to the right"),
            (lambda x, a, b: general(x, a, b, bend=lambda v: v), "you forgot the ReLU"),
            (lambda x, a, b: relu(general(x, a, b, bend=lambda v: v)), "once, at the end: each"),
            (lambda x, a, b: general(x, a, b, start="β"), "the bottom row got a β: nothing came"),
            (lambda x, a, b: general(x, a, b, start="raw"), "bottom row did not go through the Re"),
            (lambda x, a, b: general(x, a, b, turn=False), "the rows stand on their heads"),
            (lambda x, a, b: general(x, a, 0 * b), "β is missing"),
            (lambda x, a, b: general(x, a[0] + 0 * a, b[0] + 0 * b), "α and β of channel 0 for al"),
            (alpha_per_column, r"each column got its own α, not each channel: \(C,\) meets"),
            (stacked_on_the_wrong_axis, r"The shape should be \(1, 4, 2\), and yours is \(4, 1, 2"),
            (writes_into_x, "changed the tensor it was given"),
            (relu_of_the_memory_only, "the sweep up is not right"),
        ],
    },
    "07.3": {
        "second": ways_by_formula,
        "wrong": [
            (always_two, "two ways lead to pixels off the cross only"),
            (one_round, "the news may also stay where it is"),
            (by_stops(1), "itself on four ways, not on one"),
            (by_stops(2), "itself on four ways, not on two"),
            (by_stops(0), "a pixel reaches itself, on four ways"),
            (turned_size, "height and width are swapped"),
            (nothing_off_the_cross, r"no way at all\? One round leads to no pixel off the cross"),
            (forgets_itself, r"Yours is 99, expected 21 \(for here = \(0, 0\), there = \(0, 0\)"),
            (all_ways_to_reach, "The shape should be"),
        ],
    },
    "07.4": {
        "second": join_with_where,
        "wrong": [
            (joined_in_the_wrong_order, "in the wrong order: `first` acts first"),
            (unswapped, "a negative slope turns the bounds round"),
            (bounds_of_the_second, "the bounds of `first` are lost"),
            (bounds_not_sent_through, "have to go through the slope and the constant"),
            (bounds_not_clamped, "but not through the clamp of `second`"),
            (constants_added, "the constant of `first` goes through the slope"),
            (decides_with_if, "your function decides with `if` on a tensor"),
            (slope_and_constant_only, r"return the four parts \(a, b, lo, hi\)"),
            (returns_a_function, "return the four parts"),
            (tighter_bounds, "what the joined map does is not right"),
            (loses_the_shape, r"five maps at once: part 0 has shape \(\)"),
        ],
    },
    "07.5": {
        "second": gradients_by_matrix,
        "wrong": [
            (without_relu, "you forgot the ReLU: where h_t = 0"),
            (relu_at_the_end, "the ReLU came too late"),
            (own_alpha, "was multiplied by α_{t.1} there, not by α_t"),
            (only_the_last_g, "G_t is missing on the way"),
            (one_step_only, "only one step back"),
            (forwards, "you went from the start to the end"),
            (lambda h, a, G: (G.clone(), G), "this is G itself"),
            (lambda h, a, G: tuple(
                v.flip(0) for v in gradients_by_matrix(h.flip(0), a.flip(0), G.flip(0))
            ), "you went from the start to the end"),
            (swapped, "you swapped the two"),
            (one_only, "return two tensors"),
            (own_h, r"multiply by h_{t−1}, not by h_t"),
            (round_the_corner, r"h\[−1\] in Python is the \*last\* h"),
            (summed, "you summed: here each pixel has its own α"),
            (one_too_short, "the first pixel is missing"),
            (g_in_place, "changed the tensor it was given"),
        ],
    },
}
