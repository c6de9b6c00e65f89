"""Build the book: run the lessons once, put the pages together, and let Sphinx write HTML.

    python book/make_book.py                 everything, into build/book
    python book/make_book.py --run 03 05     run only these lessons; the others have no outputs
    python book/make_book.py --chinese 00    run only these Chinese lessons; the others take the
                                             outputs of the English ones
    python book/make_book.py --only-run      run the lessons now, and leave the pages for later

The book is built twice, in English and, below ``zh/``, in Chinese; each page leads to its twin.

Folders under ``build/``:

- ``book-executed``, and ``zh`` in it: the students' notebooks with their outputs. Each carries a
  hash of its cells, the package and the data; only a lesson whose hash has changed runs again.
- ``book-source``, ``book-source-zh``: what Sphinx reads: the pages of this folder, the executed
  lessons, the claims.
- ``book-demo``: what the page *Try it* takes from npm, and the network that it runs.
- ``book``: the HTML. Nothing in it loads anything from another host.

Where npm or the network is missing, the page *Try it* says so, and the rest is as always.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat

HERE = Path(__file__).resolve().parent
TOP = HERE.parent
DEMO = HERE / "demo"
HASH = "derain_edu_book"  # the key in the metadata of an executed notebook
WIDGET = "application/vnd.jupyter.widget-view+json"
SOURCES = ("derain_edu", "data/photos", "data/results")  # what a lesson can see, beside its cells

sys.path.insert(0, str(HERE))  # course_map.py, demo.py
from course_map import course_map  # noqa: E402
from demo import build_demo, copy  # noqa: E402

from derain_edu.course.notebooks import (  # noqa: E402
    cell_texts,
    find_lesson,
    lesson_folder,
    lesson_names,
    repository_url,
)
from derain_edu.course.run import LessonRun, run_lesson  # noqa: E402
from derain_edu.course.translation.pages import PAGES, chinese  # noqa: E402
from derain_edu.course.views.flipbook import still  # noqa: E402
from derain_edu.experiments.claims_page import PICTURE  # noqa: E402
from derain_edu.files import write_atomically  # noqa: E402
from derain_edu.language import local  # noqa: E402


def common_hash(folders: Iterable[str] = SOURCES, top: Path = TOP) -> str:
    """Return a hash of all files in ``folders``, compiled ones aside."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted((top / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(top).as_posix()}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def lesson_hash(notebook: Any, common: str) -> str:
    """Return the hash that says whether a lesson has to run again."""
    return hashlib.sha256(f"{common}{cell_texts(notebook)}".encode()).hexdigest()


def prepared(notebook: Any) -> Any:
    """Make a notebook fit to be a page.

    The state of widgets goes; where a widget is left in an output, a line stands for it. The
    cell that installs the course on Colab is folded.
    """
    notebook.metadata.pop("widgets", None)
    demo = f"{repository_url()}/blob/main/book/demo/page.md"
    for cell in notebook.cells:
        if cell.cell_type == "markdown":  # in the book the link leads to the page itself
            cell.source = cell.source.replace(demo, "../try/index.md")
        if "bootstrap" in (tags := cell.metadata.get("tags", [])):
            cell.metadata["tags"] = [*tags, "hide-input"]
        for output in cell.get("outputs", ()):
            if WIDGET in output.get("data", {}):
                output["data"] = {"text/html": still("Run the notebook to move what stands here.")}
    return notebook


def kept_hash(executed: Path) -> str | None:
    """Return the hash with which a lesson ran, or None if it has not run."""
    return nbformat.read(executed, 4).metadata.get(HASH) if executed.is_file() else None


def run_as_newcomer(
    name: str, folder: Path, common: str, language: str = "en"
) -> LessonRun:
    """Run a lesson with an empty cache, and keep it, with its hash, if every cell ran.

    What readers see must not depend on what this machine has downloaded. The tests of the lessons
    call this, too, so that a book that is made after them finds every lesson.
    """
    source, target = lesson_folder(language) / f"{name}.ipynb", folder / f"{name}.ipynb"
    wanted = lesson_hash(nbformat.read(source, 4), common)
    with tempfile.TemporaryDirectory() as out:
        cache = str(Path(out) / "empty_cache")
        environment = {"DERAIN_EDU_BOOK": "1", "DERAIN_EDU_CACHE": cache}
        run = run_lesson(source, Path(out), environment)
        if run.error:
            return run
        notebook = nbformat.read(Path(out) / f"{name}.ipynb", 4)
    notebook.metadata[HASH] = wanted
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(target, f"{nbformat.writes(notebook)}\n".encode())
    return run


def execute(names: Sequence[str], folder: Path, language: str = "en") -> None:
    """Run the lessons that have changed, in order, and keep each as soon as it is done."""
    common = common_hash()
    for name in names:
        lesson = nbformat.read(lesson_folder(language) / f"{name}.ipynb", 4)
        wanted = lesson_hash(lesson, common)
        if kept_hash(folder / f"{name}.ipynb") == wanted:
            print(f"{name}: nothing has changed since it ran", flush=True)
            continue
        print(f"{name}{'' if language == 'en' else ', in Chinese'}: ", end="", flush=True)
        run = run_as_newcomer(name, folder, common, language)
        if run.error:
            sys.exit(f"failed\n{run.details}")
        print(f"ran in {run.seconds:.0f} s", flush=True)


