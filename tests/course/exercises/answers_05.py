"""Answers to the exercises of lesson 05: second right ones, and wrong ones with the reason."""

import torch
from torch.utils.checkpoint import checkpoint

# ------------------------------------------------------------------------------------------- 05.1


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
    (of_each_use(lambda x, w, T, t: x[t - 1] * w**T / w**t), "w may be 0"),
    (of_each_use(lambda x, w, T, t: w ** (T - 1)), "without the o that each stage adds"),
    (lambda w, o, T: right(w, o, T)[::-1], "from the first use to the last one"),
    (lambda w, o, T: [sum(right(w, o, T)) / T] * T, "you split the sum evenly"),
    (lambda w, o, T: [sum(right(w, o, T))] * T, "you gave the sum to each"),
    (lambda w, o, T: sum(right(w, o, T)), "return a list with the share of each use"),
    (lambda w, o, T: right(w, o, 2), "The shape should be"),
    (lambda w, o, T: right(abs(w), o, T), "the list of shares is not right"),
    (lambda w, o, T: right(w, o, T + 1)[:T], "you took one more"),
    (lambda w, o, T: right(w, o, T + 1)[1:], "you took x_t, what went out"),
]

# ------------------------------------------------------------------------------------------- 05.2


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


def no_copies_that_learn(step, w, x, stages, loss):
    copies = [w.detach().clone() for _ in range(stages)]
    for own in copies:
        x = step(x, own)
    return torch.stack(torch.autograd.grad(loss(x), copies))


def without_the_loss(step, w, x, stages, loss):
    own = leaves(w, stages)
    for weight in own:
        x = step(x, weight)
    return torch.stack(torch.autograd.grad(x, own))


SPLIT_WRONG = [
    (total_gradient, "that is the sum, the gradient of the shared weight"),
    (the_same_for_each, "each use has the gradient of the shared weight: give each one a copy"),
    (one_leaf_for_all, "each use has the gradient of the shared weight: give each one a copy"),
    (split_evenly, "you split the sum evenly"),
    (losses_of_all_stages, "you added up the losses of all"),
    (loss_of_each_stage, "and you took the loss of each stage"),
    (detached_drafts, "only the last use got something"),
    (detached_and_not_used, "is a draft cut off by detach"),
    (no_copies_that_learn, "does each copy of w call"),
    (without_the_loss, "starts at one number"),
    (lambda *given: by_differences(*given).flip(0), "from the first use to the last one"),
    (lambda *given: by_differences(*given)[:1], "The shape should be"),
    (lambda *given: by_differences(*given).abs(), "what you return is not right"),
    (lambda *given: [g.norm() for g in by_differences(*given)], "what you return is not right"),
]

# ------------------------------------------------------------------------------------------- 05.3


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
    (no_gradient_at_all, "outside of torch.no_grad"),
]

ANSWERS = {
    "05.1": {"second": from_the_end, "wrong": SHARES_WRONG},
    "05.2": {"second": by_clones, "wrong": SPLIT_WRONG},
    "05.3": {"second": by_checkpoint, "wrong": WALK_WRONG},
}
