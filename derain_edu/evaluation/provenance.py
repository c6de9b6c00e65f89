"""Where a weight file comes from: the run that made it, and the minutes that it took."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import nn

from derain_edu.errors import DerainError
from derain_edu.inference.restoration import load_model
from derain_edu.models.pretrained import read_weights
from derain_edu.training.checkpoints import load_checkpoint


def run_of(weights: Path) -> dict[str, Any] | None:
    """Return the checkpoint ``last.pt`` of the run that made a weight file, if it lies beside it.

    Only if it belongs to it: a ``model.safetensors`` must hold the very weights of the run's end.
    """
    last = weights.parent / "last.pt"
    if not last.is_file() or weights.name not in ("model.safetensors", "last.pt", "best.pt"):
        return None
    run = load_checkpoint(last)
    if weights.name == "model.safetensors":
        mine, its = read_weights(weights).state, run["ema"] or run["model"]
        if mine.keys() != its.keys() or not all(torch.equal(mine[k], its[k]) for k in mine):
            return None
    return run


def loaded(weights: str | Path, model: str | None = None) -> nn.Module:
    """Load the network of a weight file; ``model`` names it if the file does not."""
    path = Path(weights)
    if not path.is_file():
        raise DerainError(f"{path} does not exist: give the weight file, such as model.safetensors")
    return load_model(model, path) if model else load_model(path)


def training_minutes(path: Path, stated: float | None) -> tuple[float | None, str]:
    """Return the minutes of training on a CPU, and who says so: "log", "stated" or "unknown"."""
    run = run_of(path)
    # A run that started from other weights does not know how long those took.
    if run is not None and run["config"].get("pretrained") is None and _on_cpu(run):
        return run["seconds"] / 60, "log"
    if stated is None:
        return None, "unknown"
    if not (math.isfinite(stated) and stated > 0):
        raise DerainError(f"--minutes is {stated}: give the minutes of training, more than 0")
    return float(stated), "stated"


def _on_cpu(run: dict[str, Any]) -> bool:
    """Say whether a run was on a CPU; with "auto" it was if no GPU had a random state."""
    device = str(run["config"]["device"])
    return device == "cpu" or (device == "auto" and not run["random"]["cuda"])
