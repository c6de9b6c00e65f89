"""The authors' released weights give the authors' outputs: all stages, all eleven networks."""

from __future__ import annotations

import csv

import numpy as np
import onnxruntime
import pytest
import torch

from derain_edu.files import data_folder
from derain_edu.inference.onnx_export import export_onnx
from derain_edu.inference.onnx_network import load_onnx
from derain_edu.models import create_model

GOLDEN = [
    (name, f"official-{data}", f"{name}_{data}.npz")
    for name in ("prn", "prn_r", "prenet", "prenet_r")
    for data in ("rain100l", "rain100h")
] + [
    (name, "official-rain100h", f"{name}_rain100h.npz")
    for name in ("prenet_lstm", "prenet_gru", "prenet_x")
]


def recorded_differences() -> dict[tuple[str, str], float]:
    with open(data_folder() / "results" / "parity.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return {(row["model"], row["weights"]): float(row["largest_difference"]) for row in rows}


@pytest.mark.parametrize(("name", "tag", "file"), GOLDEN)
def test_all_stages_equal_the_released_network(reference, filled_cache, name, tag, file):
    golden = np.load(reference / "golden" / file)
    rainy = torch.from_numpy(golden["rainy_rgb_uint8"]).permute(2, 0, 1)[None].float() / 255
    model = create_model(name, pretrained=tag)
    with torch.no_grad():
        stages = torch.cat(model.unroll(rainy)).numpy()
    assert stages.shape == golden["stages"].shape
    difference = np.abs(stages - golden["stages"]).max()
    print(f"{name} {tag}: largest difference over six stages {difference:.1e}")
    assert difference < 1e-5
    # Lesson 00 shows the recorded figures: they must be of the size that is measured here.
    assert difference < 10 * recorded_differences()[name, tag]


@pytest.mark.parametrize(("name", "tag", "file"), GOLDEN)
def test_the_onnx_file_gives_the_last_stage(reference, filled_cache, tmp_path, name, tag, file):
    """By ONNX Runtime alone, as a program without PyTorch would run it."""
    path = export_onnx(create_model(name, pretrained=tag), tmp_path / "network.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    with np.load(reference / "golden" / file) as golden:
        rainy, stages = golden["rainy_rgb_uint8"], golden["stages"]
    rainy = rainy.transpose(2, 0, 1)[None].astype(np.float32) / 255
    (derained,) = session.run(["derained"], {"rainy": rainy})
    assert np.abs(derained - stages[-1]).max() <= 1e-5
    assert load_onnx(path).info.model == name


@pytest.mark.parametrize(
    ("tag", "stages"),
    [("official-rain100h-t5", 5), ("official-rain100h-t7", 7), ("official-rain100h-recssim", 6)],
)
def test_the_ablation_weights_know_their_stages(filled_cache, tag, stages):
    model = create_model("prenet_lstm", pretrained=tag)
    assert model.config.stages == stages
    assert len(model.unroll(torch.rand(1, 3, 8, 8))) == stages
