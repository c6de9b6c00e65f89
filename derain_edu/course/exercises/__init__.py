"""The checkers of the exercises: one for each exercise card of the lessons.

>>> from derain_edu.course import exercises
>>> result = exercises.check("15.1", lambda graph: ...)
⏳ 15.1: not attempted yet

A lesson calls :func:`check` below each stub. The checkers of lesson NN are in ``lesson_NN.py``;
:mod:`derain_edu.course.exercises.checking` shows how to write one. What each of them
accepts and rejects, and with which words, is tested by ``tests/course/exercises``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from derain_edu.course.exercises.checking import CHECKERS, CheckResult, judge
from derain_edu.course.progress import keep, line
from derain_edu.errors import DerainError

__all__ = ["CheckResult", "check", "numbers", "progress"]


def numbers() -> list[str]:
    """Return the numbers of all exercises in order, for example ``["01.1", "01.2", ...]``."""
    for path in sorted(Path(__file__).parent.glob("lesson_[0-9][0-9].py")):
        import_module(f"{__name__}.{path.stem}")
    return sorted(CHECKERS)


def check(number: str, answer: Callable[..., Any]) -> CheckResult:
    """Try an answer, print what was found, note it as progress, and return it.

    Parameters
    ----------
    number : str
        The number on the exercise card, for example ``"08.1"``.
    answer : callable
        The function that the card asks for.

    Returns
    -------
    CheckResult
        True if the answer is right. It is False for a wrong answer and for an untouched stub;
        neither raises, so a lesson runs to its end without them.

    Raises
    ------
    DerainError
        If there is no exercise of this number.
    """
    if number not in CHECKERS and number not in numbers():
        raise DerainError(f"there is no exercise {number!r}: choose one of {', '.join(numbers())}")
    result = judge(number, answer)
    print(result)
    keep(number, result.state)
    return result


def progress(lesson: str) -> None:
    """Print how many exercises of a lesson, and of the course, are done on this machine.

    Parameters
    ----------
    lesson : str
        Its number, such as ``"07"``.
    """
    try:
        print(line(lesson))
    except DerainError as error:  # a damaged file does not stop a lesson
        print(error)
