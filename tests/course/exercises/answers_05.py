"""Answers to the exercises of lesson 05: second right ones, and wrong ones with the reason."""

import torch
from torch.utils.checkpoint import checkpoint

# ------------------------------------------------------------------------------------------- 04.1


def from_the_end(w, o, stages):
    if stages == 0:
        return []
    before = from_the_end(w, o, stages - 1)
    x = o
    for _ in range(stages - 1):
        x = o + w * x
    return [share * w for share in before] + [x]


def of_each_use(rule):
    """Make an answer of a rule (drafts, w, T, t) for the share of use t."""

    def shares(w, o, stages):
        x = [o]
        for _ in range(stages):
            x.append(o + w * x[-1])
        return [rule(x, w, stages, t) for t in range(1, stages + 1)]

    return shares


right = of_each_use(lambda x, w, T, t: x[t - 1] * w ** (T - t))

SHARES_WRONG = [
    (of_each_use(lambda x, w, T, t: x[t] * w ** (T - t)), "you took x_t, what went out"),
    (of_each_use(lambda x, w, T, t: x[t - 1] * w ** (T - t + 1)), "you took one more"),
    (of_each_use(lambda x, w, T, t: x[t - 1] * w ** (t - 1)), "not the ones before"),
    (of_each_use(lambda x, w, T, t: x[t - 1]), r"w\^\(T - t\) is missing"),
    (of_each_use(lambda x, w, T, t: w ** (T - t)), "that is the error alone"),
    (of_each_use(lambda x, w, T, t: x[0] * w ** (T - 1)), "you left out the o"),
    (of_each_use(lambda x, w, T, t: x[T] / w), "the list of shares is not right"),
    (of_each_use(lambda x, w, T, t: x[t - 1] * w**T / w**t), "raised ZeroDivisionError"),
    (lambda w, o, T: right(w, o, T)[::-1], "from the first use to the last one"),
    (lambda w, o, T: [sum(right(w, o, T)) / T] * T, "you split the sum evenly"),
    (lambda w, o, T: [sum(right(w, o, T))] * T, "you gave the sum to each"),
    (lambda w, o, T: sum(right(w, o, T)), "return a list with the share of each use"),
    (lambda w, o, T: right(w, o, 2), "The shape should be"),
    (lambda w, o, T: right(abs(w), o, T), "the list of shares is not right"),
    (lambda w, o, T: right(w, o, T + 1)[:T], "you took one more"),
    (lambda w, o, T: right(w, o, T + 1)[1:], "you took x_t, what went out"),
]

# ------------------------------------------------------------------------------------------- 04.2


def by_differences(step, w, x, stages, loss):
    """Call the network with T weights and differentiate by the stack of them."""
    stack = torch.stack([w.detach()] * stages).requires_grad_()
    for own in stack:
        x = step(x, own)
    loss(x).backward()
    return stack.grad


def by_clones(step, w, x, stages, loss):
    w = w.detach().requires_grad_()
    clones = [w.clone() for _ in range(stages)]  # not leaves: autograd can answer for them, too
    for own in clones:
        x = step(x, own)
    return list(torch.autograd.grad(loss(x), clones))


def leaves(w, stages):
    return [w.detach().clone().requires_grad_() for _ in range(stages)]


def total_gradient(step, w, x, stages, loss):
    w = w.detach().requires_grad_()
    for _ in range(stages):
        x = step(x, w)
    return torch.autograd.grad(loss(x), w)[0]


def the_same_for_each(*given):
    return torch.stack([total_gradient(*given)] * given[3])


def split_evenly(*given):
    return the_same_for_each(*given) / given[3]


def losses_of_all_stages(step, w, x, stages, loss):
    own, total = leaves(w, stages), 0
    for weight in own:
        x = step(x, weight)
        total = total + loss(x)
    return torch.stack(torch.autograd.grad(total, own))


def loss_of_each_stage(step, w, x, stages, loss):
    shares = []
    for weight in leaves(w, stages):
        x = step(x.detach(), weight)
        shares.append(torch.autograd.grad(loss(x), weight)[0])
    return torch.stack(shares)


def detached_drafts(step, w, x, stages, loss):
    own = leaves(w, stages)
    for weight in own:
        x = step(x.detach(), weight)
    return torch.stack(torch.autograd.grad(loss(x), own, materialize_grads=True))


def detached_and_not_used(step, w, x, stages, loss):
    own = leaves(w, stages)
    for weight in own:
        x = step(x.detach(), weight)
    return torch.stack(torch.autograd.grad(loss(x), own))


