"""Markdown as units that are translated one by one: paragraphs, list items, headings, table rows.

A translator sees a paragraph as one line, however it is wrapped in the source. What is not prose
(formulas, code, rulers, tags of HTML) is no unit and stays as it is.

>>> "|".join(units("# A title\\n\\nOne line\\nand more.\\n\\n- an item"))
'A title|One line and more.|an item'
>>> translated("# A title\\n\\nOne line\\nand more.", {"A title": "标题"}.get)
'# 标题\\n\\nOne line and more.'
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

Translate = Callable[[str], "str | None"]

# What stands before the words of a line and is not translated: #, -, 1., a quotation's >.
_LEAD = re.compile(r"( *(?:#{1,6} |[-*] |\d{1,2}\. |> )?)(.*)", re.DOTALL)
_NEW_UNIT = re.compile(r" *(#{1,6} |[-*] |\d{1,2}\. |\||<|:::|```)")
_WORD = re.compile(r"[A-Za-z]{2}")
_NOT_WORDS = re.compile(r"<[^>]*>|`[^`]*`|\$[^$]*\$|\]\([^)]*\)")


def _is_prose(text: str) -> bool:
    """Say whether there are words outside of tags, code, formulas and addresses."""
    return bool(_WORD.search(_NOT_WORDS.sub(" ", text)))


def _pieces(markdown: str) -> Iterator[tuple[bool, str, str]]:
    """Cut Markdown into pieces: whether it is a unit, what stands before it, and its text."""
    lines = markdown.split("\n")
    k, in_glossary = 0, False
    while k < len(lines):
        line, first = lines[k], k
        k += 1
        words = line.strip()
        glossary = line.startswith("```{glossary}") or (in_glossary and line.startswith("```"))
        if glossary or not words or words.startswith(":::"):
            in_glossary ^= glossary  # what stands in between is prose
            yield False, "", line
            continue
        fence = next((mark for mark in ("```", "$$") if words.startswith(mark)), None)
        if fence is not None:
            closed = words != fence and words.endswith(fence)
            while not closed and k < len(lines):
                closed = lines[k].rstrip().endswith(fence)
                k += 1
            yield False, "", "\n".join(lines[first:k])
            continue
        if not re.match(r" *(#{1,6} |\||<)", line):  # what may go on in the next line
            while k < len(lines) and _goes_on(line, lines[k]):
                k += 1
        joined = " ".join([line.rstrip(), *(text.strip() for text in lines[first + 1 : k])])
        lead, text = _LEAD.fullmatch(joined).groups()
        yield _is_prose(text), lead, text


def _goes_on(first: str, line: str) -> bool:
    """Say whether a line belongs to the unit that began with ``first``."""
    if not line.strip() or _NEW_UNIT.match(line) or line.lstrip().startswith("$$"):
        return False
    deeper = len(line) - len(line.lstrip()) > len(first) - len(first.lstrip())
    return bool(_NEW_UNIT.match(first)) or not deeper  # below a term stands its explanation


def units(markdown: str) -> list[str]:
    """Return the units of a Markdown text in order, without repetitions removed."""
    return [text for is_unit, _, text in _pieces(markdown) if is_unit]


def translated(markdown: str, translate: Translate) -> str:
    """Return a Markdown text in which each unit is what ``translate`` makes of it.

    Parameters
    ----------
    markdown : str
        The text in English.
    translate : callable
        Takes a unit; None leaves it as it is.
    """
    return "\n".join(
        lead + (translate(text) or text if is_unit else text)
        for is_unit, lead, text in _pieces(markdown)
    )
