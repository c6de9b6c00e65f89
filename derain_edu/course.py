"""Open the course in JupyterLab, and run all its lessons without a browser.

Both are thin layers: :func:`lab_arguments` and :func:`lab_environment` say how JupyterLab is
started, :func:`run_lesson` runs one notebook in a kernel of its own. The lessons as files are in
:mod:`derain_edu.lessons`.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
import webbrowser
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from derain_edu.files import PACKAGE, in_checkout
from derain_edu.lessons import build_notebooks, cell_texts, find_lesson, lesson_folder, lesson_names

__all__ = ["build_notebooks", "copy_lessons", "lab", "run_course", "run_lesson"]

STUDENT_FOLDER = "derain-edu-course"
CELL_SECONDS = 600  # a headless cell that runs longer is stuck

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
    ]
    if not browser:
        arguments.append("--no-browser")
    if as_root:
        arguments.append("--allow-root")
    return arguments


def lab_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for the course's JupyterLab.

    ``derain_edu/jupyter`` becomes the first configuration folder: its ``labconfig`` turns the
    news pop-up off. What users set in their own JupyterLab still wins. An empty
    ``JUPYTER_TOKEN`` would open the server to everyone on this machine, so it is dropped.
    """
    result = dict(environ)
    folders = [str(PACKAGE / "jupyter"), *filter(None, [result.get("JUPYTER_CONFIG_PATH")])]
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
        ``["03_progressive_prn", "solutions/05_irnn"]``.
    """
    import nbformat

    source = source or lesson_folder()
    names = [*lesson_names(source), *(f"solutions/{n}" for n in lesson_names(source / "solutions"))]
    kept = []
    for name in names:
        new, old = source / f"{name}.ipynb", target / f"{name}.ipynb"
        old.parent.mkdir(parents=True, exist_ok=True)
        if not old.exists():
            shutil.copyfile(new, old)
        elif cell_texts(nbformat.read(new, 4)) != cell_texts(nbformat.read(old, 4)):
            kept.append(name)
    return kept


def lab(lesson: str = "00", port: int = 8888, browser: bool | None = None) -> None:
    """Open a lesson in JupyterLab, and stay until the server is stopped.

    In a clone the lessons open where they are. Installed from a wheel, they are first copied
    into ``derain-edu-course`` in the working folder.

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
    name = find_lesson(lesson)
    root, start = PACKAGE.parent, f"notebooks/{name}.ipynb"
    if not in_checkout():
        root, start = Path.cwd() / STUDENT_FOLDER, f"{name}.ipynb"
        for kept in copy_lessons(root):
            print(f"kept your own {kept}.ipynb: rename it to get a fresh copy of the lesson")
    as_root = getattr(os, "geteuid", lambda: 1)() == 0  # Windows has no geteuid
    if as_root:
        print("warning: you are root; JupyterLab runs with --allow-root", file=sys.stderr)
    if browser is None:
        browser = has_browser(sys.platform, os.environ)
    if not browser:
        print("No browser opens here: open the http address below, with its token, yourself.")
    print("Stop JupyterLab with Ctrl+C.", flush=True)
    environment = lab_environment(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    from jupyterlab.labapp import LabApp  # reads the environment when it is imported

    LabApp.launch_instance(lab_arguments(root, start, port, browser, as_root))


# --- all lessons without a browser ----------------------------------------------------------


@dataclass(frozen=True)
class LessonRun:
    """What one headless run of a lesson took, and how it ended."""

    name: str
    seconds: float
    peak_mib: float  # resident memory of the kernel and its child processes, at its highest
    error: str | None  # the last line of the traceback; None if every cell ran


class _PeakMemory(threading.Thread):
    """Sample the resident memory of this process's children until stopped."""

    def __init__(self, interval: float = 0.1) -> None:
        super().__init__(daemon=True)
        self.interval, self.peak, self._stop_now = interval, 0, threading.Event()

    def run(self) -> None:
        import psutil

        me = psutil.Process()
        while not self._stop_now.wait(self.interval):
            total = 0
            for child in me.children(recursive=True):
                try:
                    total += child.memory_info().rss
                except psutil.Error:  # it ended between the two calls
                    continue
            self.peak = max(self.peak, total)

    def __enter__(self) -> _PeakMemory:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_now.set()
        self.join()


def run_lesson(path: Path, out: Path | None = None) -> LessonRun:
    """Run one notebook from top to bottom in a kernel of its own.

    Parameters
    ----------
    path : Path
        The notebook; it is not changed.
    out : Path, optional
        A folder for the executed notebook and its HTML page.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook = nbformat.read(path, 4)
    where = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources=where,
        extra_arguments=["--log-level=ERROR"],  # not a word about the local connection
    )
    error, began = None, time.perf_counter()
    with _PeakMemory() as memory:
        try:
            client.execute(env={**os.environ, "TQDM_DISABLE": "1"})
        except CellExecutionError as failure:
            error = f"{failure.ename}: {failure.evalue}"
        except (CellTimeoutError, DeadKernelError) as failure:
            error = str(failure).strip().splitlines()[0]
    seconds = time.perf_counter() - began
    if out is not None:
        _save_run(notebook, out / path.name)
    return LessonRun(path.stem, seconds, memory.peak / 2**20, error)


def _save_run(notebook: Any, path: Path) -> None:
    import nbformat
    from nbconvert import HTMLExporter

    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    html, _ = HTMLExporter().from_notebook_node(notebook)
    path.with_suffix(".html").write_text(html, encoding="utf-8")


def run_course(only: Iterable[str] = (), out: Path | None = None) -> list[LessonRun]:
    """Run the lessons one after the other and print a line for each.

    Parameters
    ----------
    only : iterable of str
        Numbers or names of lessons. Default: all of them.
    out : Path, optional
        A folder for the executed notebooks and their HTML pages.

    Returns
    -------
    list of LessonRun
        In the order of the lessons; ``error`` is None for each that ran through.
    """
    names = sorted({find_lesson(lesson) for lesson in only}) or lesson_names()
    width = max(map(len, names), default=6)
    print(f"{'lesson':<{width}}  minutes  peak memory  result")
    runs = []
    for name in names:
        run = run_lesson(lesson_folder() / f"{name}.ipynb", out)
        result = run.error.splitlines()[0] if run.error else "ok"
        minutes, memory = run.seconds / 60, run.peak_mib
        print(f"{name:<{width}}  {minutes:7.2f}  {memory:7.0f} MiB  {result}", flush=True)
        runs.append(run)
    total, failed = sum(run.seconds for run in runs) / 60, sum(bool(run.error) for run in runs)
    print(f"{len(runs) - failed} of {len(runs)} lessons ran through in {total:.2f} minutes")
    return runs
