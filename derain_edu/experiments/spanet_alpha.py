"""What training made of α and β: the factors of the released SPANet, counted.

The authors' weights are research artefacts without a clear licence, so this repository holds no
copy of them. It holds counts: how many of the 256 α and 256 β (two rounds × four directions × 32
channels) lie in each interval, how much of what a pixel hears comes from how far, and what is left
of it when the largest α are held down. With the weights in the cache the same counts are made anew.
"""

from __future__ import annotations

import copy
import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from derain_edu import __version__
from derain_edu.datasets.download import cached_files
from derain_edu.datasets.photos import load_photo
from derain_edu.errors import DerainError
from derain_edu.experiments.influence import influence, share_beyond
from derain_edu.experiments.results import write_rows
from derain_edu.files import data_folder, write_atomically
from derain_edu.models import create_model
from derain_edu.models.spanet import SPANet, SpatialAttention
from derain_edu.rain.synthesis import add_rain

NAME, WEIGHTS, FILE = "spanet_alpha", "official-spa", "spanet_spa.pth"
LOW, HIGH, BINS = -0.5, 1.0, 30  # intervals of 0.05
QUANTILES = (5, 25, 50, 75, 95)  # %
DISTANCES = (0, 1, 2, 4, 8, 16, 24)  # px
PHOTOS, SIDE = ("picosdeeuropa", "bridge", "china"), 65  # where a module's influence is measured
CAPS = (0.9, 0.5)  # α are held down to these


@dataclass(frozen=True)
class Factors:
    """The counts, and where they come from.

    Attributes
    ----------
    source : str
        ``"counted now"`` or ``"recorded"``.
    counts : list[dict[str, Any]]
        Rows: factor, low, high, count.
    summary : dict[str, Any]
        ``alpha`` and ``beta``: extremes, quantiles, shares; ``beyond``: distance → share;
        ``capped``: the largest α allowed → the same shares.
    """

    source: str
    counts: list[dict[str, Any]]
    summary: dict[str, Any]


def learned_factors() -> Factors:
    """Return the counts of the released SPANet: made now if the cache has it, else recorded.

    Raises
    ------
    DerainError
        If nothing is recorded.
    """
    if FILE in cached_files("official-weights"):
        return count_factors(create_model("spanet", pretrained=WEIGHTS), "counted now")
    path = data_folder() / "results" / f"{NAME}.csv"
    if not path.is_file():
        raise DerainError(f"nothing is recorded under {path}: call record() of spanet_alpha")
    with open(path, newline="", encoding="utf-8") as file:
        rows = [
            {"factor": row["factor"], "low": float(row["low"]), "high": float(row["high"]),
             "count": int(row["count"])}
            for row in csv.DictReader(file)
        ]
    summary = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return Factors("recorded", rows, summary)


@torch.no_grad()
def count_factors(model: SPANet, source: str) -> Factors:
    """Count the factors of a SPANet, and measure from how far its attention module hears."""
    rounds = (model.attention.irnn1, model.attention.irnn2)
    rows: list[dict[str, Any]] = []
    summary: dict[str, Any] = {}
    for name in ("alpha", "beta"):
        values = torch.stack([getattr(irnn, name) for irnn in rounds]).flatten()  # (2·4·C,)
        width = (HIGH - LOW) / BINS
        for k, count in enumerate(torch.histc(values, BINS, LOW, HIGH).int().tolist()):
            low = round(LOW + k * width, 2)
            rows.append({"factor": name, "low": low, "high": round(low + width, 2), "count": count})
        summary[name] = _describe(values)
    summary["beyond"] = _beyond(model)
    summary["capped"] = {str(top): _beyond(capped(model, top)) for top in CAPS}
    return Factors(source, rows, summary)


def capped(model: SPANet, top: float) -> SPANet:
    """Return a copy of a network whose α are at most ``top``."""
    copied = copy.deepcopy(model)
    for irnn in (copied.attention.irnn1, copied.attention.irnn2):
        irnn.alpha.data.clamp_(max=top)
    return copied


def _beyond(model: SPANet) -> dict[str, float]:
    shares = [float(f"{share:.4g}") for share in shares_beyond(model)]
    return dict(zip(map(str, DISTANCES), shares, strict=True))


def shares_beyond(model: SPANet) -> list[float]:
    """Return which share of what a pixel hears comes from beyond each of :data:`DISTANCES`.

    The mean over :data:`PHOTOS` of :func:`heard`.
    """
    curves = torch.tensor([share_beyond(heard(model, photo), DISTANCES) for photo in PHOTOS])
    return curves.mean(dim=0).tolist()


def _describe(values: Tensor) -> dict[str, Any]:
    quantiles = torch.quantile(values, torch.tensor(QUANTILES) / 100).tolist()
    return {
        "number": values.numel(),
        "smallest": round(values.min().item(), 4),
        "largest": round(values.max().item(), 4),
        "quantiles": {str(q): round(v, 4) for q, v in zip(QUANTILES, quantiles, strict=True)},
        "negative": int((values < 0).sum()),
        "below 0.1": int((values < 0.1).sum()),
        "above 0.9": int((values > 0.9).sum()),
    }


@torch.no_grad()
def heard(model: SPANet, photo: str) -> Tensor:
    """Return what the middle of a network's first attention map hears of a rainy photo.

    (SIDE, SIDE): the influence of the features that the network itself made of the photo.
    """
    clean = load_photo(photo, long_side=2 * SIDE)[:, :SIDE, :SIDE]
    rainy = add_rain(clean, "light", seed=4).rainy[None]  # (1, 3, SIDE, SIDE)
    caught: list[Tensor] = []
    hook = model.attention.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    try:
        model.attend(rainy)
    finally:
        hook.remove()
    return heard_by(model.attention, caught[0])


@torch.enable_grad()
def heard_by(module: SpatialAttention, features: Tensor) -> Tensor:
    """Return the influence of features (1, C, H, W) on the middle of a module's map, (H, W).

    In float64, and before the sigmoid, whose slope may be too small for any number.
    """
    copied = copy.deepcopy(module).double()
    copied.irnn1.method = copied.irnn2.method = "rows"  # no need to compile the loops for float64
    caught: list[Tensor] = []
    copied.conv4.register_forward_hook(lambda _layer, _inputs, output: caught.append(output))

    def before_the_sigmoid(x: Tensor) -> Tensor:
        copied(x)
        return caught[-1]

    return influence(before_the_sigmoid, features.double())


def record(folder: Path | None = None) -> list[Path]:
    """Write the counts as CSV and JSON; the authors' weights must be in the cache.

    Parameters
    ----------
    folder : Path, optional
        Default: ``data/results``.
    """
    found = count_factors(create_model("spanet", pretrained=WEIGHTS), "recorded")
    path = (folder or data_folder() / "results") / f"{NAME}.csv"
    write_rows(path, found.counts)
    content = {
        "question": "What became of the factors of the released SPANet, which started at 0.2?",
        "weights": WEIGHTS,
        "made_by": "derain_edu.experiments.spanet_alpha.record",
        "photos": PHOTOS,
        **found.summary,
        "derain_edu": __version__,
        "torch": torch.__version__,
    }
    text = json.dumps(content, indent=2) + "\n"
    write_atomically(path.with_suffix(".json"), text.encode())
    return [path, path.with_suffix(".json")]
