"""Which exercises were tried and done: a small file on this machine, shown as a table or a page.

:func:`keep` is called after each check, :func:`line` stands at the end of each lesson, and
:func:`table` and :func:`page` are what ``derain-edu progress`` shows, :func:`course_map` is what
lesson 00 shows. Nothing leaves this machine.

The environment variable ``DERAIN_EDU_PROGRESS`` names another file, or is ``off``.
"""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from html import escape
from pathlib import Path

from IPython.display import HTML
from platformdirs import user_data_dir

from derain_edu.course.notebooks import Lesson, colab_url, lesson_folder, lessons
from derain_edu.errors import DerainError
from derain_edu.files import at_home, changing, check_writable, write_atomically
from derain_edu.language import language, local
from derain_edu.text import columns, pad

VARIABLE = "DERAIN_EDU_PROGRESS"
LOCK_SECONDS = 5.0  # another notebook writes for some milliseconds
MARKS = {"right": "✅", "wrong": "❌", "untouched": "⏳"}
TITLE = "derain_edu: progress"
WORDS = {"right": "done", "wrong": "not right yet", "untouched": "open"}
_CARD = re.compile(r"^### (?:Exercise|练习) (\d\d\.\d) · (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Record:
    """What is known about one exercise.

    Attributes
    ----------
    last : str
        What the last check found: ``"right"``, ``"wrong"`` or ``"untouched"``.
    at : str
        When that was, ISO 8601 in UTC.
    tries : int, default 0
        How many answers were checked; an untouched stub is none.
    right_at : str | None, default None
        When it was right for the first time. It stays done, also in a fresh copy of the lesson.
    """

    last: str
    at: str
    tries: int = 0
    right_at: str | None = None

    @property
    def state(self) -> str:
        """Right if it ever was, else what the last check found."""
        return "right" if self.right_at else self.last


def progress_file() -> Path | None:
    """Return the file, which may not exist yet, or None if nothing is kept.

    Raises
    ------
    DerainError
        If this user has no folder for data.
    """
    chosen = os.environ.get(VARIABLE, "")
    if chosen.lower() == "off":
        return None
    if chosen:
        return Path(at_home(chosen))
    try:
        return Path(at_home(user_data_dir("derain_edu", appauthor=False))) / "progress.json"
    except (DerainError, RuntimeError) as error:
        raise DerainError(f"there is no folder for data: set {VARIABLE} to a file") from error


def read() -> dict[str, Record]:
    """Return what is kept, by the numbers of the exercises.

    Raises
    ------
    DerainError
        If the file can't be read or is damaged.
    """
    path = progress_file()
    if path is None or not path.exists():
        return {}
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return {number: Record(**record) for number, record in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DerainError(
            f"{path} can't be read ({error}): repair it, or delete it to start again"
        ) from error


def keep(number: str, state: str) -> None:
    """Note what a check found. Whatever goes wrong here becomes a warning: the lesson goes on.

    What a solved notebook shows is nobody's progress: it is not kept. (JupyterLab tells a kernel
    which notebook it belongs to.)
    """
    if "/solutions/" in os.environ.get("JPY_SESSION_NAME", "").replace("\\", "/"):
        return
    try:
        path = progress_file()
        if path is None:
            return
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        with changing(path, LOCK_SECONDS):
            records = read()
            old = records.get(number, Record("untouched", now))
            right_at = old.right_at or (now if state == "right" else None)
            records[number] = Record(state, now, old.tries + (state != "untouched"), right_at)
            content = {name: asdict(records[name]) for name in sorted(records)}
            write_atomically(path, f"{json.dumps(content, indent=1)}\n".encode())
    except (DerainError, OSError) as error:
        warnings.warn(f"your progress is not kept: {error}", stacklevel=3)


def exercise_titles(lesson: Lesson) -> dict[str, str]:
    """Return the titles of a lesson's exercises by their numbers."""
    text = (lesson_folder(language()) / f"{lesson.name}.ipynb").read_text(encoding="utf-8")
    cells = json.loads(text)["cells"]
    return dict(_CARD.findall("\n".join("".join(cell["source"]) for cell in cells)))


def _course() -> dict[Lesson, dict[str, str]]:
    """Return the lessons that have exercises, with the titles of these."""
    titles = {lesson: exercise_titles(lesson) for lesson in _lessons()}
    return {lesson: found for lesson, found in titles.items() if found}


def _lessons() -> list[Lesson]:
    """Return the lessons in the reader's language."""
    return lessons(lesson_folder(language()))


def _done(numbers: Mapping[str, str], records: Mapping[str, Record]) -> int:
    return sum(number in records and records[number].state == "right" for number in numbers)


def line(lesson: str) -> str:
    """Return how much is done, in one line: ``3 of 4 exercises of this lesson, 17 of 58 …``.

    Parameters
    ----------
    lesson : str
        Its number, such as ``"07"``.
    """
    if progress_file() is None:
        return local(f"progress is not kept ({VARIABLE}=off)")
    records, course = read(), _course()
    here = next((titles for found, titles in course.items() if found.number == lesson), {})
    everything = {number: title for titles in course.values() for number, title in titles.items()}
    return local(
        f"done: {_done(here, records)} of {len(here)} exercises of this lesson, "
        f"{_done(everything, records)} of {len(everything)} of the course"
    )


def table() -> str:
    """Return a line for each lesson with exercises: a mark for each of them, and how many are done.

    Raises
    ------
    DerainError
        If the file can't be read.
    """
    records, course = read(), _course()
    width = max(columns(f"{lesson.number} · {lesson.title}") for lesson in course)
    rows, done, total = [], 0, 0
    for lesson, titles in course.items():
        states = [records[n].state if n in records else "untouched" for n in titles]
        name = f"{lesson.number} · {lesson.title}"
        marks = " ".join(MARKS[state] for state in states)
        here = states.count("right")
        rows.append(f"{pad(name, width)}  {local(f'{here} of {len(states)}')}  {marks}")
        done, total = done + here, total + len(states)
    where = progress_file()
    end = f"kept in {where}" if where else f"nothing is kept ({VARIABLE}=off)"
    return "\n".join([*rows, "", local(f"{done} of {total} exercises done; {end}")])


def course_map() -> HTML:
    """Return the lessons with question, minutes and what is done, as a table for a notebook.

    The titles lead to the lessons. A damaged file of progress is told below the table.
    """
    try:
        records, end = read(), ""
    except DerainError as error:
        records, end = {}, f"<p>{escape(str(error))}</p>"
    rows = []
    for lesson in _lessons():
        titles = exercise_titles(lesson)
        how_many = local(f"{_done(titles, records)} of {len(titles)}") if titles else ""
        star = " ★" if lesson.core else ""
        rows.append(
            f'<tr><td><a href="{_address(lesson)}">{lesson.number} · {escape(lesson.title)}</a>'
            f"{star}</td><td>{escape(lesson.question)}</td><td>{lesson.minutes}</td>"
            f"<td>{how_many}</td></tr>"
        )
    words = ("lesson", "question", "minutes", "done")
    head = "".join(f"<th>{local(word)}</th>" for word in words)
    return HTML(
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{end}"
    )


def _address(lesson: Lesson) -> str:
    """Return what leads to a lesson from another: in Colab, in the book, in JupyterLab."""
    if "google.colab" in sys.modules:
        return colab_url(lesson.name, language=language())
    return f"{lesson.name}.{'html' if os.environ.get('DERAIN_EDU_BOOK') else 'ipynb'}"


def write_page(path: Path, name: str = "") -> Path:
    """Write an HTML page that a student can hand in; an older one is replaced.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Whose progress it is.

    Raises
    ------
    DerainError
        If the file is something else, or can't be written.
    """
    check_writable(path)
    if path.exists() and TITLE.encode() not in path.read_bytes():
        raise DerainError(f"{path} is no progress page: choose another name")
    write_atomically(path, page(name).encode())
    return path


def page(name: str = "") -> str:
    """Return the page as HTML."""
    records, course = read(), _course()
    rows, done, total = [], 0, 0
    for lesson, titles in course.items():
        rows.append(f'<tr><th colspan="4">{lesson.number} · {escape(lesson.title)}</th></tr>')
        for number, title in titles.items():
            record = records.get(number)
            state = record.state if record else "untouched"
            when = (record.right_at or record.at)[:16].replace("T", " ") if record else ""
            tries = record.tries if record else 0
            word = f"{MARKS[state]} {local(WORDS[state])}"
            rows.append(
                f"<tr><td>{number} · {escape(title)}</td><td>{word}</td>"
                f"<td>{when}</td><td>{tries or ''}</td></tr>"
            )
            done, total = done + (state == "right"), total + 1
    whose = f" of {escape(name)}" if name else ""
    heads = ("exercise", "state", "when", "answers tried")
    return _PAGE.format(
        language=language(),
        title=TITLE,
        whose=whose,
        heading=local(TITLE) + local(whose),
        end=local(f"{done} of {total} exercises done. Times are UTC."),
        heads="".join(f"<th>{local(head)}</th>" for head in heads),
        rows="\n".join(rows),
    )


_PAGE = """<!DOCTYPE html>
<html lang="{language}"><head><meta charset="utf-8"><title>{title}{whose}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em }}
table {{ border-collapse: collapse; width: 100% }}
td, th {{ padding: .2em .6em; text-align: left; border-bottom: 1px solid #8884 }}
th[colspan] {{ padding-top: 1em }}
</style></head><body>
<h1>{heading}</h1>
<p>{end}</p>
<table><thead><tr>{heads}</tr></thead>
<tbody>
{rows}
</tbody></table></body></html>
"""
