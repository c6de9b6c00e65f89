"""A lesson as slides: one HTML file for a browser, which asks no other host for anything.

The rule
--------
What becomes a slide is decided by the form of the lesson's cells, in the same way for each lesson:

- The title with the question of the lesson is the first slide.
- A heading ``##`` begins a new column, to the right, with the first paragraph or list below it.
- Everything else goes on downwards, in the lesson's order, each on a slide of its own: a figure or
  diagram with its alternative text as caption; a formula between ``$$``, unless the heading's
  paragraph has just led to it; a prediction; the task of an exercise; a question of the quiz.
- The paragraph that leads to a formula or a prediction stands on the same slide. Paragraphs and
  lists keep the whole sentences or items that fit into :data:`MOST_WORDS`.
- Fragments, which come with the next key: what the cell prints that compares the prediction with
  the measurement, and the answer to a question.
- All other paragraphs become the speaker's notes (key S). Code, tables and other output stay away.

The deck is a notebook of such cells, which nbconvert's exporter for slides turns into HTML by the
template beside this file. reveal.js comes out of the package ``sphinx-revealjs`` and is written
into the file; formulas become MathML, which browsers draw without a script.
"""

from __future__ import annotations

import base64
import re
import tempfile
from collections.abc import Iterator
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters.slides import SlidesExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat.v4 import new_markdown_cell, new_notebook, new_raw_cell

from derain_edu.course.notebooks import find_lesson, lesson_folder, opening
from derain_edu.course.run import run_lesson
from derain_edu.errors import DerainError
from derain_edu.files import check_writable, write_atomically

MOST_WORDS = 70
MOST_LINES = 9  # of what a cell prints
FIGURE = (1200, 480)  # the room for a figure, in pixels of a slide of 1280 × 720
MOST_ZOOM = 1.6  # a small figure is not blown up further than this
TEMPLATE = Path(__file__).with_name("slides.html.j2")
CREDIT = (
    '<p class="credit">Made from a lesson of derain_edu. Text: CC BY 4.0. Photos: open licences, '
    "listed in data/photos/ATTRIBUTION.md of the course.</p>"
)

