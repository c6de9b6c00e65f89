"""The exercises of lesson 08: what an ONNX graph says, and what it hides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from derain_edu.exercises.checking import Wrong, attempt, checker, expect

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


@checker("08.1")
def check_frozen_sizes(answer: Callable[[Any], Any]) -> None:
    """Try ``frozen_sizes(graph)`` on four graphs."""
    for words, start, end, frozen in _GRAPHS:
        found = attempt(answer, small_graph(start, end))
        try:
            pairs = sorted((name, axis) for name, axis in found)
        except (TypeError, ValueError):
            raise Wrong(f"return a list of (name, axis), not {found!r}") from None
        graph = f"({words}: input {start}, output {end})"
        for name, axis in pairs:
            expect(axis != 1, f"axis 1 is the three colours: they may be a number {graph}")
            expect((name, axis) in frozen, f"{(name, axis)} is free, it is a name {graph}")
        for name, axis in frozen:
            missed = f"{(name, axis)} is a number, and you did not find it {graph}"
            if name == "derained" and not any(name == "derained" for name, _ in pairs):
                missed += ": did you look at the outputs, too?"
            expect((name, axis) in pairs, missed)
