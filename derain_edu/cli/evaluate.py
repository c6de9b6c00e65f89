"""``derain-edu evaluate``: measure a model on pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from derain_edu.cli.board import Code, run_own
from derain_edu.cli.options import (
    Device,
    Layout,
    Stages,
    TileSize,
    Weights,
    complain,
    folder_of_pairs,
    given,
)
from derain_edu.errors import DerainError
from derain_edu.files import at_home


def evaluate(
    data: Annotated[
        str | None, typer.Option(help="synthetic, rain100l, rain100h or a folder.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A model's name, or a file of `train` or `export`. [prenet]")
    ] = None,
    weights: Weights = "open",
    benchmarks: Annotated[
        bool, typer.Option("--benchmarks", help="Rain100L and Rain100H, all models [or --model].")
    ] = False,
    dry: Annotated[
        bool, typer.Option("--dry", help="Photos without rain: does the model leave them alone?")
    ] = False,
    still: Annotated[
        str | None,
        typer.Option(help="A video from a tripod: how much does it flicker, before and after?"),
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="prenet_matlab, restormer_y, spanet_released or rgb.")
    ] = "prenet_matlab",
    layout: Layout = "plain",
    limit: Annotated[
        int | None,
        typer.Option(min=1, max=10**9, help="Only the first pairs; frames of --still. [all; 24]"),
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write the table here.")] = None,
    stages: Stages = None,
    device: Device = "auto",
    tile: TileSize = None,
    code: Code = None,
) -> None:
    """Measure a model on pairs: PSNR and SSIM.

    Each row has the scores of the rainy and of the derained picture. --dry compares photos
    without rain with themselves: the higher, the less harm is done; 60 dB is the most. --still
    needs no clean pictures: where the camera stands still, what changes from frame to frame is
    rain. A pair that can't be measured is named, and the others go on.

    \b
    Examples:
      derain-edu evaluate --data synthetic
      derain-edu evaluate --data rain100l --weights official-rain100l --csv scores.csv
      derain-edu evaluate --data my_pairs --layout plain --protocol rgb
      derain-edu evaluate --weights open --benchmarks
      derain-edu evaluate --weights open --dry
      derain-edu evaluate --still clip.mp4
    """
    from derain_edu.cli.file_jobs import evaluate_pairs, load_on, told
    from derain_edu.datasets.pairs import PairedFolder
    from derain_edu.evaluation.benchmarks import NAMED_PAIRS, open_pairs, score_benchmarks
    from derain_edu.evaluation.scores import HEADER, check_scores_path, write_scores

    if (data is not None) + benchmarks + dry + (still is not None) != 1:
        raise DerainError(
            "say what to measure on: --data, such as synthetic, or --benchmarks, --dry or --still"
        )
    if still is not None and (csv or layout != "plain" or protocol != "prenet_matlab"):
        raise DerainError("--still goes without --csv, --layout and --protocol: leave them out")
    if dry and (csv or limit or layout != "plain" or protocol != "prenet_matlab"):
        raise DerainError("--dry goes with --model, --weights and --tile only: leave the rest out")
    if benchmarks and (stages or tile or layout != "plain"):
        raise DerainError("--benchmarks goes without --stages, --tile and --layout: leave them out")
    model, weights = None if model is None else at_home(model), at_home(weights)
    table = None if csv is None else Path(at_home(str(csv)))
    read = [Path(name) for name in (model, weights, code) if name is not None]
    if data is not None:
        folder_of_pairs(data, NAMED_PAIRS, layout)
        sentence, pairs = open_pairs(data, layout)
        if isinstance(pairs, PairedFolder):
            read += [file for pair in pairs.pairs for file in pair]
    if table is not None:
        check_scores_path(table, read)  # before minutes of work
    run_own(code)
    if benchmarks:
        failed = []
        means = score_benchmarks(
            weights, model, protocol, limit, device, typer.echo,
            on_error=lambda name, error: failed.append(complain(told(name, error))),
        )  # fmt: skip
        if table is not None and means:
            write_scores(means, table)
        raise typer.Exit(2 if failed else 0)
    if dry:
        from derain_edu.evaluation import harm

        network = load_on(device, model or "prenet", weights, typer.echo, **given(stages=stages))
        typer.echo(harm.HEADER)
        typer.echo(harm.measure_harm(network, "test", tile, on_score=typer.echo))
        return
    if still is not None:
        from derain_edu.cli.video_jobs import score_still
        from derain_edu.evaluation.flicker import FRAMES

        options = given(stages=stages)
        network = load_on(device, model or "prenet", weights, typer.echo, "auto", **options)
        score_still(Path(at_home(still)), network, limit or FRAMES, tile, typer.echo)
        return
    network = load_on(device, model or "prenet", weights, typer.echo, **given(stages=stages))
    typer.echo(f"{sentence}; protocol {protocol}\n{HEADER}")
    try:
        failed = evaluate_pairs(
            network, pairs, protocol, tile, limit, table, typer.echo, complain
        )
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if failed:
        raise typer.Exit(2)
