"""The map of the course on the front page: a card for each lesson, with its question and a picture.

Title and question come from the lesson itself; :data:`CENTRAL` says by which words in its
alternative text the picture is found among those that the lesson shows.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from derain_edu.errors import DerainError

# lesson -> words of the alternative text of its central picture
CENTRAL = {
    "00": "derained by the network, clean",
    "01": "in four rains",
    "02": "derained by the one-minute network",
    "03": "twelfth stage",
    "04": "how much the streak changes",
    "05": "Four sweeps",
    "06": "in which the streaks shine",
    "07": "Four panels, one per curriculum",
    "08": "from Python, the same from the file",
    "09": "A rainy mountain, the true mask",
    "10": "The three validation pictures",
}

CARD = """\
:::{{grid-item-card}} {title}
:link: /lessons/{name}
:link-type: doc
{picture}
{question}
:::
"""


def pictures_of(notebook: Any) -> Iterator[tuple[str, bytes]]:
    """Yield alternative text and PNG bytes of all pictures that an executed lesson shows."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            png = output.get("data", {}).get("image/png")
            if png is not None:
                alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
                yield alt, b64decode(png)


def central_picture(notebook: Any, words: str, name: str) -> tuple[str, bytes]:
    """Return alternative text and PNG bytes of the picture whose text holds ``words``.

    Raises
    ------
    DerainError
        If the lesson shows no such picture.
    """
    found = list(pictures_of(notebook))
    for alt, png in found:
        if words in alt:
            return alt, png
    shown = "\n".join(f"  {alt}" for alt, _ in found)
    raise DerainError(
        f"{name} shows no picture with {words!r} in its alternative text: choose other words for "
        f"it in book/pictures.py. It shows:\n{shown}"
    )


def title_and_question(notebook: Any, name: str) -> tuple[str, str]:
    """Return the lesson's title and question, from its first cell.

    Raises
    ------
    DerainError
        If the first cell does not have the form of :mod:`derain_edu.lessons`.
    """
    text = notebook.cells[0].source
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    question = re.search(r"^\*\*([^*]+\?)\*\*$", text, re.MULTILINE)
    if title is None or question is None:
        raise DerainError(f"the first cell of {name} has no title, or no question in bold")
    return title[1], question[1]


def course_map(lessons: Mapping[str, Any], folder: Path) -> str:
    """Write the pictures of the cards into ``folder``, and return the cards in Markdown.

    A lesson without outputs gets a card without a picture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cards = []
    for name, notebook in lessons.items():
        picture = ""
        if any(pictures_of(notebook)):
            alt, png = central_picture(notebook, CENTRAL[name[:2]], name)
            file = folder / f"{name[:2]}.png"
            if not file.is_file() or file.read_bytes() != png:
                file.write_bytes(png)
            picture = f":img-top: /{folder.name}/{file.name}\n:img-alt: {alt}\n"
        title, question = title_and_question(notebook, name)
        cards.append(CARD.format(name=name, title=title, question=question, picture=picture))
    return "::::{grid} 1 1 2 2\n:gutter: 3\n\n" + "\n".join(cards) + "::::\n"
