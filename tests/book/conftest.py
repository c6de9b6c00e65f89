"""The book, built once for all tests of this folder, and a browser to read it in."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from derain_edu.course.notebooks import find_lesson, lesson_names

TOP = Path(__file__).resolve().parents[2]
# For quick looks while writing: "03 05" runs only these lessons. Unset, all of them run.
ONLY = os.environ.get("DERAIN_EDU_BOOK_LESSONS", "").split()
# Chinese lessons that tests/lessons runs; the others show what the English ones showed.
CHINESE = [] if ONLY else ["00", "04", "09"]


@dataclass(frozen=True)
class Book:
    """The built book."""

    folder: Path
    lessons: list[str]  # those with outputs
    said: str  # what the build printed


@pytest.fixture(scope="session")
def book() -> Book:
    """Build the book as `make book` does, but run two lessons at a time, with one thread each.

    Lessons that ran before and have not changed stay: after tests/lessons, that is all of them.
    """
    lessons = [find_lesson(number) for number in ONLY] or lesson_names()
    halves = [half for half in (lessons[::2], lessons[1::2]) if half]
    running = [
        _start("--only-run", "--run", *(name[:2] for name in half), "--chinese") for half in halves
    ]
    said = _finish(running)
    said += _finish([_start("--run", *(name[:2] for name in lessons), "--chinese", *CHINESE)])
    return Book(TOP / "build" / "book", lessons, said)


def _start(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(TOP / "book" / "make_book.py"), *options], cwd=TOP,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, encoding="utf-8",
    )  # fmt: skip


def _finish(running: list[subprocess.Popen[str]]) -> str:
    said = "".join([process.communicate()[0] for process in running])
    assert not any(p.returncode for p in running), f"the book can't be built:\n{said}"
    return said


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def address(book: Book) -> Iterator[str]:
    """The book on a server of this machine."""
    handler = functools.partial(_Quiet, directory=str(book.folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
