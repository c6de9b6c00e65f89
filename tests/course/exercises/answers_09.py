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


def mixed(x, branch, A):
    return relu(A[:, None] * branch + (1 - A[:, None]) * x)


def branch_called(x, branch, A):
    return relu(A[:, None] * branch(x) + x)


def product_of_matrices(x, branch, A):
    return relu(A[:, None] @ branch + x)


def one_picture_only(x, branch, A):
    return relu(A.view(1, 1, *A.shape[1:]) * branch + x)


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


def divided_by_len(values, mask):
    return number_of_pairs(values, mask) / len(values)


def divided_by_rainy(values, mask):
    return number_of_pairs(values, mask) / mask.sum()


def brackets_forgotten(values, mask):
    return number_of_pairs(values, mask) / mask.sum() * (~mask).sum()


def zipped(values, mask):
    pairs = zip(values[mask], values[~mask], strict=False)
    return sum(wet > dry for wet, dry in pairs) / mask.sum()


def zeros_kept(values, mask):
    wet, dry = (values * mask).flatten()[:, None], (values * ~mask).flatten()
    return ((wet > dry) + 0.5 * (wet == dry)).mean()


def mask_turned_by_minus(values, mask):
    return (values[mask][:, None] > values[1 - mask]).float().mean()


def mask_turned_by_not(values, mask):
    return (values[mask][:, None] > values[not mask]).float().mean()


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


def gap_in_points(values, mask, bins):
    return 100 * gap_by_sums(values, mask, bins)


def by_place(values, mask, bins, distance=torch.abs, first=0, number=None, size=torch.sum):
    place = (values * bins).long().clamp(max=bins - 1)
    total = 0.0
    for k in range(first, bins):
        inside = place == k
        if inside.any():
            off = distance(values[inside].mean() - mask[inside].float().mean())
            total += (off * size(inside)).item()
    return total / (number or values.numel())


def sign_at_the_end(values, mask, bins):
    return abs(by_place(values, mask, bins, distance=lambda off: off))


def squared(values, mask, bins):
    return by_place(values, mask, bins, distance=torch.square)


def all_pixels_in_each_bin(values, mask, bins):
    return by_place(values, mask, bins, size=torch.numel)


def first_axis_only(values, mask, bins):
    return by_place(values, mask, bins, number=len(values))


def from_one_on(values, mask, bins):
    return by_place(values, mask, bins, first=1)


def returns_in_the_loop(values, mask, bins):
    return by_place(values, mask, bins) - by_place(values, mask, bins, first=1)


def share_of_all_pixels(values, mask, bins):
    place = (values * bins).long().clamp(max=bins - 1)
    parts = [(place == k, (place == k).sum()) for k in range(bins) if (place == k).any()]
    return sum((values[i].mean() - mask[i].sum() / mask.numel()).abs() * n
               for i, n in parts) / mask.numel()


def asks_all_at_once(values, mask, bins):
    return sum(k / bins <= values < (k + 1) / bins for k in range(bins))


def without_brackets(values, mask, bins):
    return values >= 0.0 & values < 1 / bins


def subtracts_yes_or_no(values, mask, bins):
    return (values - mask).abs().mean()


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
            (mixed, "x passes as it is, also where A = 1"),
            (branch_called, "`branch` is no function here"),
            (product_of_matrices, "@ is the product of matrices"),
            (one_picture_only, r"make A \(B, 1, H, W\) first"),
        ],
    },
    "09.2": {
        "second": by_two_loops,
        "wrong": [
            (ties_in_order, "a tie counts a half, and you counted it as in order"),
            (ties_not_in_order, "a tie counts a half, and you counted it as not in order"),
            (ties_left_out, "you left out the ties"),
            (order_turned, "it is turned round"),
            (number_of_pairs, "this is the number of pairs in order"),
            (divided_by_len, "you divided by the number of pixels: divide by the number of pairs"),
            (divided_by_rainy, "you divided by the number of rainy pixels"),
            (brackets_forgotten, "put brackets around the product"),
            (zipped, "one to one is not enough"),
            (zeros_kept, "`values . mask` makes 0 of the other pixels"),
            (mask_turned_by_minus, "`~` turns a mask round.*bool tensor is not supported"),
            (mask_turned_by_not, "`~mask` turns a mask round.*ambiguous"),
            (pairs_of_all, "divided by the square of the number of pixels"),
            (in_percent, "between 0 and 1, not percent"),
            (accuracy, r"you compared A with \.5"),
            (one_to_one, "each rainy value meets each dry one.*must match"),
            (mean_of_yes_or_no, "yes or no has no mean"),
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
            (lambda *given: -signs_cancel(*given), "too much and too little cancel"),
            (pixel_by_pixel, "distance of each pixel from its own truth"),
            (empty_bins, r"not a number \(nan\): an empty bin has no mean"),
            (last_bin_open, "a pixel with A = 1 is lost: it belongs"),
            (own_bin_for_one, "a pixel with A = 1 got a bin of its own"),
            (share_of_yes_or_no, "yes or no has no mean"),
            (sign_at_the_end, "too much and too little cancel"),
            (squared, "take the distance itself, not its square"),
            (all_pixels_in_each_bin, r"`len\(inside\)` counts all pixels"),
            (first_axis_only, r"the number of all pixels is values\.numel\(\)"),
            (from_one_on, "the first bin has the number 0"),
            (returns_in_the_loop, "does `return` stand inside of the loop"),
            (share_of_all_pixels, "the share of rain is that of the bin"),
            (asks_all_at_once, "work on each number.*ambiguous"),
            (without_brackets, "put each comparison in brackets"),
            (subtracts_yes_or_no, r"`\.float\(\)` makes numbers of it"),
            (gap_in_points, "between 0 and 1, not points"),
        ],
    },
}
