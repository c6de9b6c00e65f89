"""Answers to the exercises of lesson 08: a second right one, and wrong ones with the reason."""

import math

import torch

from derain_edu.models.irnn_scan import ClampedAffine, compose


def on_rows(function):
    """Let a function of maps with named parts work on tensors (4, …)."""

    def join(second, first):
        return torch.stack(tuple(function(ClampedAffine(*second), ClampedAffine(*first))))

    join.__name__ = function.__name__
    return join


# -------------------------------------------------------------------------------------- the join


@on_rows
def join_with_where(second, first):
    low = (second.a * first.lo + second.b).clamp(second.lo, second.hi)
    high = (second.a * first.hi + second.b).clamp(second.lo, second.hi)
    falling = second.a < 0
    a, b = first.a * second.a, second.b + first.b * second.a
    return a, b, torch.where(falling, high, low), torch.where(falling, low, high)


@on_rows
def joined_in_the_wrong_order(second, first):
    return compose(first, second)


@on_rows
def unswapped(second, first):
    return *compose(second, first)[:2], second(first.lo), second(first.hi)


@on_rows
def bounds_of_the_second(second, first):
    return *compose(second, first)[:2], second.lo, second.hi


@on_rows
def bounds_not_sent_through(second, first):
    ends = (first.lo.clamp(second.lo, second.hi), first.hi.clamp(second.lo, second.hi))
    return *compose(second, first)[:2], *ends


@on_rows
def bounds_not_clamped(second, first):
    ends = [second.a * end + second.b for end in (first.lo, first.hi)]
    a, b, *_ = compose(second, first)
    return a, b, torch.minimum(*ends), torch.maximum(*ends)


@on_rows
def constants_added(second, first):
    return compose(second, first)._replace(b=first.b + second.b)


@on_rows
def decides_with_if(second, first):
    ends = [second(first.lo), second(first.hi)]
    return *compose(second, first)[:2], *(ends[::-1] if second.a < 0 else ends)


@on_rows
def slope_and_constant_only(second, first):
    return compose(second, first)[:2]


@on_rows
def tighter_bounds(second, first):
    a, b, lo, hi = compose(second, first)
    return a, b, torch.maximum(lo, second.lo + 0.1), hi


def returns_a_function(second, first):
    return lambda h: second(first(h))


def makes_numbers(second, first):
    return torch.tensor([*compose(ClampedAffine(*second), ClampedAffine(*first))])


@on_rows
def clamps_the_constant(second, first):
    joined = compose(second, first)
    return joined._replace(b=joined.b.clamp(second.lo, second.hi))


@on_rows
def larger_end_first(second, first):
    a, b, lo, hi = compose(second, first)
    return a, b, hi, lo


def puts_numbers_together(second, first):
    return torch.cat(compose(ClampedAffine(*second), ClampedAffine(*first)))


@on_rows
def one_minimum_for_all(second, first):
    a, b, lo, hi = compose(second, first)
    return a, b, torch.min(torch.stack((lo, hi))), torch.max(torch.stack((lo, hi)))


def loses_the_shape(second, first):
    joined = compose(ClampedAffine(*second), ClampedAffine(*first))
    return torch.stack(joined).reshape(4, -1)[:, 0]


# --------------------------------------------------------------------------------------- the scan


def in_halves(maps, join):
    """Scan each half, then let the last map of the left one act before all of the right one."""
    length = maps.shape[1]
    size = 1
    padded = 1 << (length - 1).bit_length()
    behind = maps.shape[2:]
    blocks = torch.cat((maps, maps[:, -1:].expand(-1, padded - length, *behind)), dim=1)
    while size < padded:
        pairs = blocks.reshape(len(maps), -1, 2, size, *behind)
        left, right = pairs[:, :, 0], pairs[:, :, 1]
        right = join(right, left[:, :, -1:].expand_as(right))
        blocks = torch.stack((left, right), dim=2).reshape(len(maps), padded, *behind)
        size *= 2
    return blocks[:, :length]


