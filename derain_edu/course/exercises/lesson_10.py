"""The exercises of lesson 10: direction weights, idle tensors, idle parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from derain_edu.course.exercises.checking import Wrong, checker, expect, expect_close, hinted, show
from derain_edu.language import local

# -- 10.1 -----------------------------------------------------------------------------------------

_WEIGH_HINTS = {
    "must match the size of tensor": "tensors are lined up from their last axis, and your weights "
    "met the channels: (B, 4, H, W) has to become (B, 4, 1, H, W). Multiply before you flatten",
}
_ANY = (
    "a tensor holds many numbers, and `if` wants one: `t.any()` says whether any of them is not 0"
)


@checker("10.1")
def check_weighted(answer: Callable[..., Any]) -> None:
    """Try ``weigh(swept, scores)`` on one pixel, and where a wrong axis raises no error."""
    cases = [(torch.arange(1.0, 9).view(1, 4, 2, 1, 1), torch.zeros(1, 4, 1, 1))]
    cases.append((cases[0][0], torch.tensor([0.0, 100, -100, 0]).view(1, 4, 1, 1)))
    for batch, channels in ((1, 4), (4, 4), (2, 3)):
        cases.append((torch.randn(batch, 4, channels, 4, 5), torch.randn(batch, 4, 4, 5)))
    for swept, scores in cases:
        weights = scores.double().sigmoid()[:, :, None]  # (B, 4, 1, H, W)
        product = swept * weights
        truth = product.flatten(1, 2)
        turned = weights[:, :, 0].repeat(1, swept.shape[2], 1, 1)  # 4 directions, again and again
        mistakes = {
            "the weights did nothing: a line such as `swept.mul(w)` makes a new tensor, and drops "
            "it unless you keep it": swept.flatten(1, 2),
            "the sigmoid is missing: scores can be any number, weights lie between 0 and 1":
                (swept * scores[:, :, None]).flatten(1, 2),
            "a softmax makes the four directions share one weight; here each has its own, a "
            "sigmoid": (swept * scores.softmax(dim=1)[:, :, None]).flatten(1, 2),
            "the channels stand in the wrong order: all channels of up first, then all of right, "
            "and so on": (swept * weights).transpose(1, 2).flatten(1, 2),
            "the sigmoid went over the product: it makes weights out of scores":
                (swept * scores[:, :, None]).sigmoid().flatten(1, 2),
            "the four sweeps should stand side by side, (B, 4C, H, W); you added them up":
                product.sum(dim=1),
            "each direction has one weight for all of its channels; `repeat` gives the first four "
            "channels four different ones": swept.flatten(1, 2) * turned,
        }
        if swept.shape[2] == swept.shape[3]:  # then a wrong axis raises no error
            mistakes |= {
                "your weights met the rows: (B, 4, H, W) has to become (B, 4, 1, H, W)":
                    (swept * weights.transpose(2, 3)).flatten(1, 2),
            }
        if len(swept) == swept.shape[2]:
            mistakes |= {
                "the first axis of a weight (B, H, W) is the batch, but it met the channels: make "
                "it (B, 1, H, W)": (swept * weights[:, :, 0].transpose(0, 1)).flatten(1, 2),
            }
        example = f"swept of shape {tuple(swept.shape)}"
        if swept.numel() == 8:
            example = f"swept = {show(swept.view(4, 2))}, scores = {show(scores.flatten())}"
        got = hinted(answer, _WEIGH_HINTS, swept, scores)
        if isinstance(got, Tensor) and got.shape != truth.shape and got.numel() == truth.numel():
            mistakes |= {
                "the numbers are right: flatten(1, 2) puts directions and channels into one axis, "
                "and returns a new tensor": product.reshape(got.shape),
            }
        expect_close(got, truth, "the result", mistakes=mistakes, example=example)


# -- 10.2 -----------------------------------------------------------------------------------------

# The gradient of four weights in each of three steps; None: no gradient at all.
_ARRIVES = {
    "all": [1.0, -2.0, 0.5, 1.0],
    "some": [0.0, 1.0, 0.0, 0.0],  # a ReLU cuts the rest
    "tiny": [1e-9, 0.0, 0.0, 0.0],
    "zeros": [0.0, 0.0, 0.0, 0.0],
    "nothing": None,
    "cancelled": [1.0, 1.0, 1.0, 1.0],  # and then as much of the other sign
}
_NETWORKS = [
    {"head": "all", "branch": "zeros", "tail": "all"},
    {"frozen": "nothing", "head": "some", "unused": "zeros", "stopped": "nothing",
     "deep": "tiny", "gate": "zeros", "late": "all"},
    {"head": "all", "cancelled": "cancelled", "frozen": "nothing"},
]


def checkpoint_of(network: dict[str, str]) -> tuple[list[str], dict[str, Any]]:
    """Return the names of a network's tensors and what Adam keeps of them after three steps."""
    state = {}
    for k, kind in enumerate(network.values()):
        if _ARRIVES[kind] is not None:
            gradient = torch.tensor(_ARRIVES[kind])
            mean = 0 if kind == "cancelled" else 1 - 0.9**3
            state[k] = {
                "step": torch.tensor(3.0),
                "exp_avg": mean * gradient,
                "exp_avg_sq": (1 - 0.999**3) * gradient**2,
            }
    groups = [{"lr": 1e-3, "betas": (0.9, 0.999), "params": list(range(len(network)))}]
    return list(network), {"state": state, "param_groups": groups}


