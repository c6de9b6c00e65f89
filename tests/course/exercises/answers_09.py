"""Answers to the exercises of lesson 09: a second right one, and wrong ones with the reason."""

import torch
from torch import relu

# -------------------------------------------------------------------------------------- the gate


def gate_each_picture(x, branch, A):
    return torch.stack([relu(a * b + y) for y, b, a in zip(x, branch, A, strict=True)])


def result_dropped(x, branch, A):
    branch.mul(A.unsqueeze(1))
    return relu(branch + x)


def gate_in_place(x, branch, A):
    branch.mul_(A.unsqueeze(1))
    return relu(branch + x)


def all_scaled(x, branch, A):
    return relu(A[:, None] * (branch + x))


def x_scaled(x, branch, A):
    return relu(branch + A[:, None] * x)


def gate_turned(x, branch, A):
    return relu((1 - A[:, None]) * branch + x)


def axis_forgotten(x, branch, A):
    return relu(A * branch + x)


def no_relu(x, branch, A):
    return A[:, None] * branch + x


def relu_too_early(x, branch, A):
    return relu(A[:, None] * branch) + x


def x_forgotten(x, branch, A):
    return relu(A[:, None] * branch)


def first_map_for_all(x, branch, A):
    return relu(A[0] * branch + x)


def relu_of_both(x, branch, A):
    return relu(A[:, None] * branch) + relu(x)


def axis_at_the_end(x, branch, A):
    return relu(A.unsqueeze(-1) * branch + x)


# ------------------------------------------------------------------------------------- the pairs


def by_two_loops(values, mask):
    total, count = 0, 0
    pixels = list(zip(values.flatten().tolist(), mask.flatten().tolist(), strict=True))
    for a in (value for value, wet in pixels if wet):
        for b in (value for value, wet in pixels if not wet):
            total += 1 if a > b else 0.5 if a == b else 0
            count += 1
    return total / count


def counted(values, mask):
    wet, dry = values[mask][:, None], values[~mask]
    return (wet > dry).sum().item(), (wet == dry).sum().item(), wet.numel() * dry.numel()


def ties_in_order(values, mask):
    larger, equal, pairs = counted(values, mask)
    return (larger + equal) / pairs


def ties_not_in_order(values, mask):
    larger, _, pairs = counted(values, mask)
    return larger / pairs


def ties_left_out(values, mask):
    larger, equal, pairs = counted(values, mask)
    return larger / (pairs - equal) if pairs > equal else 0.5


def order_turned(values, mask):
    return by_two_loops(values, ~mask)


def number_of_pairs(values, mask):
    larger, equal, _ = counted(values, mask)
    return larger + equal / 2


def pairs_of_all(values, mask):
    return number_of_pairs(values, mask) / values.numel() ** 2


def in_percent(values, mask):
    return 100 * by_two_loops(values, mask)


def accuracy(values, mask):
    return ((values > 0.45) == mask).float().mean()


def always_right(values, mask):
    return 0.75


def one_to_one(values, mask):
    return (values[mask] > values[~mask]).float().mean()


def mean_of_yes_or_no(values, mask):
    return (values[mask][:, None] > values[~mask]).mean()


# --------------------------------------------------------------------------------------- the gap


def gap_by_sums(values, mask, bins):
    place = (values.flatten() * bins).long().clamp(max=bins - 1)
    off = torch.bincount(place, weights=values.flatten().double() - mask.flatten().double())
    return off.abs().sum().item() / values.numel()


def bin_by_bin(values, mask, bins, middle=False, signed=False, last=True, weighted=True, nan=False):
    total, used = 0.0, 0
    for k in range(bins):
        low, high = k / bins, (k + 1) / bins
        inside = (values >= low) & (values <= high if last and k == bins - 1 else values < high)
        if not inside.any() and not nan:
            continue
        said = (low + high) / 2 if middle else values[inside].mean()
        off = said - mask[inside].float().mean()
        total += (off if signed else off.abs()) * (inside.sum() if weighted else 1)
        used += 1
    return total / (values.numel() if weighted else used)


def last_bin_open(values, mask, bins):
    return bin_by_bin(values, mask, bins, last=False)


def bins_all_alike(values, mask, bins):
    return bin_by_bin(values, mask, bins, weighted=False)


