"""The exercises of lesson 04: a network as a loop, what the loop costs, and where it rests."""

from __future__ import annotations

import copy
from collections.abc import Callable
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from derain_edu.course.exercises.checking import (
    Wrong,
    attempt,
    checker,
    expect,
    expect_close,
    hinted,
)
from derain_edu.language import local
from derain_edu.models.blocks import conv3x3
from derain_edu.models.prn import PRN, PRNConfig

Part = Callable[[Tensor], Tensor]
Parts = tuple[Part, Part, Part]  # head, body, tail
Rule = Callable[[Tensor, Tensor], Tensor]  # (O, x_{t-1}) to x_t

# What PyTorch and Python say, and what it means in these exercises.
ERRORS = {
    "must be tuple of Tensors": "torch.cat takes its pictures as one pair, in brackets of their "
    "own: torch.cat((a, b), dim=1)",
}


def pair_of(result: Any, what: str) -> tuple[Any, Any]:
    """Return the two things that an answer returned, or say which two are expected."""
    two = isinstance(result, tuple | list) and len(result) == 2
    expect(two, f"return two things, {what}, and not a {type(result).__name__}")
    return result[0], result[1]


# ------------------------------------------------------------------------------------- the loop


class SixChannels(nn.Module):
    """A head for ``cat(O, draft)`` that says what it expects."""

    def __init__(self, layer: Part) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, both: Tensor) -> Tensor:
        if both.ndim != 4 or both.shape[1] != 6:
            raise ValueError(
                "the head takes (B, 6, H, W), the rainy picture and the draft side by side along "
                f"dim 1, and it got {tuple(both.shape)}"
            )
        return self.layer(both)


def _grey_head(both: Tensor) -> Tensor:
    return F.relu(0.75 * both[:, 3:] - 0.25 * both[:, :3])


def _trained_by_chance() -> tuple[SixChannels, nn.Module, nn.Module]:
    """Return small parts with random weights whose pictures leave [0, 1]."""
    head = SixChannels(nn.Sequential(conv3x3(6, 4), nn.ReLU()))
    body, tail = nn.Sequential(conv3x3(4, 4), nn.ReLU()), conv3x3(4, 3)
    for part in (head, body, tail):
        part.double()
        for weight in part.parameters():
            weight.data.mul_(2)
    return head, body, tail


def _loops(parts: Parts, rainy: Tensor, stages: int) -> dict[str, list[Tensor]]:
    """Return the pictures of the right loop, under ``""``, and those of wrong ones."""
    head, body, tail = parts

    def f(first: Tensor, second: Tensor) -> Tensor:
        return tail(body(head(torch.cat((first, second), dim=1))))

    rules: dict[str, Rule] = {
        "": lambda o, x: o + f(o, x),
        "you add to the last draft, and edit 2 adds to the rainy one": lambda o, x: x + f(o, x),
        "the tail predicts minus the rain layer: add it to O": lambda o, x: f(o, x),
        "the tail predicts minus the rain: add it, don't subtract it": lambda o, x: o - f(o, x),
        "the head wants the rainy picture first, the draft second": lambda o, x: o + f(x, o),
        "each stage gets O twice, and the draft never goes in": lambda o, x: o + f(o, o),
        "each stage gets the draft twice: edit 3 shows O, too": lambda o, x: o + f(x, x),
        "PRN clamps nothing between the stages": lambda o, x: torch.clamp(o + f(o, x), 0, 1),
    }
    found = {reason: _loop(rule, rainy, rainy, stages) for reason, rule in rules.items()}
    black = "the first draft is O itself (x_0 = O), not a black picture"
    layers, layer = [], rainy  # the first draft is O, the next ones are rain layers
    for _ in range(stages):
        layer = f(rainy, layer)
        layers.append(rainy + layer)
    forgot = "the next draft is the picture O + tail(…), and you pass on the tail's output alone"
    found[forgot] = layers
    return found | {black: _loop(rules[""], rainy, torch.zeros_like(rainy), stages)}