def one_leaf_for_all(step, w, x, stages, loss):
    own = [w.detach().clone().requires_grad_()] * stages
    for weight in own:
        x = step(x, weight)
    return torch.stack(torch.autograd.grad(loss(x), own))


SPLIT_WRONG = [
    (total_gradient, "that is the sum, the gradient of the shared weight"),
    (the_same_for_each, "each use has the gradient of the shared weight: give each one a copy"),
    (one_leaf_for_all, "each use has the gradient of the shared weight: give each one a copy"),
    (split_evenly, "you split the sum evenly"),
    (losses_of_all_stages, "you added up the losses of all"),
    (loss_of_each_stage, "and you took the loss of each stage"),
    (detached_drafts, "only the last use got something"),
    (detached_and_not_used, r"raised RuntimeError in line \d+: .*to not have been used"),
    (lambda *given: by_differences(*given).flip(0), "from the first use to the last one"),
    (lambda *given: by_differences(*given)[:1], "The shape should be"),
    (lambda *given: by_differences(*given).abs(), "what you return is not right"),
    (lambda *given: [g.norm() for g in by_differences(*given)], "what you return is not right"),
]

# ------------------------------------------------------------------------------------------- 04.3


def by_checkpoint(step, w, x, stages, loss):
    w, x = w.detach().requires_grad_(), x.detach().requires_grad_()
    for _ in range(stages):
        x = checkpoint(step, x, w, use_reentrant=False)
    return torch.autograd.grad(loss(x), w)[0]


def walk(start=0, order=reversed, add=lambda total, share: total + share, pass_on=True, scale=1):
    """Make an answer that walks back over the drafts in this way."""

    def gradient(step, w, x, stages, loss):
        drafts = [x]
        with torch.no_grad():
            for _ in range(stages):
                drafts.append(step(drafts[-1], w))
        last = drafts[-1].clone().requires_grad_()
        [error] = torch.autograd.grad(loss(last), last)
        total = torch.zeros_like(w)
        for draft in order(drafts[start : start + stages]):
            before, own = draft.clone().requires_grad_(), w.detach().clone().requires_grad_()
            back, share = torch.autograd.grad(step(before, own), (before, own), error)
            total, error = add(total, share), back if pass_on else error
        return total / (stages if scale == "T" else 1)

    return gradient


def last_share_only(step, w, x, stages, loss):
    with torch.no_grad():
        for _ in range(stages - 1):
            x = step(x, w)
    own = w.detach().requires_grad_()
    return torch.autograd.grad(loss(step(x, own)), own)[0]


def forgets_the_loss(step, w, x, stages, loss):
    return walk()(step, w, x, stages, lambda y: y.sum())


def graphs_of_all_stages(step, w, x, stages, loss):
    w, drafts, graphs = w.detach(), [x], []
    for _ in range(stages):
        before, own = drafts[-1].detach().requires_grad_(), w.clone().requires_grad_()
        graphs.append((before, own, step(before, own)))
        drafts.append(graphs[-1][2].detach())
    last = drafts[-1].requires_grad_()
    [error], total = torch.autograd.grad(loss(last), last), 0
    for before, own, after in reversed(graphs):
        error, share = torch.autograd.grad(after, (before, own), error)
        total = total + share
    return total


def no_gradient_at_all(step, w, x, stages, loss):
    with torch.no_grad():
        for _ in range(stages):
            x = step(x, w)
    return torch.autograd.grad(loss(x), w)[0]


WALK_WRONG = [
    (walk(add=lambda total, share: share), "you kept the last share that you made"),
    (walk(pass_on=False), "each stage got the error of the last one"),
    (walk(start=1), "you started it from x_t"),
    (walk(order=list), "walk from the last one to the first"),
    (walk(scale="T"), "you divided the sum by T"),
    (last_share_only, "that is the share of stage T alone"),
    (
        total_gradient,
        r"but \d+ KiB were alive at once, and the plain backward needs \d+ KiB \(T = 12\)",
    ),
    (graphs_of_all_stages, "keep its drafts alone, and run one stage again when its turn comes"),
    (by_differences, "The shape should be"),
    (forgets_the_loss, "the gradient is not right"),
    (no_gradient_at_all, "raised RuntimeError"),
]

# ------------------------------------------------------------------------------------------- 04.4


def four_parts(conv, z, h, c):
    raw = conv(torch.cat([z, h], 1)).unflatten(1, (4, -1))  # (B, 4, C, H, W)
    i, f, o = (1 / (1 + (-raw[:, k]).exp()) for k in (0, 1, 3))
    written = raw[:, 2].tanh()
    c = torch.addcmul(f * c, i, written)
    return [o * c.tanh(), c]


def lstm(rule, before=lambda z, h, c: (z, h, c), both=lambda z, h: (z, h)):
    """Make an answer of a rule (raw i, f, g, o, the old h and c)."""

    def step(conv, z, h, c):
        z, h, c = before(z, h, c)
        return rule(*conv(torch.cat(both(z, h), dim=1)).chunk(4, dim=1), h, c)

    return step


def cell(i, f, g, o, h, c):
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def raw_gates(i, f, g, o, h, c):
    c = f * c + i * g.tanh()
    return o * c.tanh(), c


def sigmoid_everywhere(i, f, g, o, h, c):
    c = f.sigmoid() * c + i.sigmoid() * g.sigmoid()
    return o.sigmoid() * c.tanh(), c


def shows_c(i, f, g, o, h, c):
    c = cell(i, f, g, o, h, c)[1]
    return o.sigmoid() * c, c


def shows_the_old_c(i, f, g, o, h, c):
    return o.sigmoid() * c.tanh(), cell(i, f, g, o, h, c)[1]


def tied(i, f, g, o, h, c):
    c = (1 - i.sigmoid()) * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def remembers_h(i, f, g, o, h, c):
    return cell(i, f, g, o, c, h)


def never_forgets(i, f, g, o, h, c):
    c = c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def no_past(i, f, g, o, h, c):
    return cell(i, f, g, o, h, 0 * c)


def only_the_gates_see_h(conv, z, h, c):
    return cell(*conv(z).chunk(4, dim=1), h, c)


def splits_the_batch(conv, z, h, c):
    i, f, g, o = conv(torch.cat((z, h), dim=1)).chunk(4, dim=0)
    return cell(i, f, g, o, h, c)


def three_channels(conv, z, h, c):
    return cell(*conv(torch.cat((z, h), dim=1)).split(3, dim=1), h, c)


def in_place(conv, z, h, c):
    i, f, g, o = conv(torch.cat((z, h), dim=1)).chunk(4, dim=1)
    c *= f.sigmoid()
    c += i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


LSTM_WRONG = [
    (lstm(lambda i, f, g, o, h, c: cell(i, f, o, g, h, c)), "and you took i, f, o, g"),
    (lstm(lambda i, f, g, o, h, c: cell(f, i, g, o, h, c)), "and you exchanged them"),
    (lstm(sigmoid_everywhere), "tanh, not a sigmoid"),
    (lstm(raw_gates), "the gates i, f and o are sigmoids"),
    (lstm(shows_c), "you left out the tanh"),
    (lstm(shows_the_old_c), "h shows the new c, and you took the old one"),
    (lstm(tied), "a gate of its own, not 1 - i"),
    (lstm(remembers_h), "the memory is c"),
    (lstm(never_forgets), "multiplied by the forget gate f"),
    (lstm(no_past), "the old c counts, too"),
    (lstm(lambda *gates: cell(*gates)[::-1]), "the two results are swapped: first h, then c"),
    (lstm(cell, both=lambda z, h: (h, z)), "the convolution wants z first and h second"),
    (lstm(cell, before=lambda z, h, c: (z, h, c.detach())), "no gradient comes back to c"),
    (lstm(cell, before=lambda z, h, c: (z, h.detach(), c)), "no gradient comes back to h"),
    (lstm(lambda *gates: tuple(x.detach() for x in cell(*gates))), "no gradient comes back to z"),
    (lstm(lambda *gates: cell(*gates)[0]), "return two tensors, the new h and the new c"),
    (only_the_gates_see_h, r"raised ValueError in line \d+: the convolution takes \(B, 2, H, W\)"),
    (splits_the_batch, r"raised ValueError in line \d+: not enough values to unpack"),
    (three_channels, "raised TypeError|raised ValueError|raised RuntimeError"),
    (in_place, "changed the tensor it was given"),
]

ANSWERS = {
    "05.1": {"second": from_the_end, "wrong": SHARES_WRONG},
    "05.2": {"second": by_clones, "wrong": SPLIT_WRONG},
    "05.3": {"second": by_checkpoint, "wrong": WALK_WRONG},
    "05.4": {"second": four_parts, "wrong": LSTM_WRONG},
}
