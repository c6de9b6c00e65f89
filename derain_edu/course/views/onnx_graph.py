"""What is inside an ONNX file: its operations counted, its weights weighed, its stages drawn.

The pictures and lists of lesson 15. A graph (``onnx.GraphProto``) is a list of nodes in the order
in which they run. A node has an operation, the names of what it reads, and the names of what it
writes; the weights are tensors with a name, too, the *initializers*.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from derain_edu.course.views.plots import COLOURS, new_figure
from derain_edu.errors import DerainError

PICTURE_COLOUR, MEMORY_COLOUR, WEIGHT_COLOUR = COLOURS[1], COLOURS[2], COLOURS[0]

# -- lists ----------------------------------------------------------------------------------------


def count_nodes(graph: Any) -> dict[str, int]:
    """Return how often each operation stands in a graph, the most frequent first."""
    return dict(Counter(node.op_type for node in graph.node).most_common())


def tensor_bytes(tensor: Any) -> int:
    """Return the bytes of the numbers of a stored tensor."""
    from onnx import helper

    kind = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return math.prod(tensor.dims) * np.dtype(kind).itemsize


def stored_tensors(graph: Any) -> dict[str, tuple[tuple[int, ...], int]]:
    """Return shape and bytes of each stored tensor by name, as they stand in the file."""
    return {item.name: (tuple(item.dims), tensor_bytes(item)) for item in graph.initializer}


def node_line(node: Any) -> str:
    """Return a node as one line: ``what it writes = Operation(what it reads)``."""
    return f"{', '.join(node.output)} = {node.op_type}({', '.join(node.input)})"


def run_graph(proto: Any, rainy: Tensor) -> Tensor:
    """Run a graph (an ``onnx.ModelProto``) on pictures, without the checks of ``load_onnx``.

    Whatever ONNX Runtime raises comes out as it is; it prints nothing by itself.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its errors are raised anyway
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {session.get_inputs()[0].name: rainy.numpy()})
    return torch.from_numpy(found)


# -- the stages -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Use:
    """One convolution of a graph.

    Attributes
    ----------
    weight : str
        The stored tensor that it reads, perhaps through a Slice.
    stage : int
        Counted from 1.
    position : int
        Of the node in the graph.
    """

    weight: str
    stage: int
    position: int


def weight_uses(graph: Any) -> list[Use]:
    """Return the convolutions in order. A stage begins where the first weight is used again.

    Raises
    ------
    DerainError
        If no convolution of the graph reads a stored weight.
    """
    source = {item.name: item.name for item in graph.initializer}
    uses: list[Use] = []
    stage = 0
    for position, node in enumerate(graph.node):
        if node.op_type == "Slice" and node.input[0] in source:  # a part of a weight
            source[node.output[0]] = source[node.input[0]]
        if node.op_type != "Conv" or node.input[1] not in source:
            continue
        weight = source[node.input[1]]
        if not uses or weight == uses[0].weight:
            stage += 1
        uses.append(Use(weight, stage, position))
    if not uses:
        raise DerainError("no convolution of this graph reads a stored weight: give a float file")
    return uses


def carried_over(graph: Any, stage: int) -> list[str]:
    """Return the tensors that are made up to ``stage`` and read after it, without the input."""
    uses = weight_uses(graph)
    border = min((u.position for u in uses if u.stage == stage + 1), default=len(graph.node))
    made = {name for node in graph.node[:border] for name in node.output}
    read = [name for node in graph.node[border:] for name in node.input if name in made]
    return list(dict.fromkeys(read))


def draw_stages(graph: Any, names: Mapping[str, str] | None = None) -> Figure:
    """Draw an unrolled network: a row per stored weight, a column per stage, a dot per use.

    The bar of a row says how large the weight is in the file. Arrows are the tensors that one
    stage hands to the next, from the last convolution before them to the first one behind them.
    A ring is a weight that a stage does not use. For networks whose stages share all weights.

    Parameters
    ----------
    graph : onnx.GraphProto
    names : dict, optional
        What to call a weight in the picture. Default: its name without ``.weight``.
    """
    uses = weight_uses(graph)
    shapes = stored_tensors(graph)
    rows = {weight: k for k, weight in enumerate(_in_order(graph, uses))}
    last = max(use.stage for use in uses)
    figure, axes = new_figure(
        1, 2, width=10, height=1.2 + 0.3 * len(rows), sharey=True, width_ratios=(1, 3)
    )
    bars, dots = axes[0]
    sizes = [shapes[weight][1] / 1000 for weight in rows]
    bars.barh(range(len(rows)), sizes, color=WEIGHT_COLOUR, height=0.6)
    labels = [(names or {}).get(weight, weight.removesuffix(".weight")) for weight in rows]
    bars.set_yticks(range(len(rows)), labels, fontsize=8)
    bars.set(xlabel="stored once: kB in the file", ylim=(len(rows) - 0.4, -0.6))
    used = {(use.stage, rows[use.weight]) for use in uses}
    for row in rows.values():
        dots.axhline(row, color=WEIGHT_COLOUR, alpha=0.25, linewidth=1, zorder=0)
        for stage in range(1, last + 1):
            full = (stage, row) in used
            dots.plot(
                stage, row, "o", color=WEIGHT_COLOUR, markersize=8, alpha=1 if full else 0.5,
                markerfacecolor=WEIGHT_COLOUR if full else "white",
            )  # fmt: skip
    for stage in range(1, last):
        for start, end in _arrows(graph, uses, stage):
            picture = rows[end.weight] == 0
            dots.annotate(
                "", (end.stage - 0.06, rows[end.weight]), (start.stage + 0.06, rows[start.weight]),
                arrowprops={
                    "arrowstyle": "->", "color": PICTURE_COLOUR if picture else MEMORY_COLOUR,
                    "linewidth": 1.6,
                },
            )  # fmt: skip
    dots.set_xticks(range(1, last + 1), [f"stage {k}" for k in range(1, last + 1)])
    dots.set(xlim=(0.6, last + 0.4), xlabel="orange: the picture; green: the memory")
    dots.spines["left"].set_visible(False)
    dots.tick_params(axis="y", length=0)
    return figure


def _in_order(graph: Any, uses: list[Use]) -> list[str]:
    """Return the weights that are used, as the file lists them."""
    used = {use.weight for use in uses}
    return [item.name for item in graph.initializer if item.name in used]


def _arrows(graph: Any, uses: list[Use], stage: int) -> list[tuple[Use, Use]]:
    """Return from where to where each tensor goes that a stage hands to the next one."""
    pairs = []
    for name in carried_over(graph, stage):
        made = next(k for k, node in enumerate(graph.node) if name in node.output)
        start = [use for use in uses if use.position <= made and use.stage <= stage]
        border = [use for use in uses if use.stage == stage + 1][0].position
        read = next(k for k, node in enumerate(graph.node) if k >= border and name in node.input)
        pairs.append((start[-1], next(use for use in uses if use.position >= read)))
    return pairs