def write(text: str, target: Path) -> None:
    """Write a file unless it says the same already."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_file() or target.read_text(encoding="utf-8") != text:
        target.write_text(text, encoding="utf-8")


def with_outputs(name: str, executed: Path, language: str) -> Any:
    """Return a lesson with its outputs; a Chinese one that has not run shows the English ones."""
    ran = executed / ("" if language == "en" else language) / f"{name}.ipynb"
    if ran.is_file():
        return nbformat.read(ran, 4)
    lesson = nbformat.read(lesson_folder(language) / f"{name}.ipynb", 4)
    if language == "en":
        print(f"{name}: no outputs, it has not run")
    else:
        english = with_outputs(name, executed, "en").cells
        if len(english) == len(lesson.cells):  # not what an older version showed
            for cell, shown in zip(lesson.cells, english, strict=True):
                if cell.cell_type == shown.cell_type == "code":
                    cell.outputs = shown.outputs
    return lesson


API_IS_ENGLISH = """# API

这一页只有英文：<a href="../api.html">API reference</a>。
"""


def gather(executed: Path, source: Path, language: str = "en") -> None:
    """Put together what Sphinx reads."""
    for page in HERE.rglob("*.md"):
        if page.parent != DEMO:
            copy(page, source / page.relative_to(HERE))
    if language != "en":
        for name in PAGES.keys() - {"README", "try"}:
            write(chinese(name), source / f"{name}.md")
        write(API_IS_ENGLISH, source / "api.md")
    lessons = {}
    for name in lesson_names():
        lessons[name] = prepared(with_outputs(name, executed, language))
        write(nbformat.writes(lessons[name]), source / "lessons" / f"{name}.ipynb")
    for old in (source / "lessons").glob("*.ipynb"):
        if old.stem not in lessons:
            old.unlink()
    for result in [*(TOP / "data" / "results").glob("*.csv"), TOP / "data/results/CLAIMS.md"]:
        copy(result, source / "results" / result.name)
    copy(TOP / "data/results" / PICTURE, source / "results" / PICTURE)
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    write(readme if language == "en" else chinese("README"), source / "included" / "README.md")
    write(course_map(lessons, source / "cards"), source / "included" / "course_map.md")


# The page of the demo takes its style and its program from its own folder.
TRY_IT = """```{{raw}} html
<link rel="stylesheet" href="{folder}try.css">
{body}<script type="module" src="{folder}app.js"></script>
```
"""
NOT_HERE = """```{{note}}
This copy of the book was built without the program that belongs here: {reason}. Install
[Node.js with npm](https://nodejs.org), and build the book again with `make book`.
```
"""


def add_demo(sources: Mapping[str, Path], html: Path, kept: Path) -> None:
    """Put together the page *Try it*, or one that says why it is not there.

    Its program is there once, and the pages of both languages run it.
    """
    reason = build_demo(html / "try", kept)
    if reason is not None:
        print(f"The page Try it is without its program: {reason}")
    for language, source in sources.items():
        part = NOT_HERE.format(reason=reason)
        if reason is None:
            body = (DEMO / "try.html").read_text(encoding="utf-8")
            part = TRY_IT.format(body=body, folder="" if language == "en" else "../../try/")
        page = (DEMO / "page.md").read_text(encoding="utf-8")
        write(page if language == "en" else chinese("try"), source / "try" / "index.md")
        write(part, source / "included" / "try_it.md")


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the book, and return Sphinx's exit status: a warning is an error."""
    parser = argparse.ArgumentParser(description="Build the book.")
    parser.add_argument("--run", nargs="*", metavar="NN", help="lessons to run; default: all")
    parser.add_argument("--chinese", nargs="*", metavar="NN", help="the same for the Chinese ones")
    parser.add_argument("--only-run", action="store_true", help="run lessons, build no pages")
    parser.add_argument("--out", type=Path, default=TOP / "build", help="default: build")
    options = parser.parse_args(arguments)
    executed, html = options.out / "book-executed", options.out / "book"
    execute(_chosen(options.run), executed)
    execute(_chosen(options.chinese), executed / "zh", "zh")
    if options.only_run:
        return 0
    sources = {"en": options.out / "book-source", "zh": options.out / "book-source-zh"}
    for language, source in sources.items():
        gather(executed, source, language)
    add_demo(sources, html, options.out / "book-demo")
    status = write_html(sources["en"], html, options.out / "book-doctrees", "en")
    status |= write_html(sources["zh"], html / "zh", options.out / "book-doctrees-zh", "zh_CN")
    if status == 0:
        print(f"The book: {html / 'index.html'}")
    return status


def _chosen(numbers: Sequence[str] | None) -> list[str]:
    return lesson_names() if numbers is None else sorted(find_lesson(n) for n in numbers)


def write_html(source: Path, html: Path, doctrees: Path, language: str) -> int:
    """Let Sphinx write the pages, and return its status."""
    from sphinx.cmd.build import main as sphinx

    options = ["--quiet", "--keep-going", "-W", "-d", str(doctrees), "-c", str(HERE)]
    options += ["-D", f"language={language}"]
    for fold in ("show", "hide"):
        said = local("The cell that installs and imports the course", language[:2])
        options += ["-D", f"nb_code_prompt_{fold}={said}"]
    return sphinx(["-b", "html", *options, str(source), str(html)])


if __name__ == "__main__":
    sys.exit(main())