def rounds(maps, join, grow=lambda d: 2 * d, last=None, keep=True, turn=False):
    distance = 1
    while distance < maps.shape[1]:
        later, earlier = maps[:, distance:], maps[:, :-distance]
        both = join(earlier, later) if turn else join(later, earlier)
        maps = torch.cat((maps[:, :distance], both), dim=1) if keep else both
        distance = grow(distance)
        if distance == last:
            break
    return maps


def one_by_one(maps, join):
    done = [maps[:, :1]]
    for t in range(1, maps.shape[1]):
        done.append(join(maps[:, t : t + 1], done[-1]))
    return torch.cat(done, dim=1)


def cuts_the_wrong_axis(maps, join):
    distance = 1
    while distance < maps.shape[1]:
        maps = torch.cat((maps[:distance], join(maps[distance:], maps[:-distance])))
        distance *= 2
    return maps


def cat_without_dim(maps, join):
    return torch.cat((maps[:, :1], join(maps[:, 1:], maps[:, :-1])))


def drops_the_first(maps, join):
    return join(maps[:, 1:], maps[:, :-1]) if maps.shape[1] > 1 else maps


def along_the_last_axis(maps, join):
    distance = 1
    while distance < maps.shape[-1]:
        both = join(maps[..., distance:], maps[..., :-distance])
        maps = torch.cat((maps[..., :distance], both), dim=-1)
        distance *= 2
    return maps


def counts_the_last_axis(maps, join):
    distance = 1
    while distance < maps.shape[-1]:
        both = join(maps[:, distance:], maps[:, :-distance])
        maps = torch.cat((maps[:, :distance], both), dim=1)
        distance *= 2
    return maps


def puts_at_the_last_axis(maps, join):
    distance = 1
    while distance < maps.shape[1]:
        both = join(maps[:, distance:], maps[:, :-distance])
        maps = torch.cat((maps[:, :distance], both), dim=-1)
        distance *= 2
    return maps


def one_round_too_many(maps, join):
    distance = 1
    while distance <= maps.shape[1]:
        both = join(maps[:, distance:], maps[:, :-distance])
        maps = torch.cat((maps[:, :distance], both), dim=1)
        distance *= 2
    return maps


def whole_powers_only(maps, join):
    length = 1 << (maps.shape[1].bit_length() - 1)
    for k in range(length.bit_length() - 1):
        both = join(maps[:, 2**k :], maps[:, : -(2**k)])
        maps = torch.cat((maps[:, : 2**k], both), dim=1)
    return maps


def a_fraction_of_rounds(maps, join):
    for _ in range(math.log2(maps.shape[1])):
        maps = join(maps, maps)
    return maps


def forgets_the_round_before(maps, join):
    distance, result = 1, maps
    while distance < maps.shape[1]:
        both = join(maps[:, distance:], maps[:, :-distance])
        result = torch.cat((maps[:, :distance], both), dim=1)
        distance *= 2
    return result


def keeps_the_first_only(maps, join):
    distance = 1
    while distance < maps.shape[1]:
        both = join(maps[:, distance:], maps[:, :-distance])
        maps = torch.cat((maps[:, :1], both), dim=1)
        distance *= 2
    return maps


def drops_in_each_round(maps, join):
    distance = 1
    while distance < maps.shape[1]:
        maps = join(maps[:, distance:], maps[:, :-distance])
        distance *= 2
    return maps


def looks_into_the_maps(maps, join):
    a, b, lo, hi = maps
    return join(torch.stack((a, b, lo, hi)), maps)


def writes_into_maps(maps, join):
    distance = 1
    while distance < maps.shape[1]:
        maps[:, distance:] = join(maps[:, distance:], maps[:, :-distance])
        distance *= 2
    return maps


# ----------------------------------------------------------------------------------- the way back


