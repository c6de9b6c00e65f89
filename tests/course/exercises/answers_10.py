"""Answers to the exercises of lesson 10: a second right one, and wrong ones with the reason."""

import torch
from torch import sigmoid

# -------------------------------------------------------------------------------- the directions


def weigh_one_by_one(swept, scores):
    parts = [swept[:, d] / (1 + torch.exp(-scores[:, d : d + 1])) for d in range(4)]
    return torch.cat(parts, dim=1)


def weights_dropped(swept, scores):
    swept.mul(sigmoid(scores).unsqueeze(2))
    return swept.flatten(1, 2)


def scores_as_weights(swept, scores):
    return (swept * scores.unsqueeze(2)).flatten(1, 2)


def shared(swept, scores):
    return (swept * scores.softmax(dim=1).unsqueeze(2)).flatten(1, 2)


def on_the_channels(swept, scores):
    return (swept * sigmoid(scores).unsqueeze(1)).flatten(1, 2)


def axis_left_to_luck(swept, scores):
    return (swept * sigmoid(scores)).flatten(1, 2)


def channels_first(swept, scores):
    return (swept * sigmoid(scores).unsqueeze(2)).transpose(1, 2).flatten(1, 2)


def added_up(swept, scores):
    return (swept * sigmoid(scores).unsqueeze(2)).sum(dim=1)


def not_flat(swept, scores):
    return swept * sigmoid(scores).unsqueeze(2)


def sigmoid_of_all(swept, scores):
    return sigmoid(swept * scores.unsqueeze(2)).flatten(1, 2)


def on_the_rows(swept, scores):
    return (swept * sigmoid(scores).unsqueeze(3)).flatten(1, 2)


def without_an_axis_for_channels(swept, scores):
    return torch.cat([swept[:, d] * sigmoid(scores[:, d]) for d in range(4)], dim=1)


def weights_repeated(swept, scores):
    return swept.flatten(1, 2) * sigmoid(scores).repeat(1, swept.shape[2], 1, 1)


def flat_to_the_end(swept, scores):
    return (swept * sigmoid(scores).unsqueeze(2)).flatten(1)


def flat_too_early(swept, scores):
    return swept.flatten(1, 2) * sigmoid(scores)


def a_layer(swept, scores):
    return (swept * torch.nn.Sigmoid(scores).unsqueeze(2)).flatten(1, 2)


# ------------------------------------------------------------------------------ the idle tensors


def idle_by_size(names, optimizer):
    found = []
    for k, name in enumerate(names):
        if k in optimizer["state"]:
            record = optimizer["state"][k]
            if max(record[key].abs().max() for key in ("exp_avg", "exp_avg_sq")) == 0:
                found.append(name)
    return found


def frozen_too(names, optimizer):
    return [n for k, n in enumerate(names) if k not in optimizer["state"]
            or not optimizer["state"][k]["exp_avg_sq"].any()]


def no_record_only(names, optimizer):
    return [name for k, name in enumerate(names) if k not in optimizer["state"]]


def any_zero(names, optimizer):
    return [names[k] for k, r in optimizer["state"].items() if (r["exp_avg"] == 0).any()]


def first_mean_only(names, optimizer):
    return [names[k] for k, r in optimizer["state"].items() if not r["exp_avg"].any()]


def nearly_zero(names, optimizer):
    return [names[k] for k, r in optimizer["state"].items() if r["exp_avg_sq"].max() < 1e-12]


def gaps_closed(names, optimizer):
    records = optimizer["state"].values()
    return [n for n, r in zip(names, records, strict=False) if not r["exp_avg_sq"].any()]


def numbers_not_names(names, optimizer):
    return [k for k, r in optimizer["state"].items() if not r["exp_avg_sq"].any()]


def the_first_only(names, optimizer):
    return idle_by_size(names, optimizer)[:1]


def looks_at_the_steps(names, optimizer):
    return [names[k] for k, r in optimizer["state"].items() if r["step"] == 0]


def indexes_what_is_missing(names, optimizer):
    return [n for k, n in enumerate(names) if not optimizer["state"][k]["exp_avg"].any()]


def looks_up_by_name(names, optimizer):
    return [n for n in names if not optimizer["state"][n]["exp_avg_sq"].any()]


def pairs_without_items(names, optimizer):
    return [names[k] for k, r in optimizer["state"] if not r["exp_avg_sq"].any()]


def asks_a_tensor(names, optimizer):
    return [names[k] for k, r in optimizer["state"].items() if not r["exp_avg_sq"]]


# -------------------------------------------------------------------------- the five-line test


def by_autograd(model, loss):
    wanting = {name: p for name, p in model.named_parameters() if p.requires_grad}
    gradients = torch.autograd.grad(loss, list(wanting.values()), allow_unused=True)
    return {n for n, g in zip(wanting, gradients, strict=True) if g is None or g.abs().max() == 0}


def _after_backward(model, loss, idle, clear=True, wanting=True):
    if clear:
        model.zero_grad()
    loss.backward()
    return [n for n, p in model.named_parameters() if (p.requires_grad or not wanting) and idle(p)]


def not_cleared(model, loss):
    return _after_backward(model, loss, lambda p: p.grad is None or not p.grad.any(), clear=False)