def _loop(rule: Rule, rainy: Tensor, x: Tensor, stages: int) -> list[Tensor]:
    pictures = [x]
    for _ in range(stages):
        pictures.append(rule(rainy, pictures[-1]))
    return pictures[1:]


def _try_loop(
    answer: Callable[..., Any], parts: Parts, rainy: Tensor, stages: int, of: str
) -> list[Tensor]:
    """Compare the answer's pictures with the right ones, stage by stage, and return them."""
    got = hinted(answer, ERRORS, *parts, rainy, stages)
    single = isinstance(got, Tensor) and got.ndim == 4
    expect(not single, f"return the pictures of all {stages} stages, in a list, not a single one")
    several = isinstance(got, tuple | list) or (isinstance(got, Tensor) and got.ndim == 5)
    expect(several, f"return a list of pictures, not a {type(got).__name__}")
    extra = ": x_0 = O is not a stage, leave it out" if len(got) == stages + 1 else ""
    number = f"{stages} stages make {stages} pictures, and you returned {len(got)}"
    expect(len(got) == stages, local(number) + local(extra))
    loops = _loops(parts, rainy, stages)
    for t, (x, want) in enumerate(zip(got, loops.pop(""), strict=True)):
        mistakes = {reason: pictures[t] for reason, pictures in loops.items()}
        expect_close(x, want, f"x_{t + 1}", mistakes=mistakes, example=f"{local(of)}, T = {stages}")
    return list(got)


@checker("04.1")
def check_unroll(answer: Callable[..., Any]) -> None:
    """Try ``unroll(head, body, tail, rainy, stages)``: the values, and what they hang on."""
    grey = (SixChannels(_grey_head), lambda z: z / 2, lambda z: -z)
    words = "one grey pixel O = 0.8, head relu(0.75·draft - 0.25·O), body z/2, tail -z"
    for stages in (3, 1):
        _try_loop(answer, grey, torch.full((1, 3, 1, 1), 0.8), stages, words)
    parts, rainy = _trained_by_chance(), torch.rand(2, 3, 4, 5, dtype=torch.float64)
    _try_loop(answer, parts, rainy, 2, "random weights, rainy (2, 3, 4, 5)")
    pictures = _try_loop(answer, parts, rainy, 4, "random weights, rainy (2, 3, 4, 5)")
    _check_sharing(parts, rainy, pictures)


def _check_sharing(parts: Parts, rainy: Tensor, pictures: list[Tensor]) -> None:
    """See by the gradient whether all stages run on the given parts and hang together."""
    cut = "are they cut off (detach, no_grad), or do the stages run on copies of the parts?"
    weight, found = parts[0].layer[0].weight, None
    if getattr(pictures[-1], "requires_grad", False):
        [found] = torch.autograd.grad(pictures[-1].sum(), weight, allow_unused=True)
    expect(found is not None, f"the pictures are right, but no gradient reaches the head: {cut}")
    x, weights = rainy, []
    for _ in pictures:
        head, body, tail = copy.deepcopy(parts)  # this stage has weights of its own
        x = rainy + tail(body(head(torch.cat((rainy, x), dim=1))))
        weights.append(head.layer[0].weight)
    shares = torch.autograd.grad(x.sum(), weights)
    right = "the pictures are right, but"
    mistakes = {
        f"{right} the stages do not hang together: is a draft cut off by detach?": shares[-1],
        f"{right} only stage 1 runs on the parts: the others have copies of them": shares[0],
    }
    expect_close(found, sum(shares), f"{right} the gradient of the head", mistakes=mistakes)


# ----------------------------------------------------------------------------- what a stage costs

_SIZES = [(2, 4, 3, 3, 5), (1, 2, 1, 3, 5), (3, 3, 2, 6, 2), (6, 32, 5, 8, 4)]


