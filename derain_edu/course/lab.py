"""Open the course in JupyterLab.

:func:`lab_arguments` and :func:`lab_environment` say how JupyterLab is started. The lessons as
files are in :mod:`derain_edu.course.notebooks`; :mod:`derain_edu.course.run` runs them without a
browser.
"""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from derain_edu.course.notebooks import (
    cell_texts,
    find_lesson,
    lesson_folder,
    lesson_names,
)
from derain_edu.files import PACKAGE, in_checkout, write_atomically
from derain_edu.language import language, local

STUDENT_FOLDER = "derain-edu-course"
# What the file browser does not list: Jupyter's own choice, and what the lessons are made of.
HIDDEN = [
    "__pycache__", "*.pyc", "*.pyo", ".DS_Store", "*~", "[0-9][0-9]_*.py", "*.po", "terms.csv"
]  # fmt: skip

# --- JupyterLab ---------------------------------------------------------------------------


def lab_arguments(
    root: Path, start: str, port: int = 8888, browser: bool = True, as_root: bool = False
) -> list[str]:
    """Return JupyterLab's command line for the course.

    The server listens on this machine only and keeps its token. It logs warnings, and always
    the address with the token.

    Parameters
    ----------
    root : Path
        The folder that the file browser shows.
    start : str
        The notebook to open, relative to ``root``, with forward slashes.
    port : int
        Where to listen; Jupyter takes the next free port if it is in use.
    browser : bool
        Open a browser window.
    as_root : bool
        The user is root: Jupyter starts only when told to.
    """
    arguments = [
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={root}",
        f"--LabApp.default_url=/lab/tree/{quote(start)}",
        "--ServerApp.log_level=WARN",
        # the sources would stand beside the notebooks under the same cut-off names
        f"--ContentsManager.hide_globs={HIDDEN}",
    ]
    if not browser:
        arguments.append("--no-browser")
    if as_root:
        arguments.append("--allow-root")
    return arguments


def lab_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for the course's JupyterLab.

    ``course/jupyter`` becomes the first configuration folder: its ``labconfig`` turns the news
    pop-up off. What users set in their own JupyterLab still wins. An empty
    ``JUPYTER_TOKEN`` would open the server to everyone on this machine, so it is dropped.
    """
    result = dict(environ)
    own = str(PACKAGE / "course" / "jupyter")
    folders = [own, *filter(None, [result.get("JUPYTER_CONFIG_PATH")])]
    result["JUPYTER_CONFIG_PATH"] = os.pathsep.join(folders)
    if not result.get("JUPYTER_TOKEN"):
        result.pop("JUPYTER_TOKEN", None)
    return result


def has_browser(platform: str, environ: Mapping[str, str]) -> bool:
    """Say whether a graphical browser can open here.

    On Linux that needs a display; without one Python would start a text browser such as w3m
    in the terminal. WSL hands the address to Windows.
    """
    graphical = {"DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"} & environ.keys()
    if platform.startswith("linux") and not graphical:
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def copy_lessons(target: Path, source: Path | None = None) -> list[str]:
    """Copy the lessons, open and solved, to ``target``; a file that is there is never touched.

    Returns
    -------
    list of str
        The lessons that were kept although this version's cells differ from them, for example
        ``["04_progressive_prn", "solutions/07_irnn"]``.
    """
    import nbformat

    source = source or lesson_folder()
    names = [*lesson_names(source), *(f"solutions/{n}" for n in lesson_names(source / "solutions"))]
    kept = []
    for name in names:
        new, old = source / f"{name}.ipynb", target / f"{name}.ipynb"
        if not old.exists():
            write_atomically(old, new.read_bytes())
        elif cell_texts(nbformat.read(new, 4)) != cell_texts(nbformat.read(old, 4)):
            kept.append(name)
    return kept


def lab(lesson: str = "00", port: int = 8888, browser: bool | None = None) -> None:
    """Open a lesson in JupyterLab, and stay until the server is stopped.

    In a clone the lessons open where they are. Installed from a wheel, they are first copied
    into ``derain-edu-course`` in the working folder. Who reads Chinese gets the Chinese ones (see
    :mod:`derain_edu.language`).

    Parameters
    ----------
    lesson : str
        Its number or name.
    port : int
        Where to listen on this machine.
    browser : bool, optional
        Open a browser window. Default: where there is a graphical one.

    Raises
    ------
    DerainError
        If there is no such lesson.
    """
    lessons = lesson_folder(language())
    name = find_lesson(lesson, lessons)
    root, start = PACKAGE.parent, f"{lessons.relative_to(PACKAGE.parent).as_posix()}/{name}.ipynb"
    if not in_checkout():
        root, start = Path.cwd() / STUDENT_FOLDER, f"{name}.ipynb"
        for kept in copy_lessons(root, lessons):
            print(
                local(f"kept your own {kept}.ipynb: rename it to get a fresh copy of the lesson")
            )
    as_root = getattr(os, "geteuid", lambda: 1)() == 0  # Windows has no geteuid
    if as_root:
        print(local("warning: you are root; JupyterLab runs with --allow-root"), file=sys.stderr)
    if browser is None:
        browser = has_browser(sys.platform, os.environ)
    if not browser:
        print(
            local("No browser opens here: open the http address below, with its token, yourself.")
        )
    print(local("Stop JupyterLab with Ctrl+C."), flush=True)
    environment = lab_environment(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    from jupyterlab.labapp import LabApp  # reads the environment when it is imported

    LabApp.launch_instance(lab_arguments(root, start, port, browser, as_root))

