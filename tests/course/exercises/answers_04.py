"""Answers to the exercises of lesson 04: second right ones, and wrong ones with the reason."""

import copy

import torch
from torch.utils.flop_counter import FlopCounterMode

from derain_edu.models.prn import PRN, PRNConfig

# ------------------------------------------------------------------------------------------- 04.1


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


def passes_on_the_layer(head, body, tail, rainy, stages):
    x, pictures = rainy, []
    for _ in range(stages):
        x = one_pass(head, body, tail, rainy, x)
        pictures.append(rainy + x)
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
    (passes_on_the_layer, "you pass on the tail's output alone"),
    (lambda h, b, t, o, n: [h(torch.cat(o, o, dim=1))], "in brackets of their own.*TypeError"),
]

# ------------------------------------------------------------------------------------------- 04.2


def counted(stages, channels, blocks, height, width):
    network = PRN(PRNConfig(stages=stages, channels=channels, blocks=blocks))
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, height, width))
    return sum(p.numel() for p in network.parameters()), counter.get_total_flops() / 2


def formula(head=6, convs=2, bias=1, times=1, bias_times=0, tail=1, used=None, kernel=9):
    """Make an answer that counts these things."""

    def cost(stages, channels, blocks, height, width):
        layers = [(head, channels), *[(channels, channels)] * convs * blocks]
        layers += [(channels, 3)] * tail
        weights, biases = sum(kernel * a * b for a, b in layers), sum(b for _, b in layers)
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
    (formula(kernel=1), "has 9 weights for each pair of channels"),
    (formula(kernel=3), "has 9 weights, not 3"),
    (lambda *sizes: (formula()(*sizes)[0], formula(kernel=1)(*sizes)[1]), "has 9 weights for each"),
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
    (lambda t, c, b, h, w: (formula(bias=0)(t, c, b, h, w)[0] + 2 * b + 2, 0), "not only one"),
    (lambda *sizes: (formula()(*sizes)[0] + 3, 0), "not per input channel"),
]

# ------------------------------------------------------------------------------------------- 04.3


def with_while(stage, rainy, threshold, limit):
    x, k, change = rainy, 0, threshold
    while k < limit and change >= threshold:
        before, x = x, stage(rainy, x)
        k, change = k + 1, torch.nn.functional.l1_loss(x, before).item()
    return [x, torch.tensor(k)]


def rest(measure=lambda d, o, x: d.abs().mean(), stop=True, keep=True):
    """Make an answer: how a change is measured, whether the loop stops, and what it returns."""

    def run(stage, rainy, threshold, limit):
        x, found = rainy, None
        for k in range(1, limit + 1):
            new = stage(rainy, x)
            quiet = measure(new - x, rainy, new) < threshold
            if quiet and found is None:
                found = (new if keep else x), k
                if stop:
                    break
            x = new
        return found or (x, limit)

    return run


def never_gives_up(stage, rainy, threshold, limit):
    x, change = rainy, threshold
    while change >= threshold / 1e6:
        x, last = stage(rainy, x), x
        change = (x - last).abs().max()
    return x, limit


def shifted(by):
    def run(*arguments):
        x, used = rest()(*arguments)
        return x, used + by

    return run


def loses_the_draft(stage, rainy, threshold, limit):
    x, k, change = rainy, 0, threshold
    while k < limit and change >= threshold:
        x, k = stage(rainy, x), k + 1
        change = (x - x).abs().mean()
    return x, k


def to_the_limit(stage, rainy, threshold, limit):
    x = rainy
    for _ in range(limit):
        x = stage(rainy, x)
    return x, limit


def forgets_the_picture(stage, rainy, threshold, limit):
    return rainy, rest()(stage, rainy, threshold, limit)[1]


def in_place(stage, rainy, threshold, limit):
    x = rainy
    for _ in range(limit):
        x += stage(rainy, x) - x
    return x, limit


def nothing_at_the_limit(stage, rainy, threshold, limit):
    x = rainy
    for k in range(1, limit + 1):
        before, x = x, stage(rainy, x)
        if (x - before).abs().mean() < threshold:
            return x, k
    return None


REST_WRONG = [
    (rest(lambda d, o, x: d.mean()), "plus and minus cancel in your mean"),
    (rest(lambda d, o, x: d.mean().abs()), "plus and minus cancel in your mean"),
    (rest(lambda d, o, x: d.abs().max()), "you take the largest change"),
    (rest(lambda d, o, x: d.abs().sum()), "you take the sum of the change"),
    (rest(lambda d, o, x: d.square().mean()), "you take the mean square, and"),
    (rest(lambda d, o, x: d.square().mean().sqrt()), "the root of the mean square"),
    (rest(lambda d, o, x: (x - o).abs().mean()), "the one before it, not with O"),
    (rest(lambda d, o, x: d.abs()), "you compare a whole picture with the threshold"),
    (rest(keep=False), "you threw it away"),
    (rest(stop=False), r"ran the stage 30 times: stop there"),
    (shifted(-1), "the quiet stage was run, so it counts as used"),
    (shifted(1), "you count one stage too many"),
    (loses_the_draft, "is your change always 0"),
    (to_the_limit, "you run to the limit"),
    (never_gives_up, "raised RuntimeError.*ran for more than `limit` stages"),
    (forgets_the_picture, "you returned the rainy picture"),
    (in_place, "changed the tensor it was given"),
    (nothing_at_the_limit, "if no stage is quiet, return the last draft and the limit"),
    (lambda stage, *given: rest()(lambda o, x: stage(x, o), *given), "rainy picture first, then"),
    (lambda *given: rest()(*given)[0], "return two things, the picture and the number of stages"),
    (lambda *given: rest()(*given)[::-1], "the number of stages is not right. The shape should be"),
]

ANSWERS = {
    "04.1": {"second": recursive, "wrong": UNROLL_WRONG},
    "04.2": {"second": counted, "wrong": COST_WRONG},
    "04.3": {"second": with_while, "wrong": REST_WRONG},
}
