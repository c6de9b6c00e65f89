"""``derain-edu export``: write a model as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from derain_edu.cli.board import Code, run_own
from derain_edu.cli.options import Stages, Weights, given
from derain_edu.files import at_home


def export(
    model: Annotated[str, typer.Argument(help="A model's name, or a file.", show_default=False)],
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="The ONNX file. [MODEL.onnx]")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that exists. [it stays]")
    ] = False,
    weights: Weights = "open",
    stages: Stages = None,
    stage: Annotated[
        bool, typer.Option("--stage", help="One stage only: whoever runs it repeats it.")
    ] = False,
    maps: Annotated[
        bool, typer.Option("--maps", help="With SPANet's attention maps as a second output.")
    ] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Smaller and faster, rounded.")] = False,
    code: Code = None,
) -> None:
    """Write a model as an ONNX file that runs without Python.

    For every batch, height and width; checked against the model before it is written. With
    --int8 the convolutions compute with bytes, calibrated on the course's training photos. With
    --stage the file of a progressive network holds one stage: rainy, x, h, c to x, h, c. With
    --maps the file of SPANet also gives its four maps (B, 4, H, W): where each stage looks.

    \b
    Examples:
      derain-edu export prenet
      derain-edu export prenet -o rain100h.onnx --weights official-rain100h
      derain-edu export prenet -o prenet_int8.onnx --int8
      derain-edu export prenet -o stage.onnx --stage
      derain-edu export spanet -o spanet.onnx --maps
    """
    from derain_edu.cli.file_jobs import export_file

    model, weights = at_home(model), at_home(weights)
    target = None if output is None else Path(at_home(output))
    inputs = [] if code is None else [code]
    run_own(code)
    about = export_file(
        model, weights, target, int8, overwrite, inputs, one_stage=stage, maps=maps,
        **given(stages=stages),
    )  # fmt: skip
    typer.echo(about)
