"""The short commands: time, repeat an experiment, download, look for problems."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def bench(
    what: Annotated[
        str,
        typer.Argument(
            help="train, rain, derain, irnn, spanet, onnx or networks.", show_default=False
        ),
    ],
) -> None:
    """Time this project's way against the plain way.

    \b
    Examples:
      derain-edu bench train      a training step of PReNet, and its memory
      derain-edu bench rain       synthetic patches per second
      derain-edu bench derain     PReNet on one picture
      derain-edu bench irnn       the sweeps of SPANet, in all their forms
      derain-edu bench spanet     SPANet on one picture
      derain-edu bench onnx       PReNet in ONNX Runtime, float and int8
      derain-edu bench networks   five networks of the course on one picture
    """
    from derain_edu.evaluation.bench import run

    typer.echo(run(what))


def experiment(
    name: Annotated[str, typer.Argument(help="Such as head_relu.", show_default=False)],
    smoke: Annotated[bool, typer.Option(help="Two steps each, to see that it runs.")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="[data/results]")] = None,
) -> None:
    """Run a recorded experiment, or go on with it.

    Each is a table of variants × seeds with one budget, written to a CSV.
    """
    from derain_edu.experiments.runner import run_experiment

    typer.echo(run_experiment(name, smoke, out))


def download(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="rain100l, rain100h, real-clip, official-weights. [none: show what is there]"
        ),
    ] = None,
    source: Annotated[
        Path | None, typer.Option(help="Take the files from this folder, not from the web.")
    ] = None,
) -> None:
    """Fetch benchmarks, a clip of real rain, and the authors' weights.

    For research only. Every file is checked by its sha256. An interrupted download goes on where
    it stopped. The cache is ~/.cache/derain_edu or the like; DERAIN_EDU_CACHE moves it.

    \b
    Examples:
      derain-edu download                     what is in the cache
      derain-edu download official-weights
      derain-edu download real-clip
      derain-edu download rain100l rain100h --source /media/usb/benchmarks
    """
    from derain_edu.datasets.download import (
        SETS,
        cache_folder,
        cached_files,
        download_set,
        read_manifest,
    )

    if not names:
        typer.echo(f"cache: {cache_folder()}")
        for name in SETS:
            entries = read_manifest(name)
            size = sum(entry.bytes for entry in entries) / 1e6
            here = len(cached_files(name))
            typer.echo(f"{name:<17} {here:>3} of {len(entries):>3} files, {size:.0f} MB in all")
    for name in names or []:
        read_manifest(name)  # an unknown name stops here, before anything is downloaded
    for name in names or []:
        typer.echo(download_set(name, source, progress=sys.stderr.isatty(), say=typer.echo))


def doctor() -> None:
    """Check this machine, and say what to do about problems."""
    from derain_edu.course.doctor import report

    if not report(say=typer.echo):
        raise typer.Exit(1)
