"""What the commands do with files, one after the other. Where results go: ``targets``."""

from __future__ import annotations

import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import typer
from PIL import Image
from torch import nn
from tqdm import tqdm

from derain_edu.cli.targets import Job
from derain_edu.devices import choose_device, describe_device
from derain_edu.errors import DerainError
from derain_edu.evaluation.scores import Score, evaluate, mean_score, write_scores
from derain_edu.files import is_one_of
from derain_edu.images import read_picture, to_tensor
from derain_edu.inference.engine import choose_engine
from derain_edu.inference.onnx_export import check_onnx_path, export_onnx
from derain_edu.inference.onnx_int8 import quantize_onnx
from derain_edu.inference.onnx_network import OnnxModel, first_line, load_onnx, open_session
from derain_edu.inference.onnx_stage import export_stage
from derain_edu.inference.restoration import derain, load_model, place
from derain_edu.metrics import psnr, ssim
from derain_edu.picture_files import check_save_path, save_picture
from derain_edu.text import bars_are_off
from derain_edu.training.config import TrainConfig
from derain_edu.training.recipes import recipe as find_recipe


def derain_files(
    jobs: Sequence[Job],
    network: nn.Module,
    tile: int | None = None,
    clean: Path | None = None,
    large: float | None = None,
    frame: int | None = None,
    strip: bool = False,
    say: Callable[[str], None] = print,
    complain: Callable[[str], None] = print,
    stdout: BinaryIO | None = None,
) -> int:
    """Derain pictures one after the other and say what was done.

    Whatever goes wrong with one picture is said, and the next one has its turn.

    Parameters
    ----------
    jobs : sequence of Job
        From :func:`derain_edu.cli.targets.plan_jobs`.
    network : nn.Module
        The model, on its device.
    tile : int, optional
        See :func:`derain_edu.inference.restoration.derain_tensor`.
    clean : Path, optional
        The clean picture (of a single rainy one), for the scores.
    large, frame : optional
        Megapixels, and which picture of a file that holds several: see
        :func:`derain_edu.images.read_picture`.
    strip : bool
        Leave out what EXIF tells.
    say, complain : callable
        Get a text for each picture: what was done, or one sentence on what went wrong.
    stdout : binary file, optional
        For a result without a file: gets a PNG.

    Returns
    -------
    int
        How many pictures were derained.

    Raises
    ------
    KeyboardInterrupt
        After ``complain`` was told how far the work is.
    """
    done = 0
    hidden = True if len(jobs) == 1 or bars_are_off() else None  # None: shown in a terminal
    with tqdm(total=len(jobs), unit="picture", disable=hidden) as bar:
        for job in jobs:
            tell = complain
            try:
                with warnings.catch_warnings(record=True) as notes:
                    warnings.simplefilter("ignore")
                    warnings.simplefilter("always", UserWarning)
                    text = _derain_file(job, network, tile, clean, large, frame, strip, stdout)
                text += "".join(f"\nnote: {note.message}" for note in notes)
                tell, done = say, done + 1
            except (BrokenPipeError, KeyboardInterrupt) as error:
                if isinstance(error, KeyboardInterrupt):
                    complain(f"stopped: {done} of {len(jobs)} pictures are done")
                raise
            except Exception as error:  # the network may be anybody's
                text = told(job.name, error)
            with tqdm.external_write_mode():
                tell(text)
            bar.update()
    return done


def told(name: str, error: Exception) -> str:
    """Say in one sentence why the work on one picture or pair of many failed."""
    if isinstance(error, DerainError):
        return str(error)
    if isinstance(error, OSError):
        return f"{name}: {error.strerror or error}: check the path and the disk"
    kind = type(error).__name__
    return f"{name} was left out: the network raised {kind} ({first_line(error)})"


