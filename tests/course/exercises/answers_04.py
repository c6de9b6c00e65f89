"""Answers to the exercises of lesson 04: second right ones, and wrong ones with the reason."""

import copy

import torch
from torch.utils.flop_counter import FlopCounterMode

from derain_edu.models.prn import PRN, PRNConfig

# ------------------------------------------------------------------------------------------- 03.1


def one_pass(head, body, tail, rainy, x):
    return tail(body(head(torch.cat((rainy, x), dim=1))))


def recursive(head, body, tail, rainy, stages):
    if stages == 0:
        return []
    before = recursive(head, body, tail, rainy, stages - 1)
    return [*before, one_pass(head, body, tail, rainy, [rainy, *before][-1]) + rainy]


def loop(rule, before=lambda part: part):
    """Make an answer of a rule (f, O, x) for the next draft; ``before`` acts on each part."""

    def unroll(head, body, tail, rainy, stages):
        x, pictures = rainy, []
        for _ in range(stages):
            parts = [before(part) for part in (head, body, tail)]
            x = rule(lambda *both, parts=parts: one_pass(*parts, *both), rainy, x)
            pictures.append(x)
        return pictures

    return unroll


good = loop(lambda f, o, x: o + f(o, x))


def fixed_number(head, body, tail, rainy, stages):
    return good(head, body, tail, rainy, 6)


def stacked_along_the_height(head, body, tail, rainy, stages):
    return [rainy + tail(body(head(torch.cat((rainy, rainy), dim=2))))] * stages


def the_draft_alone(head, body, tail, rainy, stages):
    x = rainy
    for _ in range(stages):
        x = rainy + tail(body(head(x)))
    return [x]


def without_gradients(*arguments):
    with torch.no_grad():
        return good(*arguments)


def copies_after_stage_1(head, body, tail, rainy, stages):
    parts, x, pictures = (head, body, tail), rainy, []
    for _ in range(stages):
        x = rainy + one_pass(*parts, rainy, x)
        pictures.append(x)
        parts = copy.deepcopy((head, body, tail))
    return pictures


def detached_result(*arguments):
    return [x.detach() for x in good(*arguments)]


def body_once(head, body, tail, rainy, stages):
    z = body(head(torch.cat((rainy, rainy), dim=1)))
    pictures = [rainy + tail(z)]
    for _ in range(stages - 1):
        z = body(z)
        pictures.append(rainy + tail(z))
    return pictures


def writes_into_rainy(head, body, tail, rainy, stages):
    x, pictures = rainy, []
    for _ in range(stages):
        x += one_pass(head, body, tail, rainy, x)
        pictures.append(x)
    return pictures


UNROLL_WRONG = [
    (loop(lambda f, o, x: x + f(o, x)), "to the last draft, and edit 2 adds to the rainy"),
    (loop(lambda f, o, x: f(o, x)), r"predicts minus the rain layer: add it to O\. At"),
    (loop(lambda f, o, x: o - f(o, x)), "add it, don't subtract it"),
    (loop(lambda f, o, x: o + f(x, o)), "the rainy picture first, the draft second"),
    (loop(lambda f, o, x: o + f(o, o)), "each stage gets O twice, and the draft never goes in"),
    (loop(lambda f, o, x: o + f(x, x)), "gets the draft twice: edit 3 shows O, too"),
    (loop(lambda f, o, x: (o + f(o, x)).clamp(0, 1)), "PRN clamps nothing between the stages"),
    (loop(lambda f, o, x: o + f(o, x.detach())), "the stages do not hang together"),
    (loop(lambda f, o, x: o + f(o, x), copy.deepcopy), "no gradient reaches the head"),
    (copies_after_stage_1, "only stage 1 runs on the parts"),
    (without_gradients, "no gradient reaches the head: are they cut off"),
    (detached_result, "no gradient reaches the head: are they cut off"),
    (lambda h, b, t, o, n: good(h, b, t, o, n)[-1], "of all 3 stages, in a list, not a single one"),
    (lambda h, b, t, o, n: [good(h, b, t, o, n)[-1]], "3 stages make 3 pictures, .* returned 1"),
    (lambda h, b, t, o, n: [o, *good(h, b, t, o, n)], "x_0 = O is not a stage, leave it out"),
    (lambda h, b, t, o, n: [good(h, b, t, o, n)[-1]] * n, "x_1 is not right"),
    (lambda h, b, t, o, n: good(h, b, t, o, n)[::-1], "x_1 is not right"),
    (lambda h, b, t, o, n: n, "return a list of pictures, not a int"),
    (fixed_number, "3 stages make 3 pictures, and you returned 6"),
    (the_draft_alone, r"raised ValueError in line \d+: the head takes \(B, 6, H, W\)"),
    (stacked_along_the_height, r"side by side along dim 1, and it got \(1, 3, 2, 1\)"),
    (body_once, "x_2 is not right"),
    (writes_into_rainy, "changed the tensor it was given"),
]

