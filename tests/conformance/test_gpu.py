"""The same code on a GPU: the networks, the recurrence and a whole picture agree with the CPU.

Without a GPU these tests skip. ``DERAIN_EDU_GPU=cpu`` runs them with the CPU in its place, to see
that the tests themselves hold.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

import derain_edu as de

DEVICE = os.environ.get("DERAIN_EDU_GPU", "cuda")
TOLERANCE = 1e-3  # a GPU may compute convolutions in TF32

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        DEVICE == "cuda" and not torch.cuda.is_available(), reason="this machine has no CUDA GPU"
    ),
]


@pytest.mark.parametrize("name", de.list_models())
def test_networks_agree_with_the_cpu(name):
    model, rainy = de.create_model(name).eval(), torch.rand(2, 3, 24, 33)
    with torch.no_grad():
        expected = model(rainy)
        found = model.to(DEVICE)(rainy.to(DEVICE))
    assert found.device.type == torch.device(DEVICE).type
    assert (found.cpu() - expected).abs().max().item() < TOLERANCE


def test_the_recurrence_and_its_gradients_agree_with_the_plain_loop():
    given = torch.rand(2, 4, 9, 13), torch.randn(4, 4) / 2, torch.randn(4, 4) / 4
    weight, results = torch.rand(2, 4, 4, 9, 13), []
    for device, method in (("cpu", "loop"), (DEVICE, None)):
        x, alpha, beta = (t.detach().clone().to(device).requires_grad_() for t in given)
        sweeps = torch.stack(de.irnn(x, alpha, beta, method=method), dim=1)
        (sweeps * weight.to(device)).sum().backward()
        results.append([t.detach().cpu() for t in (sweeps, x.grad, alpha.grad, beta.grad)])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_a_picture_in_tiles_agrees_with_the_cpu():
    rainy = (torch.rand(200, 170, 3) * 255).to(torch.uint8).numpy()
    pictures = [
        np.asarray(de.derain(rainy, model="prn", device=device, tile=128), dtype=int)
        for device in ("cpu", DEVICE)
    ]
    assert abs(pictures[0] - pictures[1]).max() <= 1  # one grey level by rounding


def test_training_goes_down_on_the_gpu():
    pair = {"name": "noise", "rainy": torch.rand(3, 64, 64), "clean": torch.rand(3, 64, 64)}
    config = de.TrainConfig(
        model="prn", options={"channels": 8, "stages": 2}, steps=20, batch_size=2, patch_size=16,
        device=DEVICE, loss="l1", lr=1e-2,
    )
    log = de.train(config, data=[pair, pair]).log
    assert log[-1]["loss"] < log[0]["loss"]
