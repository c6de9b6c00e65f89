"""Recorded experiments: runs of the tables of :mod:`derain_edu.experiments.tables`.

``derain-edu experiment NAME`` trains every cell of the table that is not recorded yet, measures
it, and adds one line to ``data/results/NAME.csv``; a killed run continues where it stopped.
``NAME.json`` says on which machine, with which versions and in how many minutes. Lessons read
these files with :func:`~derain_edu.experiments.results.load_results` and repeat a small cell live.

Each row holds what its network scores on held-out pairs, what it cost (steps, samples, compute,
minutes), and how it got there: the score at each tenth of its budget.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from derain_edu.datasets.held_out import held_out_patches
from derain_edu.datasets.synthetic import SyntheticRain
from derain_edu.errors import DerainError
from derain_edu.experiments.measurements import EXAMINATIONS, MEASUREMENTS, Measurement
from derain_edu.experiments.results import append_row, describe, read_rows, this_commit
from derain_edu.experiments.tables import Experiment, find_experiment
from derain_edu.files import data_folder, reserved
from derain_edu.map_scores import auc
from derain_edu.metrics import psnr
from derain_edu.training.config import TrainConfig
from derain_edu.training.trainer import Trainer


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
        One of the tables of :mod:`derain_edu.experiments.tables` or of
        :data:`derain_edu.experiments.measurements.MEASUREMENTS`.
    smoke : bool
        Two steps of one seed per variant, to see that everything runs. Needs ``folder``, so
        that a smoke run never lands among the real results.
    folder : Path, optional
        Where the CSV and the JSON go. Default: ``data/results``.

    Returns
    -------
    Path
        The CSV file.

    Raises
    ------
    DerainError
        For an unknown name, and if another program runs this experiment into this folder.
    """
    experiment = MEASUREMENTS.get(name) or find_experiment(name)
    if smoke:
        if folder is None:
            raise DerainError("a smoke run is not a result: give it a folder of its own")
        experiment = replace(experiment, seeds=experiment.seeds[:1])
        if isinstance(experiment, Experiment):
            experiment = replace(experiment, steps=2)
    path = (folder or data_folder() / "results") / f"{name}.csv"
    # The lock has a folder of its own: other experiments may run into the same place.
    with reserved(path.parent / f".{name}", f"the experiment {name}"):
        done = {(row["variant"], int(row["seed"])) for row in read_rows(path)}
        missing = [cell for cell in _cells(experiment) if cell not in done]
        measure = run_cell if isinstance(experiment, Experiment) else take_measurement
        added, commit = 0, this_commit()
        try:
            for variant, seed in missing:
                append_row(path, measure(experiment, variant, seed))
                added += 1
        finally:  # also after Ctrl-C: these rows are of this run
            if added:
                describe(experiment, path, added, commit)
    return path


def run_cell(experiment: Experiment, variant: str, seed: int) -> dict[str, Any]:
    """Train one variant with one seed and measure it; the returned row goes into the CSV."""
    config = cell_config(experiment, variant, seed)
    data = seen = None
    if experiment.samples is not None:
        stream = SyntheticRain(rain=config.data, patch_size=config.patch_size, seed=seed)
        data = FixedSamples(stream, experiment.samples)
        seen = [data[k] for k in range(experiment.samples)]
    held = [pair for rain in experiment.judge for pair in held_out_patches("validation", rain)]
    examine = EXAMINATIONS.get(experiment.examine or "")
    clock, work = time.perf_counter(), time.process_time()
    trainer = Trainer(config, data=data, validation=held[::3])
    result = trainer.run()
    model = result.model.cpu()  # judged there, wherever it was trained
    minutes, work = (time.perf_counter() - clock) / 60, (time.process_time() - work) / 60
    samples, compute = trainer.plan.spent(getattr(model.config, "stages", 1))
    if (train_pairs := seen) is None:
        train_pairs = [p for rain in experiment.judge for p in held_out_patches("train", rain)]
    return {
        "variant": variant,
        "seed": seed,
        "steps": config.steps,
        "samples": samples,
        "compute": round(compute, 2),
        "parameters": sum(p.numel() for p in model.parameters()),
        "psnr_train": round(_score(model, train_pairs), 3),
        "psnr_validation": round(_score(model, held), 3),
        "psnr_input": round(_score(None, held), 3),
        **_scores_by_rain(model, experiment.judge),
        **_course_of(result.log),
        **(examine(config, model, held[::3]) if examine else {}),
        "minutes": round(minutes, 3),
        "cpu_minutes": round(work, 3),
        "device": trainer.device.type,
    }


def take_measurement(measurement: Measurement, variant: str, seed: int) -> dict[str, Any]:
    """Ask a measurement's question for one variant and seed; return the row for the CSV."""
    start = time.perf_counter()
    found = measurement.measure(**measurement.variants[variant], seed=seed)
    minutes = (time.perf_counter() - start) / 60
    return {"variant": variant, "seed": seed, **found, "minutes": round(minutes, 3)}


def cell_config(experiment: Experiment, variant: str, seed: int) -> TrainConfig:
    """Return what a cell of the table trains: the experiment's settings and the variant's own."""
    options = dict(experiment.variants[variant])
    own, share = options.pop("train", {}), options.pop("budget", 1)
    steps = max(1, round(experiment.steps * share))
    settings = {**experiment.train, "validate_every": max(1, steps // 10), **own}
    if "curriculum" in settings:  # each seed has its own random order
        settings["curriculum"] = replace(settings["curriculum"], seed=seed)
    return TrainConfig(
        model=options.pop("model"), options=options, steps=steps, seed=seed, **settings
    )


def _scores_by_rain(model: nn.Module, rains: Sequence[str]) -> dict[str, float]:
    """Return the score in each rain, where there are several, and how well attention finds it."""
    found = {}
    if len(rains) > 1:
        for rain in rains:
            score = _score(model, held_out_patches("validation", rain))
            found[f"psnr_{rain}"] = round(score, 3)
    if hasattr(model, "attend"):
        found["auc_validation"] = round(_attention_auc(model), 4)
    return found


def _course_of(log: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the validation scores on the way, and how restless the last five of them are."""
    curve = [row["validation_psnr"] for row in log if row["validation_psnr"] is not None]
    jumps = [abs(b - a) for a, b in pairwise(curve[-5:])]
    return {
        "curve": " ".join(f"{value:.2f}" for value in curve),
        "wobble": round(statistics.fmean(jumps), 3) if jumps else 0.0,
    }


def _cells(experiment: Experiment | Measurement) -> Iterator[tuple[str, int]]:
    for seed in experiment.seeds:  # seed by seed, so that an early stop leaves whole comparisons
        for variant in experiment.variants:
            yield variant, seed


@torch.no_grad()
def _score(model: nn.Module | None, pairs: list[dict[str, Tensor]]) -> float:
    rainy = torch.stack([pair["rainy"] for pair in pairs])
    clean = torch.stack([pair["clean"] for pair in pairs])
    return psnr(rainy if model is None else model.eval()(rainy), clean)


@torch.no_grad()
def _attention_auc(model: nn.Module) -> float:
    """Return how well the first attention map finds the true streaks of the validation pairs."""
    pairs = held_out_patches("validation")
    maps = model.eval().attend(torch.stack([pair["rainy"] for pair in pairs]))[1]
    return auc(maps[:, :1], torch.stack([pair["mask"] for pair in pairs]))


