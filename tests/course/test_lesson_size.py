"""One question, one hour: how long the lessons are."""

from __future__ import annotations

import pytest

from derain_edu.course.lesson_size import faults, size_of, sizes
from derain_edu.course.notebooks import BOOTSTRAP_LINE

OPENING = "# 03 · Title\n\n**Why?**\n\n| **Time** | {} minutes; 60 s on a CPU |"
CARD = "### Exercise 03.1 · One\n\n| **Spend** | 10 minutes |\n\n<details>a hint</details>"


def lesson(minutes: int = 40, words: int = 500, lines: int = 1, more: int = 0) -> list:
    """Return the cells of a lesson of a chosen length."""
    return [
        ("markdown", OPENING.format(minutes), ()),
        ("code", BOOTSTRAP_LINE, ("bootstrap",)),
        ("markdown", "word " * words + "\n<details>\nmore words\n</details>", ()),
        ("markdown", CARD, ("exercise",)),
        ("code", 'exercises.check("03.1", f)', ("exercise",)),
        ("markdown", "why it is so", ("solution",)),
        ("code", "my_guess = None\n" + "x" * lines, ()),
        *[("code", "x = 1", ())] * more,
    ]


def test_a_lesson_is_measured_without_what_is_folded():
    size = size_of("03_title", lesson())
    heads = len((OPENING.format(40) + " " + CARD.replace("<details>a hint</details>", "")).split())
    assert size.words == 500 + heads
    assert (size.cells, size.predictions, size.exercises) == (7, 1, 1)
    assert size.exercise_minutes == 10 and size.widest == len('exercises.check("03.1", f)')
    assert size.least_minutes == round(size.words / 100 + 10) and faults(size) == []


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        (lesson(words=2100), "words (at most 2000)"),
        (lesson(more=44), "51 cells"),
        (lesson(lines=85), "85 widest"),
        (lesson(minutes=61), "61 minutes (at most 60)"),
        (lesson(minutes=14), "14 minutes, but"),
        ([*lesson(), *[("code", "my_guess = None", ())] * 5], "6 predictions"),
        ([*lesson(), *[("code", "exercises.check(", ())] * 4], "5 exercises"),
    ],
)
def test_what_is_too_long_is_named(cells, fault):
    assert any(fault in text for text in faults(size_of("03_title", cells)))


@pytest.mark.parametrize("size", sizes(), ids=lambda size: size.lesson.name)
def test_a_lesson_is_one_hour(size):
    assert faults(size) == []