def back_by_matrix(h, alpha, G):
    """Sum over all pairs: what x_s does to h_t is the product of the slopes between them."""
    active, length = (h > 0).to(h), len(h)
    return torch.stack([
        sum(G[t] * active[s] * (alpha[s + 1 : t + 1] * active[s + 1 : t + 1]).prod()
            for t in range(s, length))
        for s in range(length)
    ])


def back(h, alpha, G, mask=True, own=False, places=None):
    """Go back over the row, or over other places, perhaps with a mistake."""
    g, after = torch.zeros_like(h), 0
    for t in reversed(range(len(h))) if places is None else places:
        weight = alpha[t] if own else (alpha[t + 1] if t + 1 < len(h) else 0)
        g[t] = G[t] + weight * after
        if mask:
            g[t] = g[t] * (h[t] > 0)
        after = g[t]
    return g


def without_relu(h, alpha, G):
    return back(h, alpha, G, mask=False)


def relu_at_the_end(h, alpha, G):
    return back(h, alpha, G, mask=False) * (h > 0)


def relu_of_g_only(h, alpha, G):
    return back(torch.ones_like(h), alpha, G * (h > 0))


def no_relu_at_the_last(h, alpha, G):
    return back(torch.cat((h[:-1], h.new_ones(1))), alpha, G)


def without_the_last(h, alpha, G):
    return back(h, alpha, G, places=range(len(h) - 2, -1, -1))


def h_for_the_slope(h, alpha, G):
    g, after = torch.zeros_like(h), 0
    for t in reversed(range(len(h))):
        g[t] = h[t] * (G[t] + after)
        after = alpha[t] * g[t]
    return g


def own_alpha(h, alpha, G):
    return back(h, alpha, G, own=True)


def times_h(h, alpha, G):
    return back(h, alpha, G) * torch.cat((torch.zeros(1), h[:-1]))


def as_a_pair(h, alpha, G):
    return back(h, alpha, G), back(h, alpha, G)


def last_pixel_first(h, alpha, G):
    return back(h, alpha, G).flip(0)


def forwards(h, alpha, G):
    g, before = torch.zeros_like(h), 0
    for t in range(len(h)):
        g[t] = (h[t] > 0) * (G[t] + (alpha[t - 1] * before if t else 0))
        before = g[t]
    return g


def forwards_with_its_own(h, alpha, G):
    return back(h, alpha, G, own=True, places=range(len(h)))


def asks_beyond_the_end(h, alpha, G):
    g = torch.zeros_like(h)
    for t in reversed(range(len(h))):
        g[t] = (h[t] > 0) * (G[t] + alpha[t + 1] * g[t + 1])
    return g


def rows_as_in_the_lesson(h, alpha, G):
    return torch.stack([h[:, t] * G[:, t] for t in range(h.shape[1])])


def all_alphas(h, alpha, G):
    g = torch.zeros_like(h)
    for t in reversed(range(len(h))):
        g[t] = alpha * G[t]
    return g


def g_in_place(h, alpha, G):
    for t in reversed(range(len(h) - 1)):
        G[t] += alpha[t + 1] * G[t + 1]
    return G


def one_step_only(h, alpha, G):
    return (h > 0) * (G + torch.cat(((alpha * G)[1:], torch.zeros(1))))


def only_the_last_g(h, alpha, G):
    last = torch.zeros_like(G)
    last[-1] = G[-1]
    return back(h, alpha, last)


