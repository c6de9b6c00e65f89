"""What the commands do with files: where results go, and how each file is processed."""

from __future__ import annotations

import json
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from derain_edu.devices import describe_device
from derain_edu.errors import DerainError
from derain_edu.images import read_picture, to_tensor
from derain_edu.inference.onnx_export import check_onnx_path, export_onnx
from derain_edu.inference.onnx_int8 import quantize_onnx
from derain_edu.inference.onnx_network import OnnxModel, load_onnx
from derain_edu.inference.restoration import derain, load_model, place
from derain_edu.metrics import psnr, ssim
from derain_edu.picture_files import SAVE_AS, check_save_path, save_picture
from derain_edu.training.config import TrainConfig
from derain_edu.training.recipes import recipe as find_recipe


def output_paths(pictures: list[Path], output: Path | None) -> dict[Path, Path]:
    """Return where the derained version of each picture goes.

    Parameters
    ----------
    pictures : list of Path
        The rainy pictures.
    output : Path, optional
        A file (for one picture) or a folder. Default: ``NAME_derained`` beside each picture.

    Raises
    ------
    DerainError
        If a rainy picture or another result would be overwritten, or the format is unknown.
    """
    is_folder = output is not None and (output.is_dir() or not output.suffix)
    if output is not None and not is_folder and len(pictures) > 1:
        raise DerainError(f"-o {output} is one file for {len(pictures)} pictures: name a folder")
    targets: dict[Path, Path] = {}
    for picture in dict.fromkeys(pictures):  # one named twice is derained once
        suffix = picture.suffix if picture.suffix.lower() in SAVE_AS else ".png"
        if output is None:
            target = picture.with_name(f"{picture.stem}_derained{suffix}")
        else:
            target = output / f"{picture.stem}{suffix}" if is_folder else output
        check_save_path(target)
        if target.resolve() in {path.resolve() for path in pictures}:
            raise DerainError(f"{target} would overwrite a rainy picture: choose another -o")
        if target in targets.values():
            raise DerainError(f"two pictures would go to {target}: derain them one by one")
        targets[picture] = target
    return targets


def derain_files(
    targets: dict[Path, Path],
    network: nn.Module,
    tile: int | None = None,
    clean: Path | None = None,
    say: Callable[[str], None] = print,
) -> list[str]:
    """Derain pictures one after the other and say what was done.

    Parameters
    ----------
    targets : dict of Path to Path
        From rainy to derained pictures, see :func:`output_paths`.
    network : nn.Module
        The model, on its device.
    tile : int, optional
        See :func:`derain_edu.inference.restoration.derain_tensor`.
    clean : Path, optional
        The clean picture (of a single rainy one), for the scores.
    say : callable
        Gets one line per picture.

    Returns
    -------
    list of str
        What went wrong, a sentence for each picture that was left out.
    """
    problems = []
    for picture, target in targets.items():
        try:
            say(_derain_file(picture, target, network, tile, clean))
        except DerainError as error:
            problems.append(str(error))
    return problems


def _derain_file(
    picture: Path, target: Path, network: nn.Module, tile: int | None, clean: Path | None
) -> str:
    began = time.perf_counter()
    source = read_picture(picture)
    check_save_path(target, transparent=source.alpha is not None)
    truth = None if clean is None else to_tensor(clean)
    if truth is not None and truth.shape != source.rgb.shape:
        raise DerainError(
            f"{clean} is {truth.shape[2]}×{truth.shape[1]} pixels and {picture} is "
            f"{source.rgb.shape[2]}×{source.rgb.shape[1]}: "
            "give the clean picture that belongs to it"
        )
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always", UserWarning)
        result = derain(source, network, tile=tile, progress=True)
    save_picture(result, target)
    seconds = time.perf_counter() - began
    line = f"{picture} -> {target}  ({result.width}×{result.height} pixels, {seconds:.1f} s)"
    line += "".join(f"\nnote: {note.message}" for note in notes)
    if truth is not None:
        derained = to_tensor(result)
        before, after = psnr(source.rgb, truth), psnr(derained, truth)
        line += f"\nPSNR {before:.2f} -> {after:.2f} dB"
        if min(truth.shape[1:]) >= 11:  # the window of SSIM
            line += f", SSIM {ssim(source.rgb, truth):.4f} -> {ssim(derained, truth):.4f}"
        line += " (on Y, prenet_matlab)"
    return line


def load_on(
    device: str, model: str, weights: str, say: Callable[[str], None] = print, **options: Any
) -> nn.Module:
    """Load a model for a command, put it on a device, and say in one line what runs where."""
    network = load_model(model, weights, **options)
    label = model if Path(model).is_file() else f"{model}, weights {weights}"
    say(f"{label}; {describe_device(place(network, device))}")
    return network


def export_file(
    model: str, weights: str, output: Path | None = None, int8: bool = False, **options: Any
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
    **options
        Fields of the model's configuration.

    Returns
    -------
    str
        Two lines: the file, and how it was checked.
    """
    target = check_onnx_path(output or Path(f"{Path(model).stem}{'_int8' * int8}.onnx"))
    network = load_model(model, weights, **options)
    if not isinstance(network, OnnxModel):
        with tempfile.TemporaryDirectory() as folder:
            exported = export_onnx(network, Path(folder) / "float.onnx" if int8 else target)
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
    line = f"{path}: {path.stat().st_size / 1e6:.2f} MB, opset {info.opset}, {info.precision}\n"
    line += f"largest difference to the model {checked['largest_difference']:.1e} on {sizes}"
    if "fidelity_dB" in info.metadata:
        line += f"; int8 to float {info.metadata['fidelity_dB']} dB"
    return line


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
