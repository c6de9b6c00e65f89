"""Which cells of a lesson become slides.

The rule
--------
The form of a cell decides, in the same way for each lesson:

- The title with the question of the lesson is the first slide.
- A heading ``##`` begins a new column, to the right, with the first paragraph below it, and the
  list that this leads to.
- Everything else goes on downwards, in the lesson's order, each on a slide of its own: a figure or
  diagram, a picture with its alternative text as caption; a formula between ``$$``, unless the
  heading's paragraph has just led to it; a prediction; the task of an exercise; a question of the
  quiz.
- The paragraph that leads to a formula or a prediction stands on the same slide. A paragraph keeps
  the whole sentences that fit into :data:`MOST_WORDS`. A list keeps all items, but only the first
  sentence of each if it has more words than :data:`MOST_LISTED`.
- Fragments, which come with the next key: what the cell prints that compares the prediction with
  the measurement, and the answer to a question.
- The speaker's notes have all other paragraphs, and those that were cut. Code, tables and other
  output stay away.

The deck is itself a notebook: Markdown cells, and raw cells with the HTML of figures. What
nbconvert makes of a cell stands in its metadata, ``slideshow.slide_type``.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from html import escape
from typing import Any

from nbformat.v4 import new_markdown_cell, new_notebook, new_raw_cell

from derain_edu.course.notebooks import opening

MOST_WORDS = 75
MOST_LISTED = 110
MOST_LINES = 9  # of what a cell prints
FIGURE = (1200, 510)  # the room for a figure, in pixels of a slide of 1280 × 720
MOST_ZOOM = 1.6  # a small figure is not blown up further than this
CREDIT = (
    '<p class="credit">Made from a lesson of derain_edu. Text: CC BY 4.0. Photos: open licences, '
    "listed in data/photos/ATTRIBUTION.md of the course.</p>"
)

_BLOCK = re.compile(r"\s*(<details>.*?</details>|```.*?\n```|\S.*?(?=\n\s*\n|\Z))", re.DOTALL)
_NO_WORDS = re.compile(r"<|\||#|\$\$|```|!\[")  # how a block begins that is neither text nor list
_LIST = re.compile(r"- |\d\. ")
_ITEM = re.compile(r"\n(?=- |\d\. )")
_SENTENCE = re.compile(r"(?:(?<=[.?!])|(?<=[.?!][*)])|(?<=[.?!]\*\*))\s+(?=\W*[A-Z])")
_PREDICTION = re.compile(r"\*\*(Predict|Think first)\b")
_QUESTION = re.compile(r"\*\*\d\. ")
_ANSWER = re.compile(r"<details><summary>.*?</summary>(.*)</details>", re.DOTALL)


def blocks(text: str) -> list[str]:
    """Return the blocks of a Markdown text: what empty lines divide; a fold is one block.

    >>> blocks("## A\\n\\nwords\\nand more\\n\\n<details>x\\n\\ny</details>")
    ['## A', 'words\\nand more', '<details>x\\n\\ny</details>']
    """
    return [found[1] for found in _BLOCK.finditer(text)]


def shortened(text: str) -> str:
    """Return the first sentences of a paragraph or list, as the rule says; one is always left."""
    if _LIST.match(text):
        items = _ITEM.split(text)
        short = len(text.split()) <= MOST_LISTED
        return text if short else "\n".join(_SENTENCE.split(item)[0] for item in items)
    kept, *others = _SENTENCE.split(text)
    for sentence in others:
        if len(f"{kept} {sentence}".split()) > MOST_WORDS:
            break
        kept += f" {sentence}"
    return kept


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

    def put_short(self, words: str) -> None:
        """Put what the rule leaves of a paragraph; the speaker has the whole of one that is cut."""
        self.put(shortened(words))
        if shortened(words).split() != words.split():
            self.put(words, "notes")

    def below(self, lead: bool = False) -> None:
        """Begin a slide below, unless the last one is fresh; ``lead`` takes the paragraph along."""
        words, self.lead = (self.lead, "") if lead else ("", self.lead)
        self.to_notes()
        if not self.fresh:
            self.put(f"### {self.heading}", "subslide")
        if words:
            self.put_short(words)

    def to_notes(self) -> None:
        """Give the paragraph that found no place to the speaker."""
        if self.lead:
            self.put(self.lead, "notes")
        self.lead = ""

    def block(self, block: str, quiz: bool) -> None:
        """Take a block of a Markdown cell."""
        if block.startswith("## "):
            self.to_notes()
            self.heading = block[3:]
            self.put(block, "slide")
            self.fresh = True
        elif block.startswith("$$"):
            if not self.open:
                self.below(lead=True)
            self.put(block)
        elif _PREDICTION.match(block):
            self.below(lead=True)
            self.put(block)
            self.asked = self.number
        elif quiz and _QUESTION.match(block):
            self.below()
            self.put(block)
        elif quiz and (answer := _ANSWER.match(block)):
            self.put(answer[1].strip(), "fragment")
        elif not _NO_WORDS.match(block):
            self.to_notes()
            if self.fresh or (self.open and _LIST.match(block)):
                self.put_short(block)
                self.open = not _LIST.match(block)
            else:
                self.lead, self.open = block, False

    def exercise(self, card: str) -> None:
        """Take name, minutes and task of an exercise."""
        name = re.search(r"^### (.+)$", card, re.MULTILINE)
        rows = dict(re.findall(r"^\| \*\*(\w+)\*\* \| (.+) \|$", card, re.MULTILINE))
        task = rows.get("Task", "").replace(r"\|", "|")
        self.below()
        self.put(f"**{name[1] if name else 'Exercise'}**, {rows.get('Spend', '')}: {task}")

    def code(self, cell: Any) -> None:
        """Take what a code cell shows."""
        self.to_notes()
        printed = "".join(o.text for o in cell.outputs if o.output_type == "stream")
        if self.asked and printed and "compare_guess(" in cell.source:
            lines = printed.replace("no guess yet · ", "").rstrip().splitlines()[:MOST_LINES]
            here = self.asked == self.number
            if not here:  # something stands between the prediction and its measurement
                self.below()
            text = escape("\n".join(lines))
            self.put(f"<pre>{text}</pre>", "fragment" if here else "-", html=True)
            self.asked = 0
        for figure in _figures(cell):
            self.below()
            self.put(figure, html=True)


def deck(notebook: Any, name: str) -> Any:
    """Make the notebook of the slides out of an executed lesson.

    Parameters
    ----------
    notebook : NotebookNode
        The lesson with its outputs.
    name : str
        Its name, such as ``"04_progressive_prn"``.

    Raises
    ------
    DerainError
        If its first cell has not the form of a lesson.
    """
    first, *cells = notebook.cells
    lesson = opening(name, first.source)
    title = f"{lesson.number} · {lesson.title}"
    made = _Deck(lesson.title)
    made.put(f"# {title}\n\n**{lesson.question}**\n\n{CREDIT}", "slide")
    for cell in cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "code" and "exercise" not in tags:
            made.code(cell)
        elif cell.cell_type == "markdown" and "exercise" in tags:
            made.exercise(cell.source)
        elif cell.cell_type == "markdown" and "solution" not in tags:
            for block in blocks(cell.source):
                made.block(block, quiz="quiz" in tags)
    made.to_notes()
    return new_notebook(cells=made.cells, metadata={"title": title})


def _figures(cell: Any) -> Iterator[str]:
    """Yield the HTML of each picture, diagram and book of pictures that a cell shows."""
    for output in cell.outputs:
        data = output.get("data", {})
        html = data.get("text/html", "")
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
