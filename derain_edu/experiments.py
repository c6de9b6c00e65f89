"""Recorded experiments: a small declared table of variants × seeds, with one budget for all.

``derain-edu experiment NAME`` trains every cell of the table that is not recorded yet, measures
it, and adds one line to ``data/results/NAME.csv``; a killed run continues where it stopped.
``NAME.json`` says on which machine, with which versions and in how many minutes. Lessons read
these files with :func:`load_results` and repeat a small cell live.

Every variant of an experiment sees the same number of steps and the same samples in the same
order. Only what its row of the table says is different.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from derain_edu import __version__
from derain_edu.datasets import SyntheticRain
from derain_edu.errors import DerainError
from derain_edu.metrics import auc, psnr
from derain_edu.photos import data_folder
from derain_edu.training import TrainConfig, Trainer

# 97.5 % quantiles of Student's t for 1, 2, 3 … degrees of freedom
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


@dataclass(frozen=True)
class Experiment:
    """A question, and the table of runs that answers it."""

    name: str
    question: str
    variants: dict[str, dict[str, Any]]  # name -> {"model": …, and options of that model}
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 600
    samples: int | None = None  # train on this many fixed samples; None: endless fresh ones
    train: dict[str, Any] = field(default_factory=dict)  # other fields of TrainConfig


_SMALL = {"patch_size": 32, "batch_size": 4, "data": "light", "loss": "neg_ssim+l1", "lr": 2e-3}

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            "rain_or_picture",
            "Should the baseline predict the rain layer or the clean picture?",
            {
                "predicts the rain": {"model": "residual", "channels": 16, "blocks": 5},
                "predicts the picture": {
                    "model": "residual", "channels": 16, "blocks": 5, "predicts": "picture",
                },
            },
            train=_SMALL,
        ),
        Experiment(
            "capacity",
            "On 64 fixed patches: what do more blocks buy, and who overfits?",
            {
                **{
                    f"baseline, {n} blocks": {"model": "residual", "channels": 16, "blocks": n}
                    for n in (1, 4, 12)
                },
                "PRN, 3 blocks × 4 stages": {
                    "model": "prn", "channels": 16, "blocks": 3, "stages": 4,
                },
            },
            samples=64,
            train=_SMALL,
        ),
        Experiment(
            "concat_residual",
            "What are the second look at the rainy picture and the addition at the end worth?",
            {
                f"concat {'on' if concat else 'off'}, + rainy {'on' if residual else 'off'}": {
                    "model": "prn", "channels": 16, "blocks": 3, "stages": 4,
                    "concat_rainy": concat, "residual_output": residual,
                }
                for concat in (True, False)
                for residual in (True, False)
            },
            train=_SMALL,
        ),
        Experiment(
            "head_relu",
            "Does a ReLU in the head hurt the baseline and help PRN?",
            {
                f"{label}, head ReLU {'on' if relu else 'off'}": {**options, "head_relu": relu}
                for label, options in {
                    "baseline": {"model": "residual", "channels": 16, "blocks": 5},
                    "PRN": {"model": "prn", "channels": 16, "blocks": 3, "stages": 4},
                }.items()
                for relu in (True, False)
            },
            train=_SMALL,
        ),
        Experiment(
            "direction_attention",
            "SPANet: does it matter that the direction weights act?",
            {
                "as released": {"model": "spanet", "direction_attention": False},
                "as in the paper": {"model": "spanet", "direction_attention": True},
            },
            steps=1600,  # it has no rainy picture to add to: it takes longer to beat the input
            train={**_SMALL, "attention_mask": "true", "grad_clip": 1.0},
        ),
    )
}


class FixedSamples(Dataset):
    """The first ``count`` samples of an endless stream, over and over: a data set that ends."""

    def __init__(self, stream: Dataset, count: int) -> None:
        self.stream, self.count = stream, count

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.stream[index % self.count]


def run_experiment(name: str, smoke: bool = False, folder: Path | None = None) -> Path:
    """Train and record every cell of an experiment that its CSV does not hold yet.

    Parameters
    ----------
    name : str
        A key of :data:`EXPERIMENTS`.
    smoke : bool
        Two steps of one seed per variant, to see that everything runs. Needs ``folder``, so
        that a smoke run never lands among the real results.
    folder : Path, optional
        Where the CSV and the JSON go. Default: ``data/results``.

    Returns
    -------
    Path
        The CSV file.
    """
    experiment = _find(name)
    if smoke:
        if folder is None:
            raise DerainError("a smoke run is no result: give it a folder of its own")
        experiment = replace(experiment, steps=2, seeds=experiment.seeds[:1])
    path = (folder or data_folder() / "results") / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    done = {(row["variant"], int(row["seed"])) for row in _rows(path)}
    for variant, seed in _cells(experiment):
        if (variant, seed) not in done:
            _append(path, run_cell(experiment, variant, seed))
    _describe(experiment, path)
    return path


def run_cell(experiment: Experiment, variant: str, seed: int) -> dict[str, Any]:
    """Train one variant with one seed and measure it; the returned row goes into the CSV."""
    options = dict(experiment.variants[variant])
    config = TrainConfig(
        model=options.pop("model"), options=options, steps=experiment.steps, seed=seed,
        **experiment.train,
    )
    data: Dataset = SyntheticRain(rain=config.data, patch_size=config.patch_size, seed=seed)
    if experiment.samples is not None:
        data = FixedSamples(data, experiment.samples)
    start = time.perf_counter()
    model = Trainer(config, data=data).run().model
    minutes = (time.perf_counter() - start) / 60
    seen = [data[k] for k in range(experiment.samples)] if experiment.samples else None
    found = {}
    if hasattr(model, "attend"):
        found["auc_validation"] = round(_attention_auc(model), 4)
    return {
        "variant": variant,
        "seed": seed,
        "steps": experiment.steps,
        "parameters": sum(p.numel() for p in model.parameters()),
        "psnr_train": round(_score(model, seen or _held("train")), 3),
        "psnr_validation": round(_score(model, _held("validation")), 3),
        "psnr_input": round(_score(None, _held("validation")), 3),
        **found,
        "minutes": round(minutes, 3),
    }


def load_results(name: str) -> list[dict[str, Any]]:
    """Return the recorded rows of an experiment, numbers as numbers.

    Raises
    ------
    DerainError
        If nothing is recorded under that name.
    """
    rows = _rows(data_folder() / "results" / f"{name}.csv")
    if not rows:
        raise DerainError(f"no results for {name!r}: run derain-edu experiment {name} first")
    return [{key: _number(value) for key, value in row.items()} for row in rows]


def summarize(
    rows: list[dict[str, Any]], column: str = "psnr_validation"
) -> dict[str, tuple[float, float]]:
    """Return mean and half-width of the 95 % interval (Student's t) over seeds, per variant."""
    summary = {}
    for variant in dict.fromkeys(row["variant"] for row in rows):
        values = [row[column] for row in rows if row["variant"] == variant]
        half = 0.0
        if len(values) > 1:
            student = _STUDENT[min(len(values) - 2, len(_STUDENT) - 1)]
            half = student * statistics.stdev(values) / len(values) ** 0.5
        summary[variant] = (statistics.fmean(values), half)
    return summary


def _find(name: str) -> Experiment:
    if name not in EXPERIMENTS:
        raise DerainError(f"unknown experiment {name!r}: choose one of {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]


def _cells(experiment: Experiment) -> Iterator[tuple[str, int]]:
    for seed in experiment.seeds:  # seed by seed, so that an early stop leaves whole comparisons
        for variant in experiment.variants:
            yield variant, seed


@lru_cache(maxsize=2)
def _held(split: str) -> list[dict[str, Tensor]]:
    """Return 24 fixed pairs, 128×128, of photos of ``split`` in light rain of their own."""
    stream = SyntheticRain(rain="light", patch_size=128, seed=2019, split=split)
    return [stream[k] for k in range(24)]


@torch.no_grad()
def _score(model: nn.Module | None, pairs: list[dict[str, Tensor]]) -> float:
    rainy = torch.stack([pair["rainy"] for pair in pairs])
    clean = torch.stack([pair["clean"] for pair in pairs])
    return psnr(rainy if model is None else model.eval()(rainy), clean)


@torch.no_grad()
def _attention_auc(model: nn.Module) -> float:
    """Return how well the first attention map finds the true streaks of the validation pairs."""
    pairs = _held("validation")
    maps = model.eval().attend(torch.stack([pair["rainy"] for pair in pairs]))[1]
    return auc(maps[:, :1], torch.stack([pair["mask"] for pair in pairs]))


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _append(path: Path, row: dict[str, Any]) -> None:
    """Add a row by writing the whole file anew and renaming it: a kill can't leave half a line."""
    rows = [*_rows(path), row]
    temporary = path.with_suffix(".csv.part")
    with open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(row), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(temporary, path)


def _describe(experiment: Experiment, path: Path) -> None:
    """Write the JSON beside the CSV: the question, the budget, the machine, the minutes."""
    rows = _rows(path)
    content = {
        "experiment": experiment.name,
        "question": experiment.question,
        "variants": experiment.variants,
        "seeds": list(experiment.seeds),
        "steps": experiment.steps,
        "samples": experiment.samples,
        "train": experiment.train,
        "minutes": round(sum(float(row["minutes"]) for row in rows), 2),
        "derain_edu": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "threads": torch.get_num_threads(),
    }
    path.with_suffix(".json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