_RECORD_HINTS = {
    "KeyError": 'the keys of `optimizer["state"]` are places, 0, 1, …, not names, and not every '
    "tensor has a record: go through .items()",
    "is ambiguous": _ANY,
}


def _named(name: str, reason: str, names: Iterable[str]) -> str:
    """Say of one of these names what is wrong, in the reader's language."""
    among = local("(of {names})").replace("{names}", ", ".join(names))
    return f"{name!r} {local(reason)} {among}"


@checker("10.2")
def check_idle(answer: Callable[..., Any]) -> None:
    """Try ``idle_tensors(names, optimizer)`` on what Adam keeps of three small networks."""
    why = {
        "nothing": "has no record: it was frozen or its gradient was None, which is another story. "
                   "An idle tensor has a record, of zeros",
        "some": "is idle in some of its weights only: ask whether *any* number in its means is "
                "not 0",
        "tiny": "got a gradient, a tiny one: ask for exactly 0",
        "cancelled": "has a mean of squares above 0: gradients came, and cancelled each other. "
                     "Look at both means",
        "all": "was trained: its means are not 0",
    }
    for network in _NETWORKS:
        names, optimizer = checkpoint_of(network)
        found = hinted(answer, _RECORD_HINTS, names, optimizer)
        good = isinstance(found, list | tuple | set) and all(name in names for name in found)
        expect(good, f"return a list of names out of {names}, not {found!r}")
        expect(len(set(found)) == len(found), f"a name stands twice in {found!r}")
        records = [kind for kind in network.values() if _ARRIVES[kind] is not None]
        shifted = {name for name, kind in zip(names, records, strict=False) if kind == "zeros"}
        right = {name for name, kind in network.items() if kind == "zeros"}
        expect(shifted == right or set(found) != shifted, f"the names moved: the number in `state` "
               f"is the place in `names`, and tensors without a record leave gaps. Yours are "
               f"{sorted(found)} (of {', '.join(names)})")
        for name in found:
            kind = network[name]
            if kind != "zeros":
                raise Wrong(_named(name, why[kind], names))
        for name in sorted(right):
            missed = "is missing: it has a record, and both means are 0 in all places"
            expect(name in found, _named(name, missed, names))


# -- 10.3 -----------------------------------------------------------------------------------------

