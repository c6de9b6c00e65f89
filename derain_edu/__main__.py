"""The command line: ``derain-edu COMMAND`` or ``python -m derain_edu COMMAND``.

Each command is a thin layer over one function of the package. PyTorch and the rest are imported
inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from derain_edu import __version__
from derain_edu.cli_board import Code, board_app, run_own
from derain_edu.cli_course import course_app
from derain_edu.cli_parts import (
    Device,
    Layout,
    Model,
    OneSentence,
    Stages,
    TileSize,
    Weights,
    given,
)
from derain_edu.errors import DerainError

app = typer.Typer(
    name="derain-edu",
    cls=OneSentence,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"derain-edu {__version__}")
        raise typer.Exit()


@app.callback()
def commands(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Take the rain out of photos, and learn how networks do it.

    \b
    derain-edu lab                         open the course in JupyterLab
    derain-edu derain street.jpg           take the rain out of a photo
    derain-edu evaluate --data synthetic   measure a model
    derain-edu train --minutes 10          train one yourself
    derain-edu export prenet               write it as an ONNX file, to run without Python
    derain-edu COMMAND --help              all options, with examples
    """


@app.command(name="derain")
def derain_command(
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
    from derain_edu.devices import reuse_memory
    from derain_edu.shell import derain_files, load_on, output_paths

    reuse_memory()
    run_own(code)
    if clean is not None and len(pictures) > 1:
        raise DerainError("--clean is the twin of one photo: give one photo")
    targets = output_paths(pictures, output)
    network = load_on(device, model, weights, typer.echo, **given(stages=stages))
    problems = derain_files(targets, network, tile, clean, typer.echo)
    for problem in problems:
        typer.echo(f"error: {problem}", err=True)
    if problems:
        raise typer.Exit(2)


@app.command()
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
    protocol: Annotated[
        str, typer.Option(help="prenet_matlab, restormer_y, spanet_released or rgb.")
    ] = "prenet_matlab",
    layout: Layout = "plain",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first pairs.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write the table here.")] = None,
    stages: Stages = None,
    device: Device = "auto",
    tile: TileSize = None,
    code: Code = None,
) -> None:
    """Measure a model on pairs: PSNR and SSIM.

    Each row has the scores of the rainy and of the derained picture.

    \b
    Examples:
      derain-edu evaluate --data synthetic
      derain-edu evaluate --data rain100l --weights official-rain100l --csv scores.csv
      derain-edu evaluate --data my_pairs --layout plain --protocol rgb
      derain-edu evaluate --weights open --benchmarks
    """
    from itertools import islice

    from derain_edu.evaluation.benchmarks import open_pairs, score_benchmarks
    from derain_edu.evaluation.scores import HEADER, mean_score, write_scores
    from derain_edu.evaluation.scores import evaluate as measure
    from derain_edu.shell import load_on

    if (data is None) == (not benchmarks):
        raise DerainError("say what to measure on: --data, such as synthetic, or --benchmarks")
    run_own(code)
    if benchmarks:
        means = score_benchmarks(weights, model, protocol, limit, device, typer.echo)
        if csv is not None:
            write_scores(means, csv)
        return
    sentence, pairs = open_pairs(data, layout)
    network = load_on(device, model or "prenet", weights, typer.echo, **given(stages=stages))
    typer.echo(f"{sentence}; protocol {protocol}\n{HEADER}")
    scores = measure(network, islice(pairs, limit), protocol, tile, on_score=typer.echo)
    typer.echo(mean_score(scores))
    if csv is not None:
        write_scores(scores, csv)


@app.command()
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
    from derain_edu.devices import reuse_memory
    from derain_edu.shell import train_config
    from derain_edu.training.trainer import train as train_model

    reuse_memory()
    run_own(code)
    changes = given(
        model=model, minutes=minutes, steps=steps, epochs=epochs, stages=stages, loss=loss, lr=lr,
        pretrained=weights, patch_size=patch_size, batch_size=batch_size, schedule=schedule,
        grad_clip=grad_clip, ema=ema, precision=precision, channels_last=channels_last,
        checkpoint_stages=checkpoint_stages, workers=workers, seed=seed, device=device,
        attention_mask=attention_mask, augment=augment,
    )  # fmt: skip
    folder = Path(data) if data and Path(data).is_dir() else None
    if data and folder is None:
        changes["data"] = data
    config = train_config(recipe, changes, out)
    pairs = None
    if folder is not None:
        from derain_edu.datasets.pairs import PairedFolder

        pairs = PairedFolder(folder, layout)
    try:
        result = train_model(config, resume=resume, data=pairs)
    except KeyboardInterrupt:
        typer.echo(f"stopped and saved in {config.out}: the same command goes on", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"{result.steps} steps in {result.minutes:.1f} minutes: {result.out}")


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="A model's name, or a file.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The ONNX file. [MODEL.onnx]")
    ] = None,
    weights: Weights = "open",
    stages: Stages = None,
    int8: Annotated[bool, typer.Option("--int8", help="Smaller and faster, rounded.")] = False,
    code: Code = None,
) -> None:
    """Write a model as an ONNX file that runs without Python.

    For every batch, height and width; checked against the model before it is written. With
    --int8 the convolutions compute with bytes, calibrated on the course's training photos.

    \b
    Examples:
      derain-edu export prenet
      derain-edu export prenet -o rain100h.onnx --weights official-rain100h
      derain-edu export prenet -o prenet_int8.onnx --int8
    """
    from derain_edu.shell import export_file

    run_own(code)
    typer.echo(export_file(model, weights, output, int8, **given(stages=stages)))


@app.command()
def bench(
    what: Annotated[
        str, typer.Argument(help="train, rain, derain, irnn, spanet or onnx.", show_default=False)
    ],
) -> None:
    """Time this project's way against the plain way.

    \b
    Examples:
      derain-edu bench train    a training step of PReNet, and its memory
      derain-edu bench rain     synthetic patches per second
      derain-edu bench derain   PReNet on one picture
      derain-edu bench irnn     the sweeps of SPANet, in all their forms
      derain-edu bench spanet   SPANet on one picture
      derain-edu bench onnx     PReNet in ONNX Runtime, float and int8
    """
    from derain_edu.devices import reuse_memory
    from derain_edu.evaluation.bench import run

    reuse_memory()
    typer.echo(run(what))


@app.command()
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


@app.command()
def download(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="rain100l, rain100h, official-weights. [none: show what is there]"),
    ] = None,
    source: Annotated[
        Path | None, typer.Option(help="Take the files from this folder, not from the web.")
    ] = None,
) -> None:
    """Fetch benchmarks and the authors' weights.

    For research only. Every file is checked by its sha256. An interrupted download goes on where
    it stopped. The cache is ~/.cache/derain_edu or the like; DERAIN_EDU_CACHE moves it.

    \b
    Examples:
      derain-edu download                     what is in the cache
      derain-edu download official-weights
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


@app.command()
def doctor() -> None:
    """Check this machine, and say what to do about problems."""
    from derain_edu.doctor import report

    if not report(say=typer.echo):
        raise typer.Exit(1)


# Commands around your own network and of the course itself stand at the same level, last.
app.add_typer(board_app)
app.add_typer(course_app)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
