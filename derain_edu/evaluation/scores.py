"""Measure a network on a set of pairs: what it is given, what it gives back.

A score of a derained picture says little without the score of the rainy one, so both stand
side by side in every row. Numbers of different protocols, or of models that were trained on
different data, must never be compared: see lesson 02.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.utils.data import Dataset

from derain_edu.datasets.held_out import RAINS, SPLITS, fixed_pairs
from derain_edu.errors import DerainError
from derain_edu.evaluation.harm import measure_harm
from derain_edu.files import check_writable, is_one_of, write_atomically
from derain_edu.inference.restoration import derain_tensor
from derain_edu.metrics import PROTOCOLS, psnr, ssim
from derain_edu.text import csv_name, csv_text


@dataclass(frozen=True)
class Score:
    """One row of an evaluation.

    Attributes
    ----------
    name : str
        Of the picture, or ``"mean"``.
    psnr_rainy : float
        Rainy against clean, dB.
    psnr_derained : float
        Derained against clean, dB.
    ssim_rainy : float
        Rainy against clean, at most 1.
    ssim_derained : float
        Derained against clean, at most 1.
    """

    name: str
    psnr_rainy: float
    psnr_derained: float
    ssim_rainy: float
    ssim_derained: float

    def __str__(self) -> str:
        return (
            f"{self.name[:24]:<24} {self.psnr_rainy:8.2f} {self.psnr_derained:8.2f} "
            f"{self.ssim_rainy:8.4f} {self.ssim_derained:8.4f}"
        )


_COLUMNS = [field.name for field in fields(Score)]
_FIRST_LINE = f"{','.join(_COLUMNS)}\n".encode()  # of a CSV file of scores
HEADER = f"{'picture':<24} {'PSNR':>8} {'derained':>8} {'SSIM':>8} {'derained':>8}"


def evaluate(
    model: nn.Module,
    pairs: Iterable[dict[str, Any]],
    protocol: str = "prenet_matlab",
    tile: int | None = None,
    on_score: Callable[[Score], None] | None = None,
    on_error: Callable[[str, Exception], None] | None = None,
    limit: int | None = None,
) -> list[Score]:
    """Derain every rainy picture of ``pairs`` and compare it with the clean one.

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
    on_error : callable, optional
        Gets a name and the error of each pair that can't be measured; the next pair has its turn.
        Default: the first such error is raised.
    limit : int, optional
        Only the first pairs.

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
    for number, read in enumerate(islice(_readers(pairs), limit), 1):
        name = f"pair {number}"
        try:
            pair = read()
            name, rainy, clean = pair["name"], pair["rainy"], pair["clean"]
            derained = derain_tensor(model, rainy, tile)
            score = _score(name, rainy, derained, clean, protocol)
        except Exception as error:  # the network and the pairs may be anybody's
            if on_error is None:
                raise
            on_error(name, error)
            continue
        scores.append(score)
        if on_score:
            on_score(score)
    return scores


def _readers(pairs: Iterable[dict[str, Any]]) -> Iterator[Callable[[], dict[str, Any]]]:
    """Yield what reads each pair: so one that can't be read does not end the loop."""
    if isinstance(pairs, Sequence | Dataset):
        yield from (partial(pairs.__getitem__, index) for index in range(len(pairs)))
    else:
        yield from (partial(dict, pair) for pair in pairs)


def _score(name: str, rainy: Tensor, derained: Tensor, clean: Tensor, protocol: str) -> Score:
    before, after = psnr(rainy, clean, protocol), psnr(derained, clean, protocol)
    return Score(name, before, after, ssim(rainy, clean, protocol), ssim(derained, clean, protocol))


def mean_score(scores: Sequence[Score]) -> Score:
    """Return the mean of each column, under the name ``mean``."""
    if not scores:
        raise DerainError("there is nothing to average: the data set holds no pairs")
    numbers = _COLUMNS[1:]
    means = {column: sum(getattr(s, column) for s in scores) / len(scores) for column in numbers}
    return Score("mean", **means)


def check_scores_path(path: Path, inputs: Iterable[Path] = ()) -> None:
    """Say before the measurement that a table of scores can't be written to ``path``.

    Raises
    ------
    DerainError
        If it is one of the ``inputs``, can't be written, or holds something else than scores.
    """
    if is_one_of(path, inputs):
        raise DerainError(f"{path} would overwrite what is read: choose another file")
    check_writable(path)
    if path.exists():
        with open(path, "rb") as file:
            start = file.read(len(_FIRST_LINE))
        if start not in (b"", _FIRST_LINE):
            raise DerainError(f"{path} is there and is no table of scores: choose another file")


def write_scores(scores: Sequence[Score], path: str | Path) -> None:
    """Write the scores as a CSV file with one line per picture."""
    path = Path(path)
    rows = [{**asdict(score), "name": csv_name(score.name)} for score in scores]
    text = csv_text(rows, _COLUMNS)
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise DerainError(f"{path} can't be written ({error}): choose another place") from error


# The dry test pictures, each against itself: the mean of all, and the one that is damaged most.
DRY_SCORES = ("psnr_dry", "psnr_dry_worst")
SCORES = (
    *(f"{kind}_{split}_{rain}" for split in SPLITS for rain in RAINS for kind in ("psnr", "ssim")),
    *DRY_SCORES,
)


def picture_scores(
    network: nn.Module, split: str, on_score: Callable[[Score], None] | None = None
) -> dict[str, list[Score]]:
    """Return the score of each fixed picture, by kind of rain (protocol prenet_matlab)."""
    found = {}
    for rain in RAINS:
        scores = evaluate(network, fixed_pairs(split, rain), on_score=on_score)
        for score in scores:
            if not math.isfinite(score.psnr_derained):
                raise DerainError(
                    f"the network's output for {score.name} is not finite: train it again, with a "
                    "lower lr or with grad_clip"
                )
        found[rain] = scores
    return found


def measure(network: nn.Module) -> dict[str, float]:
    """Return a number for each of :data:`SCORES`: means, and the worst of the dry pictures."""
    means = {}
    for split in SPLITS:
        for rain, scores in picture_scores(network, split).items():
            for kind in ("psnr", "ssim"):
                values = [getattr(score, f"{kind}_derained") for score in scores]
                means[f"{kind}_{split}_{rain}"] = sum(values) / len(values)
    harm = measure_harm(network, "test")
    return means | dict(zip(DRY_SCORES, (harm.mean, harm.worst.psnr), strict=True))
