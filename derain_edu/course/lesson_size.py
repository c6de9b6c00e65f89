"""How long a lesson is, and how long it may be: one question in at most an hour.

The numbers are taken from the lesson's source, and ``test_lesson_size.py`` holds every lesson to
:data:`LIMITS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from derain_edu.course.exercise_cells import Cell
from derain_edu.course.notebooks import Lesson, lesson_cells, lesson_folder, lesson_names, opening

WORDS_A_MINUTE = 100  # of a text with formulas, by someone whose first language is another


@dataclass(frozen=True)
class Size:
    """The size of one lesson.

    Attributes
    ----------
    lesson : Lesson
        Which one.
    words : int
        Of its text, without what is folded away: hints, answers, background, solutions.
    cells : int
        Of its source, code and text.
    predictions : int
        How often the reader is asked for one: ``my_… = None`` in the code.
    exercises : int
        How many functions the reader writes.
    exercise_minutes : int
        The sum of what their cards say.
    widest : int
        Characters of the longest line of code.
    """

    lesson: Lesson
    words: int
    cells: int
    predictions: int
    exercises: int
    exercise_minutes: int
    widest: int

    @property
    def least_minutes(self) -> int:
        """Minutes for reading and for the exercises; looking at pictures comes on top."""
        return round(self.words / WORDS_A_MINUTE + self.exercise_minutes)


# The most that a lesson may have.
LIMITS = {"words": 2000, "cells": 50, "predictions": 5, "exercises": 4, "widest": 84}
MOST_MINUTES = 60


def size_of(name: str, cells: list[Cell]) -> Size:
    """Measure a lesson by the cells of its source."""
    texts = [text for kind, text, tags in cells if kind == "markdown" and "solution" not in tags]
    codes = [text for kind, text, tags in cells if kind == "code" and "bootstrap" not in tags]
    shown = re.sub(r"<details.*?</details>", "", "\n".join(texts), flags=re.DOTALL)
    code = "\n".join(codes)
    return Size(
        lesson=opening(name, texts[0]),
        words=len(shown.split()),
        cells=len(cells),
        predictions=len(re.findall(r"^my_\w+ = None", code, re.MULTILINE)),
        exercises=code.count("exercises.check("),
        exercise_minutes=sum(map(int, re.findall(r"\| \*\*Spend\*\* \| (\d+) min", shown))),
        widest=max(map(len, code.splitlines()), default=0),
    )


def faults(size: Size) -> list[str]:
    """Return what is too long in a lesson, in words."""
    found = [
        f"{getattr(size, what)} {what} (at most {limit})" for what, limit in LIMITS.items()
        if getattr(size, what) > limit
    ]  # fmt: skip
    minutes = size.lesson.minutes
    if minutes > MOST_MINUTES:
        found.append(f"{minutes} minutes (at most {MOST_MINUTES})")
    if minutes < size.least_minutes:
        found.append(
            f"{minutes} minutes, but {size.words} words and the exercises take "
            f"{size.least_minutes}"
        )
    return found


def sizes(folder: Path | None = None) -> list[Size]:
    """Measure all lessons of ``folder`` (default: the course's)."""
    folder = folder or lesson_folder()
    return [
        size_of(name, lesson_cells(folder / f"{name}.py")) for name in lesson_names(folder, ".py")
    ]
