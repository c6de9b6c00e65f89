"""The lessons have the agreed form, and their notebooks are up to date with the sources."""

from __future__ import annotations

import re
from pathlib import Path

import jupytext
import nbformat
import pytest

from derain_edu.course.notebooks import (
    BOOTSTRAP_LINE,
    CORE,
    build_notebooks,
    built_paths,
    cell_texts,
    make_notebook,
)
from derain_edu.errors import DerainError

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
SOURCES = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.py"))
LONGEST_CELL, WIDEST_LINE = 25, 84
ROWS = ("Goals", "Before you start", "Time", "Papers")
NETWORK = r"\b(import|from) (requests|urllib|httpx|socket)\b|urlopen|\bwget\b|\bcurl\b"


def names(path: Path) -> str:
    return path.stem


def front_matter_faults(text: str, number: str) -> list[str]:
    faults = []
    if not re.match(rf"# {number} · \S.*\n", text):
        faults.append(f"the first line is not `# {number} · Title`")
    if not re.search(r"^\*\*[^*]+\?\*\*$", text, re.MULTILINE):
        faults.append("no line `**The question?**`")
    for row in ROWS:
        if not re.search(rf"^\| \*\*{row}\*\* \| \S.* \|$", text, re.MULTILINE):
            faults.append(f"no table row `| **{row}** | … |`")
    time = re.search(r"^\| \*\*Time\*\* .*$", text, re.MULTILINE)
    if time and not ("CPU" in time[0] and "GPU" in time[0] and "minutes" in time[0]):
        faults.append("the row Time does not name minutes, CPU and GPU")
    return faults


def code_faults(code: str) -> list[str]:
    lines = [line for line in code.splitlines() if line.strip()]
    faults = []
    if len(lines) > LONGEST_CELL:
        faults.append(f"{len(lines)} lines of code (at most {LONGEST_CELL})")
    for line in lines:
        if len(line) > WIDEST_LINE:
            faults.append(f"wider than {WIDEST_LINE} characters: {line[:40]}…")
        if re.match(r"\s*[!%]", line) and not re.match(r"%matplotlib inline$", line):
            faults.append(f"shell or magic command: {line}")
        if line.rstrip().endswith(";"):
            faults.append(f"trailing semicolon: {line}")
        if re.search(NETWORK, line):
            faults.append(f"network outside the bootstrap cell: {line}")
    return faults


def prose_faults(text: str) -> list[str]:
    """A line of a paragraph that begins like a list becomes one."""
    pairs = zip(["", *text.splitlines()], text.splitlines(), strict=False)
    return [
        f"a line begins like a list inside of a paragraph: {line}"
        for before, line in pairs
        if re.match(r"(1\.|[-+*]) ", line) and re.match(r"[A-Za-z(*$`]", before)
        and not re.match(r"[-+*] ", before)
    ]


def lesson_faults(source: str, number: str) -> list[str]:
    cells = jupytext.reads(source, fmt="py:percent").cells
    if not cells or cells[0].cell_type != "markdown":
        return ["the first cell is not markdown"]
    faults = front_matter_faults(cells[0].source + "\n", number)
    for position, cell in enumerate(cells):
        if cell.cell_type == "code" and "bootstrap" not in cell.metadata.get("tags", ()):
            faults += [f"cell {position}: {fault}" for fault in code_faults(cell.source)]
        if cell.cell_type == "markdown":
            faults += [f"cell {position}: {fault}" for fault in prose_faults(cell.source)]
    return faults


@pytest.mark.parametrize("source", SOURCES, ids=names)
def test_lesson_has_the_agreed_form(source):
    faults = lesson_faults(source.read_text(encoding="utf-8"), source.stem[:2])
    assert not faults, "see derain_edu/course/notebooks.py:\n" + "\n".join(faults)


@pytest.mark.parametrize("source", SOURCES, ids=names)
def test_notebooks_are_up_to_date(source):
    for built, solutions, language in built_paths(source):
        advice = f"{built} is not what {source.name} says: run `make notebooks`"
        assert built.is_file(), advice
        made = make_notebook(source, solutions, language)
        assert cell_texts(nbformat.read(built, 4)) == cell_texts(made), advice


def test_every_notebook_has_a_source():
    built = {path for source in SOURCES for path, *_ in built_paths(source)}
    assert built == set(NOTEBOOKS.rglob("*.ipynb")) - set(NOTEBOOKS.rglob(".*/*.ipynb"))


