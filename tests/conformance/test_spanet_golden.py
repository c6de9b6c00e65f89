"""SPANet with the released weights: the authors' picture and all four attention maps."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from derain_edu.inference.onnx_export import export_onnx
from derain_edu.models import create_model


@pytest.mark.parametrize("method", [None, "loop", "rows", "scan"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_picture_and_maps(reference, filled_cache, method, channels_last):
    with np.load(reference / "golden" / "spanet_released.npz") as file:
        rainy = torch.from_numpy(file["rainy_rgb_uint8"]).permute(2, 0, 1)[None].float() / 255
        attention, picture = (torch.from_numpy(file[k]) for k in ("attention", "derained_rgb"))
    model = create_model("spanet", pretrained="official-spa", irnn_method=method)
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
        rainy = rainy.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        derained, maps = model.attend(rainy)
    assert (maps[0] - attention).abs().max() <= 1e-5
    assert (derained[0] - picture).abs().max() <= 1e-5
    assert torch.equal(model(rainy), derained)


def test_the_onnx_file_gives_the_picture(reference, filled_cache, tmp_path):
    """By ONNX Runtime alone, as a program without PyTorch would run it."""
    model = create_model("spanet", pretrained="official-spa")
    path = export_onnx(model, tmp_path / "network.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    with np.load(reference / "golden" / "spanet_released.npz") as file:
        rainy, picture = file["rainy_rgb_uint8"], file["derained_rgb"]
    rainy = rainy.transpose(2, 0, 1)[None].astype(np.float32) / 255
    (derained,) = session.run(["derained"], {"rainy": rainy})
    assert np.abs(derained - picture).max() <= 1e-5


def test_the_direction_weights_are_there_but_idle(filled_cache):
    """Letting the untrained branch act changes the picture: the two modes are two networks."""
    rainy = torch.rand(1, 3, 24, 24)
    model = create_model("spanet", pretrained="official-spa")
    changed = create_model("spanet", pretrained="official-spa")
    with torch.no_grad():
        for parameter in changed.attention.directions.parameters():
            parameter.zero_()
        acting = create_model("spanet", pretrained="official-spa", direction_attention=True)
        assert torch.equal(model(rainy), changed(rainy))
        assert not torch.allclose(model(rainy), acting(rainy), atol=1e-3)