def _derain_file(
    job: Job,
    network: nn.Module,
    tile: int | None,
    clean: Path | None,
    large: float | None,
    frame: int | None,
    strip: bool,
    stdout: BinaryIO | None,
) -> str:
    began = time.perf_counter()
    if job.picture is None:
        content = typer.get_binary_stream("stdin").read()
        source = read_picture(content, job.name, frame, large)
    else:
        source = read_picture(job.picture, frame=frame, large=large)
    if job.target is not None:
        size = (source.rgb.shape[2], source.rgb.shape[1])
        check_save_path(job.target, transparent=source.alpha is not None, size=size)
    truth = None if clean is None else read_picture(clean, large=large).rgb
    if truth is not None and truth.shape != source.rgb.shape:
        raise DerainError(
            f"{clean} is {truth.shape[2]}×{truth.shape[1]} pixels and {job.name} is "
            f"{source.rgb.shape[2]}×{source.rgb.shape[1]}: "
            "give the clean picture that belongs to it"
        )
    result = derain(source, network, tile=tile, progress=True)
    _give(result, job.target, strip, stdout)
    seconds = time.perf_counter() - began
    where = "standard output" if job.target is None else job.target
    line = f"{job.name} -> {where}  ({result.width}×{result.height} pixels, {seconds:.1f} s)"
    if truth is not None:
        derained = to_tensor(result)
        before, after = psnr(source.rgb, truth), psnr(derained, truth)
        line += f"\nPSNR {before:.2f} -> {after:.2f} dB"
        if min(truth.shape[1:]) >= 11:  # the window of SSIM
            line += f", SSIM {ssim(source.rgb, truth):.4f} -> {ssim(derained, truth):.4f}"
        line += " (on Y, prenet_matlab)"
    return line


def _give(
    result: Image.Image, target: Path | None, strip: bool, stdout: BinaryIO | None
) -> None:
    if target is not None:
        save_picture(result, target, strip)
    elif stdout is not None:
        with tempfile.TemporaryDirectory() as folder:
            stdout.write(save_picture(result, Path(folder) / "derained.png", strip).read_bytes())
        stdout.flush()


def evaluate_pairs(
    network: nn.Module,
    pairs: Sequence[dict[str, Any]],
    protocol: str,
    tile: int | None = None,
    limit: int | None = None,
    csv: Path | None = None,
    say: Callable[[Any], None] = print,
    complain: Callable[[str], None] = print,
) -> int:
    """Measure a network on pairs and say each score, for ``derain-edu evaluate``.

    Whatever goes wrong with one pair is said, and the next one has its turn. What was measured
    goes into the file ``csv``, also when the work is stopped.

    Returns
    -------
    int
        How many pairs could not be measured.
    """
    scores: list[Score] = []
    failed = 0

    def keep(score: Score) -> None:
        scores.append(score)
        say(score)

    def leave_out(name: str, error: Exception) -> None:
        nonlocal failed
        failed += 1
        complain(told(name, error))

    try:
        evaluate(network, pairs, protocol, tile, keep, leave_out, limit)
    except KeyboardInterrupt:
        complain(f"stopped: {len(scores)} pairs are measured")
        raise
    finally:
        if csv is not None and scores:
            write_scores(scores, csv)
    if scores or not failed:
        say(mean_score(scores))
    if failed:
        say(f"{len(scores)} of {len(scores) + failed} pairs measured")
    return failed


def load_on(
    device: str,
    model: str,
    weights: str,
    say: Callable[[str], None] = print,
    engine: str = "torch",
    fast: bool = False,
    **options: Any,
) -> nn.Module:
    """Load a model for a command, put it on a device, and say in one line what runs where.

    What computes it: see :func:`derain_edu.inference.engine.choose_engine`.
    """
    network = load_model(model, weights, **options)
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always", UserWarning)
        if engine != "torch" or fast:
            network = choose_engine(
                network, choose_device(device), engine, fast, lambda text: say(f"note: {text}")
            )
    for note in notes:
        say(f"note: {note.message}")
    label = model if os.path.isfile(model) else f"{model}, weights {weights}"
    if isinstance(network, OnnxModel):
        label += f", ONNX Runtime, {network.info.precision.partition(',')[0]}"
    say(f"{label}; {describe_device(place(network, device))}")
    return network


