"""Rain100L, Rain100H and other sets of pairs: open what a command names, and measure on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from derain_edu.datasets.download import cached_set, read_manifest
from derain_edu.datasets.held_out import SYNTHETIC_PRESETS, synthetic_test_set
from derain_edu.datasets.pairs import PairedFolder, folder_unless_named
from derain_edu.errors import DerainError
from derain_edu.evaluation.scores import HEADER, Score, evaluate, mean_score
from derain_edu.inference.restoration import load_model, place
from derain_edu.metrics import PROTOCOLS
from derain_edu.models import list_models
from derain_edu.models.pretrained import list_pretrained

BENCHMARKS = ("rain100l", "rain100h")
NAMED_PAIRS = ("synthetic", *BENCHMARKS)  # what --data can name, beside a folder


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
    pairs = PairedFolder(folder_unless_named(data, NAMED_PAIRS), layout)
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
    on_error: Callable[[str, Exception], None] | None = None,
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
    on_error : callable, optional
        Gets the name and the error of each network that can't be measured on all pairs. It has no
        mean then, because that would be the mean of other pairs; the next network has its turn.
        Default: the first such error is raised.

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
            label = f"{Path(name).stem} {tag}"
            try:
                network = load_model(name, tag)
                place(network, device)
                mean = mean_score(evaluate(network, pairs, protocol, limit=limit))
            except Exception as error:  # of a picture, or of somebody's network
                if on_error is None:
                    raise
                on_error(f"{data} {label}", error)
                continue
            say(replace(mean, name=label))
            means.append(replace(mean, name=f"{data} {label}"))
    return means
