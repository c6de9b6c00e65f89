"""The page for teachers: its plans and mistakes are those of the lessons and checkers of today."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "book"))
import teachers  # noqa: E402

from derain_edu.course.notebooks import lesson_folder, lessons  # noqa: E402
from derain_edu.course.plans import Session  # noqa: E402
from derain_edu.errors import DerainError  # noqa: E402


def test_the_page_is_up_to_date():
    page = teachers.PAGE.read_text(encoding="utf-8")
    assert page == teachers.filled(page), "run `python book/teachers.py`"


def test_every_lesson_has_its_notes():
    page = teachers.PAGE.read_text(encoding="utf-8")
    parts = re.split(r"^### ", page.split("## Make the course")[0], flags=re.MULTILINE)[1:]
    assert [part.splitlines()[0] for part in parts] == [
        f"{lesson.number} · {lesson.title}" for lesson in lessons()
    ]
    for part in parts:
        for words in ("The one idea", "On the board", "For the exam", "Skip first"):
            assert f"**{words}.**" in part, part.splitlines()[0]
        question_and_answer = r"\*\*For the exam\.\*\*[^*]+\*[^*]+\*"
        assert re.search(question_and_answer, part), part.splitlines()[0]


def test_the_sections_to_skip_exist():
    page = teachers.PAGE.read_text(encoding="utf-8")
    named = re.findall(r"^### (\d\d) ·|Skip first\.\*\*.*?[Ss]ection (\d)", page, re.MULTILINE)
    lesson, seen = "", 0
    for number, section in named:
        lesson = number or lesson
        if section:
            [source] = lesson_folder().glob(f"{lesson}_*.py")
            assert f"# ## {section} · " in source.read_text(encoding="utf-8"), (lesson, section)
            seen += 1
    assert seen >= 15


def test_the_mistakes_are_what_the_checkers_say():
    said = teachers.mistakes("14").splitlines()
    assert [line[:8] for line in said] == [f"- 14.{k}: " for k in range(1, len(said) + 1)]
    assert "mean over the frames" in said[0]
    text = "You forgot 5.5 of them. Yours is 3"
    assert teachers.first_sentence(text) == "You forgot 5.5 of them."


def test_only_what_stands_between_the_marks_changes():
    page = "mine\n<!-- plans -->\nold\n<!-- /plans -->\nmine, too\n"
    table = teachers.plan_table({"A day": [Session(("00", "01"), 70)]})
    new = teachers.between(page, "plans", table)
    assert new.startswith("mine\n") and new.endswith("\nmine, too\n") and "old" not in new
    assert "| 1 | 00, 01 | 70 |" in new
    with pytest.raises(DerainError, match="needs the lines"):
        teachers.between("nothing", "plans", "")
