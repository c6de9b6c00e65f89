"""The exercises of lesson 15: operations, frozen sizes, a parity test, a file's contract."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from derain_edu.course.exercises.checking import (
    Wrong,
    attempt,
    checker,
    expect,
    expect_close,
    hinted,
    show,
)
from derain_edu.language import local

Network = Callable[[Tensor], Tensor]

_FREE = ["batch", 3, "height", "width"]
# what the graph is, sizes of its input and its output, what is frozen in it
_GRAPHS = [
    ("all sizes are free", _FREE, _FREE, []),
    ("the width froze", ["b", 3, "h", 19], ["b", 3, "h", 19], [("rainy", 3), ("derained", 3)]),
    ("batch and height froze at 3", [3, 3, 3, "w"], _FREE, [("rainy", 0), ("rainy", 2)]),
    ("only the output froze", _FREE, ["b", 3, "h", 19], [("derained", 3)]),
]


def small_graph(start: list[Any], end: list[Any]) -> Any:
    """Return a graph of one node with these sizes: an input ``rainy``, an output ``derained``."""
    from onnx import TensorProto, helper

    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, size)
        for name, size in (("rainy", start), ("derained", end))
    ]
    node = helper.make_node("Relu", ["rainy"], ["derained"])
    return helper.make_graph([node], "small", values[:1], values[1:])


_IN_A_GRAPH = {
    "KeyError": "the first node of a kind finds no count to add to: counts.get(kind, 0) is 0 there",
    "AttributeError": "a graph has .node, without an s, and each node has .op_type",
}
_IN_AN_ENTRY = {
    "AttributeError": "a graph has .input and .output, an entry has .name, and sizes(entry) gives "
                      "its sizes",
}  # fmt: skip


@checker("15.1")
def check_operations(answer: Callable[[Any], Any]) -> None:
    """Try ``operations(graph)`` on three graphs whose nodes also have names."""
    from onnx import helper

    for text in ("Relu", "Mul Add Relu", "Conv Relu Conv Add Relu Conv"):
        kinds = text.split()
        nodes = [helper.make_node(kind, ["x"], ["y"], name=f"n{k}") for k, kind in enumerate(kinds)]
        found = hinted(answer, _IN_A_GRAPH, helper.make_graph(nodes, "small", [], []))
        truth = {kind: kinds.count(kind) for kind in kinds}
        graph = f"(nodes: {', '.join(kinds)})"
        expect(isinstance(found, dict), f"return a dict, not {found!r} {graph}")
        expect(not any(str(key).startswith("n") for key in found),
               f"you counted the names of the nodes: take .op_type {graph}")  # fmt: skip
        expect(found != dict.fromkeys(kinds, 1) or found == truth,
               f"you found each operation, and counted it once: add 1 for each node {graph}")
        expect(found == truth, f"yours is {found}, expected {truth} {graph}")


def _pairs(found: Any) -> list[tuple[str, Any]]:
    """Return an answer as a list of (name, axis), or say what it is instead."""
    try:
        pairs = [(name, axis) for name, axis in found]
    except (TypeError, ValueError):
        kind = type(found).__name__
        raise Wrong(f"return a list of (name, axis), not {kind} {str(found)[:60]}") from None
    for name, axis in pairs:
        expect(not isinstance(axis, str) or isinstance(name, str),
               f"the name comes first: ({axis!r}, {name!r})")  # fmt: skip
        expect(isinstance(name, str),
               "the first of the two is the name, a string: take value.name")  # fmt: skip
        expect(isinstance(axis, int), f"the second of the two is the axis, 0 to 3, not {axis!r}")
    return pairs


@checker("15.2")
def check_frozen_sizes(answer: Callable[[Any], Any]) -> None:
    """Try ``frozen_sizes(graph)`` on four graphs."""
    for words, start, end, frozen in _GRAPHS:
        found = hinted(answer, _IN_AN_ENTRY, small_graph(start, end))
        graph = f"({local(words)}: input {start}, output {end})"
        pairs = _pairs(found)
        for name, axis in pairs:
            expect(axis in range(4), f"{(name, axis)}: {axis} is the size; give the axis that has "
                   f"it, 0 for the batch to 3 for the width {graph}")  # fmt: skip
            expect(axis != 1, f"axis 1 is the three colours: they may be a number {graph}")
            expect((name, axis) in frozen, f"{(name, axis)} is free, it is a name {graph}")
        for name, axis in frozen:
            missed = local(f"{(name, axis)} is a number, and you did not find it {graph}")
            if name == "derained" and not any(name == "derained" for name, _ in pairs):
                missed += local(": did you look at the outputs, too?")
            expect((name, axis) in pairs, missed)


# ------------------------------------------------------------------------------- 15.3, parity

EXAMPLE = (2, 3, 5, 6)  # the picture of the export
LEVEL = 1 / 255


class Heard:
    """A network that keeps the pictures it was given."""

    def __init__(self, forward: Network) -> None:
        self.forward = forward
        self.pictures: list[Tensor] = []

    def __call__(self, rainy: Tensor) -> Tensor:
        self.pictures.append(rainy.detach().clone())
        return self.forward(rainy)


def _one_value(picture: int, levels: float) -> Network:
    """Return a network that moves one value of one picture: its last column of its last row."""

    def forward(x: Tensor) -> Tensor:
        y = x.clone()
        y[picture, -1, -1, -1] += levels * LEVEL
        return y

    return forward


def _narrow(x: Tensor) -> Tensor:
    return x + 4 * LEVEL if x.shape[-1] < 5 else x


def _tall(x: Tensor) -> Tensor:
    return x + 4 * LEVEL if x.shape[-2] > 8 else x


def _no_number(x: Tensor) -> Tensor:
    return torch.where(x == x.amax(), torch.nan, x)


_EACH = "go through all shapes, and keep the largest difference"
_ABS = "too small is as wrong as too large: .abs()"
_FIRST, _LAST = [(1, 3, 9, 4), (3, 3, 2, 2), EXAMPLE], [EXAMPLE, (2, 3, 9, 6), (1, 3, 5, 3)]
# the file's mistake, the file, the network, shapes, levels apart, why an answer is too small
_FILES: list[tuple[str, Network, Network, list[tuple[int, ...]], float, str]] = [
    ("without a mistake", lambda x: x, lambda x: x, _LAST, 0, ""),
    ("with one value 3.3 levels too large", _one_value(0, 3.3), lambda x: x, [EXAMPLE], 3.3, _ABS),
    ("with one value of the second picture 3 levels too large", _one_value(1, 3), lambda x: x,
     [EXAMPLE], 3, "look at all pictures of a batch"),
    ("with one value 3 levels too small", _one_value(-1, -3), lambda x: x, [EXAMPLE], 3, _ABS),
    ("that is 4 levels too bright below 5 columns", _narrow, lambda x: x, _LAST, 4, _EACH),
    ("that is 4 levels too bright above 8 rows", _tall, lambda x: x, _FIRST, 4, _EACH),
    ("that is 2 levels too bright where both give values above 1", lambda x: x + 1 + 2 * LEVEL,
     lambda x: x + 1, [EXAMPLE], 2, "compare the values as they are, without a clamp"),
]  # fmt: skip


@checker("15.3")
def check_levels_apart(answer: Callable[[Network, Network, Sequence[Any]], Any]) -> None:
    """Try ``levels_apart(model, network, shapes)`` on files with a mistake of a known size."""
    for words, wrong, right, shapes, levels, reason in _FILES:
        found = _compared(answer, right, wrong, shapes)
        mistakes = {
            "a grey level is 1/255: multiply the difference by 255": levels * LEVEL,
            "a grey level is 1/255, as white is 255 and not 256": levels * 256 / 255,
            "the largest difference counts, not a mean": levels / math.prod(EXAMPLE),
            "compare the values as they are, without rounding": round(levels),
            reason: found if 0 <= found < levels else -1,
        }
        expect_close(
            found, float(levels), "the largest difference in grey levels", mistakes=mistakes,
            example=f"a file {words}; shapes {shapes}", tolerance=3e-4,
        )  # fmt: skip
    for words, wrong in (
        ("another shape, (B, 3, H, 1)", lambda x: x[..., :1]),
        ("a value that is not a number", _no_number),
    ):
        found = _compared(answer, lambda x: x, wrong, [EXAMPLE, (1, 3, 9, 9)])
        expect(
            found == math.inf,
            f"this file gives {words}, and you return {show(found)}: return infinity, "
            "as no tolerance may let it pass",
        )


def _compared(
    answer: Callable[..., Any], right: Network, wrong: Network, shapes: list[tuple[int, ...]]
) -> float:
    """Call the answer, and look at what it gave the two networks."""
    model, network = Heard(right), Heard(wrong)
    hints = {"is ambiguous": "a question such as isnan gives a tensor of yes and no: .all() or "
                             ".any() makes one answer of it"}  # fmt: skip
    found = hinted(answer, hints, model, network, shapes)
    expect(network.pictures, "you never ran the file: call network(picture)")
    expect(model.pictures, "you never ran the model, so there is nothing to compare with")
    for one in (*model.pictures, *network.pictures):
        expect(
            one.numel() < 2 or one.std() > 0,
            "all values of your picture are equal: it would not show a file that mixes up pixels. "
            "Take torch.rand(shape)",
        )
    same = [torch.equal(a, b) for a, b in zip(model.pictures, network.pictures, strict=False)]
    expect(all(same), "model and file got different pictures: make one, and give it to both")
    try:
        return float(found)
    except (TypeError, ValueError):
        raise Wrong(f"return one number, not {found!r}") from None


# ----------------------------------------------------------------------------- 15.4, contract

Outside = Callable[[np.ndarray], np.ndarray]
_OUTSIDE: list[tuple[str, Outside]] = [
    ("makes all brighter by 1.7 grey levels", lambda x: x + np.float32(1.7 / 255)),
    ("makes all darker by 40.2 grey levels", lambda x: x - np.float32(40.2 / 255)),
    ("gives the picture back", lambda x: x),
]


def _photo(height: int, width: int) -> np.ndarray:
    """Return a photo of mixed bytes, (H, W, 3), with 0 and 255 among them."""
    values = np.linspace(0, 255, height * width * 3).round().astype(np.uint8)
    return np.random.default_rng(height).permutation(values).reshape(height, width, 3)


@checker("15.4")
def check_derain_bytes(answer: Callable[[Outside, np.ndarray], Any]) -> None:
    """Try ``derain_bytes(network, photo)`` with three networks on a wide and a square photo."""
    for words, forward in _OUTSIDE:
        for size in ((2, 4), (3, 3)):
            photo, heard = _photo(*size), []
            before = photo.copy()

            def network(x: Any, forward: Outside = forward, heard: list[Any] = heard) -> Any:
                heard.append(x.copy() if isinstance(x, np.ndarray) else x)
                return forward(x)

            try:
                found = attempt(answer, network, photo)
            except Wrong:  # a wrong input may be why it failed
                for x in heard:
                    _expect_input(x, before)
                raise
            expect(heard, "you never ran the network: call network(x)")
            for x in heard:
                _expect_input(x, before)
            expect(np.array_equal(before, photo), "your function changed the photo: make a new one")
            _expect_picture(found, forward, before, words)


def _expect_input(x: Any, photo: np.ndarray) -> None:
    """Look at what the network was given."""
    kind = type(x).__name__
    expect(isinstance(x, np.ndarray), f"the network was given a {kind}: give a NumPy array")
    height, width, _ = photo.shape
    truth = photo.transpose(2, 0, 1)[None] / 255
    mistakes = {
        "the colours came in the order BGR: the contract says RGB": truth[:, ::-1],
        "the network was given 0 to 255: divide by 255": 255 * truth,
        "white is 255, not 256: divide by 255": truth * 255 / 256,
        "the network was given −1 to 1: it wants 0 to 1": 2 * truth - 1,
        "the colours came last: put them before the rows": truth.transpose(0, 2, 3, 1),
        "the batch is missing: (1, 3, H, W)": truth[0],
        "rows and columns are swapped, so the rain lies": truth.transpose(0, 1, 3, 2),
        "reshape only cuts the numbers up anew, and mixes the colours: move the axis":
            (photo / 255).reshape(1, 3, height, width),
    }  # fmt: skip
    example = f"a photo of shape {photo.shape}"
    expect_close(x, truth, "what the network was given", mistakes=mistakes, example=example)
    expect(
        x.dtype == np.float32,
        f"the network was given {x.dtype}, and ONNX Runtime refuses all but float32",
    )


def _expect_picture(found: Any, forward: Outside, photo: np.ndarray, words: str) -> None:
    """Look at the picture that came back."""
    expect(isinstance(found, np.ndarray), f"return a NumPy array, not a {type(found).__name__}")
    y = 255 * forward(photo / 255)  # (H, W, 3)
    right = y.clip(0, 255).round()
    mistakes = {
        "this is the photo that came in: return what the network gave": photo,
        "you cut off the decimals: round, and make them bytes then": y.clip(0, 255) // 1,
        "what is below 0 or above 255 wrapped around: clamp first": y.round() % 256,
        "what is below 0 or above 255 wrapped around: clamp first, and round":
            np.trunc(y) % 256,
        "the picture should be bytes from 0 to 255": y.clip(0, 255) / 255,
        "the picture should be bytes, and clamped": y / 255,
        "bytes of values from 0 to 1 are 0 or 1: multiply by 255 first": np.trunc(
            (y / 255).clip(0, 1)
        ),
        "values from 0 to 1 were rounded to 0 or 1: multiply by 255 first":
            (y / 255).clip(0, 1).round(),
        "the colours came back as BGR": right[..., ::-1],
        "the colours should come last: (H, W, 3)": right.transpose(2, 0, 1),
        "the batch should go: (H, W, 3)": right[None],
        "rows and columns came back swapped": right.transpose(1, 0, 2),
        "reshape only cuts the numbers up anew: move the axis":
            right.transpose(2, 0, 1).reshape(photo.shape),
    }  # fmt: skip
    example = f"a network that {words}"
    expect_close(found, right, "the picture that comes back", mistakes=mistakes, example=example)
    expect(found.dtype == np.uint8, f"the picture is {found.dtype}: it should be np.uint8")
