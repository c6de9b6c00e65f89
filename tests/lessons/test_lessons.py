"""Every lesson runs twice, cell by cell: once as a newcomer has it, and once solved.

- The newcomer's run: the stubs of the exercises open, nothing in the cache. It is the run whose
  outputs the book shows, so sliders become flipbooks: all their pictures are drawn. What ran is
  kept in ``build/book-executed``, and the book's own tests take it from there.
- The run with solutions (of lessons that have none, the student's notebook) and the research data
  in the cache, where this machine has them. There the sliders are widgets, and nbval is the gate.

Either run gives a lesson a fresh kernel, and fails with every error that a cell sends, also where
other runners go on, as when a slider's callback raises. ``BROKEN`` holds both to that. (That the
solutions are right is tested in ``tests/course/exercises``.)
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from derain_edu.course.run import CELL_SECONDS, COLOURS, run_lesson

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "book"))
import make_book  # noqa: E402

LESSONS = sorted((TOP / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SOLVED = {path.name: path for path in (TOP / "notebooks" / "solutions").glob("*.ipynb")}
EXECUTED = TOP / "build" / "book-executed"


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_lesson_runs_for_a_newcomer(lesson, capsys):
    run = make_book.run_as_newcomer(lesson.stem, EXECUTED, make_book.common_hash())
    if run.error:
        pytest.fail(run.details, pytrace=False)
    cells = code_cells(EXECUTED / lesson.name)
    assert [cell.source for cell in cells] == [cell.source for cell in code_cells(lesson)]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    with capsys.disabled():
        print(f"\n{lesson.stem}, newcomer: {len(cells)} cells in {run.seconds:.0f} s", end=" ")


# In full; test_translation.py compares the cells of all.
@pytest.mark.parametrize("number", ["00", "04", "09"])
def test_a_chinese_lesson_runs_for_a_newcomer(number, capsys):
    name = next(lesson.stem for lesson in LESSONS if lesson.stem.startswith(number))
    run = make_book.run_as_newcomer(name, EXECUTED / "zh", make_book.common_hash(), "zh")
    if run.error:
        pytest.fail(run.details, pytrace=False)
    outputs = str([cell.get("outputs") for cell in code_cells(EXECUTED / "zh" / f"{name}.ipynb")])
    assert "⏳" in outputs or number == "00"  # lesson 00 has no exercises
    with capsys.disabled():
        print(f"\n{name}, in Chinese: {run.seconds:.0f} s", end=" ")


def run_nbval(path: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "DERAIN_EDU_BOOK": "",  # sliders are widgets
        "DERAIN_EDU_CACHE": str(cache),
        "DERAIN_EDU_PROGRESS": "off",
        "TQDM_DISABLE": "1",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }
    environment.pop("PYTEST_ADDOPTS", None)  # `-k 03` chooses lessons, not cells of lessons
    options = ["--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={CELL_SECONDS}"]
    options += [f"--nbval-kernel-startup-timeout={CELL_SECONDS}"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-q", "-p", "no:cacheprovider", str(path)],
        cwd=path.parent,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


@pytest.fixture
def fullest_cache(request) -> Path:
    """The cache with the research data, or, where this machine has none, an empty one."""
    try:
        return request.getfixturevalue("filled_cache")
    except pytest.skip.Exception:
        return request.getfixturevalue("empty_cache")


@pytest.mark.parametrize(
    "notebook",
    [SOLVED.get(lesson.name, lesson) for lesson in LESSONS],
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_lesson_runs_with_its_solutions(notebook, fullest_cache, capsys):
    began = time.perf_counter()
    result = run_nbval(notebook, fullest_cache)
    seconds = time.perf_counter() - began
    passed, cells = re.search(r"(\d+) passed", result.stdout), len(code_cells(notebook))
    if result.returncode != 0 or not passed or int(passed[1]) != cells:
        pytest.fail(COLOURS.sub("", result.stdout + result.stderr), pytrace=False)
    filled = "filled" if any(fullest_cache.iterdir()) else "empty"
    label = f"{notebook.parent.name}, {filled} cache"
    with capsys.disabled():
        print(f"\n{notebook.stem}, {label}: {cells} cells in {seconds:.0f} s", end=" ")


def test_every_solved_notebook_belongs_to_a_lesson():
    assert SOLVED and set(SOLVED) < {lesson.name for lesson in LESSONS}


SLIDER = "import ipywidgets\nslider = ipywidgets.IntSlider(1)\n"
# Each fails in its last cell. nbclient, which the book's runner is made of, lets the callback and
# the output widget pass.
BROKEN = {
    "a failing assert": ["x = 1", "assert x == 2"],
    "a callback that raises": [
        f"{SLIDER}ipywidgets.interactive(lambda value: 1 // value, value=slider)",
        "slider.value = 5",
        "slider.value = 0",
    ],
    "an error inside of an output widget": [
        "import ipywidgets\noutput = ipywidgets.Output()",
        "with output:\n    1 / 0",
    ],
    "a picture that can't be drawn": [
        "class Picture:\n    def _repr_png_(self):\n        return 1 / 0",
        "Picture()",
    ],
}


def stopped_by_nbval(path: Path, cache: Path) -> str:
    result = run_nbval(path, cache)
    assert result.returncode == 1
    assert f"1 failed, {len(code_cells(path)) - 1} passed" in result.stdout
    return COLOURS.sub("", result.stdout)


def stopped_by_the_books_runner(path: Path, cache: Path) -> str:
    run = run_lesson(path, environment={"DERAIN_EDU_CACHE": str(cache)})
    assert run.error and run.error == run.details.splitlines()[-1]
    return run.details


@pytest.mark.parametrize("stopped", [stopped_by_nbval, stopped_by_the_books_runner])
@pytest.mark.parametrize("cells", BROKEN.values(), ids=BROKEN.keys())
def test_both_gates_fail_on(
    cells: list[str], stopped: Callable[[Path, Path], str], tmp_path, empty_cache
):
    path = tmp_path / "broken.ipynb"
    code = [nbformat.v4.new_code_cell(text) for text in cells]
    nbformat.write(nbformat.v4.new_notebook(cells=code), path)
    said = stopped(path, empty_cache)
    assert cells[-1] in said and ("ZeroDivisionError" in said or "AssertionError" in said)


def test_both_gates_pass_what_comes_before_the_faults(tmp_path, empty_cache):
    path = tmp_path / "sound.ipynb"
    sound = [text for cells in BROKEN.values() for text in cells[:-1]]
    code = [nbformat.v4.new_code_cell(text) for text in sound]
    nbformat.write(nbformat.v4.new_notebook(cells=code), path)
    assert run_nbval(path, empty_cache).returncode == 0
    assert run_lesson(path).error is None
