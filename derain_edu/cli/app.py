"""The command line, put together: ``derain-edu COMMAND`` or ``python -m derain_edu COMMAND``.

Each command is a thin layer over one function of the package. PyTorch and the rest are imported
inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from derain_edu import __version__
from derain_edu.cli.board import board_app
from derain_edu.cli.course import course_app
from derain_edu.cli.derain import derain
from derain_edu.cli.evaluate import evaluate
from derain_edu.cli.export import export
from derain_edu.cli.options import OneSentence
from derain_edu.cli.others import bench, doctor, download, experiment
from derain_edu.cli.pairs import pairs
from derain_edu.cli.train import train

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
    derain-edu pairs clip.mp4 -o mine/     make pairs from a video of a camera on a tripod
    derain-edu export prenet               write it as an ONNX file, to run without Python
    derain-edu COMMAND --help              all options, with examples
    """


for command in (derain, evaluate, train, pairs, export, bench, experiment, download, doctor):
    app.command()(command)
# Commands around your own network and of the course itself stand at the same level, last.
app.add_typer(board_app)
app.add_typer(course_app)


def main() -> None:
    """Run the command line."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name may hold letters that a Windows code page lacks: show them as \\u4e2d.
        sys.stdout.reconfigure(errors="backslashreplace")
    app()
