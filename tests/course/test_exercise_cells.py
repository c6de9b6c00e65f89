"""Exercises and quizzes have the agreed form, and two notebooks are made of one source."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from derain_edu.course.exercise_cells import (
    STUB,
    has_exercises,
    is_exercise,
    questions_apart,
    solved,
    unsolved,
)
from derain_edu.course.notebooks import lesson_cells
from derain_edu.errors import DerainError

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
SOURCES = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.py"))
WITH_EXERCISES = SOURCES[1:]  # all but lesson 00, which shows how exercises work
MARKS = "[●○]{5}"
ROWS = {"Difficulty": MARKS, "Importance": MARKS, "Spend": r"\d+ minutes", "Task": r"\S.*"}
HINT = r"<details><summary>Hint</summary>\n\n.+\n\n</details>"


def card_faults(card, number):
    """Return what is wrong with an exercise card, a markdown text."""
    faults = []
    if not re.match(rf"### Exercise {number} · \S", card):
        faults.append(f"the first line is not `### Exercise {number} · Title`")
    for row, form in ROWS.items():
        if not re.search(rf"^\| \*\*{row}\*\* \| {form} \|$", card, re.MULTILINE):
            faults.append(f"no table row `| **{row}** | … |`")
    if not re.search(HINT, card, re.DOTALL):
        faults.append("no folded hint with an empty line after its first and before its last line")
    return faults


@pytest.mark.parametrize("source", WITH_EXERCISES, ids=lambda path: path.stem)
def test_exercise_cards_are_complete(source):
    cells, faults, count = lesson_cells(source), [], 0
    for before, cell in zip([None, *cells], cells, strict=False):
        if not is_exercise(cell):
            continue
        count += 1
        number = f"{source.stem[:2]}.{count}"
        if before is None or before[0] != "markdown" or "exercise" not in before[2]:
            faults.append(f"{number}: no card (markdown, tagged exercise) right above it")
        else:
            faults += [f"{number}: {fault}" for fault in card_faults(before[1], number)]
        if f'exercises.check("{number}", ' not in cell[1]:
            faults.append(f"{number}: no `exercises.check(\"{number}\", …)`")
    assert not faults, "see derain_edu/course/exercise_cells.py:\n" + "\n".join(faults)
    assert 3 <= count <= 5


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_each_lesson_ends_with_a_quiz_and_what_you_can_now(source):
    cells = lesson_cells(source)
    quizzes = [text for kind, text, tags in cells if kind == "markdown" and "quiz" in tags]
    assert len(quizzes) == 1 and quizzes[0].startswith("## Check yourself\n")
    fold = r"<details><summary>Answer</summary>\n\n.+?\n\n</details>"
    answers = re.findall(fold, quizzes[0], re.DOTALL)
    questions = re.findall(r"^\*\*\d\. .+?\*\*", quizzes[0], re.MULTILINE | re.DOTALL)
    assert 3 <= len(questions) == len(answers) <= 5
    assert any("## You can now" in text for _, text, _ in cells)


# ------------------------------------------------------------------------------ how they are made

CARD = ("markdown", "### Exercise 01.1 · Double", ("exercise",))
CODE = """\
def double(x):
    \"\"\"Return 2 x.\"\"\"
    # BEGIN SOLUTION
    y = x + x
    return y
    # END SOLUTION


exercises.check("01.1", double)"""
WORDS = ("markdown", "Twice.", ("solution",))
LAST = ("markdown", "Next.", ())
SOURCE = [CARD, ("code", CODE, ("exercise",)), WORDS, LAST]


def test_the_student_gets_a_stub_and_a_folded_solution():
    card, stub, fold, last = unsolved(SOURCE)
    assert (card, last) == (CARD, LAST)
    assert stub[1] == CODE.replace(
        CODE[CODE.index("    # BEGIN") : CODE.index("# END SOLUTION") + 14], "    " + STUB
    )
    assert fold[0] == "markdown" and fold[1].startswith("<details><summary>Solution</summary>\n\n")
    assert "    y = x + x\n    return y\n```\n\nTwice.\n\n</details>" in fold[1]
    assert "exercises.check" not in fold[1] and "SOLUTION" not in fold[1] + stub[1]


def test_a_stub_runs_and_returns_ellipsis():
    space = {"exercises": type("Nothing", (), {"check": staticmethod(lambda *given: None)})}
    exec(unsolved(SOURCE)[1][1], space)
    assert space["double"](1) is ...


def test_the_solved_notebook_keeps_all_but_the_marks():
    assert [cell[1] for cell in solved(SOURCE)] == [
        CARD[1],
        re.sub(r" *# (BEGIN|END) SOLUTION\n", "", CODE),
        "Twice.",
        "Next.",
    ]


def test_the_last_cell_may_be_an_exercise():
    assert [kind for kind, _, _ in unsolved(SOURCE[:2])] == ["markdown", "code", "markdown"]
    assert has_exercises(SOURCE) and not has_exercises([CARD, LAST])


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([("code", CODE.replace("# END SOLUTION", ""), ("exercise",))], "BEGIN SOLUTION"),
        ([("code", CODE.split("\n\n\n")[0], ("exercise",))], "exercises.check"),
        ([WORDS], "no exercise cell right above"),
        ([*SOURCE[:2], LAST, WORDS], "no exercise cell right above"),
    ],
)
def test_a_wrong_exercise_stops_the_build(cells, words):
    with pytest.raises(DerainError, match=words):
        unsolved(cells)
    if words != "no exercise cell right above":
        with pytest.raises(DerainError, match=words):
            solved(cells)


def test_each_question_of_a_quiz_gets_a_cell_and_no_word_is_lost():
    quiz = "## Check yourself\n\n**1. Why?**\n\n<details>…</details>\n\n**2. How?\nReally?**\n\nSo."
    other = ("markdown", "## Not a quiz\n\n**1. First.**\n\n**2. Second.**", ())
    cells = questions_apart([("markdown", quiz, ("quiz",)), other])
    assert [text for _, text, _ in cells[:3]] == [
        "## Check yourself",
        "**1. Why?**\n\n<details>…</details>",
        "**2. How?\nReally?**\n\nSo.",
    ]
    assert cells[3] == other and {tags for _, _, tags in cells[:3]} == {("quiz",)}
