"""Quantization: nearly the same pictures from a smaller file, always the same, or a sentence."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto

import derain_edu as de
from derain_edu.datasets import synthetic
from derain_edu.inference import onnx_int8
from derain_edu.inference.onnx_export import check_free_sizes, export_onnx
from derain_edu.inference.onnx_int8 import calibration_pictures, quantize_onnx
from derain_edu.inference.onnx_network import load_onnx

BYTES = (TensorProto.INT8, TensorProto.UINT8)


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> tuple[Path, Path]:
    """The open weights of PRN, two stages: as float and as int8."""
    folder = tmp_path_factory.mktemp("int8")
    model = de.create_model("prn", "open", stages=2)
    source = export_onnx(model, folder / "float.onnx")
    return source, quantize_onnx(source, folder / "int8.onnx", calibration_pictures(4, 64))


def test_pictures_stay_nearly_the_same(files):
    """At most 0.2 dB, on a validation photo that calibration has not seen."""
    source, int8 = (load_onnx(path) for path in files)
    clean = de.load_photo(de.photo_names("validation")[0], long_side=160)
    rainy = de.add_rain(clean, "light", seed=5).rainy[None]
    before, after = (de.psnr(net(rainy).clamp(0, 1), clean[None]) for net in (source, int8))
    assert before > de.psnr(rainy, clean[None]) + 1
    assert after > before - 0.2
    difference = (int8(rainy) - source(rainy)).abs()
    assert 0 < difference.mean() < 1 / 255 and difference.max() < 0.1


def test_weights_have_seven_bits(files):
    """With eight, processors without VNNI cut off sums of two products; with seven all agree."""
    bytes_ = [
        onnx.numpy_helper.to_array(tensor)
        for tensor in onnx.load(files[1]).graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4
    ]
    assert bytes_ and 32 < max(int(abs(values.astype(int)).max()) for values in bytes_) <= 64
    assert 2 * 255 * 64 < 2**15


def test_the_file_is_small_says_so_and_takes_every_size(files):
    source, int8 = files
    assert int8.stat().st_size < 0.6 * source.stat().st_size
    proto = onnx.load(int8)
    onnx.checker.check_model(proto)
    check_free_sizes(proto)
    before, after = load_onnx(source).info, load_onnx(int8).info
    assert after.precision == "int8 convolutions, calibrated on 4 pictures"
    assert float(after.metadata["fidelity_dB"]) > 35
    same = before.metadata.keys() - {"precision", "checked"}
    assert {key: after.metadata[key] for key in same} == {key: before.metadata[key] for key in same}
    for size in [(1, 3, 1, 1), (2, 3, 9, 1), (3, 3, 17, 40)]:
        assert load_onnx(int8)(torch.rand(size)).shape == size
    for place in ("/tmp", "site-packages", str(Path(de.__file__).parent)):
        assert place.encode() not in int8.read_bytes()


def test_the_largest_difference_is_that_of_the_int8_file(files):
    """Not that of the float file, which it is made from."""
    source, int8 = (load_onnx(path) for path in files)
    checked = json.loads(int8.info.metadata["checked"])
    assert checked["sizes"] == [[1, 3, 64, 64]]
    pictures = [crop[None] for crop in calibration_pictures(4, 64)]
    differences = [(int8(x).clamp(0, 1) - source(x).clamp(0, 1)).abs().max() for x in pictures]
    assert checked["largest_difference"] == pytest.approx(float(max(differences)), abs=1e-6)
    assert checked["largest_difference"] > 1e-3


def test_weights_are_bytes_and_stored_once_and_the_ends_are_float(files):
    graph = onnx.load(files[1]).graph
    model = de.create_model("prn")
    kernels = {i.name: i for i in graph.initializer if len(i.dims) == 4}
    ends = {n: i for n, i in kernels.items() if i.dims[0] == 3 or i.dims[1] == 6}
    inner = {n: i for n, i in kernels.items() if n not in ends}
    assert {i.data_type for i in ends.values()} == {TensorProto.FLOAT} and len(ends) == 2
    assert {i.data_type for i in inner.values()} <= set(BYTES) and len(inner) == 10
    stored = sum(math.prod(item.dims) for item in kernels.values())
    assert stored == sum(p.numel() for p in model.parameters() if p.dim() == 4)
    made = {out: node for node in graph.node for out in node.output}
    convs = [node for node in graph.node if node.op_type == "Conv"]
    quantized = [n for n in convs if n.input[1] not in kernels]
    assert len(convs) == 2 * 12 and len(quantized) == 2 * 10
    assert all(made[n.input[0]].op_type == "DequantizeLinear" for n in quantized)


def test_the_gates_of_the_last_stage_compute_in_float(tmp_path):
    """They add to the picture without a later stage that corrects; those before read bytes."""
    torch.manual_seed(0)
    model = de.create_model("prenet", stages=3, blocks=1)
    source = export_onnx(model, tmp_path / "float.onnx")
    path = quantize_onnx(source, tmp_path / "int8.onnx", calibration_pictures(2, 32))
    graph = onnx.load(path).graph
    made = {out: node for node in graph.node for out in node.output}
    convs = [node for node in graph.node if node.op_type == "Conv" and node.input[1] in made]
    reads = [made[node.input[0]].op_type for node in convs]  # head and tail are not among them
    first, gates, block = (count * ["DequantizeLinear"] for count in (3, 4, 2))
    assert reads[:-6] == first + block + gates + block
    assert reads[-6:-2] == 4 * ["Concat"] and reads[-2:] == block


def test_the_same_input_gives_the_same_file(files, tmp_path):
    again = quantize_onnx(files[0], tmp_path / "again.onnx", calibration_pictures(4, 64))
    assert again.read_bytes() == files[1].read_bytes()


def test_calibration_sees_training_photos_only(monkeypatch):
    opened = []
    load = synthetic.load_photo
    monkeypatch.setattr(synthetic, "load_photo", lambda n: opened.append(n) or load(n))
    crops = calibration_pictures(3, 32)
    assert opened and set(opened) <= set(de.photo_names("train"))
    assert all(torch.equal(a, b) for a, b in zip(crops, calibration_pictures(3, 32), strict=True))
    values = torch.stack(crops).mul(255)
    assert values.shape == (3, 3, 32, 32) and torch.allclose(values, values.round(), atol=1e-4)


def test_your_own_pictures_calibrate(files, tmp_path, capfd):
    own = [torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(k)) for k in range(2)]
    path = quantize_onnx(files[0], tmp_path / "own.onnx", own)
    assert "2 pictures" in load_onnx(path).info.precision
    assert capfd.readouterr() == ("", "")
    assert [p.name for p in tmp_path.iterdir()] == ["own.onnx"]


def test_what_can_not_be_quantized_leaves_a_sentence_and_no_file(files, tmp_path, monkeypatch):
    source, int8 = files
    cases = [
        (int8, "a.onnx", None, "is int8 convolutions.* already: give the float file"),
        (source, "a.pt", None, "ends in .onnx"),
        (source, "a.onnx", [], "no pictures to calibrate with"),
        (source, "a.onnx", [torch.rand(3, 8)], "^pictures: expected"),
        (source, "a.onnx", [np.zeros((3, 8, 8))], "pictures"),
        (tmp_path / "none.onnx", "a.onnx", None, "does not exist"),
        (source, source, None, "would overwrite the float file"),
        (source, source.parent / ".." / source.parent.name / source.name, None, "would overwr"),
    ]
    for start, name, pictures, message in cases:
        with pytest.raises(de.DerainError, match=message):
            quantize_onnx(start, tmp_path / name, pictures)
    monkeypatch.setattr(onnx_int8, "FAITHFUL", 99.0)
    with pytest.raises(de.DerainError, match="differ from the float one's .*less than 99"):
        quantize_onnx(source, tmp_path / "a.onnx", [torch.rand(3, 16, 16)])
    assert list(tmp_path.iterdir()) == []