@checker("04.2")
def check_cost(answer: Callable[..., Any]) -> None:
    """Try ``cost(stages, channels, blocks, height, width)`` against networks that are counted."""
    for sizes in _SIZES:
        got = pair_of(attempt(answer, *sizes), "(parameters, multiplications)")
        words = "stages, channels, blocks, height, width = " + ", ".join(map(str, sizes))
        for value, (what, truth, mistakes) in zip(got, _count(*sizes), strict=True):
            value = value.item() if isinstance(value, Tensor) else value
            expect(isinstance(value, Real), f"the {what} should be a number, not {value!r}")
            fitting = [text for text, number in mistakes.items() if value == number]
            reason = [*fitting, f"the number of {what} is not right"][0]
            expect(
                value == truth, f"{reason}: yours is {value:,}, expected {truth:,} (for {words})"
            )


def _count(
    stages: int, channels: int, blocks: int, height: int, width: int
) -> list[tuple[str, int, dict[str, float]]]:
    """Count parameters and multiplications in a network, and say what wrong formulas give."""
    network = PRN(PRNConfig(stages=stages, channels=channels, blocks=blocks))
    weights = sum(p.numel() for p in network.parameters() if p.ndim == 4)
    parameters = sum(p.numel() for p in network.parameters())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, height, width))
    products = counter.get_total_flops() // 2
    uses, square = stages * height * width, 9 * channels**2
    three = "the head looks at six channels, at O and at the draft"
    one = "a residual block has two convolutions"
    single = "each block has weights of its own, so the number of blocks counts"
    of_parameters = {
        "all stages share the same weights, T does not multiply them": stages * parameters,
        "each convolution has biases, too, one per output channel": weights,
        "a convolution has one bias per output channel, not only one": weights + 2 * blocks + 2,
        "a convolution has one bias per output channel, not per input channel": (
            parameters + 3
        ),
        three: parameters - 27 * channels,
        one: parameters - blocks * (square + channels),
        single: parameters - 2 * (blocks - 1) * (square + channels),
        "the tail is a convolution, too, from C to 3": parameters - 27 * channels - 3,
        "a 3×3 kernel has 9 weights for each pair of channels": parameters - 8 * weights // 9,
        "a 3×3 kernel has 9 weights, not 3": parameters - 2 * weights // 3,
    }
    of_products = {
        "a 3×3 kernel has 9 weights for each pair of channels": products // 9,
        "a 3×3 kernel has 9 weights, not 3": products // 3,
        "you count additions, too, as a FLOP counter does": 2 * products,
        "each stage computes everything again, T multiplies": products / stages,
        "a bias is added, not multiplied": parameters * uses,
        "a picture need not be square, it has H·W pixels": products / width * height,
        "each weight is used at each pixel, H·W times": products / height / width,
        three: products - 27 * channels * uses,
        one: products - blocks * square * uses,
        single: products - 2 * (blocks - 1) * square * uses,
    }
    named = ("parameters", parameters, of_parameters), ("multiplications", products, of_products)
    return list(named)


# ---------------------------------------------------------------------------- when the loop rests


SLOW = 0.8  # of the way that is left, so much is left after another stage


