"""``derain-edu derain``: take the rain out of photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from derain_edu.cli.board import Code, run_own
from derain_edu.cli.options import Device, Model, Stages, TileSize, Weights, given
from derain_edu.errors import DerainError


def derain(
    pictures: Annotated[list[Path], typer.Argument(help="Photos to derain.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="A file, or a folder for several. [NAME_derained beside each]"
        ),
    ] = None,
    model: Model = "prenet",
    weights: Weights = "open",
    stages: Stages = None,
    device: Device = "auto",
    tile: TileSize = None,
    clean: Annotated[
        Path | None, typer.Option(help="The rain-free twin of one photo: prints the scores.")
    ] = None,
    code: Code = None,
) -> None:
    """Take the rain out of photos.

    Large photos are cut into windows, so any size fits into memory. The size, grey, transparency
    and colour profile stay; a photo that lies on its side is turned upright.

    \b
    Examples:
      derain-edu derain street.jpg
      derain-edu derain street.jpg -o clean.png --model prenet --weights official-rain100h
      derain-edu derain *.jpg -o derained/
      derain-edu derain street.jpg --model runs/first/model.safetensors
      derain-edu derain street.jpg --model prenet.onnx
    """
    from derain_edu.cli.file_jobs import derain_files, load_on, output_paths
    from derain_edu.devices import reuse_memory

    reuse_memory()
    run_own(code)
    if clean is not None and len(pictures) > 1:
        raise DerainError("--clean belongs to one photo: give one photo")
    targets = output_paths(pictures, output)
    network = load_on(device, model, weights, typer.echo, **given(stages=stages))
    problems = derain_files(targets, network, tile, clean, typer.echo)
    for problem in problems:
        typer.echo(f"error: {problem}", err=True)
    if problems:
        raise typer.Exit(2)
