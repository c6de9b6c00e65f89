"""What the experiments measure beyond a score: on trained networks, or on a mechanism alone.

Two kinds. An *examination* looks at a network that an experiment has just trained and adds columns
to its row (:data:`EXAMINATIONS`). A :class:`Measurement` trains nothing: it draws a fresh
mechanism, or takes the course's own weights, once per variant and seed (:data:`MEASUREMENTS`).
Both land in ``data/results`` and answer for claims in ``CLAIMS.md``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from derain_edu.datasets.held_out import held_out_patches
from derain_edu.devices import set_seed
from derain_edu.evaluation.harm import measure_harm
from derain_edu.map_scores import auc, calibration, calibration_gap
from derain_edu.metrics import psnr
from derain_edu.models import create_model
from derain_edu.models.spanet import IRNN
from derain_edu.training.config import TrainConfig
from derain_edu.training.losses import make_loss

Pairs = Sequence[dict[str, Tensor]]
SIDE = 33  # pixels of the square on which a mechanism is watched
DISTANCES = (1, 8, 16)  # pixels from the middle


def _stacked(pairs: Pairs) -> tuple[Tensor, Tensor]:
    """Return the rainy and the clean pictures of pairs, each (B, 3, H, W)."""
    return tuple(torch.stack([pair[key] for pair in pairs]) for key in ("rainy", "clean"))


# -- examinations of a trained network ----------------------------------------------------------


@torch.no_grad()
def missing_blocks(config: TrainConfig, model: nn.Module, pairs: Pairs) -> dict[str, float]:
    """Leave out one residual block, and say how many dB the final picture loses.

    Mean over the blocks. For a progressive network three times: the block is away in the first
    stage only, in the last one only, or in all of them. (Lesson 04.)
    """
    rainy, clean = _stacked(pairs)
    full = psnr(model(rainy), clean)
    stages = getattr(model.config, "stages", 1)
    cases = {"first": {1}, "last": {stages}, "all": set(range(1, stages + 1))}
    if stages == 1:
        cases = {"all": {1}}
    found = {}
    for name, away in cases.items():
        scores = [psnr(_without(model, rainy, k, away), clean) for k in range(len(model.blocks))]
        found[f"missing_{name}"] = round(full - sum(scores) / len(scores), 3)
    return found


def _without(model: nn.Module, rainy: Tensor, block: int, away: set[int]) -> Tensor:
    """Run a baseline or a PRN with one block replaced by its skip path in some stages."""
    whole, cut = model.blocks, copy.copy(model.blocks)
    cut._modules = {**whole._modules, str(block): nn.Identity()}
    progressive = hasattr(model, "unroll")
    x, state = rainy, None
    try:
        for stage in range(1, model.config.stages + 1 if progressive else 2):
            model.blocks = cut if stage in away else whole
            x, state = model.stage(rainy, x, state) if progressive else (model(x), None)
    finally:
        model.blocks = whole
    return x


def stage_gradients(config: TrainConfig, model: nn.Module, pairs: Pairs) -> dict[str, float]:
    """Split the gradient of the shared weights into the shares of the stages.

    Once for the network as it started, once as trained: the ratio of the loudest to the quietest
    share (1: all as loud), the smallest cosine between a share and the sum (above 0: a small step
    along the sum lowers the loss through every stage), and how far the sum is from autograd's
    gradient. (Lesson 05.)
    """
    set_seed(config.seed)
    fresh = create_model(config.model, **config.options)
    found = {}
    for when, network in (("fresh", fresh), ("trained", model)):
        shares, whole = _shares(network, pairs, config.loss)
        norms = shares.norm(dim=1)
        found[f"ratio_{when}"] = round(float(norms.max() / norms.min()), 3)
        total = shares.sum(dim=0)
        found[f"cosine_{when}"] = round(float((shares @ total / norms).min() / total.norm()), 4)
        error = (total - whole).abs().max() / whole.abs().max()
        found[f"sum_error_{when}"] = float(f"{float(error):.2e}")
    return found


def _shares(model: nn.Module, pairs: Pairs, loss: str) -> tuple[Tensor, Tensor]:
    """Return the gradient of each stage's own copy (T, weights), and that of the shared ones."""
    (rainy, clean), compare = _stacked(pairs), make_loss(loss)
    copies = [copy.deepcopy(model) for _ in range(model.config.stages)]
    x, state = rainy, None
    for own in copies:
        x, state = own.stage(rainy, x, state)
    leaves = [p for own in copies for p in own.parameters()]
    gradients = torch.autograd.grad(compare(x, clean), leaves, materialize_grads=True)
    shares = torch.cat([g.flatten() for g in gradients]).view(len(copies), -1)
    leaves = list(model.parameters())
    whole = torch.autograd.grad(compare(model(rainy), clean), leaves, materialize_grads=True)
    return shares, torch.cat([g.flatten() for g in whole])


def dry(config: TrainConfig, model: nn.Module, pairs: Pairs) -> dict[str, float]:
    """Return what is left of the dry validation pictures, in dB: the mean and the worst."""
    harm = measure_harm(model, "validation")
    return {"psnr_dry": round(harm.mean, 3), "psnr_dry_worst": round(harm.worst.psnr, 3)}


# name -> function of (configuration, trained network, held-out pairs)
EXAMINATIONS: dict[str, Callable[[TrainConfig, nn.Module, Pairs], dict[str, float]]] = {
    "missing_blocks": missing_blocks,
    "dry": dry,
    "stage_gradients": stage_gradients,
}


