"""The lessons as files: where they are, how they are written, how notebooks are made of them.

How a lesson is written
-----------------------
``notebooks/NN_name.py`` (jupytext ``py:percent``, without a YAML header) is the source; its
``.ipynb`` is generated from it, never the other way round. A lesson opens like this::

    # %% [markdown]
    # # 04 · Progressive PRN
    #
    # **How can one set of weights do six different jobs?**
    #
    # | | |
    # |---|---|
    # | **Goals** | turn the baseline into PRN in three edits; say what each stage removes |
    # | **Before you start** | lesson 03 |
    # | **Time** | 40 minutes; the cells take 60 s on a CPU with two cores, 15 s on a GPU |
    # | **Papers** | Ren et al., CVPR 2019 (arXiv 1901.09221) |

    # %% tags=["bootstrap"]
    import derain_edu as de

The notebook gets what the source has not: a line below the title that says where in the course it
stands, a link below the table that opens it in Colab, the code that installs the course there (in
the cell tagged ``bootstrap``, the only one that may use the network), and, if it has exercises, a
last cell that says how many of them are done. :mod:`derain_edu.course.translation` makes the
Chinese notebooks, ``notebooks/zh``, of the same sources. The source holds the solved exercises;
:mod:`derain_edu.course.exercise_cells` says how they are written, and how the student's notebook
and the one in ``notebooks/solutions`` are made of them.
``test_notebooks_in_step.py`` checks this form and the size of each lesson, and that the notebooks
are up to date.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from derain_edu.course.exercise_cells import Cell, has_exercises, questions_apart, solved, unsolved
from derain_edu.course.translation import catalogues
from derain_edu.errors import DerainError
from derain_edu.files import PACKAGE, in_checkout, write_atomically
from derain_edu.language import SENTENCES, forget, local

# {url} is [project.urls] Repository in pyproject.toml, {line} what stands in the source.
BOOTSTRAP = """\
# On Colab this cell installs the course package; everywhere else it only imports it.
import importlib.util
import subprocess
import sys

if "google.colab" in sys.modules and importlib.util.find_spec("derain_edu") is None:
    source = "git+{url}"
    onnx = ["onnx", "onnx-ir", "onnxscript", "onnxruntime"]  # Colab has none of them
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", source, *onnx]
    subprocess.run(pip, check=True)

{line}"""
# The first lines of that cell in a notebook of another language.
SPEAK = """\
import os

os.environ["DERAIN_EDU_LANGUAGE"] = "{language}"

