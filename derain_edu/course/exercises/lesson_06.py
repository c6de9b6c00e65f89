"""The exercises of lesson 06: a step of a ConvLSTM, what stays of a memory, a memory emptied."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from derain_edu.course.exercises.checking import (
    attempt,
    checker,
    expect,
    expect_close,
    hinted,
    show,
)
from derain_edu.language import local
from derain_edu.models.blocks import ConvLSTM
from derain_edu.models.prn import PRN, PRNConfig

# ------------------------------------------------------------------------------------ an LSTM step


class Gates(nn.Module):
    """The convolution of the four gates; it says what it expects."""

    def __init__(self, conv: nn.Module, inputs: int) -> None:
        super().__init__()
        self.conv, self.inputs = conv, inputs

    def forward(self, both: Tensor) -> Tensor:
        if both.ndim != 4 or both.shape[1] != self.inputs:
            raise ValueError(
                f"the convolution takes (B, {self.inputs}, H, W), z and h side by side along dim "
                f"1, and it got {tuple(both.shape)}"
            )
        return self.conv(both)


def _one_pixel() -> tuple[ConvLSTM, Tensor]:
    """Return a memory of one channel whose gates see ``raw`` at z = 1 and h = 2, and z, h, c."""
    memory = ConvLSTM(1)
    nn.init.zeros_(memory.gate_conv.weight)
    memory.gate_conv.weight.data[:, 0, 1, 1] = torch.tensor([0.5, 2.0, 1.0, -1.0])
    nn.init.zeros_(memory.gate_conv.bias)
    return memory, torch.tensor([1.0, 2.0, 0.4]).view(3, 1, 1, 1, 1)


_STEP_HINTS = {
    "must be tuple of Tensors": "`torch.cat` takes one tuple: torch.cat((z, h), dim=1)",
    "takes 2 positional arguments but 3":
    "`conv` takes one tensor: put z and h side by side with `torch.cat`",
    "not enough values to unpack":
    "four parts along the channels are chunk(4, dim=1); without `dim` it cuts the batch, and "
    "split(4) makes parts of four channels",
    "batch2 tensor": "a gate multiplies number by number: that is *, and @ is a matrix product",
}


@checker("06.1")
def check_lstm_step(answer: Callable[..., Any]) -> None:
    """Try ``lstm_step(conv, z, h, c)`` against the package's cell, then its way back."""
    first = "one pixel, conv(cat(z, h)) = [0.5, 2, 1, -1], c = 0.4"
    random = ConvLSTM(3)
    cases = [(*_one_pixel(), first), (random, torch.randn(3, 2, 3, 4, 5), "random, C = 3")]
    for memory, (z, h, c), words in cases:
        conv = Gates(memory.gate_conv, 2 * z.shape[1])
        got = hinted(answer, _STEP_HINTS, conv, z, h, c)
        two = isinstance(got, tuple | list) and [isinstance(x, Tensor) for x in got] == [True] * 2
        expect(two, f"return two tensors, the new h and the new c, not {type(got).__name__}")
        _, truth = memory(z, (h, c))
        wrong = _wrong_steps(memory, z, h, c)
        for place, name in ((1, "the new c"), (0, "the new h")):
            mistakes = {reason: pair[place] for reason, pair in wrong.items()}
            expect_close(got[place], truth[place], name, mistakes=mistakes, example=words)
    _check_way_back(answer, random, torch.randn(3, 2, 3, 4, 5))


def _wrong_steps(
    memory: ConvLSTM, z: Tensor, h: Tensor, c: Tensor
) -> dict[str, tuple[Tensor, Tensor]]:
    raw = memory.gate_conv(torch.cat((z, h), dim=1))
    i, f, g, o = memory.gates(z, h)
    i_raw, f_raw, g_raw, o_raw = raw.chunk(4, dim=1)
    new = f * c + i * g

    def end(c: Tensor, o: Tensor = o) -> tuple[Tensor, Tensor]:
        return o * torch.tanh(c), c

    swapped = memory(h, (z, c))[1]
    return {
        "the two results are swapped: first h, then c": end(new)[::-1],
        "the channels of the gates come in the order i, f, g, o, and you took i, f, o, g": (
            end(f * c + i * o_raw.tanh(), g_raw.sigmoid())
        ),
        "f (forget) belongs to the old c and i (write) to g, and you exchanged them": (
            end(i * c + f * g)
        ),
        "g is not a gate but what may be written: tanh, not a sigmoid": end(
            f * c + i * g_raw.sigmoid()
        ),
        "the gates i, f and o are sigmoids": end(f_raw * c + i_raw * g, o_raw),
        "g goes through a tanh first": end(f * c + i * g_raw),
        "h shows tanh(c), and you left out the tanh": (o * new, new),
        "h shows the new c, and you took the old one": (o * torch.tanh(c), new),
        "the forget gate f is a gate of its own, not 1 - i": end((1 - i) * c + i * g),
        "the write gate i is a gate of its own, not 1 - f": end(f * c + (1 - f) * g),
        "the old c is multiplied by the forget gate f": end(c + i * g),
        "f = 1 keeps everything: f · c, not (1 - f) · c": end((1 - f) * c + i * g),
        "c itself meets no tanh, only what h shows of it": (o * new.tanh(), new.tanh()),
        "the old c counts, too: f · c": end(i * g),
        "what is written is i · g, and you left out the gate": end(f * c + g),
        "the convolution wants z first and h second": swapped,
        "the memory is c: the old h only helps to set the gates": end(f * h + i * g),
    }