class Stage:
    """A stage whose path is known: it moves a draft towards 1 - O, and counts its calls."""

    def __init__(self, most: int) -> None:
        self.most, self.calls = most, 0

    def __call__(self, rainy: Tensor, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls > self.most:
            raise RuntimeError("the loop ran for more than `limit` stages")
        return (1 - rainy) + SLOW * (x - (1 - rainy))


def _path(rainy: Tensor, limit: int) -> Tensor:
    """Return where :class:`Stage` leads: x_0 to x_limit, (limit + 1, 1, 3, H, W)."""
    return torch.stack([(1 - rainy) + SLOW**t * (2 * rainy - 1) for t in range(limit + 1)])


def _swapped(rainy: Tensor, limit: int) -> Tensor:
    """Return the path of a loop that gives :class:`Stage` its two pictures the wrong way round."""
    stage, path = Stage(most=limit), [rainy]
    for _ in range(limit):
        path.append(stage(path[-1], rainy))
    return torch.stack(path)


def _first_quiet(changes: Tensor, threshold: float) -> int:
    """Return the first stage whose change (T,) is below the threshold, else the last one."""
    quiet = (changes < threshold).tolist()
    return quiet.index(True) + 1 if True in quiet else len(quiet)


def _grey(value: float) -> Tensor:
    return torch.full((1, 3, 2, 3), value, dtype=torch.float64)


def _spots() -> Tensor:
    """Return a picture on which each way to measure a change stops at another stage.

    Most values change a little, four of 24 by much, and two by as much downwards.
    """
    picture = torch.full((24,), 0.45, dtype=torch.float64)
    picture[:4], picture[4:6] = 0, 1
    return picture.view(1, 3, 2, 4)


@checker("04.3")
def check_run_to_rest(answer: Callable[..., Any]) -> None:
    """Try ``run_to_rest(stage, rainy, threshold, limit)`` on a stage whose path is known."""
    for rainy, threshold, limit, words in (
        (_spots(), 0.01, 30, "grey 0.45 with four black and two white values"),
        (_grey(0.2), 1.0, 7, "a grey picture of 0.2"),
        (_grey(0.8), 0.001, 2, "a grey picture of 0.8"),
        (_grey(0.9), 0.08, 9, "a grey picture of 0.9"),
    ):
        words = f"{words}, threshold {threshold}, limit {limit}"
        stage = Stage(most=limit)
        got = _rested(answer, stage, rainy, threshold, limit)
        x, used = pair_of(got, "the picture and the number of stages")
        truth = _check_used(used, rainy, threshold, limit, words)
        path = _path(rainy, limit)
        mistakes = {
            "what the quiet stage made is the result: you threw it away": path[truth - 1],
            "you returned the rainy picture": rainy,
        }
        expect_close(x, path[truth], "the picture", mistakes=mistakes, example=words)
        expect(
            stage.calls <= truth,
            f"the picture is at rest after {truth} stages, and you ran the stage {stage.calls} "
            f"times: stop there (for {words})",
        )


def _rested(
    answer: Callable[..., Any], stage: Stage, rainy: Tensor, threshold: float, limit: int
) -> Any:
    """Call the answer; say what is wrong if it asks a whole picture, or ends without a result."""
    try:
        return attempt(answer, stage, rainy, threshold, limit)
    except Wrong as reason:
        if "returned nothing" in str(reason) and limit < 3:  # the one case that is never quiet
            raise Wrong(
                "your function returned nothing (None): if no stage is quiet, return the last "
                "draft and the limit"
            ) from None
        if "ambiguous" not in str(reason):
            raise
        raise Wrong(
            "you compare a whole picture with the threshold: one number has to be small, the mean "
            "of |x_t - x_{t-1}| over all its values"
        ) from None


def _check_used(used: Any, rainy: Tensor, threshold: float, limit: int, words: str) -> int:
    """Compare the number of stages; return the right one."""
    change = _path(rainy, limit).diff(dim=0).flatten(1)  # (limit, 3·H·W)
    mean, square = "and the mean of |change| is asked for", change.square().mean(dim=1)
    truth = _first_quiet(change.abs().mean(dim=1), threshold)
    measures = {
        "plus and minus cancel in your mean: abs comes first": change.mean(dim=1).abs(),
        f"you take the largest change, {mean}": change.abs().amax(dim=1),
        f"you take the sum of the change, {mean}": change.abs().sum(dim=1),
        f"you take the mean square, {mean}": square,
        f"you take the root of the mean square, {mean}": square.sqrt(),
    }
    mistakes = {text: _first_quiet(values, threshold) for text, values in measures.items()}
    mistakes["stage(rainy, x) takes the rainy picture first, then the draft"] = _first_quiet(
        _swapped(rainy, limit).diff(dim=0).flatten(1).abs().mean(dim=1), threshold
    )
    mistakes["the quiet stage was run, so it counts as used"] = truth - 1
    mistakes["you count one stage too many"] = truth + 1
    mistakes["you stop after stage 1: is your change always 0? Keep the draft before it"] = 1
    mistakes["you run to the limit: compare each draft with the one before it, not with O"] = limit
    expect_close(used, truth, "the number of stages", mistakes=mistakes, example=words)
    return truth