"""
BOOTSTRAP_LINE = "import derain_edu as de"  # all that a source has of it

# The short course: these lessons need none of the others.
CORE = ("00", "01", "03", "04", "05", "07", "09", "11", "14", "15", "16")


@dataclass(frozen=True)
class Lesson:
    """What a lesson says about itself in its first cell.

    Attributes
    ----------
    name : str
        Its file name without an ending, such as ``"04_progressive_prn"``.
    title : str
        Such as ``"Progressive PRN"``.
    question : str
        The question that it answers.
    minutes : int
        How long it takes a student, exercises included.
    """

    name: str
    title: str
    question: str
    minutes: int

    @property
    def number(self) -> str:
        """The number, two digits."""
        return self.name[:2]

    @property
    def core(self) -> bool:
        """Whether it belongs to the short course."""
        return self.number in CORE


def opening(name: str, text: str) -> Lesson:
    """Read a lesson's first cell.

    Raises
    ------
    DerainError
        If it does not have the form that is shown at the top of this file.
    """
    title = re.search(r"^# \d\d · (.+)$", text, re.MULTILINE)
    question = re.search(r"^\*\*([^*]+[?？])\*\*$", text, re.MULTILINE)
    minutes = re.search(r"^\| \*\*(?:Time|时间)\*\* \| (\d+) ", text, re.MULTILINE)
    if title is None or question is None or minutes is None:
        raise DerainError(
            f"the first cell of {name} needs a title `# NN · Title`, a question in bold, and a "
            "row Time that begins with the minutes"
        )
    return Lesson(name, title[1], question[1], int(minutes[1]))


def lessons(folder: Path | None = None) -> list[Lesson]:
    """Return what the lessons of ``folder`` (default: the course's) say about themselves."""
    folder = folder or lesson_folder()
    found = []
    for name in lesson_names(folder):
        cells = json.loads((folder / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
        found.append(opening(name, "".join(cells[0]["source"])))
    return found


def lesson_folder(language: str = "en") -> Path:
    """Return the folder that holds the lessons: top level in a clone, inside a wheel."""
    folder = (PACKAGE.parent if in_checkout() else PACKAGE) / "notebooks"
    return folder if language == "en" else folder / language


def lesson_names(folder: Path | None = None, suffix: str = ".ipynb") -> list[str]:
    """Return the lessons of ``folder`` in order, for example ``["00_start_here", ...]``."""
    folder = folder or lesson_folder()
    return sorted(path.stem for path in folder.glob(f"[0-9][0-9]_*{suffix}"))


def find_lesson(lesson: str, folder: Path | None = None) -> str:
    """Return the full name of a lesson from its number or name (``"3"``, ``"03"``, ...).

    Raises
    ------
    DerainError
        If there is no such lesson.
    """
    names = lesson_names(folder)
    wanted = lesson.zfill(2) if lesson.isdigit() else lesson.removesuffix(".ipynb")
    for name in names:
        if wanted in (name, name[:2]):
            return name
    raise DerainError(f"there is no lesson {lesson!r}: choose one of {', '.join(names) or 'none'}")


def repository_url() -> str:
    """Return the repository's address, as ``pyproject.toml`` of this clone has it."""
    text = (PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^Repository = "(.+)"$', text, re.MULTILINE)
    if found is None:
        raise DerainError("pyproject.toml has no Repository under [project.urls]: add it")
    return found[1]


def bootstrap_code(language: str = "en") -> str:
    """Return the code of the one cell that installs and imports the package."""
    code = BOOTSTRAP.replace("{url}", repository_url()).replace("{line}", BOOTSTRAP_LINE)
    return code if language == "en" else SPEAK.replace("{language}", language) + code


def colab_url(name: str, solutions: bool = False, language: str = "en") -> str:
    """Return the address that opens a lesson of the published repository in Google Colab.

    Parameters
    ----------
    name : str
        The full name of the lesson, for example ``"04_progressive_prn"``.
    solutions : bool
        Open the notebook with the solutions.
    language : str
        ``"en"`` or ``"zh"``.
    """
    repository = repository_url().removeprefix("https://github.com/")
    parts = ("notebooks", "" if language == "en" else language, "solutions" if solutions else "")
    folder = "/".join(filter(None, parts))
    return f"https://colab.research.google.com/github/{repository}/blob/main/{folder}/{name}.ipynb"


def cell_texts(notebook: Any) -> list[Cell]:
    """Return kind, text and tags of each cell: what a lesson says, without what it showed."""
    return [
        (cell.cell_type, cell.source, tuple(cell.metadata.get("tags", ())))
        for cell in notebook.cells
    ]


def lesson_cells(source: Path) -> list[Cell]:
    """Return the cells of a lesson's ``.py`` source, exercises solved and marked."""
    import jupytext

    return cell_texts(jupytext.read(source, fmt="py:percent"))


def shown_cells(source: Path, solutions: bool = False) -> list[Cell]:
    """Return the cells of a lesson as its notebook has them, with stubs or with solutions."""
    return questions_apart((solved if solutions else unsolved)(lesson_cells(source)))


def make_notebook(source: Path, solutions: bool = False, language: str = "en") -> Any:
    """Turn a lesson's ``.py`` source into a notebook without outputs.

    Parameters
    ----------
    source : Path
        The lesson's source.
    solutions : bool
        Keep the solutions in the exercise cells. Otherwise there are stubs in their place, and
        each solution is folded away below its exercise.
    language : str
        ``"en"``, or ``"zh"``: what the lesson's catalogue has no translation for stays English.

    Raises
    ------
    DerainError
        If the cell tagged ``bootstrap`` is missing or is not :data:`BOOTSTRAP_LINE`, or if an
        exercise has no solution.
    """
    cells = shown_cells(source, solutions)
    if [text for _, text, tags in cells if "bootstrap" in tags] != [BOOTSTRAP_LINE]:
        raise DerainError(
            f'{source.name} needs one cell `# %% tags=["bootstrap"]` with this line alone: '
            + BOOTSTRAP_LINE
        )
    if language != "en":
        cells = catalogues.translated_cells(cells, catalogues.read(catalogue_path(source)))
    install = bootstrap_code(language)
    cells = [(kind, install if "bootstrap" in tags else text, tags) for kind, text, tags in cells]
    exercises = has_exercises(cells)
    (kind, text, tags), *rest = cells
    title, body = text.split("\n", 1)
    words = local("Open this lesson in Google Colab", language)
    link = f"[{words}]({colab_url(source.stem, solutions, language)})"
    first = (kind, f"{title}\n\n{_place(source, language)}\n{body}\n\n{link}", tags)
    last = ("code", f'exercises.progress("{source.stem[:2]}")', ("progress", "remove-cell"))
    return _notebook([first, *rest, *([last] if exercises and not solutions else [])])


def _place(source: Path, language: str) -> str:
    """Return the line that says where in the course a lesson stands."""
    number, last = source.stem[:2], lesson_names(source.parent, ".py")[-1][:2]
    core = local("★ core path", language) + " · " if number in CORE else ""
    return f"*{core}{local(f'lesson {number} of 00–{last}', language)}*"


def _notebook(cells: list[Cell]) -> Any:
    """Return a notebook of these cells: the same cells always give the same notebook.

    A cell's id is a hash of its text, so an inserted cell does not rename the others.
    """
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    notebook = new_notebook()
    seen: dict[str, int] = {}
    for kind, text, tags in cells:
        digest = hashlib.sha256(f"{kind}\n{text}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        make = new_code_cell if kind == "code" else new_markdown_cell
        cell = make(text, id=digest if seen[digest] == 1 else f"{digest}-{seen[digest]}")
        if tags:
            cell.metadata["tags"] = list(tags)
        notebook.cells.append(cell)
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3", "language": "python", "name": "python3"
    }
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def catalogue_path(source: Path) -> Path:
    """Return the catalogue of a lesson's translation."""
    return source.parent / "zh" / f"{source.stem}.po"


def catalogue_keys(source: Path) -> list[catalogues.Key]:
    """Return what is to be translated of a lesson and of its checkers."""
    checkers = PACKAGE / "course" / "exercises" / f"lesson_{source.stem[:2]}.py"
    code = checkers.read_text(encoding="utf-8") if checkers.is_file() else ""
    return catalogues.lesson_keys(shown_cells(source), code)


def built_paths(source: Path) -> list[tuple[Path, bool, str]]:
    """Return the notebooks of a source: each with whether it is solved, and its language.

    There are Chinese ones where the lessons have a folder of catalogues.
    """
    solutions = [False, True] if has_exercises(lesson_cells(source)) else [False]
    return [
        (folder / ("solutions" if is_solved else "") / f"{source.stem}.ipynb", is_solved, language)
        for language, folder in (("en", source.parent), ("zh", source.parent / "zh"))
        if folder.is_dir()
        for is_solved in solutions
    ]


def update_catalogues(folder: Path) -> list[Path]:
    """Bring the catalogues of ``folder/zh`` up to date, and compile what the package shows.

    Returns
    -------
    list of Path
        The files that were written.
    """
    if not (folder / "zh").is_dir():
        return []
    sources = [folder / f"{name}.py" for name in lesson_names(folder, ".py")]
    wanted = {catalogue_path(source): catalogue_keys(source) for source in sources}
    if folder == lesson_folder():
        wanted[folder / "zh" / "package.po"] = catalogues.package_keys()
    for path, keys in wanted.items():
        catalogues.update(path, keys)
    if folder == lesson_folder():
        write_atomically(SENTENCES, catalogues.compiled(wanted))
        forget()
    return list(wanted)


def build_notebooks(folder: Path | None = None) -> list[Path]:
    """Write the notebooks of every lesson source in ``folder`` (default: the course's).

    A lesson with exercises gets two: the student's beside the source, and the solved one in the
    folder ``solutions``; and two in Chinese, in ``zh``, whose catalogues are brought up to date.

    Returns
    -------
    list of Path
        The files that were written, in the order of the lessons.

    Raises
    ------
    DerainError
        If there are no sources here, or one can't be built (see :func:`make_notebook`).
    """
    import nbformat

    folder = folder or lesson_folder()
    names = lesson_names(folder, ".py")
    if not names:
        raise DerainError(f"no lesson sources (NN_name.py) in {folder}: run this in a clone")
    made = update_catalogues(folder)
    for source in (folder / f"{name}.py" for name in names):
        for path, solutions, language in built_paths(source):
            text = nbformat.writes(make_notebook(source, solutions, language), 4)
            write_atomically(path, text.rstrip("\n").encode() + b"\n")
            made.append(path)
    return made
