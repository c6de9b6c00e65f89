"""The tables of lessons in README.md and CONTRIBUTING.md."""

from __future__ import annotations

import pytest

from derain_edu.course.lesson_tables import pages, question_table, with_table
from derain_edu.course.notebooks import Lesson
from derain_edu.errors import DerainError


def test_the_tables_are_up_to_date():
    for path, page in pages().items():
        assert path.read_text(encoding="utf-8") == page, f"{path.name}: run `make notebooks`"


def test_a_row_has_number_title_question_minutes_and_links():
    lesson = Lesson("04_progressive_prn", "Progressive PRN", "How?", 55)
    row = question_table([lesson]).splitlines()[2]
    link = "[Progressive PRN](notebooks/04_progressive_prn.ipynb)"
    assert row.startswith(f"| 04 ★ | {link} | How? | 55 |")
    assert "colab.research.google.com" in row and row.endswith("/04_progressive_prn.ipynb) |")


def test_only_what_stands_between_the_marks_is_replaced():
    page = "a\n<!-- lessons: begin -->\nold\n<!-- lessons: end -->\nb\n"
    new = with_table(page, "| new |")
    assert new == page.replace("old", "| new |") and with_table(new, "| new |") == new
    with pytest.raises(DerainError, match="needs the lines"):
        with_table("nothing", "")
