"""``derain-edu export``: says what is true, and writes onto nothing that is there."""

from __future__ import annotations

import json
import os

import pytest
import torch

import derain_edu as de
from derain_edu.cli import file_jobs
from derain_edu.inference.onnx_network import load_onnx


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A small float ONNX file, in the working folder."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    return de.export_onnx(de.create_model("residual", channels=4, blocks=1), "f.onnx").absolute()


def test_export_never_writes_onto_its_input(call, small):
    before = small.read_bytes()
    os.link(small, "other_name.onnx")
    for target in ("f.onnx", f"../{small.parent.name}/f.onnx", "other_name.onnx"):
        for last in ([], ["--overwrite"]):
            status, _, err = call("export", "f.onnx", "--int8", "-o", target, *last)
            assert status == 2 and "would overwrite what is read: choose another -o" in err
    assert small.read_bytes() == before


def test_a_file_that_exists_stays_without_overwrite(call, small):
    small.with_name("mine.onnx").write_text("mine")
    status, _, err = call("export", "residual", "-o", "mine.onnx")
    assert status == 2 and "mine.onnx exists: choose another -o, or replace it by --over" in err
    assert small.with_name("mine.onnx").read_text() == "mine"
    status, out, _ = call("export", "residual", "-o", "mine.onnx", "--overwrite")
    assert status == 0 and "largest difference to the model" in out
    assert de.load_onnx(small.with_name("mine.onnx")).info.model == "residual"


def test_int8_says_its_own_difference(call, small, monkeypatch):
    def few(source, path):
        return de.quantize_onnx(source, path, [torch.rand(3, 24, 20) for _ in range(2)])

    monkeypatch.setattr(file_jobs, "quantize_onnx", few)
    status, out, _ = call("export", "f.onnx", "--int8")
    assert status == 0 and "f_int8.onnx" in out
    assert "largest difference to the float network" in out and "on 1×3×24×20; PSNR of" in out
    difference = float(out.partition("float network ")[2].split()[0])
    float_, int8 = (de.load_onnx(name) for name in ("f.onnx", "f_int8.onnx"))
    other = torch.rand(1, 3, 24, 20)
    assert difference > 1e-4
    assert (float_(other) - int8(other)).abs().max() < 3 * difference


def test_an_unwritable_target_is_found_out_before_the_work(call, small, monkeypatch):
    monkeypatch.setattr(file_jobs, "load_model", lambda *_, **__: pytest.fail("too late"))
    status, _, err = call("export", "residual", "-o", small / "a.onnx")
    assert status == 2 and "a.onnx can't be written (Not a directory)" in err


def test_one_stage_is_exported_and_named(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, _ = call("export", "prn", "--stage")
    assert status == 0 and "prn_stage.onnx" in out and "rainy, x to next_x" in out
    assert "largest difference to the model" in out
    status, _, err = call("export", "prn", "-o", "b.onnx", "--stage", "--int8")
    assert status == 2 and "--stage and --int8 don't go together" in err
    status, _, err = call("export", "residual", "-o", "b.onnx", "--stage")
    assert status == 2 and "does not repeat one stage" in err


def test_attention_maps_are_a_second_output(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, _ = call("export", "spanet", "--maps")
    assert status == 0 and "spanet_maps.onnx" in out
    shapes = json.loads(load_onnx("spanet_maps.onnx").info.metadata["outputs"])
    assert shapes["maps"] == ["batch", 4, "height", "width"]
    status, _, err = call("export", "spanet", "-o", "b.onnx", "--maps", "--int8")
    assert status == 2 and "--maps and --int8 don't go together" in err
    status, _, err = call("export", "residual", "-o", "b.onnx", "--maps")
    assert status == 2 and "residual has no attention maps" in err