def no_backward(model, loss):
    model.zero_grad()
    return [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]


def cleared_too_late(model, loss):
    loss.backward()
    model.zero_grad()
    return [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]


def none_only(model, loss):
    return _after_backward(model, loss, lambda p: p.grad is None)


def none_forgotten(model, loss):
    return _after_backward(model, loss, lambda p: not p.grad.any())


def compares_none(model, loss):
    return _after_backward(model, loss, lambda p: (p.grad == 0).all())


def compares_none_with_torch(model, loss):
    return _after_backward(model, loss, lambda p: torch.all(p.grad == 0))


def asks_the_gradient(model, loss):
    return _after_backward(model, loss, lambda p: p.grad is None or not p.grad)


def frozen_as_well(model, loss):
    return _after_backward(
        model, loss, lambda p: p.grad is None or not p.grad.any(), wanting=False
    )


def any_zero_in_it(model, loss):
    return _after_backward(model, loss, lambda p: p.grad is None or (p.grad == 0).any())


def looks_at_the_sum(model, loss):
    return _after_backward(model, loss, lambda p: p.grad is None or p.grad.sum() == 0)


def nearly_none(model, loss):
    return _after_backward(model, loss, lambda p: p.grad is None or p.grad.abs().max() < 1e-6)


def parameters_not_names(model, loss):
    loss.backward()
    return [p for p in model.parameters() if p.grad is None]


def a_name_short(model, loss):
    return not_cleared(model, loss)[:1] if "gate" not in dict(model.named_parameters()) else []


def gradients_from_backward(model, loss):
    return [n for n, g in zip(dict(model.named_parameters()), loss.backward(), strict=True)
            if g is None]


def clears_the_loss(model, loss):
    loss.zero_grad()
    return none_only(model, loss)


def pairs_as_names(model, loss):
    loss.backward()
    return [p for p in model.named_parameters() if p.grad is None]


ANSWERS = {
    "10.1": {
        "second": weigh_one_by_one,
        "wrong": [
            (weights_dropped, "the weights did nothing: a line such as `swept.mul"),
            (scores_as_weights, "the sigmoid is missing"),
            (shared, "a softmax makes the four directions share"),
            (on_the_channels, "your weights met the channels.*raised RuntimeError"),
            (axis_left_to_luck, r"has to become \(B, 4, 1, H, W\)"),
            (channels_first, "the channels stand in the wrong order"),
            (on_the_rows, "your weights met the rows"),
            (without_an_axis_for_channels, r"is the batch, but it met the channels"),
            (weights_repeated, "each direction has one weight for all of its channels"),
            (flat_to_the_end, r"the numbers are right: flatten\(1, 2\)"),
            (flat_too_early, "Multiply before you flatten"),
            (a_layer, "the function is torch.sigmoid"),
            (added_up, "you added them up"),
            (not_flat, "puts directions and channels into one axis"),
            (sigmoid_of_all, "the sigmoid went over the product"),
        ],
    },
    "10.2": {
        "second": idle_by_size,
        "wrong": [
            (frozen_too, "'frozen' has no record: it was frozen"),
            (no_record_only, "'branch' is missing: it has a record"),
            (any_zero, "'head' is idle in some of its weights only"),
            (first_mean_only, "'cancelled' has a mean of squares above 0"),
            (nearly_zero, "'deep' got a gradient, a tiny one"),
            (gaps_closed, "the names moved: the number in `state` is the place"),
            (numbers_not_names, "return a list of names"),
            (the_first_only, "'gate' is missing"),
            (looks_at_the_steps, "'branch' is missing"),
            (indexes_what_is_missing, "not every tensor has a record.*KeyError"),
            (looks_up_by_name, "are places, 0, 1, …, not names"),
            (pairs_without_items, r"`\.items\(\)` gives pairs"),
            (asks_a_tensor, "a tensor holds many numbers.*ambiguous"),
        ],
    },
    "10.3": {
        "second": by_autograd,
        "wrong": [
            (not_cleared, r"the two add up to 0: clear the gradients first"),
            (no_backward, r"call `loss\.backward\(\)` before you look"),
            (cleared_too_late, "clear the gradients before it, not after it"),
            (none_only, "'gate' is missing: it got a gradient, but all of it is 0"),
            (none_forgotten, r"its `\.grad` is None, not a tensor"),
            (compares_none, r"its `\.grad` is None, not a tensor"),
            (compares_none_with_torch, r"its `\.grad` is None, not a tensor"),
            (asks_the_gradient, "a tensor holds many numbers"),
            (gradients_from_backward, r"`loss\.backward\(\)` returns nothing"),
            (clears_the_loss, "the gradients lie in the model"),
            (frozen_as_well, "'frozen' is frozen"),
            (any_zero_in_it, "'tail' has a gradient that is 0 in some places only"),
            (looks_at_the_sum, "whose sum is 0"),
            (nearly_none, "'deep' got a gradient, a tiny one"),
            (parameters_not_names, "return a list of names"),
            (pairs_as_names, "gives pairs: a name and a parameter"),
            (a_name_short, "'gate' is missing"),
        ],
    },
}
