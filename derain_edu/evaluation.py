"""Measure a network on a set of pairs: what it is given, what it gives back.

A score of a derained picture says little without the score of the rainy one, so both stand
side by side in every row. Numbers of different protocols, or of models that were trained on
different data, must never be compared: see lesson 01.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from derain_edu.datasets.download import cached_set, read_manifest
from derain_edu.datasets.pairs import PairedFolder
from derain_edu.datasets.photos import load_photo, photo_names
from derain_edu.errors import DerainError
from derain_edu.inference.restoration import derain_tensor, load_model, place
from derain_edu.metrics import PROTOCOLS, psnr, ssim
from derain_edu.models import list_models
from derain_edu.models.pretrained import list_pretrained
from derain_edu.rain.synthesis import add_rain

BENCHMARKS = ("rain100l", "rain100h")
SYNTHETIC_PRESETS = ("light", "heavy")


@dataclass(frozen=True)
class Score:
    """One row of an evaluation."""

    name: str
    psnr_rainy: float  # dB
    psnr_derained: float  # dB
    ssim_rainy: float
    ssim_derained: float

    def __str__(self) -> str:
        return (
            f"{self.name[:24]:<24} {self.psnr_rainy:8.2f} {self.psnr_derained:8.2f} "
            f"{self.ssim_rainy:8.4f} {self.ssim_derained:8.4f}"
        )


HEADER = f"{'picture':<24} {'PSNR':>8} {'derained':>8} {'SSIM':>8} {'derained':>8}"


def evaluate(
    model: nn.Module,
    pairs: Iterable[dict[str, Any]],
    protocol: str = "prenet_matlab",
    tile: int | None = None,
    on_score: Callable[[Score], None] | None = None,
) -> list[Score]:
    """Derain every rainy picture of ``pairs`` and compare with its clean twin.

    Parameters
    ----------
    model : nn.Module
        (B, 3, H, W) in, (B, 3, H, W) out.
    pairs : iterable of dict
        With ``name``, and ``rainy`` and ``clean`` (3, H, W) in [0, 1]; for example a
        :class:`~derain_edu.datasets.pairs.PairedFolder` or :func:`synthetic_test_set`.
    protocol : str
        One of :data:`derain_edu.metrics.PROTOCOLS`.
    tile : int, optional
        See :func:`derain_edu.inference.restoration.derain_tensor`.
    on_score : callable, optional
        Gets each score as soon as it is known.

    Returns
    -------
    list of Score
        In the order of ``pairs``.

    Raises
    ------
    DerainError
        For an unknown protocol, and for pictures that do not fit together.
    """
    if protocol not in PROTOCOLS:
        raise DerainError(f"unknown protocol {protocol!r}: choose one of {', '.join(PROTOCOLS)}")
    scores = []
    for pair in pairs:
        rainy, clean = pair["rainy"], pair["clean"]
        derained = derain_tensor(model, rainy, tile)
        scores.append(_score(pair["name"], rainy, derained, clean, protocol))
        if on_score:
            on_score(scores[-1])
    return scores


def _score(name: str, rainy: Tensor, derained: Tensor, clean: Tensor, protocol: str) -> Score:
    before, after = psnr(rainy, clean, protocol), psnr(derained, clean, protocol)
    return Score(name, before, after, ssim(rainy, clean, protocol), ssim(derained, clean, protocol))


def mean_score(scores: Sequence[Score]) -> Score:
    """Return the mean of each column, under the name ``mean``."""
    if not scores:
        raise DerainError("there is nothing to average: the data set holds no pairs")
    columns = [field.name for field in fields(Score)][1:]
    means = {column: sum(getattr(s, column) for s in scores) / len(scores) for column in columns}
    return Score("mean", **means)


def write_scores(scores: Sequence[Score], path: str | Path) -> None:
    """Write the scores as a CSV file with one line per picture."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Score)])
            writer.writeheader()
            writer.writerows(asdict(score) for score in scores)
    except OSError as error:
        raise DerainError(f"{path} can't be written ({error}): choose another place") from error


def synthetic_test_set(preset: str = "light", long_side: int = 384) -> list[dict[str, Any]]:
    """Return the fixed synthetic test set: each test photo once, always in the same rain.

    Parameters
    ----------
    preset : str
        A preset of :mod:`derain_edu.rain.synthesis`.
    long_side : int
        Pixels on the longer side of each photo.

    Returns
    -------
    list of dict
        ``name``, ``rainy`` and ``clean``; six pairs that no model of the course was trained on.
    """
    pairs = []
    for seed, name in enumerate(photo_names("test")):
        clean = load_photo(name, long_side=long_side)
        rainy = add_rain(clean, preset, seed=seed).rainy
        pairs.append({"name": f"{name}-{preset}", "rainy": rainy, "clean": clean})
    return pairs