ANSWERS = {
    "08.1": {
        "second": join_with_where,
        "wrong": [
            (joined_in_the_wrong_order, "in the wrong order: `first` acts first"),
            (unswapped, "a negative slope turns the bounds round"),
            (bounds_of_the_second, "the bounds of `first` are lost"),
            (bounds_not_sent_through, "have to go through the slope and the constant"),
            (bounds_not_clamped, "but not through the clamp of `second`"),
            (constants_added, "the constant of `first` goes through the slope"),
            (decides_with_if, "your function decides with `if` "),
            (lambda s, f: compose(ClampedAffine(*s), ClampedAffine(*f)), "put the four parts"),
            (slope_and_constant_only, r"return the four parts \(a, b, lo, hi\)"),
            (returns_a_function, "return the four parts"),
            (makes_numbers, "torch.tensor makes single numbers of the parts"),
            (clamps_the_constant, "cuts what comes out of a map, not its constant"),
            (larger_end_first, "the lower end is the smaller of the two"),
            (puts_numbers_together, "torch.cat needs an axis to go along"),
            (one_minimum_for_all, "torch.min makes one number of many maps"),
            (tighter_bounds, "what the joined map does is not right"),
            (loses_the_shape, r"for five at once, \(4, 5\), row 0 of your result has"),
        ],
    },
    "08.2": {
        "second": in_halves,
        "wrong": [
            (one_by_one, "called `join` 3 times for 4 maps: that is a loop again"),
            (lambda m, j: rounds(m, j, last=2), "only one round"),
            (lambda m, j: rounds(m, j, grow=lambda d: d + 1), "double the distance after each"),
            (lambda m, j: rounds(m, j, turn=True), "in the wrong order"),
            (lambda m, j: rounds(m, j, grow=lambda d: d), "does not end"),
            (drops_the_first, "the first maps got lost|is not right"),
            (cuts_the_wrong_axis, "you joined no maps at all: maps.d:. cuts the axis of a, b"),
            (cat_without_dim, "torch.cat puts tensors together along axis 0"),
            (lambda m, j: rounds(m, lambda s, f: j(m[:, 1:], m)), "have different sizes"),
            (lambda m, j: m.clone(), "nothing was joined"),
            (lambda m, j: one_by_one(m, j)[:, -1], "the last pixel only"),
            (lambda m, j: list(one_by_one(m, j)), "return one tensor of the shape of maps"),
            (lambda m, j: j(2.0, 1.0), "join takes two tensors"),
            (along_the_last_axis, "the pixels are axis 1, not the last"),
            (counts_the_last_axis, r"so L is maps.shape\[1\]"),
            (puts_at_the_last_axis, "the pixels are axis 1, not the last"),
            (writes_into_maps, "changed the tensor it was given"),
            (one_round_too_many, "where d is as large as L, no map has a partner"),
            (whole_powers_only, "one round too few"),
            (a_fraction_of_rounds, "math.log2 gives a fraction"),
            (lambda m, j: rounds(m, j, grow=lambda d: d + 1, last=m.shape[1].bit_length()),
             "the distances are 1, 2, 4"),
            (forgets_the_round_before, "go on with what the round before gave"),
            (keeps_the_first_only, "not the first one only"),
            (drops_in_each_round, "the first d of a round stay as they are"),
            (looks_into_the_maps, "a scan does not look into a map"),
        ],
    },
    "08.3": {
        "second": back_by_matrix,
        "wrong": [
            (without_relu, "you forgot the ReLU"),
            (relu_at_the_end, "the ReLU came too late"),
            (relu_of_g_only, "put brackets around the sum"),
            (no_relu_at_the_last, "the last pixel has a ReLU, too"),
            (without_the_last, "the last pixel is missing"),
            (h_for_the_slope, "the slope of the ReLU, and not h_t itself"),
            (own_alpha, "was multiplied by α_{t\\+1} there"),
            (times_h, "this is the derivative by α"),
            (as_a_pair, "return one tensor g"),
            (last_pixel_first, "the last pixel comes first in yours"),
            (forwards, "from the start to the end"),
            (forwards_with_its_own, "from the start to the end"),
            (asks_beyond_the_end, "there is no t \\+ 1 to ask"),
            (rows_as_in_the_lesson, r"here h is one row, \(L,\)"),
            (all_alphas, "one number per pixel: take one of them"),
            (g_in_place, "changed the tensor it was given"),
            (one_step_only, "only one step back"),
            (only_the_last_g, "G_t is missing on the way"),
            (lambda h, alpha, G: G, "this is G itself"),
        ],
    },
}
