"""Exercises in a lesson's source, and what the two notebooks make of them.

The source holds the *solved* exercise, so that it is checked like all other code::

    # %% [markdown] tags=["exercise"]
    # ### Exercise 01.2 · The error map
    #
    # | | |
    # |---|---|
    # | **Difficulty** | ●●○○○ |
    # | **Importance** | ●●●●○ |
    # | **Spend** | 10 minutes |
    # | **Task** | write `error_map(x, y)`: … |
    #
    # <details><summary>Hint</summary>
    #
    # …
    #
    # </details>

    # %% tags=["exercise"]
    def error_map(x, y):
        \"\"\"Return the absolute error, (3, H, W).\"\"\"
        # BEGIN SOLUTION
        return (x - y).abs()
        # END SOLUTION


    exercises.check("01.2", error_map)

    # %% [markdown] tags=["solution"]
    # Why it is so: a few words that stand below the solution.

In the student's notebook the lines between the marks become ``return ...  # write your code
here`` (a checker takes ``...`` for "not attempted yet"), and the solution follows in a folded
cell, with the words of the cell tagged ``solution``. In the solved notebook the marks go away and
the words stay.
"""

from __future__ import annotations

import re

from derain_edu.errors import DerainError

Cell = tuple[str, str, tuple[str, ...]]  # kind ("code", "markdown"), text, tags

STUB = "return ...  # write your code here"
_BLOCK = re.compile(r"^( *)# BEGIN SOLUTION\n(.*?\n) *# END SOLUTION$", re.MULTILINE | re.DOTALL)
_QUESTION = re.compile(r"\n+(?=\*\*\d\. )")  # where a question of a quiz begins
_CHECK = re.compile(r"^.*\bexercises\.check\(", re.MULTILINE)


def is_exercise(cell: Cell) -> bool:
    """Say whether a cell is one where the reader writes."""
    return cell[0] == "code" and "exercise" in cell[2]


def has_exercises(cells: list[Cell]) -> bool:
    """Say whether a lesson has exercises."""
    return any(is_exercise(cell) for cell in cells)


def solution_of(code: str) -> str:
    """Return the solved function of an exercise cell: what stands above its check.

    Raises
    ------
    DerainError
        If the cell has no solution between its marks, or no check.
    """
    check = _CHECK.search(code)
    if not _BLOCK.search(code) or check is None:
        raise DerainError(
            "an exercise cell needs lines between `# BEGIN SOLUTION` and `# END SOLUTION`, and "
            f"`exercises.check(number, function)` below them:\n\n{code}"
        )
    return _without_marks(code[: check.start()]).rstrip()


def _without_marks(code: str) -> str:
    return _BLOCK.sub(lambda found: found[2].rstrip("\n"), code)


def solved(cells: list[Cell]) -> list[Cell]:
    """Return the cells of the notebook with the solutions."""
    result = []
    for cell in cells:
        kind, text, tags = cell
        if is_exercise(cell):
            solution_of(text)  # complains if there is none
            text = _without_marks(text)
        result.append((kind, text, tags))
    return result


def unsolved(cells: list[Cell]) -> list[Cell]:
    """Return the cells of the student's notebook: stubs, each with a folded solution below."""
    result: list[Cell] = []
    waiting: str | None = None  # the solution of the exercise above
    for cell in cells:
        kind, text, tags = cell
        words = text if "solution" in tags else ""
        if waiting is not None:
            result.append(("markdown", _folded(waiting, words), ("solution",)))
            waiting = None
        elif words:
            raise DerainError(f"this solution has no exercise cell right above it:\n\n{text}")
        if is_exercise(cell):
            waiting = solution_of(text)
            text = _BLOCK.sub(lambda found: found[1] + STUB, text)
        if not words:
            result.append((kind, text, tags))
    if waiting is not None:
        result.append(("markdown", _folded(waiting, ""), ("solution",)))
    return result


def questions_apart(cells: list[Cell]) -> list[Cell]:
    """Give each question of a quiz a cell of its own: JupyterLab leaves no gap below a fold."""
    result: list[Cell] = []
    for kind, text, tags in cells:
        parts = _QUESTION.split(text) if "quiz" in tags else [text]
        result += [(kind, part, tags) for part in parts]
    return result


def _folded(solution: str, words: str) -> str:
    parts = ["<details><summary>Solution</summary>", f"```python\n{solution}\n```", words]
    return "\n\n".join([*filter(None, parts), "</details>"])
