"""One stage as an ONNX file: repeated, it is ``unroll``, at every size and for every memory."""

from __future__ import annotations

import json

import onnx
import onnxruntime
import pytest
import torch

import derain_edu as de
from derain_edu.errors import DerainError
from derain_edu.inference import onnx_stage
from derain_edu.inference.onnx_export import sizes
from derain_edu.inference.onnx_stage import export_stage, run_stages

SMALL = {"channels": 8, "blocks": 2, "stages": 2}
MEMORY = {"prenet": ["h", "c"], "prenet_gru": ["h"], "prn_r": []}


@pytest.fixture(scope="module")
def one_thread():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return lambda path: onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )


@pytest.mark.parametrize("name", MEMORY)
def test_a_repeated_stage_gives_the_pictures_of_unroll(name, tmp_path, one_thread):
    torch.manual_seed(0)
    model = de.create_model(name, **SMALL)
    path = export_stage(model, tmp_path / "stage.onnx")
    session = one_thread(path)
    assert [value.name for value in session.get_inputs()] == ["rainy", "x", *MEMORY[name]]
    for size in ((1, 3, 17, 30), (1, 3, 5, 1), (1, 3, 1, 1)):
        rainy = torch.rand(size)
        with torch.inference_mode():
            expected = model.unroll(rainy, stages=4)  # also beyond the trained stages
        found = run_stages(session, rainy, 4, SMALL["channels"])
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_weights_are_stored_once_and_only_height_and_width_are_free(tmp_path):
    model = de.create_model("prenet", pretrained="open")
    path = export_stage(model, tmp_path / "stage.onnx")
    parameters = sum(p.numel() for p in model.parameters())
    assert path.stat().st_size < 1.1 * 4 * parameters
    proto = onnx.load(path)
    free = {v.name: sizes(v) for v in (*proto.graph.input, *proto.graph.output)}
    assert free["rainy"] == [1, 3, "height", "width"] == free["next_x"]
    assert free["h"] == [1, 32, "height", "width"] == free["next_c"]
    metadata = {item.key: item.value for item in proto.metadata_props}
    assert metadata["halo"] == "13" and json.loads(metadata["stage"])["published"] == 6


def test_a_network_without_stages_is_refused(tmp_path):
    with pytest.raises(DerainError, match="residual does not repeat one stage"):
        export_stage(de.create_model("residual", channels=4, blocks=1), tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_graph_leaves_no_file(tmp_path, monkeypatch):
    model = de.create_model("prn", **SMALL)
    form = onnx_stage.stage_form

    def other_weights(given):
        wrong = form(given)
        wrong.form.tail.weight.data += 0.01
        return wrong

    monkeypatch.setattr(onnx_stage, "stage_form", other_weights)
    with pytest.raises(DerainError, match="the exported stage differs from the model by"):
        export_stage(model, tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []
