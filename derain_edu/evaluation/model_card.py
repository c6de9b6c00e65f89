"""A model card: what a weight file is, how it was made, what it scores, and where it fails.

``derain-edu card runs/mine/model.safetensors`` writes it. Every number in it is measured or read
from the run; what nobody can read from a file (a licence, an intention) is left for its author.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields, replace
from datetime import date
from pathlib import Path
from typing import Any

from torch import nn

from derain_edu import __version__
from derain_edu.datasets.held_out import SIDE, SPLITS, fixed_pairs
from derain_edu.datasets.photos import photo_names
from derain_edu.errors import DerainError
from derain_edu.evaluation.harm import ANGLES, PERIODS, grating_map, measure_harm
from derain_edu.evaluation.leaderboard import checked_name
from derain_edu.evaluation.provenance import loaded, run_of
from derain_edu.evaluation.scores import Score, picture_scores
from derain_edu.files import check_writable, data_folder, file_hash, is_one_of, write_atomically
from derain_edu.inference.restoration import derain_tensor
from derain_edu.models import model_options
from derain_edu.models.pretrained import read_weights
from derain_edu.rain.presets import MIXES
from derain_edu.text import code_in_markdown as _code
from derain_edu.text import in_markdown
from derain_edu.training.checkpoints import fingerprint
from derain_edu.training.config import TrainConfig
from derain_edu.training.curriculum import Curriculum, StepSchedule
from derain_edu.training.plan import open_data
from derain_edu.training.recipes import cost_of, history_of
from derain_edu.training.recipes import recipe as find_recipe

_NOT_IN_THE_RECIPE = ("model", "options", "stages", "out", "device", "log_every", "save_every")
_TO_SAY = "not stated: ask the author"
_NO_BENCHMARK = "No picture of Rain100L or Rain100H was used, to train or to choose anything."
_RANGES_OF_THE_MIX = (
    " The ranges of its rain (rain/presets.py) were chosen on the rain layers of twelve training "
    "pairs of RainTrainH."
)
_HELD = "It never saw the photos of the splits validation and test, on which it is scored."


def model_card(
    weights: str | Path,
    name: str | None = None,
    licence: str | None = None,
    model: str | None = None,
    recipe: str | None = None,
) -> str:
    """Measure a weight file and return its card as Markdown.

    Parameters
    ----------
    weights : path
        A file that the trainer wrote; the recipe is read from ``last.pt`` beside it.
    name : str, optional
        The title. Default: the name of the model.
    licence : str, optional
        Of the weights, in its author's words.
    model : str, optional
        The model's name, if the file does not say it.
    recipe : str, optional
        Of :mod:`derain_edu.training.recipes`, for weights that have left their run folder. The card
        says that the recipe is stated, not read from a run.

    Raises
    ------
    DerainError
        If there is no such file, or it holds no network that is known.
    """
    path = Path(weights)
    network = loaded(path, model)
    kind, run = model or read_weights(path).model or "?", run_of(path)
    config = None if run is None else _config(run)
    on_course_data = config is not None and _is_course_data(config, run)
    data, how = _data(run, config, on_course_data), _recipe(run)
    if run is None and recipe is not None:
        config, on_course_data = find_recipe(recipe), True
        data, how = _stated(recipe, kind, network)
    scores = {split: picture_scores(network, split) for split in SPLITS}
    sections = {
        "What it is": _what(path, kind, network, licence),
        "Data": data,
        "Recipe": how,
        "Scores": _scores(scores),
        "Pictures without rain": _dry(network),
        "Limits, measured": _limits(network, scores["test"]),
        "The photos and their authors": _photos(config.photos if config and on_course_data else ""),
    }
    title = f"# {in_markdown(checked_name(name or kind))}\n"
    note = f"Written by derain-edu {__version__} on {date.today().isoformat()}.\n"
    return "\n".join([title, note, *(f"## {k}\n\n{v}\n" for k, v in sections.items())])


def _what(path: Path, kind: str, network: nn.Module, licence: str | None) -> str:
    options = model_options(network)
    count = sum(p.numel() for p in network.parameters())
    return _list(
        f"a network that takes rain out of one photo: {_code(kind)}, {count:,} parameters",
        f"options: {_code(json.dumps(options))}",
        f"file: {_code(path.name)}, {path.stat().st_size:,} bytes, sha256 `{file_hash(path)}`",
        "input and output: RGB in [0, 1], (B, 3, H, W)",
        f"licence of the weights: {in_markdown(licence or _TO_SAY)}",
    )


def _data(run: dict[str, Any] | None, config: TrainConfig | None, on_course_data: bool) -> str:
    if run is None:
        return f"No run folder beside the file. Training data: {_TO_SAY}."
    if config is None:
        return f"The run was configured by another version. Training data: {_TO_SAY}."
    if on_course_data:
        return (
            f"{_photos_in_rain(config)}: the first sample of the run is the one that these "
            f"settings give. {_HELD}"
        )
    return (
        "Not the photos and rain of these settings: the first sample of the run is another one. "
        f"It was trained on data of its author's. Which: {_TO_SAY}."
    )


def _is_course_data(config: TrainConfig, run: dict[str, Any]) -> bool:
    """Make the run's first sample again and compare."""
    stream = open_data(replace(config, validate_every=0))[0]
    return fingerprint(stream[0]["rainy"]) == run["data"]


def _config(run: dict[str, Any]) -> TrainConfig | None:
    known = {field.name for field in fields(TrainConfig)}
    settings = {key: value for key, value in run["config"].items() if key in known}
    try:
        if plain := settings.get("curriculum"):  # a checkpoint holds plain dicts only
            parts = {k: StepSchedule(**v) if isinstance(v, dict) else v for k, v in plain.items()}
            settings["curriculum"] = Curriculum(**parts)
        return TrainConfig(**settings)
    except (DerainError, TypeError):
        return None


def _recipe(run: dict[str, Any] | None) -> str:
    if run is None:
        return f"No run folder beside the file. Recipe: {_TO_SAY}."
    config = run["config"]
    start = config.get("pretrained")
    lines = [
        f"{run['step']:,} steps of {config['batch_size']} patches in {run['seconds'] / 60:.1f} "
        "minutes, validation included",
        _settings(config),
        f"start: {'the weights ' + _code(str(start)) if start else 'random weights'}",
    ]
    if run["best"] > 0:
        lines.append(f"best validation during the run: {run['best']:.2f} dB")
    return _list(*lines)


def _settings(config: dict[str, Any]) -> str:
    usual = asdict(TrainConfig(steps=1))
    changed = {
        key: value
        for key, value in config.items()
        if key not in _NOT_IN_THE_RECIPE and value != usual.get(key) and value is not None
    }
    return f"settings other than the defaults: {_code(json.dumps(changed, default=str))}"


def _stated(name: str, kind: str, network: nn.Module) -> tuple[str, str]:
    """Return data and recipe as a recipe of the course states them."""
    config = find_recipe(name)
    options = model_options(network)
    if kind != config.model or any(options[k] != v for k, v in config.options.items()):
        raise DerainError(f"recipe {name!r} does not make this network: name the recipe that did")
    names = history_of(name)
    how = _list(
        *(
            f"recipe `{one}` (stated, not read from a run): {_steps(find_recipe(one))} steps in "
            f"{cost_of(one)}, {_settings(asdict(find_recipe(one)))}"
            for one in names
        ),
        *(f"again: `derain-edu train --recipe {one} --out runs/{one}`" for one in names),
    )
    chosen = _RANGES_OF_THE_MIX if config.data in MIXES else ""
    return f"{_photos_in_rain(config)}. {_HELD} {_NO_BENCHMARK}{chosen}", how


def _steps(config: TrainConfig) -> str:
    planned = f"{config.steps:,}"
    return planned if config.stop_after is None else f"{config.stop_after:,} of {planned}"


def _photos_in_rain(config: TrainConfig) -> str:
    side, splits = config.patch_size, config.photos.replace("+", " and ")
    return (
        f"{len(photo_names(config.photos))} photos of the course (split {splits}, listed below) in "
        f"synthetic rain, `{config.data}`, patches of {side}×{side} pixels, seed {config.seed}"
    )


def _scores(scores: dict[str, dict[str, list[Score]]]) -> str:
    rows = [
        "| fixed pictures | rain | rainy, dB | derained, dB | SSIM rainy | SSIM derained |",
        "|---|---|---|---|---|---|",
    ]
    for split, found in scores.items():
        for rain, each in found.items():
            means = [
                sum(getattr(score, column) for score in each) / len(each)
                for column in ("psnr_rainy", "psnr_derained", "ssim_rainy", "ssim_derained")
            ]
            numbers = f"{means[0]:.2f} | {means[1]:.2f} | {means[2]:.3f} | {means[3]:.3f}"
            rows.append(f"| {split}, {len(each)} | {rain} | {numbers} |")
    rows.append(
        f"\nMeans of pictures of {SIDE}×{SIDE} pixels, protocol `prenet_matlab` (on luma Y)."
    )
    return "\n".join(rows)