def test_the_core_path_needs_no_other_lesson():
    for source in SOURCES:
        if source.stem[:2] in CORE:
            text = source.read_text(encoding="utf-8")
            before = re.search(r"\*\*Before you start\*\* \| (.*) \|", text)[1]
            needed = re.sub(r"lessons? [\d, and]+ helps?\b", "", before)
            assert set(re.findall(r"\b\d\d\b", needed)) <= set(CORE), source.stem


def test_a_notebook_says_where_it_stands_and_ends_with_what_is_done():
    student = make_notebook(NOTEBOOKS / "04_progressive_prn.py").cells
    assert student[0].source.startswith("# 04 · ")
    assert student[0].source.splitlines()[2] == "*★ core path · lesson 04 of 00–16*"
    assert student[-1].source == 'exercises.progress("04")'
    solved = make_notebook(NOTEBOOKS / "04_progressive_prn.py", solutions=True).cells
    assert solved[-1].cell_type == "markdown"


GOOD = f"""\
# %% [markdown]
# # 03 · Title
#
# **Why?**
#
# | | |
# |---|---|
# | **Goals** | one |
# | **Before you start** | lesson 02 |
# | **Time** | 40 minutes; the cells take 60 s on a CPU, 10 s on a GPU |
# | **Papers** | one |

# %% tags=["bootstrap"]
{BOOTSTRAP_LINE}

# %%
x = 1
x
"""


def test_a_good_lesson_has_no_faults():
    assert lesson_faults(GOOD, "03") == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("# # 03", "# # 04", "first line"),
        ("**Why?**", "**Because.**", "question"),
        ("# | **Papers** | one |\n", "", "Papers"),
        ("10 s on a GPU", "10 s", "GPU"),
        ("x = 1", "x = 1;", "semicolon"),
        ("# **Why?**", "# **Why?**\n#\n# The factor is near\n# 1. It grows.", "like a list"),
        ("x = 1", "# !pip install x", "shell"),
        ("x = 1", "# %cd ..", "magic"),
        ("x = 1", "import requests", "network"),
        ("x = 1", "x = 1\n" * 26, "lines of code"),
        ("x = 1", f"x = {'1' * 100}", "wider"),
        ("# %% [markdown]\n", "# %%\n", "not markdown"),
    ],
)
def test_each_fault_is_found(old, new, fault):
    assert old in GOOD
    assert any(fault in text for text in lesson_faults(GOOD.replace(old, new, 1), "03"))


def test_notebooks_are_the_same_every_time(tmp_path):
    (tmp_path / "03_title.py").write_text(GOOD + "\n# %%\nx\n\n# %%\nx\n", encoding="utf-8")
    [path] = build_notebooks(tmp_path)
    first = path.read_bytes()
    assert build_notebooks(tmp_path) == [path] and path.read_bytes() == first
    notebook = nbformat.reads(first.decode(), 4)
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids) == 5
    assert all(not cell.get("outputs") for cell in notebook.cells)
    assert notebook.metadata.kernelspec.name == "python3"
    assert "jupytext" not in notebook.metadata  # JupyterLab must not pair it with the source
    assert b"\r" not in first and first.endswith(b"}\n")


def test_an_inserted_cell_does_not_rename_the_others(tmp_path):
    (tmp_path / "03_title.py").write_text(GOOD, encoding="utf-8")
    before = [cell.id for cell in make_notebook(tmp_path / "03_title.py").cells]
    longer = GOOD.replace("# %% tags", "# %% [markdown]\n# More.\n\n# %% tags", 1)
    (tmp_path / "03_title.py").write_text(longer, encoding="utf-8")
    after = [cell.id for cell in make_notebook(tmp_path / "03_title.py").cells]
    assert [after[0], *after[2:]] == before


@pytest.mark.parametrize("edit", [(" as de", ""), ('tags=["bootstrap"]', "")])
def test_a_wrong_bootstrap_cell_stops_the_build(tmp_path, edit):
    (tmp_path / "03_title.py").write_text(GOOD.replace(*edit), encoding="utf-8")
    with pytest.raises(DerainError, match="03_title.py needs one cell"):
        build_notebooks(tmp_path)
    assert not (tmp_path / "03_title.ipynb").exists()


def test_no_sources_is_an_error(tmp_path):
    with pytest.raises(DerainError, match="no lesson sources"):
        build_notebooks(tmp_path)
