"""The catalogues: gettext's .po files, one for each lesson and one for the package.

``notebooks/zh/NN_name.po`` holds all that a translator of a lesson needs, in the order of the
lesson: its prose, what it prints (context ``print``), and (context ``shown``) what the package
shows for it: titles and labels of its figures, and the sentences of its checkers.
``notebooks/zh/package.po`` holds what all lessons and commands show.

``make notebooks`` brings them up to date. A sentence that changed keeps its old translation,
marked *fuzzy*: until somebody has looked at it, readers see the new sentence in English. Nobody
has to know Chinese to change a lesson.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from derain_edu.course.translation import prose, strings
from derain_edu.files import PACKAGE, write_atomically

PRINT, SHOWN = "print", "shown"  # contexts; prose has none
Key = tuple[str, "str | None"]  # text, context
HEADER = """\
# Chinese (简体) for derain_edu. The terms are in terms.csv; CONTRIBUTING.md says how to translate.
msgid ""
msgstr ""
"Language: zh_CN\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""


@dataclass(frozen=True)
class Counts:
    """How far a catalogue is.

    Attributes
    ----------
    entries : int
        How many sentences there are.
    fuzzy : int
        How many changed after they were translated.
    missing : int
        How many have no translation yet.
    """

    entries: int
    fuzzy: int
    missing: int


def lesson_keys(cells: Iterable[tuple[str, str, Any]], checkers: str = "") -> list[Key]:
    """Return what is to be translated of a lesson, in order.

    Parameters
    ----------
    cells : iterable of (kind, text, tags)
        The cells of the student's notebook.
    checkers : str
        The code of its checkers.
    """
    keys: list[Key] = []
    for kind, text, _tags in cells:
        if kind == "markdown":
            keys += [(unit, None) for unit in prose.units(text)]
        else:
            keys += [(text, PRINT) for text in strings.printed(text)]
            keys += [(text, SHOWN) for text in strings.drawn(text)]
    keys += [(text, SHOWN) for text in strings.shown(checkers)]
    return list(dict.fromkeys(keys))


# What the package shows outside of the lessons: all sentences of these files, and of the others
# the errors. (Recorded results, model cards and --help stay English.)
_WHOLE = ("text.py", "course/doctor.py", "course/progress.py", "course/views", "course/lab.py",
          "course/exercises/checking.py")
# The notebooks' own words, and the verdicts.
_OWN = ("Open this lesson in Google Colab", "★ core path", "lesson {number} of 00–{last}",
        "Lessons", "Look it up", "The cell that installs and imports the course",
        "question it answers", "holds", "does not hold", "no difference that matters", "can't tell",
        "claim", "verdict", "mean ± 95 %")
_NOT = ("course/exercises", "course/translation", "experiments", "language.py")


def package_keys(package: Path = PACKAGE) -> list[Key]:
    """Return what is to be translated of the package, by file and in order."""
    found: list[str] = [*sorted(strings.WORDS), *_OWN]
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        whole = name.startswith(_WHOLE)
        if whole or not name.startswith(_NOT):
            found += strings.shown(path.read_text(encoding="utf-8"), only_raised=not whole)
    return [(text, SHOWN) for text in dict.fromkeys(found)]


def read(path: Path) -> Any:
    """Return a catalogue (a :class:`babel.messages.Catalog`); an empty one if there is no file."""
    from babel.messages import Catalog
    from babel.messages.pofile import read_po

    if not path.is_file():
        return Catalog(locale="zh_CN", charset="utf-8")
    with path.open("rb") as file:
        return read_po(file, locale="zh_CN", charset="utf-8")


def update(path: Path, keys: Iterable[Key]) -> None:
    """Give a catalogue these entries, in this order; it keeps its translations."""
    from babel.messages import Catalog

    old, template = read(path), Catalog(charset="utf-8")
    for text, context in keys:
        template.add(text, context=context)
    old.update(template)
    for entry in old:
        # Babel guesses the formats (checks.py looks at the fields), and reads the sentence before a
        # change, which it writes beside a fuzzy one, as somebody's comment.
        entry.flags -= {"python-format", "python-brace-format"}
        entry.user_comments = []
    write(old, path)


def write(catalogue: Any, path: Path) -> None:
    """Write a catalogue: one line for each sentence, no dates and no line numbers."""
    from babel.messages.pofile import write_po

    text = io.BytesIO()
    write_po(text, catalogue, width=0, omit_header=True, ignore_obsolete=True, no_location=True)
    write_atomically(path, HEADER.encode() + text.getvalue().strip() + b"\n")


def translator(catalogue: Any) -> Callable[[str, str | None], str | None]:
    """Return a function that gives the translation of a sentence; None if it has none."""

    def translate(text: str, context: str | None = None) -> str | None:
        entry = catalogue.get(text, context)
        return None if entry is None or entry.fuzzy else entry.string or None

    return translate


def counts(catalogue: Any) -> Counts:
    """Return how far a catalogue is."""
    entries = [entry for entry in catalogue if entry.id]
    fuzzy = sum(entry.fuzzy for entry in entries)
    return Counts(len(entries), fuzzy, sum(not entry.string for entry in entries))


def compiled(paths: Iterable[Path]) -> bytes:
    """Return what :mod:`derain_edu.language` reads: all that the package shows, as JSON."""
    sentences: dict[str, str] = {}
    for path in paths:
        for entry in read(path):
            if entry.id and entry.string and not entry.fuzzy and entry.context == SHOWN:
                sentences.setdefault(entry.id, entry.string)
    text = json.dumps(dict(sorted(sentences.items())), ensure_ascii=False, indent=0)
    return f"{text}\n".encode()


def translated_cells(cells: Iterable[tuple[str, str, Any]], catalogue: Any) -> list[Any]:
    """Return the cells of a lesson in the language of a catalogue."""
    translate = translator(catalogue)
    result = []
    for kind, text, tags in cells:
        if kind == "markdown":
            text = prose.translated(text, translate)
        else:
            text = strings.with_translated_prints(text, lambda words: translate(words, PRINT))
        result.append((kind, text, tags))
    return result
