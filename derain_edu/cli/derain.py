"""``derain-edu derain``: take the rain out of photos, or of a video."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from derain_edu.cli.board import Code, run_own
from derain_edu.cli.options import (
    Device,
    Model,
    Stages,
    TileSize,
    Weights,
    complain,
    given,
)
from derain_edu.errors import DerainError
from derain_edu.files import at_home


def derain(
    pictures: Annotated[
        list[str],
        typer.Argument(
            help="Photos, folders of them, - (standard input), or a video.", show_default=False
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="A file, a folder/, or - (standard output). [NAME_derained beside each]",
        ),
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Also the folders in a folder, into the same tree.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that exist. [they stay]")
    ] = False,
    model: Model = "prenet",
    weights: Weights = "open",
    stages: Stages = None,
    device: Device = "auto",
    tile: TileSize = None,
    engine: Annotated[
        str, typer.Option(help="auto, torch or onnx: what computes the network.")
    ] = "auto",
    fast: Annotated[
        bool, typer.Option("--fast", help="Compute with bytes: faster, a little less exact.")
    ] = False,
    frame: Annotated[
        int | None,
        typer.Option(min=1, max=10**6, help="Which picture of a file that holds several. [first]"),
    ] = None,
    strip: Annotated[
        bool, typer.Option("--strip", help="Leave out date, camera, author and place (EXIF).")
    ] = False,
    large: Annotated[
        float | None,
        typer.Option(min=1, max=10**6, help="Take photos of up to so many megapixels. [89]"),
    ] = None,
    clean: Annotated[
        str | None, typer.Option(help="The rain-free twin of one photo: prints the scores.")
    ] = None,
    code: Code = None,
) -> None:
    """Take the rain out of photos, or of a video.

    Large photos are cut into windows, so any size fits into memory. The size, grey (also of 16
    bits), transparency, colour profile, and what EXIF tells stay; a photo that lies on its side is
    turned upright.

    What is read is never written to, and files that exist stay: the same command, given again, goes
    on with the photos that have no result yet. NAME_derained is taken for the result of NAME.

    A video is derained frame by frame, upright, with its sound. After Ctrl-C what is done is there
    as a shorter video.

    \b
    Examples:
      derain-edu derain street.jpg
      derain-edu derain street.jpg -o clean.png --model prenet --weights official-rain100h
      derain-edu derain *.jpg -o derained/
      derain-edu derain holiday/ -o derained/ --recursive
      derain-edu derain clip.mp4 -o clean.mp4
      derain-edu derain - -o - < street.jpg > clean.png
      derain-edu derain street.jpg --model runs/first/model.safetensors
      derain-edu derain street.jpg --model prenet.onnx
    """
    from contextlib import redirect_stdout

    from derain_edu.cli.targets import plan_jobs, plan_video

    twin = None if clean is None else Path(at_home(clean))
    model, weights = at_home(model), at_home(weights)
    read_too = (twin, code, Path(model), Path(weights))
    of_photos = dict(clean=clean, frame=frame, large=large, recursive=recursive, strip=strip)
    of_photos = [name for name, value in of_photos.items() if value]
    if video := plan_video(pictures, output, overwrite, of_photos):
        from derain_edu.cli.file_jobs import load_on
        from derain_edu.cli.video_jobs import derain_clip

        run_own(code)
        options = given(stages=stages)
        network = load_on(device, model, weights, typer.echo, engine, fast, **options)
        if not derain_clip(video, network, tile, typer.echo, complain):
            raise typer.Exit(130)
        return
    plan = plan_jobs(pictures, output, recursive, overwrite, filter(None, read_too))
    if twin is not None and len(plan.jobs) > 1:
        raise DerainError("--clean belongs to one photo: give one photo")
    stdout, to_stdout = typer.get_binary_stream("stdout"), any(not j.target for j in plan.jobs)
    done = 0
    with redirect_stdout(sys.stderr if to_stdout else sys.stdout):  # the picture stays alone there
        for note in plan.notes:
            typer.echo(f"note: {note}")
        for problem in plan.problems:
            complain(problem)
        if plan.jobs:
            from derain_edu.cli.file_jobs import derain_files, load_on

            run_own(code)
            options = given(stages=stages)
            network = load_on(device, model, weights, typer.echo, engine, fast, **options)
            try:
                done = derain_files(
                    plan.jobs, network, tile, twin, large, frame, strip,
                    typer.echo, complain, stdout,
                )  # fmt: skip
            except KeyboardInterrupt:
                raise typer.Exit(130) from None
        if len(plan.jobs) > 1:
            typer.echo(f"{done} of {len(plan.jobs)} pictures derained")
    if plan.problems or done < len(plan.jobs):
        raise typer.Exit(2)
