"""The parts of the command line: how an error reads, and options that several commands share.

Nothing here imports PyTorch, so that ``--help`` answers at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from derain_edu.errors import DerainError
from derain_edu.language import local


class OneSentence(TyperGroup):
    """The commands; what a person can mend ends in one sentence and status 2, no traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with _one_sentence():
            _refuse_empty(args)
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        with _one_sentence():
            return super().invoke(ctx)


def _refuse_empty(arguments: Sequence[str]) -> None:
    """An empty name is a variable of the shell without a value; as a path it means this folder."""
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if argument == "" or re.fullmatch(r"--[\w-]+=", argument):
            where = argument or before
            what = f"what follows {where}" if where.startswith("-") and where != "-" else "a name"
            raise DerainError(f"{what} is empty (''): check the variables in your command")


@contextmanager
def _one_sentence() -> Iterator[None]:
    try:
        yield
    except DerainError as error:
        complain(str(error))
        raise typer.Exit(2) from error
    except BrokenPipeError:
        raise  # the reader (such as `head`) has seen enough: Typer ends quietly
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        sentence = f"{where} {error.strerror or error}: check the path and the disk".lstrip()
        complain(local(sentence))
        raise typer.Exit(2) from error


def complain(sentence: str) -> None:
    """Say on standard error what went wrong."""
    typer.echo(local(f"error: {sentence}"), err=True)


Model = Annotated[str, typer.Option(help="A model's name, or a file of `train` or `export`.")]
Weights = Annotated[
    str, typer.Option(help="open (the course's own), official-rain100l, …, or a file.")
]
Stages = Annotated[
    int | None,
    typer.Option(min=1, max=1000, help="Stages of a progressive model. [its own number]"),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, …")]
TileSize = Annotated[
    int | None,
    typer.Option(
        min=1, max=10**6, help="Largest side of a window; smaller needs less memory. [1024]"
    ),
]
Layout = Annotated[
    str, typer.Option(help="Of a folder: plain, rain100l, rain12, rain1400, rain800 or spa.")
]


def folder_of_pairs(data: str | None, names: Sequence[str], layout: str) -> Path | None:
    """Return the folder that ``--data`` means, or None where it is one of ``names``.

    A name of the course goes before a folder of the same name, and says so.

    Raises
    ------
    DerainError
        If it is neither, or if --layout is given for what is no folder.
    """
    from derain_edu.datasets.pairs import folder_unless_named

    folder = None if data is None else folder_unless_named(data, names)
    if folder is None and data is not None and Path(data).is_dir():
        note = f"note: --data {data} is the course's own; ./{data} means the folder of that name"
        typer.echo(note, err=True)
    if folder is None and layout != "plain":
        raise DerainError("--layout is about a folder of pairs, and --data names none: drop it")
    return folder


def given(**options: Any) -> dict[str, Any]:
    """Return the options that the user gave."""
    return {name: value for name, value in options.items() if value is not None}
