"""What all tests share: the reference folder, a cache, a browser, a tiny lesson, seeds.

No test sees the cache of the person who runs it: ``DERAIN_EDU_CACHE`` is an empty folder, or,
for tests that ask for ``filled_cache``, one that holds the authors' weights and the benchmark
pictures of the reference folder.
"""

from __future__ import annotations

import io
import os
import random
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from derain_edu.course.doctor import find_browser

REPOSITORY = Path(__file__).resolve().parents[1]
CACHED_SETS = {
    "official-weights": "official", "rain100l": "benchmarks", "rain100h": "benchmarks",
    "real-clip": "real",
}  # fmt: skip

os.environ["DERAIN_EDU_LANGUAGE"] = "en"  # whatever this machine speaks
os.environ["DERAIN_EDU_PROGRESS"] = "off"  # answers of tests are nobody's progress

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # the workers share the cores


def skip(reason: str, unless: str) -> None:
    """Skip a test, or fail it where the environment variable ``unless`` demands that it runs."""
    if os.environ.get(unless) == "1":
        pytest.fail(f"{reason}, and {unless}=1 demands it")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def skip_unless_demanded() -> Callable[[str, str], None]:
    """The function above, for fixtures of other files."""
    return skip


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of research-only reference data beside the repository."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "golden").is_dir():
        reason = f"the reference folder {folder} is not on this machine"
        skip(reason, unless="DERAIN_EDU_REQUIRE_REFERENCE")
    return folder


@pytest.fixture(scope="session")
def filled_cache(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with everything the reference folder holds; DERAIN_EDU_CACHE names it."""
    from derain_edu.datasets.download import download_set

    cache = tmp_path_factory.mktemp("filled_cache")
    os.environ["DERAIN_EDU_CACHE"] = str(cache)
    for name, folder in CACHED_SETS.items():
        download_set(name, source=reference / folder, say=None)
    return cache


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own with nothing in it."""
    cache = tmp_path / "empty_cache"
    cache.mkdir()
    monkeypatch.setenv("DERAIN_EDU_CACHE", str(cache))
    return cache


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home folder, as in a container that runs under any number."""
    for name in ("HOME", "USERPROFILE", "HOMEPATH", "HOMEDRIVE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    if os.name == "posix":
        import pwd

        def unknown(number: int) -> None:
            raise KeyError(number)

        monkeypatch.setattr(pwd, "getpwuid", unknown)


# Not for the whole session: other tests must not run inside of Playwright's event loop.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless Chromium that is installed on this machine; Playwright's own isn't loaded."""
    path = find_browser()
    if path is None:
        reason = "there is no Chromium on this machine (Debian: apt-get install chromium)"
        skip(reason, unless="DERAIN_EDU_REQUIRE_BROWSER")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        skip("Playwright is not installed (make install)", unless="DERAIN_EDU_REQUIRE_BROWSER")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def map_and_mask() -> tuple[torch.Tensor, torch.Tensor]:
    """A map with ties, above the mask's pixels by chance a little higher."""
    g = torch.Generator().manual_seed(0)
    mask = torch.rand(9, 11, generator=g) < 0.3
    values = (torch.rand(9, 11, generator=g) * 8).floor() / 10 + 0.2 * mask
    return values, mask


@pytest.fixture(autouse=True)
def _own_cache(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    if "filled_cache" in request.fixturenames:
        cache = request.getfixturevalue("filled_cache")
    else:
        cache = tmp_path_factory.getbasetemp() / "no_cache"
    monkeypatch.setenv("DERAIN_EDU_CACHE", str(cache))


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture
def tiny_lesson() -> Any:
    """A lesson 04 that has run, with one cell of each kind that its slides know."""
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

    def code(source: str, *outputs: Any, tags: tuple[str, ...] = ()) -> Any:
        return new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})

    def text(source: str, *tags: str) -> Any:
        return new_markdown_cell(source, metadata={"tags": list(tags)})

    buffer = io.BytesIO()
    Image.new("RGB", (900, 300), "teal").save(buffer, "PNG")
    png, alt = b64encode(buffer.getvalue()).decode(), "A <teal> picture."
    drawing = '<svg role="img" aria-label="Boxes." viewBox="0 0 90 30"><rect width="9"/></svg>'
    figure = new_output("display_data", {"image/png": png}, metadata={"alt": alt})
    diagram = new_output("execute_result", {"text/html": drawing, "text/plain": "Boxes."})
    words = " ".join(["A sentence of five words."] * 30)
    task = "write `twice(x)`: x, two times \\| or more"
    return new_notebook(cells=[
        text("# 04 · Tiny\n\n*lesson 04*\n\n**What fits on a slide?**\n\n| | |\n|---|---|\n"
             "| **Time** | 5 minutes |\n\n[Colab](https://example.org/colab)"),
        code("import derain_edu as de", new_output("stream", text="secret 1"), tags=("bootstrap",)),
        text("An opening."),
        code("diagrams.one()", diagram),
        text(f"## 1 · Words\n\n{words}\n\nMore of it."),
        text("It leads to a formula of its own:\n\n$$y = x_1 + x_2$$\n\nWhere x is a number."),
        text("What $x$ is.\n\n**Predict:** how large is y?"),
        code("my_guess = None"),
        code("compare_guess(my_guess, 3)\nplots.show(figure)",
             new_output("stream", text="no guess yet · measured 3.0 dB\na < b\n"), figure),
        text(f"### Exercise 04.1 · Twice\n\n| | |\n|---|---|\n| **Spend** | 5 minutes |\n"
             f"| **Task** | {task} |\n\n<details><summary>Hint</summary>\n\nA hint.\n\n</details>",
             "exercise"),
        code("def twice(x):\n    ...", new_output("stream", text="secret 2"), figure,
             tags=("exercise",)),
        text("<details><summary>Solution</summary>\n\n```python\nx + x\n```\n\n</details>",
             "solution"),
        text("## 2 · A formula\n\nThis is it:\n\n$$a^2$$\n\n**Predict.** And a?"),
        code("slider()", new_output("display_data", {
            "application/vnd.jupyter.widget-view+json": {}, "text/plain": "VBox()"})),
        code("plots.show(figure)", figure),
        code("compare_guess(my_guess, 4)", new_output("stream", text="measured 4\n")),
        text("## Check yourself", "quiz"),
        text("**1. Why?**\n\n<details><summary>Answer</summary>\n\nBecause.\n\nSo.\n\n</details>",
             "quiz"),
        text("**2. How?**\n\n<details><summary>Answer</summary>\n\nSo, too.\n\n</details>", "quiz"),
        text("## You can now …\n\nYou said:\n\n- say it;\n- do it."),
    ])  # fmt: skip