def _check_way_back(answer: Callable[..., Any], memory: ConvLSTM, values: Tensor) -> None:
    """Compare the gradients that come back to z, h and c: a detached memory has none."""
    conv = Gates(memory.gate_conv, 2 * values.shape[2])
    leaves = [value.clone().requires_grad_() for value in values]
    marks = torch.randn(2, *values.shape[1:])

    def back(pair: Sequence[Tensor]) -> list[Tensor | None]:
        end = sum((mark * result).sum() for mark, result in zip(marks, pair, strict=True))
        if not end.requires_grad:
            return [None] * 3
        return list(torch.autograd.grad(end, leaves, allow_unused=True))

    got = back(attempt(lambda: answer(conv, *leaves)))
    truth = back(memory(leaves[0], (leaves[1], leaves[2]))[1])
    for name, found, want in zip("zhc", got, truth, strict=True):
        cut = f"h and c are right, but no gradient comes back to {name}: is it cut off (detach)?"
        expect(found is not None, f"{cut} Training needs this road (section 5)")
        what = f"h and c are right, but the gradient that comes back to {name}"
        expect_close(found, want, what, example=f"random, {show(values[0])} each")


# ------------------------------------------------------------------------------------- what stays


def _left(forget: Tensor) -> Tensor:
    """Pour 1 into the pipe at each stage in turn, and look what is there after the last one."""
    parts = []
    for written in range(len(forget)):
        c = torch.zeros_like(forget[0])
        for t in range(len(forget)):
            c = forget[t] * c + (t == written)
        parts.append(c)
    return torch.stack(parts)


_STAYS_HINTS = {
    "expected Tensor as element":
    "`torch.stack` takes tensors only: for the last stage a 1 in the shape of a gate, "
    "torch.ones_like(forget[0])",
    "the number of sizes provided":
    "forget may have more axes than one: the result has its shape, torch.zeros_like(forget)",
}


@checker("06.2")
def check_what_stays(answer: Callable[..., Any]) -> None:
    """Try ``what_stays(forget)`` on pipes of one number, on a closed one, and on maps."""
    for forget in (
        torch.tensor([0.9, 0.5, 0.2]),
        torch.tensor([0.5, 0.8, 0.0, 0.4]),
        torch.tensor([0.3]),
        torch.rand(4, 2, 3),
    ):
        got = hinted(answer, _STAYS_HINTS, forget)
        if isinstance(got, list | tuple) and got and all(isinstance(p, Tensor) for p in got):
            expect(len({part.shape for part in got}) == 1, "all parts have the same shape")
            got = torch.stack(list(got))
        truth = _left(forget)
        expect_close(got, truth, "what stays", mistakes=_wrong_parts(forget, truth),
                     example=f"forget = {show(forget)}")


def _wrong_parts(forget: Tensor, truth: Tensor) -> dict[str, Tensor]:
    stages = range(len(forget))
    wrong = {
        "a stage's own forget gate works on what was there before: begin with the next one": [
            forget[k:].prod(dim=0) for k in stages
        ],
        "you took the gates before the stage; what it wrote meets the later ones": [
            forget[:k].prod(dim=0) for k in stages
        ],
        "you took the gates up to the stage; what it wrote meets the later ones": [
            forget[: k + 1].prod(dim=0) for k in stages
        ],
        "the gate f says what stays, not what is forgotten: not 1 - f": [
            (1 - forget)[k + 1 :].prod(dim=0) for k in stages
        ],
        "you took one later gate only, and all later stages multiply": [
            *forget[1:], torch.ones_like(forget[0])
        ],
        "gates in a row multiply, and you added them up": [
            forget[k + 1 :].sum(dim=0) for k in stages
        ],
        "one stage has no later gate: nothing takes from what stage T wrote, so it is 1": [
            *truth[:-1], torch.zeros_like(truth[0])
        ],
        "the order is from stage 1 to stage T": list(truth.flip(0)),
        "each stage has its own gate: multiply those of the later stages, no power of one": [
            forget[k] ** (len(forget) - 1 - k) for k in stages
        ],
        "the very next gate counts, too: begin at k + 1": [
            forget[k + 2 :].prod(dim=0) for k in stages
        ],
    }
    found = {reason: torch.stack(list(parts)) for reason, parts in wrong.items()}
    found["that is what stays of stage 1 alone: return a part for each stage"] = truth[0]
    found["all gates together are one product: return a part for each stage"] = forget.prod(dim=0)
    found["the last stage is missing: nothing takes from what it wrote, so it is 1"] = truth[:-1]
    found["channels and pixels were multiplied, too: prod(dim=0) goes over the stages alone"] = (
        torch.stack([forget[k + 1 :].prod() for k in stages])
    )
    return found