# ------------------------------------------------------------------------------------------- 03.2


def counted(stages, channels, blocks, height, width):
    network = PRN(PRNConfig(stages=stages, channels=channels, blocks=blocks))
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, height, width))
    return sum(p.numel() for p in network.parameters()), counter.get_total_flops() / 2


def formula(head=6, convs=2, bias=1, times=1, bias_times=0, tail=1, used=None):
    """Make an answer that counts these things."""

    def cost(stages, channels, blocks, height, width):
        layers = [(head, channels), *[(channels, channels)] * convs * blocks]
        layers += [(channels, 3)] * tail
        weights, biases = sum(9 * a * b for a, b in layers), sum(b for _, b in layers)
        uses = used(stages, height, width) if used else stages * height * width
        scale = stages if times == "T" else 1
        return (weights + bias * biases) * scale, (weights + bias_times * biases) * uses

    return cost


COST_WRONG = [
    (formula(times="T"), "all stages share the same weights, T does not multiply them"),
    (formula(bias=0), "each convolution has biases, too"),
    (formula(bias_times=1), "a bias is added, not multiplied"),
    (formula(head=3), "the head looks at six channels"),
    (formula(convs=1), "a residual block has two convolutions"),
    (formula(tail=0), "the tail is a convolution, too"),
    (formula(used=lambda t, h, w: 2 * t * h * w), "you count additions, too"),
    (formula(used=lambda t, h, w: h * w), "each stage computes everything again"),
    (formula(used=lambda t, h, w: t * h * h), "a picture need not be square"),
    (formula(used=lambda t, h, w: t), "each weight is used at each pixel"),
    (formula(used=lambda t, h, w: t * (h - 2) * (w - 2)), "multiplications is not right"),
    (lambda *sizes: formula()(*sizes)[::-1], "the number of parameters is not right"),
    (lambda *sizes: formula()(*sizes)[0], r"return two things, \(parameters, multiplications\)"),
    (
        lambda *sizes: (95_107, 6_000),
        r"parameters is not right: yours is 95,107, expected [\d,]+ \(for stages",
    ),
    (lambda t, c, b, h, w: formula()(t, c, 1, h, w), "so the number of blocks counts"),
    (lambda t, c, b, h, w: formula()(t, 32, 5, h, w), "parameters is not right"),
    (lambda *sizes: tuple(map(complex, formula()(*sizes))), "should be a number, not "),
    (lambda *sizes: {"parameters": 1}, "return two things, .* and not a dict"),
]

# ------------------------------------------------------------------------------------------- 03.3


def one_by_one(stage, rainy, threshold, limit):
    results = []
    for o in rainy.split(1):
        x, k, change = o, 0, threshold
        while k < limit and change >= threshold:
            x, k, change = (new := stage(o, x)), k + 1, (new - x).abs().mean()
        results.append((x, k))
    return torch.cat([x for x, _ in results]), [k for _, k in results]


def rest(measure=lambda d, o, x: d.abs().mean(dim=(1, 2, 3)), stop=True, freeze=True, keep=True):
    """Make an answer: how a change is measured, whether the loop stops, pictures freeze, …"""

    def run(stage, rainy, threshold, limit):
        x, awake = rainy, torch.ones(len(rainy), dtype=torch.bool)
        used = torch.zeros(len(rainy), dtype=torch.long)
        for _ in range(limit):
            new = stage(rainy, x)
            quiet = measure(new - x, rainy, new) < threshold
            moves = (awake & ~quiet) if not keep else awake
            used = used + awake
            x = torch.where(moves[:, None, None, None], new, x) if freeze else new
            awake = awake & ~quiet
            if stop and not awake.any():
                break
        return x, used

    return run


def together(decide):
    def run(stage, rainy, threshold, limit):
        x, k, change = rainy, 0, threshold
        while k < limit and change >= threshold:
            x, last, k = stage(rainy, x), x, k + 1
            change = decide((x - last).abs().mean(dim=(1, 2, 3)))
        return x, torch.full((len(rainy),), k)

    return run


def never_gives_up(stage, rainy, threshold, limit):
    x, change = rainy, threshold
    while change >= threshold / 1e6:
        x, last = stage(rainy, x), x
        change = (x - last).abs().max()
    return x, torch.full((len(rainy),), limit)


def shifted(by):
    def run(*arguments):
        x, used = rest()(*arguments)
        return x, used + by

    return run