_BLOCK = re.compile(r"\s*(<details>.*?</details>|```.*?\n```|\S.*?(?=\n\s*\n|\Z))", re.DOTALL)
_NO_WORDS = re.compile(r"<|\||#|\$\$|```|!\[")  # how a block begins that is neither text nor list
_ITEM = re.compile(r"\n(?=- |\d\. )")
_SENTENCE = re.compile(r"(?:(?<=[.?!])|(?<=[.?!][*)])|(?<=[.?!]\*\*))\s+(?=\W*[A-Z])")
_PREDICTION = re.compile(r"\*\*(Predict|Think first)\b")
_QUESTION = re.compile(r"\*\*\d\. ")
_ANSWER = re.compile(r"<details><summary>.*?</summary>(.*)</details>", re.DOTALL)


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
        If there is no such lesson, a package is missing, the lesson does not run through, or the
        notebook is none, is another lesson or has no outputs.
    """
    name = find_lesson(lesson)
    out = out or Path(f"{name}.slides.html")
    reveal = reveal_files()
    check_writable(out)
    notebook = _run(name) if executed is None else _read(executed, name)
    write_atomically(out, to_html(deck(notebook, name), reveal).encode())
    return out


def reveal_files() -> dict[str, str]:
    """Return the text of what a deck takes from reveal.js: ``css``, ``js`` and ``notes``.

    Raises
    ------
    DerainError
        If a package that slides need is not installed.
    """
    found = find_spec("sphinx_revealjs")
    places = found.submodule_search_locations if found else None
    folder = Path(next(iter(places), "")) / "_static" / "revealjs" if places else Path("missing")
    names = {"css": "dist/reveal.css", "js": "dist/reveal.js", "notes": "plugin/notes/notes.js"}
    paths = {key: folder / name for key, name in names.items()}
    if find_spec("latex2mathml") is None or not all(path.is_file() for path in paths.values()):
        raise DerainError(
            "slides need reveal.js and MathML: run `pip install sphinx-revealjs latex2mathml`"
        )
    texts = {key: path.read_text(encoding="utf-8") for key, path in paths.items()}
    # The map of the source is a file that nobody has beside a deck.
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
        raise DerainError(f"{path} is not lesson {name[:2]}: its title does not begin with this")
    if not any(cell.get("outputs") for cell in notebook.cells):
        raise DerainError(f"{path} has no outputs: run it first, or leave out --from")
    return notebook


def blocks(text: str) -> list[str]:
    """Return the blocks of a Markdown text: what empty lines divide; a fold is one block.

    >>> blocks("## A\\n\\nwords\\nand more\\n\\n<details>x\\n\\ny</details>")
    ['## A', 'words\\nand more', '<details>x\\n\\ny</details>']
    """
    return [found[1] for found in _BLOCK.finditer(text)]


def shortened(text: str, most: int = MOST_WORDS) -> str:
    """Return the first sentences, or the first items of a list, with at most ``most`` words.

    The first one always stays whole.

    >>> shortened("One two. Three four. Five.", most=4)
    'One two. Three four.'
    """
    is_list = re.match(r"- |\d\. ", text)
    parts, kept, count = (_ITEM if is_list else _SENTENCE).split(text), [], 0
    for part in parts:
        count += len(part.split())
        if kept and count > most:
            break
        kept.append(part)
    return ("\n" if is_list else " ").join(kept)


class _Deck:
    """The cells of a deck, as far as it goes, and what is known of its last slide."""

    def __init__(self, heading: str) -> None:
        self.cells: list[Any] = []
        self.heading = heading
        self.number = 0  # of the last slide
        self.fresh = False  # the last slide has its heading only
        self.open = False  # it ends with the heading's paragraph, which may lead to a formula
        self.lead = ""  # a paragraph that has found no place yet
        self.asked = 0  # the number of the slide with a prediction that waits for its measurement

    def put(self, source: str, kind: str = "-", html: bool = False) -> None:
        make = new_raw_cell if html else new_markdown_cell
        self.cells.append(make(source, metadata={"slideshow": {"slide_type": kind}}))
        self.number += kind in ("slide", "subslide")
        if kind != "notes":
            self.fresh = self.open = False

    def column(self, heading: str) -> None:
        """Begin a column."""
        self.to_notes()
        self.heading = heading
        self.put(f"## {heading}", "slide")
        self.fresh = True

    def below(self, lead: bool = False) -> None:
        """Begin a slide below, unless the last one is fresh; ``lead`` takes the paragraph along."""
        words, self.lead = (self.lead, "") if lead else ("", self.lead)
        self.to_notes()
        if not self.fresh:
            self.put(f"### {self.heading}", "subslide")
        if words:
            self.put(shortened(words))

    def words(self, block: str) -> None:
        """Take a paragraph: below a heading, or kept for what follows it."""
        self.to_notes()
        if self.fresh:
            self.put(shortened(block))
            self.open = True
        else:
            self.lead = block

    def to_notes(self) -> None:
        """Give the paragraph that found no place to the speaker."""
        if self.lead:
            self.put(self.lead, "notes")
        self.lead = ""


def deck(notebook: Any, name: str) -> Any:
    """Make the notebook of the slides out of an executed lesson, by the rule at the top.

    Parameters
    ----------
    notebook : NotebookNode
        The lesson with its outputs.
    name : str
        Its name, such as ``"04_progressive_prn"``.

    Returns
    -------
    NotebookNode
        Markdown cells, and raw cells with the HTML of figures; ``slideshow.slide_type`` in their
        metadata is what nbconvert reads.
    """
    first, *cells = notebook.cells
    lesson = opening(name, first.source)
    title = f"{lesson.number} · {lesson.title}"
    made = _Deck(lesson.title)
    made.put(f"# {title}\n\n**{lesson.question}**\n\n{CREDIT}", "slide")
    for cell in cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "code" and "exercise" not in tags:
            _code(made, cell)
        elif cell.cell_type == "markdown" and "exercise" in tags:
            _exercise(made, cell.source)
        elif cell.cell_type == "markdown" and "solution" not in tags:
            for block in blocks(cell.source):
                _block(made, block, quiz="quiz" in tags)
    made.to_notes()
    return new_notebook(cells=made.cells, metadata={"title": title})


def _block(made: _Deck, block: str, quiz: bool) -> None:
    if block.startswith("## "):
        made.column(block[3:])
    elif block.startswith("$$"):
        if not made.open:
            made.below(lead=True)
        made.put(block)
    elif _PREDICTION.match(block):
        made.below(lead=True)
        made.put(block)
        made.asked = made.number
    elif quiz and _QUESTION.match(block):
        made.below()
        made.put(block)
    elif quiz and (answer := _ANSWER.match(block)):
        made.put(answer[1].strip(), "fragment")
    elif not _NO_WORDS.match(block):
        made.words(block)


def _exercise(made: _Deck, text: str) -> None:
    """Show name, minutes and task of an exercise, which stand in its card."""
    name = re.search(r"^### (.+)$", text, re.MULTILINE)
    rows = dict(re.findall(r"^\| \*\*(\w+)\*\* \| (.+) \|$", text, re.MULTILINE))
    made.below()
    task = rows.get("Task", "").replace(r"\|", "|")
    made.put(f"**{name[1] if name else 'Exercise'}**, {rows.get('Spend', '')}: {task}")


def _code(made: _Deck, cell: Any) -> None:
    made.to_notes()
    if made.asked and "compare_guess(" in cell.source:
        printed = "".join(o.text for o in cell.outputs if o.output_type == "stream")
        lines = printed.replace("no guess yet · ", "").rstrip().splitlines()[:MOST_LINES]
        here = made.asked == made.number
        if not here:  # something stands between the prediction and its measurement
            made.below()
        text = escape("\n".join(lines))
        made.put(f"<pre>{text}</pre>", "fragment" if here else "-", html=True)
        made.asked = 0
    for figure in _figures(cell):
        made.below()
        made.put(figure, html=True)


def _figures(cell: Any) -> Iterator[str]:
    """Yield the HTML of each picture, diagram and book of pictures that a cell shows."""
    for output in cell.outputs:
        data = output.get("data", {})
        html = "".join(data.get("text/html", ""))
        if "image/png" in data:
            png = data["image/png"].replace("\n", "")
            head = base64.b64decode(png[:32])  # width and height stand at byte 16
            width, height = (int.from_bytes(head[k : k + 4], "big") for k in (16, 20))
            zoom = min(FIGURE[0] / width, FIGURE[1] / height, MOST_ZOOM)
            found = output.metadata.get("alt") or output.metadata.get("image/png", {}).get("alt")
            alt = escape(found or "")
            yield (
                f'<figure><img src="data:image/png;base64,{png}" alt="{alt}" '
                f'width="{width * zoom:.0f}" height="{height * zoom:.0f}">'
                f'<figcaption aria-hidden="true">{alt}</figcaption></figure>'
            )
        elif "<svg" in html or "<img" in html:
            yield f"<figure>{html}</figure>"


class _WithMathML(IPythonRenderer):
    """Markdown as nbconvert renders it, with formulas that need no script."""

    def inline_math(self, body: str) -> str:
        from latex2mathml.converter import convert

        return convert(body)

    def block_math(self, body: str) -> str:
        from latex2mathml.converter import convert

        return convert(body, display="block")


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
        What :func:`deck` returned.
    reveal : dict
        What :func:`reveal_files` returned.
    """
    exporter = _Exporter(template_file=str(TEMPLATE))
    page, _ = exporter.from_notebook_node(slides_of_lesson, resources={"deck": reveal})
    return page
