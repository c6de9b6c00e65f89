"""``derain-edu train``: train a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from derain_edu.cli.board import Code, run_own
from derain_edu.cli.options import Layout, Stages, folder_of_pairs, given


def train(
    recipe: Annotated[
        str | None, typer.Option(help="How shipped weights were made, such as open-prn.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="residual, prn, prenet, … [prn]")] = None,
    minutes: Annotated[float | None, typer.Option(help="Budget: wall-clock time.")] = None,
    steps: Annotated[int | None, typer.Option(help="Budget: optimizer steps.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Budget: rounds of the data.")] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Rain preset, mix, mix+faint, mix+noise, or a folder of pairs. [mix]"),
    ] = None,
    layout: Layout = "plain",
    augment: Annotated[
        bool | None, typer.Option("--augment", help="Mirror, turn, recolour the clean patches.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="[runs/MODEL]")] = None,
    resume: Annotated[str, typer.Option(help="auto: go on where a run stopped; never.")] = "auto",
    weights: Annotated[str | None, typer.Option(help="Start from these weights.")] = None,
    stages: Stages = None,
    patch_size: Annotated[int | None, typer.Option(help="Pixels. [64]")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Patches per step. [8]")] = None,
    loss: Annotated[str | None, typer.Option(help="Such as neg_ssim+l1. [neg_ssim]")] = None,
    attention_mask: Annotated[
        str | None, typer.Option(help="For SPANet: also learn where rain is; true, paper, …")
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate. [0.001]")] = None,
    schedule: Annotated[
        str | None, typer.Option(help="cosine, authors or constant. [cosine]")
    ] = None,
    grad_clip: Annotated[float | None, typer.Option(help="Largest gradient norm.")] = None,
    ema: Annotated[float | None, typer.Option(help="Decay of a mean of the weights.")] = None,
    precision: Annotated[str | None, typer.Option(help="float32, bf16 or fp16.")] = None,
    channels_last: Annotated[bool | None, typer.Option(help="Memory layout.")] = None,
    checkpoint_stages: Annotated[
        bool | None, typer.Option(help="Less memory, more time.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes for data. [0]")] = None,
    seed: Annotated[int | None, typer.Option(help="[0]")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, … [auto]")] = None,
    code: Code = None,
) -> None:
    """Train a model.

    On photos in synthetic rain, or on a folder of pairs. Give one budget: --minutes, --steps or
    --epochs. Ctrl-C saves; the same command goes on.

    \b
    Examples:
      derain-edu train --model prn --stages 4 --minutes 10 --out runs/first
      derain-edu train --recipe open-prenet --out runs/open-prenet
      derain-edu train --model prenet --data Rain100L --layout rain100l --epochs 100
      derain-edu train --model my_net --code my_net.py --minutes 5 --out runs/mine
    """
    from derain_edu.cli.file_jobs import train_config
    from derain_edu.rain.presets import RAIN_NAMES
    from derain_edu.training.trainer import train as train_model

    run_own(code)
    changes = given(
        model=model, minutes=minutes, steps=steps, epochs=epochs, stages=stages, loss=loss, lr=lr,
        pretrained=weights, patch_size=patch_size, batch_size=batch_size, schedule=schedule,
        grad_clip=grad_clip, ema=ema, precision=precision, channels_last=channels_last,
        checkpoint_stages=checkpoint_stages, workers=workers, seed=seed, device=device,
        attention_mask=attention_mask, augment=augment,
    )  # fmt: skip
    folder = folder_of_pairs(data, RAIN_NAMES, layout)
    if data is not None and folder is None:
        changes["data"] = data
    config = train_config(recipe, changes, out)
    pairs = None
    if folder is not None:
        from derain_edu.datasets.pairs import PairedFolder

        pairs = PairedFolder(folder, layout)
    try:
        result = train_model(config, resume=resume, data=pairs)
    except KeyboardInterrupt as stop:  # it says after which step, and where that is saved
        typer.echo(f"{stop or 'stopped'}: the same command goes on", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"{result.steps} steps in {result.minutes:.1f} minutes: {result.out}")
