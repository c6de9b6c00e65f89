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


def drafts(w, o, stages):
    x = [o]
    for _ in range(stages):
        x.append(o + w * x[-1])
    return x


def added_before(w, o, stages):
    x, shares = o, []
    for t in range(1, stages + 1):
        shares.append(x * w ** (stages - t))
        x = w * (o + x)
    return shares


def without_append(w, o, stages):
    shares = []
    for t in range(1, stages + 1):
        shares[t - 1] = w ** (stages - t)
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
    (lambda w, o, T: right(w, o, 2), r"the shape should be \(4,\): a share for each"),
    (lambda w, o, T: (share for share in right(w, o, T)), "return a list, and not a generator"),
    (of_each_use(lambda x, w, T, t: x[t - 1] * w ** (T - t - 1)), "you took one too few"),
    (of_each_use(lambda x, w, T, t: x[t - 1] * w ** (T - 1)), "you took T - 1 for each"),
    (of_each_use(lambda x, w, T, t: x[t - 1] * w**T), "you took T for each"),
    (of_each_use(lambda x, w, T, t: x[t - 1] * w * (T - t)), "not w times"),
    (of_each_use(lambda x, w, T, t: x[t - 1] * w ^ (T - t)), r"a power is written \*\*"),
    (lambda w, o, T: [x * w ** (T - t) for t, x in enumerate([0, *drafts(w, o, T)][:T], 1)],
     "you began with 0"),
    (lambda w, o, T: [o * (1 + w) ** (t - 1) * w ** (T - t) for t in range(1, T + 1)],
     "you added the draft"),
    (added_before, "each stage adds o after w"),
    (without_append, "use append"),
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


def split(
    copies=leaves,
    stage=lambda step, x, own, w: step(x, own),
    end=lambda loss, own: torch.stack(torch.autograd.grad(loss, own)),
):
    """Make an answer in three parts: right, unless one of them is replaced."""

    def shares(step, w, x, stages, loss):
        own = copies(w, stages)
        for weight in own:
            x = stage(step, x, weight, w)
        return end(loss(x), own)

    return shares


def each_from_the_start(step, w, x, stages, loss):
    own = leaves(w, stages)
    return torch.stack([torch.autograd.grad(loss(step(x, v)), v)[0] for v in own])


def one_copy_again_and_again(step, w, x, stages, loss):
    for _ in range(stages):
        own = w.detach().clone().requires_grad_()
        x = step(x, own)
    return torch.autograd.grad(loss(x), own)[0]


