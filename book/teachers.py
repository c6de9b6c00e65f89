"""Fill the page for teachers: its plans from the lessons' minutes, its mistakes from the checkers.

    python book/teachers.py     writes book/teachers.md again

What a person wrote there stays. Between ``<!-- plans -->`` and ``<!-- /plans -->`` stand the plans,
between ``<!-- mistakes NN -->`` and ``<!-- /mistakes NN -->`` what the checkers of lesson NN say to
the first wrong answer of each exercise in ``tests/course/exercises``.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE / "teachers.md"
ANSWERS = HERE.parent / "tests" / "course" / "exercises"

from derain_edu.course import exercises  # noqa: E402
from derain_edu.course.exercises.checking import judge  # noqa: E402
from derain_edu.course.lesson_size import sizes  # noqa: E402
from derain_edu.course.plans import Session, plans  # noqa: E402
from derain_edu.errors import DerainError  # noqa: E402
from derain_edu.files import write_atomically  # noqa: E402


def plan_table(found: Mapping[str, Sequence[Session]]) -> str:
    """Return the plans in Markdown: one line for each session."""
    parts = []
    for name, sessions in found.items():
        rows = [f"**{name}**", "", "| session | lessons | minutes |", "|---|---|---|"]
        for k, session in enumerate(sessions, start=1):
            rows.append(f"| {k} | {', '.join(session.numbers)} | {session.minutes} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def answers(lesson: str) -> dict[str, Any]:
    """Return the wrong answers of a lesson's exercises, by their numbers; none for some lessons."""
    path = ANSWERS / f"answers_{lesson}.py"
    if not path.is_file():
        return {}
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {number: entry["wrong"] for number, entry in module.ANSWERS.items()}


def mistakes(lesson: str) -> str:
    """Return what the checkers say to the first wrong answer of each exercise, as a list."""
    exercises.numbers()  # loads the checkers
    lines = []
    for number, wrong in answers(lesson).items():
        verdict = judge(number, wrong[0][0])
        lines.append(f"- {number}: {first_sentence(verdict.text)}")
    return "\n".join(lines) or "- (no exercises)"


def first_sentence(text: str) -> str:
    """Return a checker's reason without its example."""
    return re.split(r"(?<=[.?!]) (?=[A-Z])", text)[0].replace("|", r"\|")


def between(page: str, name: str, content: str) -> str:
    """Return the page with ``content`` between the marks of this name.

    Raises
    ------
    DerainError
        If the marks are missing.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise DerainError(f"{PAGE.name} needs the lines {begin} and {end} once each")
    before, rest = page.split(begin)
    return f"{before}{begin}\n\n{content}\n\n{end}{rest.split(end)[1]}"


def filled(page: str) -> str:
    """Return the page with its plans and mistakes as they are now."""
    found = sizes()
    page = between(page, "plans", plan_table(plans(found)))
    for size in found:
        if size.exercises:
            number = size.lesson.number
            page = between(page, f"mistakes {number}", mistakes(number))
    return page


def main() -> int:
    """Write the page again."""
    page = PAGE.read_text(encoding="utf-8")
    write_atomically(PAGE, filled(page).encode())
    print(PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