# What arrives at four weights in the backward pass that is asked for; None: they are not used.
_GRADIENTS = {
    "used": [1.0, -2.0, 0.5, 1.0],
    "used before, too": [1.0, -2.0, 0.5, 1.0],
    "some": [0.0, 1.0, 0.0, 0.0],
    "cancels": [1.0, -1.0, 2.0, -2.0],
    "tiny": [1e-9, 0.0, 0.0, 0.0],
    "zeros": [0.0, 0.0, 0.0, 0.0],
    "unused": None,
    "used before": None,
    "frozen": None,
}
_IDLE = ("zeros", "unused", "used before")
_MODELS = [
    {"main": "used", "branch": "unused"},
    {"head": "used", "gate": "zeros", "frozen": "frozen", "tail": "some"},
    {"deep": "tiny", "main": "cancels", "unused": "unused"},
    {"main": "used before, too", "branch": "used before"},
]
_WHY_NOT = {
    "used": "was used, and a gradient came",
    "used before, too": "was used, and a gradient came. An earlier backward left one in `.grad`, "
                        "and the two add up to 0: clear the gradients first, `model.zero_grad()`",
    "some": "has a gradient that is 0 in some places only: ask whether *any* number is not 0",
    "cancels": "has gradients of both signs, whose sum is 0: look at each number, not at the sum",
    "tiny": "got a gradient, a tiny one: ask for exactly 0",
    "frozen": "is frozen: its `requires_grad` is False, so it wants no gradient",
}
_WHY = {
    "zeros": "is missing: it got a gradient, but all of it is 0, which teaches as little as none",
    "unused": "is missing: nothing uses it, so its `.grad` is None",
    "used before": "is missing: its `.grad` is what an *earlier* backward left there: clear the "
                   "gradients first, `model.zero_grad()`",
}


def network_of(kinds: dict[str, str]) -> tuple[nn.Module, Tensor]:
    """Return a network with four weights per name, and a loss that sends back what is asked."""
    model, loss = nn.Module(), torch.zeros((), requires_grad=True)
    for name, kind in kinds.items():
        weights = nn.Parameter(torch.ones(4), requires_grad=kind != "frozen")
        model.register_parameter(name, weights)
        if kind.startswith("used before"):
            weights.grad = -torch.tensor(_GRADIENTS["used"])
        if _GRADIENTS[kind] is not None:
            loss = loss + (torch.tensor(_GRADIENTS[kind]) * weights).sum()
    return model, loss


_NO_GRADIENT = (
    "a parameter that nothing uses has no gradient: its `.grad` is None, not a tensor. Ask for "
    "None first"
)
_GRADIENT_HINTS = {
    "'NoneType' object is not iterable": "`loss.backward()` returns nothing: it leaves the "
    "gradients in `p.grad`",
    "has no attribute 'zero_grad'": "the gradients lie in the model: model.zero_grad()",
    "NoneType": _NO_GRADIENT, "'bool' object": _NO_GRADIENT, "(bool)": _NO_GRADIENT,
    "not bool": _NO_GRADIENT, "is ambiguous": _ANY,
    "'tuple' object": "`model.named_parameters()` gives pairs: a name and a parameter",
}


@checker("10.3")
def check_idle_parameters(answer: Callable[..., Any]) -> None:
    """Try ``idle_parameters(model, loss)`` on four small networks."""
    for kinds in _MODELS:
        test = partial(answer, *network_of(kinds))  # no copies: a copied loss loses its graph
        found = hinted(test, _GRADIENT_HINTS)
        good = isinstance(found, list | tuple | set) and all(isinstance(n, str) for n in found)
        expect(good and set(found) <= set(kinds), f"return a list of names out of {list(kinds)}")
        wanting = {name for name, kind in kinds.items() if kind != "frozen"}
        expect(set(found) != wanting or kinds != _MODELS[0], "you named every parameter, also "
               "those that are used: call `loss.backward()` before you look, and clear the "
               "gradients before it, not after it")
        for name in found:
            if kinds[name] not in _IDLE:
                raise Wrong(_named(name, _WHY_NOT[kinds[name]], kinds))
        for name, kind in kinds.items():
            if kind in _IDLE:
                expect(name in found, _named(name, _WHY[kind], kinds))