def open_pairs(data: str, layout: str = "plain") -> tuple[str, Any]:
    """Open the pairs that ``derain-edu evaluate --data`` names.

    Parameters
    ----------
    data : str
        ``"synthetic"`` (the fixed test set, light and heavy rain), ``"rain100l"`` or
        ``"rain100h"`` from the cache, or a folder.
    layout : str
        How a folder is arranged, see :class:`~derain_edu.datasets.pairs.PairedFolder`.

    Returns
    -------
    tuple of str and sequence
        A sentence about the pairs, and the pairs.

    Raises
    ------
    DerainError
        If the benchmark is not in the cache or the folder holds no pairs.
    """
    if data == "synthetic":
        pairs = [pair for preset in SYNTHETIC_PRESETS for pair in synthetic_test_set(preset)]
        return f"the synthetic test set: {len(pairs)} pairs, light and heavy rain", pairs
    if data in BENCHMARKS:
        folder, total = cached_set(data), len(read_manifest(data)) // 2
        if folder is None:
            raise DerainError(
                f"{data} is not in the cache: get it with `derain-edu download {data}` "
                "(research use only)"
            )
        pairs = PairedFolder(folder)
        part = f"{len(pairs)} of {total} pairs" if len(pairs) < total else f"all {total} pairs"
        return f"{data}: {part}", pairs
    if not Path(data).is_dir():
        choices = ", ".join(("synthetic", *BENCHMARKS))
        raise DerainError(f"--data {data!r} is neither {choices} nor a folder: check the name")
    pairs = PairedFolder(data, layout)
    return f"{data}: {len(pairs)} pairs", pairs


def models_with(weights: str, model: str | None = None) -> list[tuple[str, str]]:
    """Return the models that have these weights, and the tag of each.

    Parameters
    ----------
    weights : str
        A tag. ``"open"`` means every weight file that comes with the course, so also
        ``"open-paper"`` and the like.
    model : str, optional
        Only this one, or a weight file.

    Raises
    ------
    DerainError
        If there is none.
    """
    if model is not None and Path(model).is_file():
        return [(model, weights)]
    if model is not None and model not in list_models():
        raise DerainError(f"{model!r} is neither a model nor a file: derain-edu evaluate --help")
    found = []
    for name in list_models() if model is None else [model]:
        for tag in list_pretrained(name):
            if tag == weights or (weights == "open" and tag.startswith("open-")):
                found.append((name, tag))
    if not found:
        raise DerainError(f"no model of the course has weights {weights!r}: try open")
    return found


def score_benchmarks(
    weights: str = "open",
    model: str | None = None,
    protocol: str = "prenet_matlab",
    limit: int | None = None,
    device: str = "auto",
    say: Callable[[Any], None] = print,
) -> list[Score]:
    """Measure every model that has these weights on the benchmarks in the cache.

    Parameters
    ----------
    weights, model
        See :func:`models_with`.
    protocol : str
        One of :data:`derain_edu.metrics.PROTOCOLS`.
    limit : int, optional
        Only the first pairs of each benchmark.
    device : str
        See :func:`derain_edu.inference.restoration.place`.
    say : callable
        Gets each line of the table as soon as it is known, and a sentence for a benchmark that
        is missing.

    Returns
    -------
    list of Score
        The means, named ``SET MODEL TAG``.

    Raises
    ------
    DerainError
        If no benchmark is in the cache.
    """
    if protocol not in PROTOCOLS:
        raise DerainError(f"unknown protocol {protocol!r}: choose one of {', '.join(PROTOCOLS)}")
    chosen = models_with(weights, model)
    here = [data for data in BENCHMARKS if cached_set(data) is not None]
    missing = [data for data in BENCHMARKS if data not in here]
    advice = f"get it with `derain-edu download {' '.join(missing)}` (research use only)"
    if not here:
        raise DerainError(f"no benchmark is in the cache: {advice}")
    if missing:
        say(f"{missing[0]} is not in the cache: {advice}")
    means = []
    for data in here:
        sentence, pairs = open_pairs(data)
        say(f"{sentence}{'' if limit is None else f', the first {limit}'}; protocol {protocol}")
        say(HEADER.replace("picture", "network"))
        for name, tag in chosen:
            network = load_model(name, tag)
            place(network, device)
            mean = mean_score(evaluate(network, islice(pairs, limit), protocol))
            say(replace(mean, name=f"{Path(name).stem} {tag}"))
            means.append(replace(mean, name=f"{data} {Path(name).stem} {tag}"))
    return means