def over_all_bins(values, mask, bins):
    return torch.as_tensor(gap_by_sums(values, mask, bins)) * 0 + sum(
        (values[i].mean() - mask[i].float().mean()).abs()
        for k in range(bins)
        if (i := (values * bins).long().clamp(max=bins - 1) == k).any()
    ) / bins


def middles(values, mask, bins):
    return bin_by_bin(values, mask, bins, middle=True)


def signs_cancel(values, mask, bins):
    return bin_by_bin(values, mask, bins, signed=True)


def pixel_by_pixel(values, mask, bins):
    return (values - mask.float()).abs().mean()


def empty_bins(values, mask, bins):
    return bin_by_bin(values, mask, bins, nan=True)


def own_bin_for_one(values, mask, bins):
    place = (values.flatten() * bins).long()
    off = torch.bincount(place, weights=values.flatten().double() - mask.flatten().double())
    return off.abs().sum() / values.numel()


def closed_bins(values, mask, bins, low_open=False):
    total = 0
    for k in range(bins):
        inside = (values >= k / bins) & (values <= (k + 1) / bins)
        if low_open:
            inside &= values > k / bins
        if inside.any():
            total += (values[inside].mean() - mask[inside].float().mean()).abs() * inside.sum()
    return total / values.numel()


def zero_lost(values, mask, bins):
    return closed_bins(values, mask, bins, low_open=True)


def ten_bins(values, mask, bins):
    return gap_by_sums(values, mask, 10)


def gap_in_points(values, mask, bins):
    return 100 * gap_by_sums(values, mask, bins)


def share_of_yes_or_no(values, mask, bins):
    place = (values * bins).long().clamp(max=bins - 1)
    return sum((values[place == k].mean() - mask[place == k].mean()).abs() for k in range(bins))


ANSWERS = {
    "09.1": {
        "second": gate_each_picture,
        "wrong": [
            (result_dropped, "A did nothing: a line such as `branch.mul"),
            (gate_in_place, "changed the tensor it was given"),
            (all_scaled, "A scales the whole block here"),
            (x_scaled, "A scales x here; it should scale the branch"),
            (gate_turned, "A is turned round"),
            (axis_forgotten, r"first axis of A is the batch, but it met the channels"),
            (axis_at_the_end, "the new axis stands last"),
            (no_relu, "the ReLU is missing"),
            (relu_too_early, "the ReLU comes last"),
            (x_forgotten, "x is missing"),
            (first_map_for_all, "the map of the first picture for all"),
            (relu_of_both, "the block is not right"),
        ],
    },
    "09.2": {
        "second": by_two_loops,
        "wrong": [
            (ties_in_order, "a tie counts a half, and you counted it as in order"),
            (ties_not_in_order, "a tie counts a half, and you counted it as not in order"),
            (ties_left_out, "you left out the ties"),
            (order_turned, "it is turned round"),
            (number_of_pairs, "this is the number of pairs"),
            (pairs_of_all, "divided by the square of the number of pixels"),
            (in_percent, "between 0 and 1, not percent"),
            (accuracy, r"you compared A with \.5"),
            (one_to_one, "Each rainy value meets each dry one"),
            (mean_of_yes_or_no, "Yes or no has no mean"),
            (always_right, r"pairs in order is not right\. Yours is 0\.75, expected 0\.3333"),
            (lambda values, mask: values[mask].mean() - values[~mask].mean(), "two means"),
        ],
    },
    "09.3": {
        "second": gap_by_sums,
        "wrong": [
            (bins_all_alike, "every bin counts the same here"),
            (over_all_bins, "every bin counts the same here"),
            (middles, r"is the \*mean\* of A in a bin"),
            (signs_cancel, "too much and too little cancel"),
            (lambda *given: -signs_cancel(*given), "the signs cancelled"),
            (pixel_by_pixel, "distance of each pixel from its own truth"),
            (empty_bins, r"not a number \(nan\): an empty bin has no mean"),
            (last_bin_open, "a pixel with A = 1 is lost: it belongs"),
            (own_bin_for_one, "a pixel with A = 1 got a bin of its own"),
            (closed_bins, "a pixel where two bins meet was counted in both"),
            (zero_lost, "a pixel with A = 0 is lost"),
            (ten_bins, "you always made ten bins"),
            (share_of_yes_or_no, "Yes or no has no mean"),
            (gap_in_points, "between 0 and 1, not points"),
        ],
    },
}
