"""Answers to the exercises of lesson 07: a second right one, and wrong ones with the reason."""

import math

import torch
from torch import relu

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


def bottom_row_twice(x, alpha, beta):
    return general(torch.cat((x, x[:, -1:]), dim=1), alpha, beta)


def takes_channels(x, alpha, beta):
    h = relu(x[-1])
    swept = [h]
    for t in range(x.shape[1] - 2, -1, -1):
        h = relu(alpha * h + beta + x[t])
        swept.append(h)
    return torch.stack(swept[::-1])


def relu_of_the_memory_only(x, alpha, beta):
    swept = [relu(x[:, -1])]
    for t in range(x.shape[1] - 2, -1, -1):
        swept.append(relu(alpha[:, None] * swept[-1]) + beta[:, None] + x[:, t])
    return torch.stack(swept[::-1], dim=1)


def bottom_row_scaled(x, alpha, beta):
    swept = [relu(alpha[:, None] * x[:, -1] + beta[:, None])]
    for t in range(x.shape[1] - 2, -1, -1):
        swept.append(relu(alpha[:, None] * swept[-1] + beta[:, None] + x[:, t]))
    return torch.stack(swept[::-1], dim=1)


def takes_x_of_the_row_below(x, alpha, beta):
    swept = [relu(x[:, -1])]
    for t in range(x.shape[1] - 2, -1, -1):
        swept.append(relu(alpha[:, None] * x[:, t + 1] + beta[:, None] + x[:, t]))
    return torch.stack(swept[::-1], dim=1)


def counts_up(x, alpha, beta):
    swept = [relu(x[:, -1])]
    for t in range(x.shape[1] - 2, -1):
        swept.append(relu(alpha[:, None] * swept[-1] + beta[:, None] + x[:, t]))
    return torch.stack(swept[::-1], dim=1)


def channels_for_rows(x, alpha, beta):
    swept = [relu(x[-1])]
    for t in range(x.shape[0] - 2, -1, -1):
        swept.append(relu(alpha[:, None] * swept[-1] + beta[:, None] + x[t]))
    return torch.stack(swept[::-1], dim=1)


# -------------------------------------------------------------------------------------- the ways


def ways_by_formula(here, there, size):
    (r, c), (height, width) = here, size
    if here == there:
        return 4 * 4 + (width - 1) + (height - 1)
    if r == there[0]:
        return (width - 2) + 4 + 4
    return (height - 2) + 4 + 4 if c == there[1] else 2


def by_stops(itself, line=1, add=False):
    def ways(here, there, size):
        def once(a, b):
            return itself if a == b else line * int(a[0] == b[0] or a[1] == b[1])

        stops = [(r, c) for r in range(size[0]) for c in range(size[1])]
        if add:
            return sum(once(here, stop) + once(stop, there) for stop in stops)
        return sum(once(here, stop) * once(stop, there) for stop in stops)

    ways.__name__ = f"itself_{itself}_{line}_{add}"
    return ways


def one_round(here, there, size):
    return 4 if here == there else int(here[0] == there[0] or here[1] == there[1])


def turned_size(here, there, size):
    return ways_by_formula(here, there, size[::-1])


def always_two(here, there, size):
    return 2


def stops_between(here, there, size):
    if here == there:
        return 16
    if here[0] == there[0]:
        return abs(here[1] - there[1]) - 1 + 8
    return abs(here[0] - there[0]) - 1 + 8 if here[1] == there[1] else 2


def all_ways_to_reach(here, there, size):
    return torch.tensor([2, 2])


def forgets_itself(here, there, size):
    return 99 if here == there else ways_by_formula(here, there, size)


def nothing_off_the_cross(here, there, size):
    return ways_by_formula(here, there, size) * int(here[0] == there[0] or here[1] == there[1])


def reach_by_logarithm(alpha, smallest):
    return math.floor(math.log(smallest) / math.log(alpha)) if alpha else 0


def reach_by_multiplying(alpha, smallest, includes=True, start=0):
    d, power = start, alpha
    while power >= smallest if includes else power > smallest:
        d, power = d + 1, alpha * power
    return d


def tries_a_hundred(alpha, smallest):
    for d in range(100):
        if alpha ** (d + 1) < smallest:
            return d
    return None


ANSWERS = {
    "07.1": {
        "second": reach_by_logarithm,
        "wrong": [
            (lambda a, s: reach_by_multiplying(a, s, start=1), "the first distance that is too f"),
            (lambda a, s: reach_by_multiplying(a, s, start=-1), "one further still counts"),
            (lambda a, s: reach_by_multiplying(a, s, includes=False), "at least `smallest` inclu"),
            (lambda a, s: a ** reach_by_logarithm(a, s), "the power, and not the distance"),
            (lambda a, s: math.log(s) / math.log(a), "whole: round down"),
            (lambda a, s: math.floor(math.log(s) / math.log(a)), "0 has no logarithm"),
            (lambda a, s: "far", "the reach should be a number"),
            (lambda a, s: a ^ 2, r"a power is \*\* in Python"),
            (lambda a, s: torch.log(s) / torch.log(a), "plain numbers: math.log"),
            (tries_a_hundred, r"returned nothing \(None\)"),
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
            (stacked_on_the_wrong_axis, "you stacked along axis 0"),
            (lambda x, a, b: general(x, a, b, turn=False).movedim(1, 0), "axis 0.*has to be the"),
            (lambda x, a, b: general(x, a, b)[:, 1:], "the top row is missing: `range` stops"),
            (lambda x, a, b: general(x, a, b, turn=False)[:, :-1], "the top row is missing.*heads"),
            (bottom_row_twice, "the bottom row is there twice"),
            (lambda x, a, b: general(x, a, b)[:, 0], "the last h only"),
            (takes_channels, r"x\[t\] takes channel t"),
            (lambda x, a, b: relu(a * x + b), "the sweep up is not right|do not fit"),
            (lambda x, a, b: list(general(x, a, b).unbind(1)), "return one tensor, torch.stack"),
            (writes_into_x, "changed the tensor it was given"),
            (relu_of_the_memory_only, "the ReLU belongs around the whole sum"),
            (bottom_row_scaled, "it has neither α nor β"),
            (takes_x_of_the_row_below, "takes along h of the row below"),
            (counts_up, "only the bottom row is there"),
            (lambda x, a, b: general(x, a, b).movedim(1, 2), "you stacked along axis 2"),
            (channels_for_rows, r"x\[t\] takes channel t"),
            (lambda x, a, b: x[:, ::-1], "no slices that run backwards"),
            (lambda x, a, b: general(x, a[:, None], b[:, None]), "one None more is too many"),
        ],
    },
    "07.3": {
        "second": ways_by_formula,
        "wrong": [
            (always_two, "two ways lead to pixels off the cross only"),
            (one_round, "One round leads to no pixel off the cross, but two do"),
            (by_stops(1), "itself on four ways, not on one"),
            (by_stops(2), "itself on four ways, not on two"),
            (by_stops(0), "a pixel reaches itself, on four ways"),
            (turned_size, "height and width are swapped"),
            (nothing_off_the_cross, r"no way at all\? One round leads to no pixel off the cross"),
            (forgets_itself, r"Yours is 99, expected 21 \(for here = \(0, 0\), there = \(0, 0\)"),
            (all_ways_to_reach, "The shape should be"),
            (by_stops(4, line=2), "joined by one sweep, not by two"),
            (by_stops(4, add=True), "multiply the two, don't add them"),
            (stops_between, "not only between the two"),
            (lambda here, there, size: len(range(size)), r"the rows are range\(size\[0\]\)"),
        ],
    },
}
