"""The commands around the course: open it, run it, write its notebooks and pictures again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

course_app = typer.Typer()


@course_app.command()
def lab(
    lesson: Annotated[str, typer.Argument(help="Number or name of a lesson.")] = "00",
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Where to listen, on this machine only.")
    ] = 8888,
    browser: Annotated[
        bool | None, typer.Option(help="Open a browser. [where there is one]")
    ] = None,
) -> None:
    """Open the course in JupyterLab."""
    from derain_edu.course.lab import lab as open_lab

    open_lab(lesson, port, browser)


@course_app.command()
def course(
    only: Annotated[list[str] | None, typer.Option(help="Only these lessons.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Keep executed notebooks and pages here.")
    ] = None,
) -> None:
    """Run the lessons without a browser.

    Prints minutes, peak memory and result of each.
    """
    from derain_edu.course.run import run_course

    if any(run.error for run in run_course(only or (), out)):
        raise typer.Exit(1)


@course_app.command()
def slides(
    lesson: Annotated[str, typer.Argument(help="Number or name of a lesson.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The HTML file. [NAME.slides.html]")
    ] = None,
    executed: Annotated[
        Path | None,
        typer.Option("--from", help="The lesson with its outputs (.ipynb). [runs it now]"),
    ] = None,
) -> None:
    """Write a lesson as slides: one HTML file that works without a network.

    → goes to the next section, ↓ through it, space to whatever comes next. Key S opens the
    speaker's notes. Needs two more packages:

    \b
    pip install sphinx-revealjs latex2mathml
    """
    from derain_edu.course.slides import slides as write_slides

    typer.echo(write_slides(lesson, out, executed))


@course_app.command()
def progress(
    html: Annotated[
        Path | None, typer.Option(help="Write a page to hand in.", show_default=False)
    ] = None,
    name: Annotated[str, typer.Option(help="Your name, for the page.")] = "",
) -> None:
    """Show which exercises are done on this machine."""
    from derain_edu.course.progress import table, write_page

    typer.echo(table() if html is None else write_page(html, name))


@course_app.command()
def notebooks() -> None:
    """Write the .ipynb files of the lessons again.

    Needed after a change to notebooks/*.py. The tables of README.md and CONTRIBUTING.md follow, and
    the Chinese notebooks with their catalogues.
    """
    from derain_edu.course.lesson_tables import write_tables
    from derain_edu.course.notebooks import build_notebooks
    from derain_edu.course.translation.pages import write_pages

    for path in [*build_notebooks(), *write_tables(), *write_pages()]:
        typer.echo(path)


@course_app.command()
def pictures(
    out: Annotated[Path | None, typer.Option("--out", "-o", help="[data/results/pictures]")] = None,
) -> None:
    """Draw the pictures of the README again."""
    from derain_edu.course.readme_pictures import readme_pictures

    for path in readme_pictures(out):
        typer.echo(path)


@course_app.command()
def claims() -> None:
    """Write data/results/CLAIMS.md again: what the recorded numbers say about each claim."""
    from derain_edu.experiments.claims import CLAIMS
    from derain_edu.experiments.claims_page import write_claims

    typer.echo(write_claims(CLAIMS))