def _dry(network: nn.Module) -> str:
    """What the network does where it has nothing to do."""
    rows = ["| dry pictures | mean, dB | worst, dB | which |", "|---|---|---|---|"]
    for split in SPLITS:
        harm = measure_harm(network, split)
        worst = f"{harm.worst.psnr:.2f} | {harm.worst.name}"
        rows.append(f"| {split}, {len(harm.scores)} | {harm.mean:.2f} | {worst} |")
    rows.append(
        "\nEach is compared with itself; 60 dB, a twentieth of a grey level, is the most. The same "
        "of drawn bars, by their angle from upright and their period in pixels (low: taken for "
        "rain):\n"
    )
    rows.append(f"| period | {' | '.join(f'{angle}°' for angle in ANGLES)} |")
    rows.append("|---" * (1 + len(ANGLES)) + "|")
    found = grating_map(network, ANGLES, PERIODS).tolist()
    for period, scores in zip(PERIODS, found, strict=True):
        rows.append(f"| {period} | {' | '.join(f'{psnr:.0f}' for psnr in scores)} |")
    return "\n".join(rows)


def _limits(network: nn.Module, test: dict[str, list[Score]]) -> str:
    each = [score for scores in test.values() for score in scores]
    worst = min(each, key=gain)
    worse = [score for score in each if gain(score) < 0]
    where, change = clean_change(network)[0]
    return _list(
        f"worst test picture: {worst.name}, {worst.psnr_rainy:.2f} dB before and "
        f"{worst.psnr_derained:.2f} dB after ({gain(worst):+.2f} dB)",
        f"test pictures that it makes worse: {len(worse)} of {len(each)}",
        "a photo without rain should stay as it is: the most changed one is "
        f"{where}, by {change:.2f} of 255 grey levels on average",
        "the rain of training and test is synthetic: real rain has depth, blur and drops that it "
        "lacks",
        f"small pictures ({SIDE} pixels): nothing is said about large photos or other cameras",
    )


def gain(score: Score) -> float:
    """Return how many dB a picture gained."""
    return score.psnr_derained - score.psnr_rainy


def clean_change(network: nn.Module, split: str = "test") -> list[tuple[str, float]]:
    """Return how far the network moves photos without rain, the most changed first.

    The mean absolute change in grey levels of 255; 0 would be perfect.
    """
    found = []
    for pair in fixed_pairs(split, "light"):
        clean = pair["clean"]
        moved = derain_tensor(network, clean).clamp(0, 1)
        found.append((pair["name"].rpartition("-")[0], 255 * (moved - clean).abs().mean().item()))
    return sorted(found, key=lambda item: -item[1])


def _photos(trained_on: str) -> str:
    """List the photos of the splits ``trained_on`` ("train+extra"), and those it is scored on."""
    with open(data_folder() / "photos" / "photos.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    used = [row for row in rows if row["split"] in (*trained_on.split("+"), *SPLITS)]
    return "\n".join(_table_of(used))


def _table_of(rows: Sequence[dict[str, str]]) -> Iterator[str]:
    yield "| photo | used for | author | licence |"
    yield "|---|---|---|---|"
    for row in sorted(rows, key=lambda row: (row["split"], row["name"])):
        cells = (in_markdown(row[key]) for key in ("file", "split", "author", "licence"))
        yield f"| {' | '.join(cells)} |"


def _list(*lines: str) -> str:
    return "\n".join(f"- {line}" for line in lines)


def check_card_path(path: Path, replace_old: bool = False, inputs: Iterable[Path] = ()) -> None:
    """Say before the measurement that a card can't be written to ``path``.

    Raises
    ------
    DerainError
        If a file is there (unless it is to be replaced), is one of the ``inputs``, or can't be
        written.
    """
    if is_one_of(path, inputs):
        raise DerainError(f"{path} would overwrite what is read: choose another -o")
    check_writable(path)
    if path.exists() and not replace_old:
        raise DerainError(f"{path} exists already, perhaps with your own edits: use --replace")


def write_card(text: str, path: str | Path, replace_old: bool = False) -> Path:
    """Write a card, but never over a file that is there, unless told to."""
    path = Path(path)
    check_card_path(path, replace_old)
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise DerainError(f"{path} can't be written ({error}): choose another place") from error
    return path
