"""What lesson 15 lists and draws of a graph, and the checker of its exercise."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from PIL import Image

import derain_edu as de
from derain_edu.course.exercises.lesson_15 import small_graph
from derain_edu.course.views import onnx_graph as views
from derain_edu.course.views.plots import figure_png
from derain_edu.errors import DerainError


@pytest.fixture(scope="module")
def prenet(tmp_path_factory):
    model = de.create_model("prenet", blocks=1, stages=3)  # the exporter rewrites tiny weights
    path = de.export_onnx(model, tmp_path_factory.mktemp("views") / "prenet.onnx")
    return model, onnx.load(path).graph


def test_nodes_and_tensors_are_counted(prenet):
    model, graph = prenet
    counts = views.count_nodes(graph)
    assert sum(counts.values()) == len(graph.node)
    assert counts["Conv"] == 3 * (1 + 4 + 2 + 1) - 1  # stage 1 has no forget gate
    assert list(counts.values()) == sorted(counts.values(), reverse=True)
    stored = views.stored_tensors(graph)
    assert stored["head.weight"] == ((32, 6, 3, 3), 4 * 32 * 6 * 9)
    floats = [i.name for i in graph.initializer if i.data_type == TensorProto.FLOAT]
    parameters = sum(p.numel() for p in model.parameters())
    assert sum(stored[name][1] for name in floats) == 4 * parameters


@pytest.mark.parametrize("kind", [np.float32, np.int64, np.int8, np.float16])
def test_bytes_of_a_tensor(kind):
    tensor = onnx.numpy_helper.from_array(np.zeros((3, 5), kind))
    assert views.tensor_bytes(tensor) == np.zeros((3, 5), kind).nbytes
    assert views.tensor_bytes(onnx.numpy_helper.from_array(np.array(1, kind))) == kind().nbytes


def test_stages_use_the_same_weights_and_hand_on_three_tensors(prenet):
    _, graph = prenet
    uses = views.weight_uses(graph)
    by_stage = [[u.weight for u in uses if u.stage == k] for k in (1, 2, 3)]
    assert by_stage[1] == by_stage[2] and len(by_stage[1]) == 8
    assert set(by_stage[1]) - set(by_stage[0]) == {"memory.gates.1.weight"}
    assert all(graph.node[u.position].op_type == "Conv" for u in uses)
    assert [len(views.carried_over(graph, k)) for k in (1, 2, 3)] == [3, 3, 0]


def test_the_stages_are_drawn(prenet):
    _, graph = prenet
    figure = views.draw_stages(graph, {"head.weight": "the head"})
    bars, dots = figure.axes
    labels = [text.get_text() for text in bars.get_yticklabels()]
    assert labels[:2] == ["the head", "memory.gates.0"]
    full = [line for line in dots.lines if line.get_marker() == "o"]
    rings = [line for line in full if line.get_markerfacecolor() == "white"]
    assert (len(full), len(rings), len(dots.texts)) == (24, 1, 6)  # 6 arrows
    assert Image.open(BytesIO(figure_png(figure))).width == 1000


def test_a_graph_without_stored_weights_is_a_sentence():
    with pytest.raises(DerainError, match="no convolution of this graph"):
        views.weight_uses(small_graph(["b", 3, "h", "w"], ["b", 3, "h", "w"]))


def test_a_graph_is_run_as_it_is():
    graph = small_graph(["b", 3, "h", "w"], ["b", 3, "h", "w"])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(views.run_graph(proto, x), x.relu())
    with pytest.raises(Exception, match="(?i)rank|dim"):
        views.run_graph(proto, x[0])