def forgets_the_pictures(stage, rainy, threshold, limit):
    return rainy, rest()(stage, rainy, threshold, limit)[1]


def in_place(stage, rainy, threshold, limit):
    x = rainy
    for _ in range(limit):
        x += stage(rainy, x) - x
    return x, torch.full((len(rainy),), limit)


REST_WRONG = [
    (rest(lambda d, o, x: d.mean(dim=(1, 2, 3))), "and you left out the abs"),
    (rest(lambda d, o, x: d.mean(dim=(1, 2, 3)).abs()), "plus and minus cancel in your mean"),
    (rest(lambda d, o, x: d.abs().amax(dim=(1, 2, 3))), "you take the largest change"),
    (rest(lambda d, o, x: d.abs().sum(dim=(1, 2, 3))), "you take the sum of the change"),
    (rest(lambda d, o, x: d.square().mean(dim=(1, 2, 3))), "you take the mean square, and"),
    (rest(lambda d, o, x: d.flatten(1).norm(dim=1)), "the number of stages is not right"),
    (rest(lambda d, o, x: d.square().mean(dim=(1, 2, 3)).sqrt()), "the root of the mean square"),
    (
        rest(lambda d, o, x: (x - o).abs().mean(dim=(1, 2, 3))),
        "compare a draft with the one before it, not with O",
    ),
    (rest(freeze=False), "a picture at rest went on with the others"),
    (rest(freeze=False, stop=False), "a picture at rest went on until the limit"),
    (rest(keep=False), "you threw it away"),
    (rest(stop=False), "ran the stage on 21 pictures where 15 are enough: stop there"),
    (together(torch.mean), "one mean decides for the whole batch"),
    (together(torch.max), "your pictures stop together"),
    (together(torch.min), "the number of stages is not right"),
    (shifted(-1), "the quiet stage was run, so it counts as used"),
    (shifted(1), "you count one stage too many"),
    (never_gives_up, "raised RuntimeError.*ran for more than `limit` stages"),
    (forgets_the_pictures, "you returned the rainy pictures"),
    (in_place, "changed the tensor it was given"),
    (lambda *given: rest()(*given)[0], "return two things, the pictures and the number of stages"),
    (lambda *given: rest()(*given)[::-1], "the number of stages is not right. The shape should be"),
]

# ------------------------------------------------------------------------------------------- 03.4


def by_product(before, after, mask):
    change = (after - before) ** 2
    on = (change * mask).sum()
    return on, change.sum() - on


def split(measure=lambda a, b: (b - a).square(), total=torch.sum):
    def energies(before, after, mask):
        values = measure(before, after)
        where = mask[0] if values.ndim == 2 else mask.expand_as(values)
        return total(values[where]), total(values[~where])

    return energies


def mean_over_pixels(before, after, mask):
    power = (after - before).square().sum(dim=0)
    return power[mask[0]].mean(), power[~mask[0]].mean()


def shares(before, after, mask):
    on, off = split()(before, after, mask)
    return on / (on + off), off / (on + off)


def not_split(before, after, mask):
    power = (after - before).square()
    return (power * mask).sum(), power.sum()


SPLIT_WRONG = [
    (lambda *given: split()(*given)[::-1], "you swapped the two places"),
    (split(total=torch.mean), r"not their mean\. Yours"),
    (mean_over_pixels, r"not their mean over the pixels"),
    (split(lambda a, b: (b - a).abs()), r"you added up sizes \(abs\)"),
    (split(lambda a, b: (b - a).sum(dim=0).square()), "square each colour first"),
    (split(lambda a, b: (b - a).mean(dim=0).square()), "on the streaks is not right"),
    (split(lambda a, b: (b - a)[0].square()), "all three colours count"),
    (split(lambda a, b: b.square() - a.square()), "you took the difference of two squares"),
    (split(lambda a, b: b.square()), "on the streaks is not right"),
    (split(total=torch.norm), "on the streaks is not right"),
    (split(total=lambda v: v.sum().sqrt()), "without a root"),
    (shares, "return energies, not shares of the whole"),
    (not_split, "that is the energy of all pixels"),
    (lambda before, after, mask: (after - before)[mask].square().sum(), "raised IndexError"),
    (lambda *given: torch.stack(split()(*given)), "return two things"),
]

ANSWERS = {
    "04.1": {"second": recursive, "wrong": UNROLL_WRONG},
    "04.2": {"second": counted, "wrong": COST_WRONG},
    "04.3": {"second": one_by_one, "wrong": REST_WRONG},
    "04.4": {"second": by_product, "wrong": SPLIT_WRONG},
}
