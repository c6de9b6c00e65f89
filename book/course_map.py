"""The map of the course on the front page: a card for each lesson, with its question and a picture.

Title and question come from the lesson itself (★: the core path); :data:`CENTRAL` says by which
words in its alternative text the picture is found among those that the lesson shows.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import PIL.Image

from derain_edu.course.notebooks import opening
from derain_edu.errors import DerainError
from derain_edu.language import sentences


@dataclass(frozen=True)
class Central:
    """Where the picture of a lesson's card is found."""

    words: str  # a part of its alternative text
    left: float = 0.0  # of a long row of pictures, only this part of the width
    right: float = 1.0


CENTRAL = {
    "00": Central("derained by the network, clean", 0, 1 / 2),
    "01": Central("The bright slanted line that one soft spot", 1 / 3, 1),
    "02": Central("Rainy, restored by A"),
    "03": Central("derained by the one-minute network", 0, 1 / 2),
    "04": Central("twelfth stage", 0, 1 / 2),
    "05": Central("how much each stage contributes"),
    "06": Central("The gates over the stages"),
    "07": Central("After two rounds it sees all 651"),
    "08": Central("Every run of the four forms as a dot"),
    "09": Central("in which the streaks shine", 1 / 2, 1),
    "10": Central("A checkpoint taken apart"),
    "11": Central("Four maps over x and t"),
    "12": Central("Sorted minus shuffled"),
    "13": Central("The AUC of the map"),
    "14": Central("Two maps of PSNR over angle and period", 0, 1 / 2),
    "15": Central("from Python, the same from the file"),
    "16": Central("The three validation pictures"),
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


def central_picture(notebook: Any, central: Central, name: str) -> tuple[str, bytes]:
    """Return alternative text and PNG bytes of the picture for a lesson's card.

    Raises
    ------
    DerainError
        If the lesson shows no such picture.
    """
    found = list(pictures_of(notebook))
    in_chinese = translations(central.words)
    for alt, png in found:
        if central.words in alt or alt in in_chinese:
            return alt, cut(png, central.left, central.right)
    shown = "\n".join(f"  {alt}" for alt, _ in found)
    raise DerainError(
        f"{name} shows no picture with {central.words!r} in its alternative text: choose other "
        f"words for it in book/course_map.py. It shows:\n{shown}"
    )


def translations(words: str) -> set[str]:
    """Return the Chinese of all sentences that have these words."""
    return {chinese for english, chinese in sentences().items() if words in english}


def cut(png: bytes, left: float, right: float) -> bytes:
    """Return the part of a picture between two shares of its width."""
    picture, buffer = PIL.Image.open(BytesIO(png)), BytesIO()
    start, end = round(left * picture.width), round(right * picture.width)
    picture.crop((start, 0, end, picture.height)).save(buffer, format="PNG")
    return buffer.getvalue()


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
        lesson = opening(name, notebook.cells[0].source)
        title = f"{lesson.number} · {lesson.title}{' ★' if lesson.core else ''}"
        cards.append(
            CARD.format(name=name, title=title, question=lesson.question, picture=picture)
        )
    return "::::{grid} 1 1 2 2\n:gutter: 3\n\n" + "\n".join(cards) + "::::\n"
