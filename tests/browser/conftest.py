"""The course in a real JupyterLab, seen and moved through a real Chromium.

:class:`Lab` is JupyterLab as the course starts it, on a copy of the lessons. :class:`LessonPage`
is one notebook in it, :class:`Slider` one slider with the picture below it. Nobody sleeps here:
every step waits for what it needs to see, and says with a screenshot what it did not see.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from derain_edu.course.lab import lab_arguments, lab_environment
from derain_edu.course.notebooks import lesson_folder

SECONDS = 120  # a step that takes longer is stuck; a busy machine may need much of it
CELL_SECONDS = 400  # all cells of a lesson together
POLLING = 50  # milliseconds; to look at every frame of the screen would slow the page down
# Cells that are not in sight are taken out of the page in some versions of JupyterLab.
TRACKER = "@jupyterlab/notebook-extension/tracker.jupyterlab-settings"
SETTINGS = {"windowingMode": "none"}


class Lab:
    """JupyterLab on a copy of the lessons, with settings, history and an empty cache of its own."""

    def __init__(self, folder: Path) -> None:
        self.root, self.log = folder / "course", folder / "log"
        ignored = shutil.ignore_patterns(".ipynb_checkpoints")
        shutil.copytree(lesson_folder(), self.root / "notebooks", ignore=ignored)
        settings = folder / "config" / "lab" / "user-settings" / TRACKER
        settings.parent.mkdir(parents=True)
        settings.write_text(json.dumps(SETTINGS), encoding="utf-8")
        self.environment = {
            **lab_environment(os.environ),
            **{f"JUPYTER_{name.upper()}_DIR": str(folder / name)
               for name in ("config", "data", "runtime")},
            "IPYTHONDIR": str(folder / "ipython"),
            "DERAIN_EDU_CACHE": str(folder / "cache"),
        }
        for name in ("TQDM_DISABLE", "JUPYTER_TOKEN"):  # students have neither
            self.environment.pop(name, None)
        self.server: subprocess.Popen[bytes] | None = None
        self.base = self.token = ""

    def start(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        as_root = getattr(os, "geteuid", lambda: 1)() == 0
        arguments = lab_arguments(self.root, "notebooks", port, browser=False, as_root=as_root)
        with open(self.log, "wb") as log:
            self.server = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *arguments],
                stdout=log, stderr=subprocess.STDOUT, env=self.environment,
            )
        patience = time.monotonic() + SECONDS
        address = None
        while address is None:
            text = self.log.read_text(encoding="utf-8")
            address = re.search(r"(http://127\.0\.0\.1:\d+)/lab\S*\?token=(\w+)", text)
            alive = self.server.poll() is None and time.monotonic() < patience
            assert address or alive, f"JupyterLab did not start:\n{text}"
            time.sleep(0.05)
        self.base, self.token = address.groups()

    def url(self, notebook: str) -> str:
        """Return the address of a notebook, without those that were open before."""
        return f"{self.base}/lab/tree/notebooks/{notebook}.ipynb?token={self.token}&reset"

    def stop_kernels(self) -> None:
        """End all kernels: three lessons side by side would need three times the memory."""
        for kernel in self._ask("GET", "/api/kernels"):
            self._ask("DELETE", f"/api/kernels/{kernel['id']}")

    def _ask(self, method: str, path: str) -> Any:
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(self.base + path, method=method, headers=headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=SECONDS) as answer:
            return json.loads(answer.read() or b"null")

    def stop(self) -> None:
        if self.server is not None:
            self.server.terminate()
            self.server.wait(timeout=SECONDS)


# What the page may not show: standard error, tracebacks, widgets that could not be drawn.
BAD_OUTPUTS = """() => {
    const types = ['application/vnd.jupyter.stderr', 'application/vnd.jupyter.error'];
    const marked = types.map(type => `[data-mime-type="${type}"]`).join(', ');
    const words = /Error displaying widget|Failed to load model class|Javascript Error/i;
    return [...document.querySelectorAll('.jp-OutputArea-child')]
        .filter(e => e.querySelector(marked) || words.test(e.innerText))
        .map(e => e.innerText.trim().slice(-300));
}"""
IDLE = "() => document.querySelector('#jp-main-statusbar')?.innerText.includes('| Idle')"
# The prompts of all code cells: '[3]:' when a cell is done, '[*]:' while it waits or runs.
PROMPTS = """[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(e => e.innerText)"""
ALL_DONE = f"""() => {{
    const prompts = {PROMPTS};
    return prompts.some(p => /\\d/.test(p)) && !prompts.some(p => p.includes('*'));
}}"""


class LessonPage:
    """One notebook, open in JupyterLab, and everything that goes wrong in it."""

    def __init__(self, browser: Any, lab: Lab, notebook: str, shots: Path) -> None:
        self.lab, self.notebook, self.shots = lab, notebook, shots
        self.complaints: list[str] = []  # by the browser's console and by the kernel
        self.page = browser.new_page(viewport={"width": 1280, "height": 900})
        self.page.set_default_timeout(SECONDS * 1000)
        self.page.on("console", self._hear_console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"page: {error}"))
        self.page.on("websocket", lambda ws: ws.on("framereceived", self._hear_kernel))

    def _hear_console(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(f"console: {message.text} ({message.location['url']})")

    def _hear_kernel(self, frame: Any) -> None:
        """Note what a kernel says on standard error, and its errors.

        JupyterLab shows those of a slider's callback nowhere in the page.
        """
        kind, content = kernel_message(frame)
        if kind == "error":
            self.complaints.append(f"kernel: {content['ename']}: {content['evalue']}")
        elif kind == "stream" and content["name"] == "stderr":
            # JupyterLab asks a kernel for widgets before ipywidgets is imported
            if not content["text"].startswith("No such comm"):
                self.complaints.append(f"kernel: {content['text']}")

    def open(self) -> None:
        """Open the notebook, accept the kernel if there is a question, and wait for it."""
        self.page.goto(self.lab.url(self.notebook))
        accept = ".jp-Dialog .jp-mod-accept"
        self.wait(f"() => ({IDLE})() || document.querySelector('{accept}')", "the kernel's start")
        if self.page.locator(accept).count():
            self.page.locator(accept).click()
        self.wait(IDLE, "the idle kernel")

    def run_all(self) -> None:
        """Run all cells through the menu, and wait until the kernel has done them."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        self.wait(ALL_DONE, "the end of the last cell", CELL_SECONDS)
        self.wait(IDLE, "the idle kernel")

    def prompts(self) -> list[str]:
        return self.page.evaluate(PROMPTS)

    def errors(self) -> list[str]:
        """Return all that went wrong so far; empty is good."""
        return self.page.evaluate(BAD_OUTPUTS) + self.complaints

    def slider(self, name: str) -> Slider:
        return Slider(self, name)

    def wait(
        self, condition: str, what: str, seconds: float = SECONDS, argument: Any = None
    ) -> None:
        """Wait until a function in the page returns true; ``what`` is the word for it."""
        from playwright.sync_api import TimeoutError as TooLate

        try:
            self.page.wait_for_function(
                condition, arg=argument, timeout=seconds * 1000, polling=POLLING
            )
        except TooLate:
            path = self.screenshot(re.sub(r"\W+", "-", f"no {what}"))
            message = f"{self.notebook}: waited {seconds:.0f} s for {what}; screenshot: {path}"
            raise AssertionError(f"{message}; errors: {self.errors()}") from None

    def screenshot(self, name: str = "failed") -> Path:
        path = self.shots / f"{self.notebook}-{name}.png"
        self.page.screenshot(path=path)
        return path

    def close(self) -> None:
        self.page.close()
        self.lab.stop_kernels()


# Remember in the page how long it took from each key to the picture that it brought.
STOPWATCH = """box => {
    const image = box.querySelector('img.widget-image');
    let pressed = 0;
    box.milliseconds = [];
    box.addEventListener('keydown', event => { pressed = event.timeStamp; }, true);
    new MutationObserver(async () => {
        try {
            await image.decode();
        } catch {
            return;  // a newer picture took its place while this one was decoded
        }
        await new Promise(requestAnimationFrame);  // now it is drawn
        box.milliseconds.push(performance.now() - pressed);
    }).observe(image, {attributes: true, attributeFilter: ['src']});
}"""
PICTURE = """async box => {
    const file = await fetch(box.querySelector('img.widget-image').src);
    const digest = await crypto.subtle.digest('SHA-256', await file.arrayBuffer());
    return [...new Uint8Array(digest)].map(byte => byte.toString(16).padStart(2, '0')).join('');
}"""
# Of a page with several sliders: the widget that holds this one, its picture and its words.
BOX = (
    "xpath=//label[normalize-space()='{name}']"
    "/ancestor::*[contains(@class, 'jp-OutputArea-output')][1]"
)


class Slider:
    """A slider of the course, the picture that follows it, and the words below it."""

    def __init__(self, lesson: LessonPage, name: str) -> None:
        self.lesson, self.page = lesson, lesson.page
        self.box = self.page.locator(BOX.format(name=name)).first
        self.control = self.box.locator(".widget-hslider").filter(
            has=self.page.get_by_text(name, exact=True)
        )
        self.handle = self.control.locator(".noUi-handle")
        self.handle.scroll_into_view_if_needed()
        if not self.box.evaluate("box => 'milliseconds' in box"):
            self.box.evaluate(STOPWATCH)

    def at(self, end: str) -> bool:
        """Say whether the handle is at an end, ``min`` or ``max``."""
        value, limit = (self.handle.get_attribute(f"aria-value{name}") for name in ("now", end))
        return float(value) == float(limit)

    def number(self) -> str:
        """Return the number that stands beside the slider."""
        return self.control.locator(".widget-readout").inner_text()

    def picture(self) -> str:
        """Return a digest of the picture's bytes."""
        return self.box.evaluate(PICTURE)

    def words(self) -> str:
        """Return what stands in words below the picture; empty if there is nothing."""
        return " ".join(self.box.locator(".widget-html-content").all_inner_texts())

    def press(self, key: str, seconds: float = SECONDS) -> float:
        """Press a key, wait for picture and words, and return after how many ms the picture came.

        The words come in a message of their own, a little later than the picture.
        """
        self.handle.focus()
        pictures, words = self.box.evaluate("box => box.milliseconds.length"), self.words()
        self.page.keyboard.press(key)
        box = self.box.element_handle()
        self.lesson.wait(
            "([box, seen]) => box.milliseconds.length > seen",
            f"a new picture after {key}", seconds, [box, pictures],
        )
        if words:
            self.lesson.wait(
                "([box, old]) => box.querySelector('.widget-html-content').innerText !== old",
                f"new words after {key}", seconds, [box, words],
            )
        return self.box.evaluate("(box, seen) => box.milliseconds[seen]", pictures)

    def drag(self, share: float) -> None:
        """Drag the handle with the mouse to a share (0 to 1) of the slider's length.

        Many pictures follow it, some of them after this function is done.
        """
        track = self.control.locator(".noUi-base")
        start, room = self.handle.bounding_box(), track.bounding_box()
        y = start["y"] + start["height"] / 2
        self.page.mouse.move(start["x"] + start["width"] / 2, y)
        self.page.mouse.down()
        self.page.mouse.move(room["x"] + share * room["width"], y, steps=4)
        self.page.mouse.up()


def kernel_message(frame: str | bytes) -> tuple[str, Any]:
    """Return kind and content of a kernel's message (``v1.kernel.websocket.jupyter.org``).

    A frame starts with the number of its parts' offsets and the offsets, 8 bytes each. The parts
    are: channel, header, parent's header, metadata, content, and buffers.
    """
    if isinstance(frame, str):  # the older form, or JupyterLab's own events
        message = json.loads(frame)
        return message.get("header", {}).get("msg_type", ""), message.get("content")
    count = int.from_bytes(frame[:8], "little")
    ends = struct.unpack(f"<{count}Q", frame[8 : 8 * (count + 1)])
    _, header, _, _, content = (frame[a:b] for a, b in zip(ends[:5], ends[1:6], strict=True))
    kind = json.loads(header)["msg_type"]
    return kind, json.loads(content) if kind in ("error", "stream") else None


# --- fixtures -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        lab.start()
        yield lab
    finally:
        lab.stop()


@pytest.fixture(scope="module")
def open_notebook(
    chromium: Any, lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], LessonPage]]:
    """A function that opens a notebook of the lab and runs all its cells; one at a time."""
    pages: list[LessonPage] = []

    def close() -> None:
        while pages:
            pages.pop().close()

    def open_and_run(name: str) -> LessonPage:
        close()
        lesson = LessonPage(chromium, lab, name, tmp_path_factory.mktemp("screenshots"))
        pages.append(lesson)
        lesson.open()
        lesson.run_all()
        return lesson

    yield open_and_run
    close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Add a screenshot, and what JupyterLab printed, to the report of a test that failed."""
    report = yield
    lesson = getattr(item, "funcargs", {}).get("lesson")
    if report.when == "call" and report.failed and isinstance(lesson, LessonPage):
        shot = lesson.screenshot(re.sub(r"\W+", "-", item.name))
        log = lesson.lab.log.read_text(encoding="utf-8")
        report.sections += [("screenshot", str(shot)), ("JupyterLab", log[-2000:])]
    return report
