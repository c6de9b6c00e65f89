"""Every lesson runs, cell by cell, in both states of the cache.

nbval is the gate: unlike other runners it also fails when a slider's callback raises while it
runs. Each lesson gets a pytest of its own, so that it starts with a fresh kernel and its own
cache: empty (what a newcomer has), and for some lessons filled with the research data. The
notebooks with the solutions run once, too, with the fuller cache that their lesson can use. (That
the solutions are right is tested in ``tests/course/exercises``.)
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
LESSONS = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
SOLVED = sorted((NOTEBOOKS / "solutions").glob("[0-9][0-9]_*.ipynb"))
USE_RESEARCH_DATA = ("00", "01", "03", "05", "06")
CACHES = [(path, path.stem[:2] in USE_RESEARCH_DATA) for path in SOLVED] + [
    (path, True)
    for path in LESSONS
    if path.stem[:2] in USE_RESEARCH_DATA and path.name not in [solved.name for solved in SOLVED]
]
CELL_SECONDS = 400


def names(path: Path) -> str:
    return path.stem


def run_nbval(path: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "DERAIN_EDU_CACHE": str(cache),
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


def check(path: Path, cache: Path, label: str, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.perf_counter()
    result = run_nbval(path, cache)
    seconds = time.perf_counter() - began
    cells = [c for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
    passed = re.search(r"(\d+) passed", result.stdout)
    with capsys.disabled():
        count = f"{passed[1] if passed else 0} of {len(cells)} cells"
        print(f"\n{path.stem}, {label}: {count} passed in {seconds:.0f} s", end=" ")
    if result.returncode != 0 or not passed or int(passed[1]) != len(cells):
        colours = r"\x1b\[[0-9;]*m"
        pytest.fail(re.sub(colours, "", result.stdout + result.stderr), pytrace=False)


@pytest.mark.parametrize("lesson", LESSONS, ids=names)
def test_lesson_runs_for_a_newcomer(lesson, empty_cache, capsys):
    check(lesson, empty_cache, "empty cache", capsys)


@pytest.mark.parametrize(
    ("notebook", "filled"), CACHES, ids=[f"{p.parent.name}/{p.stem}" for p, _ in CACHES]
)
def test_the_solved_lesson_runs(notebook, filled, request, capsys):
    cache = request.getfixturevalue("filled_cache" if filled else "empty_cache")
    label = "filled cache" if filled else "empty cache"
    check(notebook, cache, f"{label}, {notebook.parent.name}", capsys)


BROKEN = {
    "a failing assert": ["x = 1", "assert x == 2"],
    "a callback that raises": [
        "import ipywidgets\nslider = ipywidgets.IntSlider(1)\n"
        "ipywidgets.interactive(lambda value: 1 // value, value=slider)",
        "slider.value = 5",
        "slider.value = 0",
    ],
}


@pytest.mark.parametrize("cells", BROKEN.values(), ids=BROKEN.keys())
def test_the_gate_fails_on(cells, tmp_path, empty_cache):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    nbformat.write(notebook, tmp_path / "broken.ipynb")
    result = run_nbval(tmp_path / "broken.ipynb", empty_cache)
    assert result.returncode == 1
    assert f"1 failed, {len(cells) - 1} passed" in result.stdout
