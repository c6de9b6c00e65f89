"""A lesson as slides: one HTML file for a browser, which asks no other host for anything.

:mod:`derain_edu.course.deck` says by which rule cells become slides. nbconvert's exporter for
slides turns that deck into HTML, by the template beside this file: its own takes reveal.js, MathJax
and more from other hosts. Here reveal.js comes out of the package ``sphinx-revealjs`` and is
written into the file, and formulas become MathML, which browsers draw without a script.
"""

from __future__ import annotations

import re
import tempfile
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters.slides import SlidesExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from derain_edu.course.deck import deck
from derain_edu.course.notebooks import find_lesson, lesson_folder
from derain_edu.course.run import run_lesson
from derain_edu.errors import DerainError
from derain_edu.files import check_writable, write_atomically

TEMPLATE = Path(__file__).with_name("slides.html.j2")
REVEAL = {"css": "dist/reveal.css", "js": "dist/reveal.js", "notes": "plugin/notes/notes.js"}


def slides(lesson: str, out: Path | None = None, executed: Path | None = None) -> Path:
    """Write a lesson as slides.

    Parameters
    ----------
    lesson : str
        Its number or name.
    out : Path, optional
        The HTML file. Default: ``NAME.slides.html`` in this folder.
    executed : Path, optional
        The lesson as a notebook with outputs. Without it the lesson runs now, which takes about a
        minute, and its sliders become pictures that turn without Python.

    Returns
    -------
    Path
        The HTML file.

    Raises
    ------
    DerainError
        If there is no such lesson, a package is missing, the file can't be written, the lesson
        does not run through, or the notebook is none, is another lesson or has no outputs.
    """
    name = find_lesson(lesson)
    out = out or Path(f"{name}.slides.html")
    reveal = reveal_files()
    check_writable(out)
    notebook = _run(name) if executed is None else _read(executed, name)
    write_atomically(out, to_html(deck(notebook, name), reveal).encode())
    return out


def reveal_files() -> dict[str, str]:
    """Return the text of what a deck takes from reveal.js, with the keys of :data:`REVEAL`.

    Raises
    ------
    DerainError
        If a package that slides need is not installed.
    """
    package = find_spec("sphinx_revealjs")
    folder = Path(package.origin if package and package.origin else "missing").parent
    paths = {key: folder / "_static" / "revealjs" / name for key, name in REVEAL.items()}
    if find_spec("latex2mathml") is None or not all(path.is_file() for path in paths.values()):
        raise DerainError(
            "slides need reveal.js and MathML: run `pip install sphinx-revealjs latex2mathml`"
        )
    texts = {key: path.read_text(encoding="utf-8") for key, path in paths.items()}
    # A map of the source is a file that no deck has beside it.
    return {key: re.sub(r"//# sourceMappingURL=.*", "", text) for key, text in texts.items()}


def _run(name: str) -> Any:
    """Run a lesson as the book does, and return it with its outputs; no file stays."""
    print(f"{name} runs first, which takes about a minute ...", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        source = lesson_folder() / f"{name}.ipynb"
        run = run_lesson(source, Path(folder), {"DERAIN_EDU_BOOK": "1"})
        if run.error:
            raise DerainError(f"{name} did not run through, so there are no slides: {run.error}")
        return nbformat.read(Path(folder) / source.name, 4)


def _read(path: Path, name: str) -> Any:
    """Return an executed notebook, if it is that of this lesson."""
    try:
        notebook = nbformat.read(path, 4)
        first = notebook.cells[0].source
    except Exception as error:  # nbformat has an exception of its own for each way to be broken
        raise DerainError(f"{path} can't be read as a notebook: name an .ipynb file") from error
    if not first.startswith(f"# {name[:2]} ·"):
        raise DerainError(f"{path} is not lesson {name[:2]}: its title begins with another number")
    if not any(cell.get("outputs") for cell in notebook.cells):
        raise DerainError(f"{path} has no outputs: run it first, or leave out --from")
    return notebook


class _WithMathML(IPythonRenderer):
    """Markdown as nbconvert renders it, with formulas that need no script."""

    def inline_math(self, body: str, display: str = "inline") -> str:
        from latex2mathml.converter import convert

        try:
            return convert(body, display=display)
        except Exception:  # of many kinds: a teacher's own formula is shown as it is written
            return f"<code>{escape(body)}</code>"

    def block_math(self, body: str) -> str:
        return self.inline_math(body, "block")


class _Exporter(SlidesExporter):
    """nbconvert's slides with our template."""

    def markdown2html(self, source: str) -> str:  # type: ignore[override]
        renderer = _WithMathML(escape=False, exclude_anchor_links=True)
        return MarkdownWithMath(renderer=renderer).render(source)


def to_html(slides_of_lesson: Any, reveal: dict[str, str]) -> str:
    """Return a deck as one HTML page, complete in itself.

    Parameters
    ----------
    slides_of_lesson : NotebookNode
        What :func:`derain_edu.course.deck.deck` returned.
    reveal : dict
        What :func:`reveal_files` returned.
    """
    exporter = _Exporter(template_file=str(TEMPLATE))
    page, _ = exporter.from_notebook_node(slides_of_lesson, resources={"deck": reveal})
    return page