SPLIT_WRONG = [
    (each_from_the_start, "yours all start at x_0"),
    (one_copy_again_and_again, "keep all T copies in a list"),
    (split(stage=lambda step, x, own, w: step(x, w)), "does the stage use the copy"),
    (split(stage=lambda step, x, own, w: step(own, x)), "takes the draft first"),
    (split(copies=lambda w, stages: [v.requires_grad_ for v in leaves(w, stages)]),
     "requires_grad_ is a method"),
    (split(end=lambda loss, own: torch.stack(own)), "these are the copies"),
    (split(end=lambda loss, own: torch.autograd.grad(loss, torch.stack(own))), "list_of_copies"),
    (split(end=lambda loss, own: torch.autograd.grad(own, loss)), "list_of_copies"),
    (split(end=lambda loss, own: torch.cat(torch.autograd.grad(loss, own))), "torch.cat can't"),
    (split(end=lambda loss, own: [g.item() for g in torch.autograd.grad(loss, own)]),
     "leave out .item"),
    (split(end=lambda loss, own: [g.flatten() for g in torch.autograd.grad(loss, own)]),
     "a share keeps the shape of w"),
    (split(end=lambda loss, own: torch.stack(torch.autograd.grad(loss, own), dim=-1)),
     "the uses come first"),
    (split(end=lambda loss, own: [torch.autograd.grad(loss, v)[0] for v in own]),
     "the same graph is walked twice"),
    (total_gradient, "that is the sum, the gradient of the shared weight"),
    (the_same_for_each, "each use has the gradient of the shared weight: give each one a copy"),
    (one_leaf_for_all, "each use has the gradient of the shared weight: give each one a copy"),
    (split_evenly, "you split the sum evenly"),
    (losses_of_all_stages, "you added up the losses of all"),
    (loss_of_each_stage, "and you took the loss of each stage"),
    (detached_drafts, "only the last use got something"),
    (detached_and_not_used, "without detach"),
    (no_copies_that_learn, "does each copy of w"),
    (without_the_loss, "starts at one number"),
    (lambda *given: by_differences(*given).flip(0), "from the first use to the last one"),
    (lambda *given: by_differences(*given)[:1], "The shape should be"),
    (lambda *given: by_differences(*given).abs(), "what you return is not right"),
    (lambda *given: [g.norm() for g in by_differences(*given)], "not their lengths"),
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


def one_stage_too_many(step, w, x, stages, loss):
    drafts = [x]
    for _ in range(stages):
        drafts.append(step(drafts[-1], w).detach())
    last = drafts[-1].requires_grad_()
    [error], total = torch.autograd.grad(loss(last), last), 0
    for draft in reversed(drafts):
        before, own = draft.detach().requires_grad_(), w.detach().clone().requires_grad_()
        error, share = torch.autograd.grad(step(before, own), (before, own), error)
        total = total + share
    return total


def walk_back(
    first=None, third=True, learns=True, exchange=False, carry=lambda error, back: back,
    begin=torch.zeros_like, part=slice(None),
):  # fmt: skip
    """Make an answer that walks back by ``backward``: right, unless a part is replaced."""

    def gradient(step, w, x, stages, loss):
        drafts = [x]
        with torch.no_grad():
            for _ in range(stages):
                drafts.append(step(drafts[-1], w))
        last = drafts.pop().requires_grad_()
        [error] = torch.autograd.grad(loss(last), last)
        error = first(loss, last).detach() if first else error
        total = begin(w.detach())
        for draft in reversed(drafts[part] if stages > 1 else drafts):
            before, own = draft.detach().clone(), w.detach().clone().requires_grad_()
            step(before.requires_grad_(learns), own).backward(error if third else None)
            back, share = (own.grad, before.grad) if exchange else (before.grad, own.grad)
            total, error = total + share, carry(error, back)
        return total

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
    (one_stage_too_many, "no stage starts at x_T"),
    (walk(order=list), "walk from the last one to the first"),
    (walk(scale="T"), "you divided the sum by T"),
    (last_share_only, "that is the share of stage T alone"),
    (
        total_gradient,
        r"but \d+ KiB were alive at once, and the plain backward needs \d+ KiB \(T = 12\)",
    ),
    (graphs_of_all_stages, "keep its drafts alone, and run one stage again when its turn comes"),
    (lambda *given: by_differences(*given).flip(0), "add the T shares up"),
    (walk_back(first=lambda loss, x: torch.ones_like(x)), "and you began with 1"),
    (walk_back(first=lambda loss, x: loss(x).expand_as(x)), "and you began with the loss"),
    (walk_back(third=False), "takes the error that came back to x_t as third argument"),
    (walk_back(learns=False), "needs `.requires_grad_\\(\\)`, too"),
    (walk_back(exchange=True), "returns its results in the order"),
    (walk_back(carry=lambda error, back: error + back), "do not add it to the one before"),
    (walk_back(begin=lambda w: w.clone()), r"the sum begins at 0: torch.zeros_like"),
    (walk_back(begin=torch.ones_like), "and yours at 1"),
    (walk_back(part=slice(None, -1)), "you began at stage T - 1"),
    (walk_back(part=slice(1, None)), "you stopped at stage 2"),
    (forgets_the_loss, "and you began with 1"),
    (lambda *given: -walk()(*given), "the gradient is not right"),
    (no_gradient_at_all, "outside of torch.no_grad"),
]

ANSWERS = {
    "05.1": {"second": from_the_end, "wrong": SHARES_WRONG},
    "05.2": {"second": by_clones, "wrong": SPLIT_WRONG},
    "05.3": {"second": by_checkpoint, "wrong": WALK_WRONG},
}
