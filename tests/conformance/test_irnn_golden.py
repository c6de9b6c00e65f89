"""The recurrence against the released kernel's meaning of it: outputs and all gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from derain_edu.models.irnn import DIRECTIONS, METHODS, irnn_stack


@pytest.mark.parametrize("method", [name for name in METHODS if name != "export"])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-10)])
def test_outputs_and_gradients(reference, method, channels_last, dtype, tolerance):
    with np.load(reference / "golden" / "irnn.npz") as file:
        golden = {key: torch.from_numpy(file[key]).to(getattr(torch, dtype)) for key in file}

    def stacked(name: str, dim: int) -> torch.Tensor:
        return torch.stack([golden[f"{name}_{d}"] for d in DIRECTIONS], dim=dim)

    x, alpha, beta = golden["x"], stacked("weight", 0), stacked("bias", 0)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    inputs = [t.clone().requires_grad_() for t in (x, alpha, beta)]
    out = irnn_stack(*inputs, method)
    out.backward(stacked("gout", 1))
    ours = [out, *(t.grad for t in inputs)]
    factors = [stacked(f"grad_{name}", 0) for name in ("weight", "bias")]
    theirs = [stacked("out", 1), golden["grad_x"], *factors]
    for name, a, b in zip(("out", "grad_x", "grad_alpha", "grad_beta"), ours, theirs, strict=True):
        assert (a - b).abs().max() <= tolerance * max(1, b.abs().max()), name


def test_the_export_form(reference):
    with np.load(reference / "golden" / "irnn.npz") as file:
        golden = {key: torch.from_numpy(file[key]) for key in file}
    alpha, beta = (
        torch.stack([golden[f"{name}_{d}"] for d in DIRECTIONS]) for name in ("weight", "bias")
    )
    expected = torch.stack([golden[f"out_{d}"] for d in DIRECTIONS], dim=1)
    assert (irnn_stack(golden["x"], alpha, beta, "export") - expected).abs().max() <= 1e-10
