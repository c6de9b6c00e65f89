"""Plans for teachers: which lessons in which session, made from the lessons' own minutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from derain_edu.course.lesson_size import Size


@dataclass(frozen=True)
class Session:
    """Some lessons in a row, and how many minutes they take.

    Attributes
    ----------
    numbers : tuple[str, ...]
        The lessons, such as ``("00", "01")``.
    minutes : int
        Of all of them.
    """

    numbers: tuple[str, ...]
    minutes: int


def sessions(minutes: Sequence[tuple[str, int]], parts: int) -> list[Session]:
    """Cut a row of lessons into at most ``parts`` sessions whose longest is as short as possible.

    Parameters
    ----------
    minutes : sequence of (str, int)
        Each lesson's number and minutes, in the order of the course, which is kept.
    parts : int
        How many sessions there are room for.
    """
    longest = max(length for _, length in minutes)
    while len(found := _filled(minutes, longest)) > parts:
        longest += 1
    return found


def _filled(minutes: Sequence[tuple[str, int]], longest: int) -> list[Session]:
    """Fill one session after the other, none of them over ``longest`` minutes."""
    found: list[Session] = []
    for number, length in minutes:
        if found and found[-1].minutes + length <= longest:
            last = found.pop()
            found.append(Session((*last.numbers, number), last.minutes + length))
        else:
            found.append(Session((number,), length))
    return found


def plans(sizes: Sequence[Size]) -> dict[str, list[Session]]:
    """Return three plans by their names: a day, a week of afternoons, a term.

    The day shows the core path without its exercises, the week is the core path, the term is the
    whole course.
    """
    core = [size for size in sizes if size.lesson.core]
    shown = [(size.lesson.number, size.lesson.minutes - size.exercise_minutes) for size in core]
    done = [(size.lesson.number, size.lesson.minutes) for size in core]
    everything = [(size.lesson.number, size.lesson.minutes) for size in sizes]
    return {
        "A day, the core path without exercises": sessions(shown, 5),
        "A week of afternoons, the core path": sessions(done, 5),
        # two of the weeks are for the students' own work
        "A term of twelve weeks, the whole course": sessions(everything, 10),
    }
