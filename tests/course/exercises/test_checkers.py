"""Every checker accepts two right answers and rejects wrong ones, each for the right reason.

The first right answer is the solution that stands in the lesson's source; the second, written
another way, and the wrong ones are in ``answers_NN.py``.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

from derain_edu.course import exercises
from derain_edu.course.exercise_cells import is_exercise, solution_of
from derain_edu.course.exercises.checking import judge
from derain_edu.course.notebooks import lesson_cells
from derain_edu.errors import DerainError

HERE = Path(__file__).resolve().parent
SOURCES = sorted((HERE.parents[2] / "notebooks").glob("[0-9][0-9]_*.py"))


def answers() -> dict[str, dict]:
    """Return what all ``answers_NN.py`` hold, by the number of the exercise."""
    found: dict[str, dict] = {}
    for path in sorted(HERE.glob("answers_[0-9][0-9].py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert not found.keys() & module.ANSWERS.keys(), "an exercise has answers twice"
        found |= module.ANSWERS
    return found


def exercise_cells(source: Path) -> dict[str, str]:
    """Return the code of a lesson's exercise cells by their numbers."""
    codes = [cell[1] for cell in lesson_cells(source) if is_exercise(cell)]
    return {code.split('exercises.check("')[1][:4]: code for code in codes}


def imports_of(source: Path) -> str:
    """Return the import statements of a lesson, which its solutions may use."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    lines = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    return ast.unparse(ast.Module(lines, type_ignores=[]))


def function_of(code: str, space: dict) -> object:
    """Run an exercise's code and return the function that its check is given."""
    exec(code, space)
    return space[[n for n in ast.parse(code).body if isinstance(n, ast.FunctionDef)][-1].name]


ANSWERS = answers()
exercises.numbers()  # loads the checkers
WRONG = [
    pytest.param(number, answer, reason, id=f"{number} {answer.__name__}")
    for number, entry in ANSWERS.items()
    for answer, reason in entry["wrong"]
]


def test_checkers_cards_and_answers_belong_together():
    in_lessons = [number for source in SOURCES for number in exercise_cells(source)]
    assert exercises.numbers() == sorted(in_lessons) == sorted(ANSWERS)
    for source in SOURCES:
        assert all(number[:2] == source.stem[:2] for number in exercise_cells(source))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_solutions_of_the_lesson_are_right(source):
    for number, code in exercise_cells(source).items():
        space: dict = {}
        exec(imports_of(source), space)
        verdict = judge(number, function_of(solution_of(code), space))
        assert verdict, f"{number}: {verdict}"


@pytest.mark.parametrize("number", ANSWERS)
def test_another_right_answer_is_accepted(number):
    verdict = judge(number, ANSWERS[number]["second"])
    assert verdict, str(verdict)


@pytest.mark.parametrize(("number", "answer", "reason"), WRONG)
def test_a_wrong_answer_is_rejected_with_its_reason(number, answer, reason):
    verdict = judge(number, answer)
    assert verdict.state == "wrong"
    assert re.search(reason, verdict.text), verdict.text


@pytest.mark.parametrize("lesson", [f"{number:02}" for number in range(1, 17)])
def test_a_chinese_reader_gets_the_reason_in_chinese(lesson, monkeypatch):
    """Outside of code and of what Python and PyTorch say, no three English words in a row."""
    monkeypatch.setenv("DERAIN_EDU_LANGUAGE", "zh")
    for parameters in WRONG:
        number, answer, _ = parameters.values
        if number.startswith(lesson):
            told = re.sub(r"`[^`]*`|抛出了.*", "", judge(number, answer).text, flags=re.DOTALL)
            assert not re.search(r"[A-Za-z]{2,} [A-Za-z]{2,} [A-Za-z]{2,}", told), told


@pytest.mark.parametrize("number", ANSWERS)
def test_there_are_three_wrong_answers_and_a_stub_is_not_one(number):
    reasons = {reason for _, reason in ANSWERS[number]["wrong"]}
    assert len(reasons) >= 3
    assert judge(number, lambda *given: ...).state == "untouched"
    assert "nothing (None)" in judge(number, lambda *given: None).text


def test_an_unknown_exercise_is_named():
    with pytest.raises(DerainError, match="no exercise '99.1': choose one of"):
        exercises.check("99.1", print)
