"""The tables of lessons in README.md and CONTRIBUTING.md, written from the lessons themselves.

A page holds two marks, ``<!-- lessons: begin -->`` and ``<!-- lessons: end -->``; what stands
between them is written by ``derain-edu notebooks``.
"""

from __future__ import annotations

from pathlib import Path

from derain_edu.course.lesson_size import Size, sizes
from derain_edu.course.notebooks import Lesson, colab_url, lessons
from derain_edu.errors import DerainError
from derain_edu.files import PACKAGE, write_atomically
from derain_edu.language import local

BEGIN, END = "<!-- lessons: begin -->", "<!-- lessons: end -->"


def question_table(found: list[Lesson], language: str = "en") -> str:
    """Return the table of README.md: each lesson with its question, minutes and links."""
    heads = [local(word, language) for word in ("lesson", "question it answers", "minutes")]
    rows = [f"| | {' | '.join(heads)} | |", "|---|---|---|---|---|"]
    for lesson in found:
        star = " ★" if lesson.core else ""
        link = f"[{lesson.title}](notebooks/{lesson.name}.ipynb)"
        rows.append(
            f"| {lesson.number}{star} | {link} | {lesson.question} | {lesson.minutes} | "
            f"[Colab]({colab_url(lesson.name)}) |"
        )
    return "\n".join(rows)


def size_table(found: list[Size]) -> str:
    """Return the table of CONTRIBUTING.md: how long each lesson is."""
    rows = ["| lesson | words | cells | predictions | exercises | minutes |"]
    rows.append("|---|---|---|---|---|---|")
    for size in found:
        star = " ★" if size.lesson.core else ""
        rows.append(
            f"| {size.lesson.number} {size.lesson.title}{star} | {size.words} | {size.cells} | "
            f"{size.predictions} | {size.exercises} | {size.lesson.minutes} |"
        )
    return "\n".join(rows)


def with_table(page: str, table: str) -> str:
    """Return a page with a table between its two marks.

    Raises
    ------
    DerainError
        If the marks are missing.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise DerainError(f"the page needs the lines {BEGIN} and {END} once each")
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}"


def pages(top: Path = PACKAGE.parent) -> dict[Path, str]:
    """Return both pages of a clone as they should be."""
    tables = {"README.md": question_table(lessons()), "CONTRIBUTING.md": size_table(sizes())}
    return {
        top / name: with_table((top / name).read_text(encoding="utf-8"), table)
        for name, table in tables.items()
    }


def write_tables() -> list[Path]:
    """Write the tables into the pages of this clone, and return their paths."""
    written = pages()
    for path, text in written.items():
        write_atomically(path, text.encode())
    return list(written)
