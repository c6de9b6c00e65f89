"""Run the lessons without a browser, and measure minutes and memory of each."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from derain_edu.course.notebooks import find_lesson, lesson_folder, lesson_names
from derain_edu.files import write_atomically

CELL_SECONDS = 400  # a headless cell that runs longer is stuck
COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # those of a terminal, in tracebacks


@dataclass(frozen=True)
class LessonRun:
    """What one headless run of a lesson took, and how it ended.

    Attributes
    ----------
    name : str
        The lesson's file name without ``.ipynb``.
    seconds : float
        Wall-clock time of all cells.
    peak_mib : float
        Resident memory of the kernel and its child processes at its highest, in MiB.
    error : str | None
        The last line of the traceback; None if every cell ran.
    details : str, default ""
        The cell that failed, and its traceback.
    """

    name: str
    seconds: float
    peak_mib: float
    error: str | None
    details: str = ""


class _StrictClient(NotebookClient):
    """Fails wherever nbval fails: with every error that a cell sends, not only with its last one.

    A cell may end well although something in it went wrong: the callback of a widget raised, for
    example, and the error went into an output widget. nbclient lets that pass. It also goes on
    where the end of a cell's output does not arrive in time.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, raise_on_iopub_timeout=True, iopub_timeout=60, **options)
        self.errors: list[dict[str, Any]] = []  # those of the cell that runs

    def output(self, outs: Any, msg: dict[str, Any], display_id: Any, cell_index: int) -> Any:
        """See each message of a cell, before an output widget takes it."""
        if msg["msg_type"] == "error":
            self.errors.append(msg["content"])
        return super().output(outs, msg, display_id, cell_index)

    async def async_execute_cell(self, cell: Any, cell_index: int, **options: Any) -> Any:
        """Run a cell, and raise the first error that it sent."""
        self.errors.clear()
        cell = await super().async_execute_cell(cell, cell_index, **options)
        if self.errors and "raises-exception" not in cell.metadata.get("tags", []):
            raise CellExecutionError.from_cell_and_msg(cell, self.errors[0])
        return cell


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


def run_lesson(
    path: Path, out: Path | None = None, environment: Mapping[str, str] | None = None
) -> LessonRun:
    """Run one notebook from top to bottom in a kernel of its own, as strictly as nbval.

    Parameters
    ----------
    path : Path
        The notebook; it is not changed.
    out : Path, optional
        A folder for the executed notebook and its HTML page.
    environment : mapping, optional
        Environment variables that the kernel gets beside those of this process.
    """
    import nbformat

    notebook = nbformat.read(path, 4)
    client = _StrictClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=["--log-level=ERROR"],  # not a word about the local connection
    )
    inline = "module://matplotlib_inline.backend_inline"
    fixed = {"TQDM_DISABLE": "1", "MPLBACKEND": inline, "DERAIN_EDU_PROGRESS": "off"}
    error, details, began = None, "", time.perf_counter()
    with _PeakMemory() as memory:
        try:
            client.execute(env={**os.environ, **fixed, **(environment or {})})
        except CellExecutionError as failure:
            details = COLOURS.sub("", str(failure)).strip()
            error = f"{failure.ename}: {failure.evalue}".strip()
            if failure.ename == "NoneType":  # so IPython calls what raised while it drew a result
                error = details.splitlines()[-1]
        except (CellTimeoutError, DeadKernelError) as failure:
            details = str(failure).strip()
            error = details.splitlines()[0]
    seconds = time.perf_counter() - began
    if out is not None:
        _save_run(notebook, out / path.name)
    return LessonRun(path.stem, seconds, memory.peak / 2**20, error, details)


def _save_run(notebook: Any, path: Path) -> None:
    import nbformat
    from nbconvert import HTMLExporter

    write_atomically(path, f"{nbformat.writes(notebook)}\n".encode())
    html, _ = HTMLExporter().from_notebook_node(notebook)
    write_atomically(path.with_suffix(".html"), html.encode())


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
    for run in runs:
        if run.error:
            print(f"\n{run.name}:\n{run.details}\n")
    total, failed = sum(run.seconds for run in runs) / 60, sum(bool(run.error) for run in runs)
    print(f"{len(runs) - failed} of {len(runs)} lessons ran through in {total:.2f} minutes")
    return runs