# ------------------------------------------------------------------------------ a memory, emptied


class Watched(nn.Module):
    """A small PReNet that says what a stage expects."""

    def __init__(self, stages: int) -> None:
        super().__init__()
        self.network = PRN(PRNConfig(stages=stages, recurrent="lstm", channels=4, blocks=1))
        self.config = SimpleNamespace(stages=stages)

    def stage(self, rainy: Any, x: Any, state: Any) -> tuple[Tensor, tuple[Tensor, ...]]:
        pair = isinstance(state, tuple | list) and len(state) == 2
        if isinstance(x, tuple | list):
            raise ValueError("x is a picture, and it got two things: a stage returns (x, state)")
        if state is not None and not (pair and all(isinstance(p, Tensor) for p in state)):
            raise ValueError("the state is None (empty) or what the stage before returned, (h, c)")
        return self.network.stage(rainy, x, state)


def _run(
    model: Watched, rainy: Tensor, wipe: Collection[int], *, pictures_too: bool = False,
    same_draft: bool = False, only_draft: bool = False, exchanged: bool = False,
) -> Tensor:
    x, state, pictures = rainy, None, []
    for t in range(1, model.config.stages + 1):
        if t in wipe:
            state, x = None, rainy if pictures_too else x
        given = x if only_draft or exchanged else rainy
        x, state = model.stage(given, rainy if same_draft or exchanged else x, state)
        pictures.append(x)
    return torch.stack(pictures)


_WIPES_HINTS = {
    "missing 1 required positional argument":
    "a stage takes three things: model.stage(rainy, x, state)",
    "has no attribute 'stages'": "the number of stages is model.config.stages",
}


@checker("06.3")
def check_with_wipes(answer: Callable[..., Any]) -> None:
    """Try ``with_wipes(model, rainy, wipe)`` on small networks with random weights."""
    rainy = torch.rand(1, 3, 6, 5)
    for stages, wipe in ((4, {3}), (4, set()), (3, {1, 2, 3}), (5, {2, 5})):
        model = Watched(stages)
        with torch.no_grad():
            for weight in model.parameters():
                weight.mul_(3)  # a fresh memory says little: make it louder
            got = hinted(answer, _WIPES_HINTS, model, rainy, wipe)
            example = f"T = {stages}, wipe = {wipe or '{}'}"
            alone = isinstance(got, Tensor) and got.ndim == 4
            expect(not alone, "return the list of the pictures after all stages, not one picture")
            several = isinstance(got, list | tuple) or (isinstance(got, Tensor) and got.ndim == 5)
            expect(several, f"return a list of pictures, not {type(got).__name__}")
            pictures = all(isinstance(part, Tensor) for part in got)
            expect(pictures, "the list holds pictures alone: model.stage returns (x, state)")
            number = f"the list has {len(got)} pictures, and this network has {stages} stages"
            first = " (the rainy picture is not one of them)" if len(got) == stages + 1 else ""
            rest = local(first) or ": model.config.stages"
            expect(len(got) == stages, local(number) + rest)
            truth, every = _run(model, rainy, wipe), set(range(1, stages + 1))
            mistakes = {
                "the memory was never emptied (`wipe` is a set: `if t in wipe`)": (
                    _run(model, rainy, set())
                ),
                "the memory is empty at every stage: hand the state on": _run(model, rainy, every),
                "you emptied it one stage too late: count from 1, and empty before the stage": (
                    _run(model, rainy, {t + 1 for t in wipe})
                ),
                "once emptied, your memory stays empty: the next stage takes the new state": (
                    _run(model, rainy, {t for t in every if wipe and t >= min(wipe)})
                ),
                "the order is model.stage(rainy, x, state), and you exchanged the first two": (
                    _run(model, rainy, wipe, exchanged=True)
                ),
                "you emptied all the other stages": _run(model, rainy, every - set(wipe)),
                "only the memory is emptied, and you began with the rainy picture again": (
                    _run(model, rainy, wipe, pictures_too=True)
                ),
                "each stage goes on from the picture of the stage before, x": (
                    _run(model, rainy, wipe, same_draft=True)
                ),
                "the first argument of a stage is always the rainy picture": (
                    _run(model, rainy, wipe, only_draft=True)
                ),
            }
            same = {len(part.shape) for part in got}
            expect(same == {4}, "each picture is (B, 3, H, W), as the stage returns it")
            expect_close(torch.stack(list(got)), truth, "the list of pictures", mistakes=mistakes,
                         example=example)