# -- measurements that train nothing ------------------------------------------------------------


@dataclass(frozen=True)
class Measurement:
    """A question about a mechanism, asked for every variant with every seed.

    Attributes
    ----------
    name : str
        Also the name of its files in ``data/results``.
    question : str
        What it asks.
    variants : dict[str, dict[str, Any]]
        Name → the arguments of ``measure`` beside the seed.
    measure : Callable[..., dict[str, float]]
        Returns the numbers of one row.
    seeds : tuple[int, ...], default (0, 1, 2)
        One row per variant and seed.
    """

    name: str
    question: str
    variants: dict[str, dict[str, Any]]
    measure: Callable[..., dict[str, float]]
    seeds: tuple[int, ...] = (0, 1, 2)


def seen_after(rounds: int, seed: int) -> dict[str, float]:
    """Ask which pixels the middle one sees after some rounds of four sweeps and a 1×1 mix.

    Positive random α, input and mixing weights, so that nothing is cut off or cancels: the
    result is what the wiring allows. ``seen`` is in percent of all pixels.
    """
    set_seed(seed)
    channels, middle = 4, SIDE // 2
    start = torch.rand(1, channels, SIDE, SIDE, dtype=torch.float64, requires_grad=True)
    x = start
    for _ in range(rounds):
        sweeps = IRNN(channels, 0.2).double()
        nn.init.uniform_(sweeps.alpha, 0.5, 1.0)
        nn.init.uniform_(sweeps.beta, 0.0, 0.1)
        mix = torch.rand(channels, 4 * channels, 1, 1, dtype=torch.float64) / (4 * channels)
        x = F.conv2d(sweeps(x).flatten(1, 2), mix)
    (gradient,) = torch.autograd.grad(x[0, :, middle, middle].sum(), start)
    seen = gradient[0].abs().sum(dim=0) > 0
    return {"seen": round(100 * seen.double().mean().item(), 2)}


def gradient_over_distance(alpha: float | str, seed: int) -> dict[str, float]:
    """Measure how much of a gradient arrives after a walk along a row, for a start of α.

    One sweep of SPANet's recurrence as it is initialised, 64 channels, positive features. The
    mean over the channels of |d h(middle) / d x(d pixels before)|, for each distance d.
    """
    set_seed(seed)
    sweeps, middle = IRNN(64, alpha), SIDE // 2
    x = torch.rand(1, 64, 1, SIDE, requires_grad=True)
    rightwards = sweeps(x)[:, 1]  # (1, 4, C, 1, W) -> (1, C, 1, W)
    (gradient,) = torch.autograd.grad(rightwards[..., middle].sum(), x)
    arrived = gradient[0, :, 0].abs().mean(dim=0)  # (W,)
    return {f"at_{d}": float(f"{arrived[middle - d].item():.3g}") for d in DISTANCES}


@torch.no_grad()
def attention_as_probability(rain: str, seed: int) -> dict[str, float]:
    """Compare the map of the course's SPANet with the true streaks, on photos for testing.

    ``auc``: does it find the rain? ``gap``: how far, in percentage points, is it from the share
    of rainy pixels among those with the same value? A probability would have 0.

    The network has learned in light rain, so it knows how many pixels are rainy *there*.
    ``gap_told`` is the gap once the map is told the true share of this rain; ``rainy`` and
    ``said`` are the true share and the mean of the map, in percent.
    """
    pairs = held_out_patches("test", rain, seed=seed, count=12)
    maps = create_model("spanet", pretrained="open").attend(_stacked(pairs)[0])[1][:, :1]
    known = held_out_patches("train", "light", seed=seed, count=12)
    mask, learned = (torch.stack([pair["mask"] for pair in some]) for some in (pairs, known))
    share = mask.double().mean()
    told = told_the_share(maps, learned.double().mean(), share)
    gap, gap_told = (calibration_gap(calibration(values, mask)) for values in (maps, told))
    return {
        "auc": round(auc(maps, mask), 4),
        "gap": round(100 * gap, 2),
        "gap_told": round(100 * gap_told, 2),
        "rainy": round(100 * share.item(), 2),
        "said": round(100 * maps.mean().item(), 2),
    }


def told_the_share(maps: Tensor, learned: Tensor, share: Tensor) -> Tensor:
    """Return the probabilities ``maps`` of a network that is told how much rain there is.

    It was trained where a share ``learned`` of the pixels is rainy. Where it is ``share``, Bayes'
    rule adds one constant to the logit of each probability (Saerens et al., Neural Computation 14,
    2002).
    """
    return torch.sigmoid(torch.logit(maps, eps=1e-6) + torch.logit(share) - torch.logit(learned))


MEASUREMENTS = {
    measurement.name: measurement
    for measurement in (
        Measurement(
            "rounds_of_sweeps",
            "Which pixels can one pixel see after one round of sweeps, and which after two?",
            {"one round": {"rounds": 1}, "two rounds": {"rounds": 2}},
            seen_after,
        ),
        Measurement(
            "identity_start",
            "How much of a gradient arrives over a distance, for different starts of α?",
            {
                "identity, α = 1": {"alpha": 1.0},
                "as released, α = 0.2": {"alpha": 0.2},
                "random, α in (−1, 1)": {"alpha": "random"},
            },
            gradient_over_distance,
        ),
        Measurement(
            "attention_probability",
            "Is the attention map the probability that a pixel is rain?",
            {rain: {"rain": rain} for rain in ("light", "drizzle", "heavy")},
            attention_as_probability,
            seeds=tuple(range(20)),
        ),
    )
}
