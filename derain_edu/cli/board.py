"""The commands around a network of your own: the leaderboard and the model card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from derain_edu.errors import DerainError

board_app = typer.Typer()
leaderboard_app = typer.Typer(no_args_is_help=False, rich_markup_mode=None)
board_app.add_typer(leaderboard_app, name="leaderboard")

Board = Annotated[Path, typer.Option(help="Your board, a CSV file.")]
WeightFile = Annotated[
    Path, typer.Option("--weights", help="A file of the trainer.", show_default=False)
]
ModelName = Annotated[
    str | None, typer.Option("--model", help="The model's name, if the file does not say it.")
]
Code = Annotated[
    Path | None,
    typer.Option(help="A Python file with your network. It is RUN: give only what you have read."),
]
DEFAULT = Path("leaderboard.csv")


def run_own(code: Path | None) -> None:
    """Run the file of --code, if there is one, so that its networks are known by name."""
    if code is not None:
        from derain_edu.models.registry import run_code

        run_code(code)


@leaderboard_app.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    board: Board = DEFAULT,
    league: Annotated[
        str | None, typer.Option(help="Only one: 5, 15 or 45 (minutes of training), or open.")
    ] = None,
) -> None:
    """Show the leaderboard, or measure and add a network.

    The course's own networks and yours, best first. Leagues go by minutes of training on a CPU: 5,
    15, 45, or open; also open is what has more than 300,000 parameters.

    \b
    Examples:
      derain-edu leaderboard
      derain-edu leaderboard try --weights runs/mine/model.safetensors --code my_net.py
      derain-edu leaderboard add "my net" --weights runs/mine/model.safetensors --code my_net.py
    """
    if context.invoked_subcommand is not None:
        return
    if board != DEFAULT and not board.exists():
        raise DerainError(f"{board} does not exist: check the name, or add an entry first")
    from derain_edu.evaluation.leaderboard import board_table, course_board, league_name, read_board

    entries = [*read_board(course_board()), *read_board(board)]
    typer.echo(board_table(entries, None if league is None else league_name(league)))


@leaderboard_app.command(name="try")
def try_command(weights: WeightFile, model: ModelName = None, code: Code = None) -> None:
    """Score a network on the validation pictures; nothing is written.

    As often as you like: choose by these numbers.
    """
    from derain_edu.evaluation.provenance import loaded
    from derain_edu.evaluation.scores import picture_scores
    from derain_edu.text import table

    run_own(code)
    rows = []
    for rain, scores in picture_scores(loaded(weights, model), "validation").items():
        columns = ("psnr_rainy", "psnr_derained", "ssim_rainy", "ssim_derained")
        means = [sum(getattr(score, key) for score in scores) / len(scores) for key in columns]
        rows.append([rain, *(f"{m:.2f}" for m in means[:2]), *(f"{m:.3f}" for m in means[2:])])
    typer.echo(table(["rain", "PSNR", "derained", "SSIM", "derained"], rows))


@leaderboard_app.command()
def add(
    name: Annotated[str, typer.Argument(help="Of the entry.", show_default=False)],
    weights: WeightFile,
    board: Board = DEFAULT,
    minutes: Annotated[
        float | None, typer.Option(help="Of training on a CPU. [read from the run folder]")
    ] = None,
    model: ModelName = None,
    code: Code = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of an entry of this name.")
    ] = False,
) -> None:
    """Measure a network and put it on your board.

    The scores come from the weight file, the minutes from the run folder that it lies in.

    \b
    Examples:
      derain-edu leaderboard add "first try" --weights runs/first/model.safetensors
      derain-edu leaderboard add "my net" --weights runs/mine/model.safetensors --code my_net.py
    """
    from derain_edu.evaluation.leaderboard import add_entry, board_table, course_board, read_board

    run_own(code)
    entry = add_entry(name, weights, board, replace, minutes=minutes, model=model)
    typer.echo(f"{entry.name}: {entry.mean_psnr():.2f} dB, league {entry.league}, in {board}")
    typer.echo(board_table([*read_board(course_board()), *read_board(board)]))


@leaderboard_app.command()
def course(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="[data/results/leaderboard.csv]")
    ] = None,
) -> None:
    """Measure the course's own networks again."""
    from derain_edu.evaluation.leaderboard import course_board, course_entries, write_board

    typer.echo(write_board(course_entries(typer.echo), out or course_board()))


@board_app.command()
def card(
    weights: Annotated[Path, typer.Argument(help="A file of the trainer.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="[MODEL_CARD.md beside the weights]")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Its title. [the model's name]")] = None,
    licence: Annotated[str | None, typer.Option(help="Of your weights, such as CC0.")] = None,
    model: ModelName = None,
    recipe: Annotated[
        str | None, typer.Option(help="Of the course, if there is no run folder.")
    ] = None,
    code: Code = None,
    replace: Annotated[bool, typer.Option("--replace", help="Write over an old card.")] = False,
) -> None:
    """Write the model card of a weight file.

    Data and recipe from its run folder (or the recipe of the course that you name), scores and
    limits measured now.

    \b
    Examples:
      derain-edu card runs/first/model.safetensors
      derain-edu card runs/mine/model.safetensors --name "my net" --licence CC0 --code my_net.py
    """
    from derain_edu.evaluation.model_card import check_card_path, model_card, write_card

    target = output or weights.with_name("MODEL_CARD.md")
    check_card_path(target, replace, [path for path in (weights, code) if path is not None])
    run_own(code)
    text = model_card(weights, name, licence, model, recipe)
    typer.echo(write_card(text, target, replace))