def export_file(
    model: str,
    weights: str,
    output: Path | None = None,
    int8: bool = False,
    overwrite: bool = False,
    inputs: Iterable[Path] = (),
    one_stage: bool = False,
    maps: bool = False,
    **options: Any,
) -> str:
    """Write a model as an ONNX file, for ``derain-edu export``.

    Parameters
    ----------
    model, weights
        What :func:`derain_edu.inference.restoration.load_model` takes; with ``int8`` also an
        ONNX file.
    output : Path, optional
        Default: the model's name with ``.onnx``.
    int8 : bool
        See :func:`derain_edu.inference.onnx_int8.quantize_onnx`.
    overwrite : bool
        Replace a file that is there.
    inputs : iterable of Path
        Other files that are read, and so never written to.
    one_stage : bool
        See :func:`derain_edu.inference.onnx_stage.export_stage`.
    maps : bool
        See :func:`derain_edu.inference.onnx_export.export_onnx`.
    **options
        Fields of the model's configuration.

    Returns
    -------
    str
        Two lines: the file, and how it was checked.
    """
    chosen = {"--stage": one_stage, "--maps": maps, "--int8": int8}
    if sum(chosen.values()) > 1:
        names = " and ".join(name for name, given in chosen.items() if given)
        raise DerainError(f"{names} don't go together: choose one of them")
    ending = "_stage" * one_stage + "_maps" * maps + "_int8" * int8
    target = check_onnx_path(output or Path(f"{Path(model).stem}{ending}.onnx"))
    if os.path.lexists(target):
        if is_one_of(target, [Path(model), Path(weights), *inputs]):
            raise DerainError(f"{target} would overwrite what is read: choose another -o")
        if not overwrite:
            raise DerainError(f"{target} exists: choose another -o, or replace it by --overwrite")
    network = load_model(model, weights, **options)
    if one_stage:
        return _about_stage(export_stage(network, target))
    if not isinstance(network, OnnxModel):
        with tempfile.TemporaryDirectory() as folder:
            exported = export_onnx(network, Path(folder) / "float.onnx" if int8 else target, maps)
            if int8:
                quantize_onnx(exported, target)
    elif int8:
        quantize_onnx(network.path, target)
    else:
        raise DerainError(f"{model} is an ONNX file already: --int8 makes a smaller one from it")
    return _about_export(target)


def _about_export(path: Path) -> str:
    info = load_onnx(path).info
    checked = json.loads(info.metadata["checked"])
    sizes = ", ".join("×".join(map(str, size)) for size in checked["sizes"])
    other = "model" if info.precision == "float32" else "float network"
    line = f"{path}: {path.stat().st_size / 1e6:.2f} MB, opset {info.opset}, {info.precision}\n"
    line += f"largest difference to the {other} {checked['largest_difference']:.1e} on {sizes}"
    if "fidelity_dB" in info.metadata:
        line += f"; PSNR of int8 to float {info.metadata['fidelity_dB']} dB"
    return line


def _about_stage(path: Path) -> str:
    session = open_session(path.read_bytes(), path)
    checked = json.loads(session.get_modelmeta().custom_metadata_map["checked"])
    names = [
        ", ".join(value.name for value in values)
        for values in (session.get_inputs(), session.get_outputs())
    ]
    return (
        f"{path}: {path.stat().st_size / 1e6:.2f} MB, one stage, {names[0]} to {names[1]}\n"
        f"repeated, largest difference to the model {checked['largest_difference']:.1e}"
    )


def train_config(recipe: str | None, changes: dict[str, Any], out: Path | None) -> TrainConfig:
    """Return the configuration for ``derain-edu train``.

    Parameters
    ----------
    recipe : str, optional
        The name of a recipe to start from.
    changes : dict
        Fields of TrainConfig that the user gave. A budget replaces the recipe's own.
    out : Path, optional
        Default: ``runs/RECIPE`` or ``runs/MODEL``.

    Raises
    ------
    DerainError
        If the recipe is unknown, or goes on from a run that is not there.
    """
    if recipe is None:
        return TrainConfig(**changes, out=out or Path("runs") / changes.get("model", "prn"))
    budgets = {"minutes", "steps", "epochs"}
    if given := budgets & changes.keys():
        changes = {**dict.fromkeys(budgets - given), **changes}
    config = replace(find_recipe(recipe), **changes, out=out or Path("runs") / recipe)
    start = None if "pretrained" in changes else config.pretrained
    if start is not None and not Path(start).is_file():
        first = Path(start).parent
        raise DerainError(
            f"recipe {recipe!r} goes on from {start}, which is not there: first run "
            f"derain-edu train --recipe {first.name} --out {first}"
        )
    return config
