"""Slides: which cells become some, and a page that asks no other host for anything."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest

from derain_edu.course import deck as rule
from derain_edu.course import slides as module
from derain_edu.course.deck import MOST_WORDS, deck, shortened
from derain_edu.course.lesson_size import sizes
from derain_edu.course.notebooks import lesson_folder
from derain_edu.course.run import LessonRun
from derain_edu.course.slides import reveal_files, slides, to_html
from derain_edu.errors import DerainError

NAME = "04_progressive_prn"


def kinds(made: Any) -> list[tuple[str, str]]:
    """Return of each cell what it is to nbconvert, and its first words."""
    return [(c.metadata["slideshow"]["slide_type"], c.source[:26]) for c in made.cells]


def on_slides(made: Any) -> str:
    """Return all that the audience sees."""
    shown = (c for c in made.cells if c.metadata["slideshow"]["slide_type"] != "notes")
    return "\n".join(cell.source for cell in shown)


# -- the rule -------------------------------------------------------------------------------------


def test_the_rule(tiny_lesson):
    picture = '<figure><img src="data:imag'[:26]
    assert kinds(deck(tiny_lesson, NAME)) == [
        ("slide", "# 04 · Tiny\n\n**What fits o"),
        ("notes", "An opening."),
        ("subslide", "### Tiny"),
        ("-", '<figure><svg role="img" ar'),
        ("slide", "## 1 · Words"),
        ("-", "A sentence of five words. "),
        ("notes", "A sentence of five words. "),
        ("notes", "More of it."),
        ("subslide", "### 1 · Words"),
        ("-", "It leads to a formula of i"),
        ("-", "$$y = x_1 + x_2$$"),
        ("notes", "Where x is a number."),
        ("subslide", "### 1 · Words"),
        ("-", "What $x$ is."),
        ("-", "**Predict:** how large is "),
        ("fragment", "<pre>measured 3.0 dB\na &lt"),
        ("subslide", "### 1 · Words"),
        ("-", picture),
        ("subslide", "### 1 · Words"),
        ("-", "**Exercise 04.1 · Twice**,"),
        ("slide", "## 2 · A formula"),
        ("-", "This is it:"),
        ("-", "$$a^2$$"),
        ("subslide", "### 2 · A formula"),
        ("-", "**Predict.** And a?"),
        ("subslide", "### 2 · A formula"),
        ("-", picture),
        ("subslide", "### 2 · A formula"),  # the measurement after it is no fragment
        ("-", "<pre>measured 4</pre>"),
        ("slide", "## Check yourself"),
        ("-", "**1. Why?**"),
        ("fragment", "Because.\n\nSo."),
        ("subslide", "### Check yourself"),
        ("-", "**2. How?**"),
        ("fragment", "So, too."),
        ("slide", "## You can now …"),
        ("-", "You said:"),
        ("-", "- say it;\n- do it."),
    ]


def test_no_code_and_no_long_prose(tiny_lesson):
    shown = on_slides(deck(tiny_lesson, NAME))
    for word in ("secret", "def twice", "x + x", "A hint", "compare_guess", "VBox", "colab"):
        assert word not in shown, word
    assert "5 minutes: write `twice(x)`: x, two times | or more" in shown
    assert shown.count("A sentence of five words.") == MOST_WORDS // 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One two three four five six. 7.", "One two three four five six. 7."),  # no capital
        ("One two three four five six. Seven.", "One two three four five six."),
        ("One is .5 dB. Two and. Three.", "One is .5 dB."),
        ("**One two.** *Three four.* Five six.", "**One two.** *Three four.*"),
        ("(One two three.) Four five six.", "(One two three.)"),
        ("- one\n- two. Three", "- one\n- two. Three"),
        ("- one\n- two. Three four\n- five. Six", "- one\n- two.\n- five."),
    ],
)
def test_text_is_cut_between_sentences(text, expected, monkeypatch):
    monkeypatch.setattr(rule, "MOST_WORDS", 5)
    monkeypatch.setattr(rule, "MOST_LISTED", 5)
    assert shortened(text) == expected


def test_every_lesson_becomes_a_deck():
    """Headings, predictions, exercises and questions of all lessons, as they are today."""
    for size in sizes():
        name = size.lesson.name
        notebook = nbformat.read(lesson_folder() / f"{name}.ipynb", 4)
        source = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
        quiz = [c.source for c in notebook.cells if "quiz" in c.metadata.get("tags", ())]
        made = kinds(deck(notebook, name))
        starts = [start for _, start in made]
        headings = len(re.findall(r"^## ", source, re.MULTILINE))
        assert [kind for kind, _ in made].count("slide") == 1 + headings, name
        assert len([s for s in starts if s.startswith("**Exercise ")]) == size.exercises, name
        asked = [s for s in starts if re.match(r"\*\*(Predict|Think first)", s)]
        assert asked or not size.predictions, name
        answers = [kind for kind, _ in made].count("fragment")
        assert answers == "\n".join(quiz).count("<summary>Answer") >= 3, name


# -- the page -------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a page is made of: addresses that it loads, alternative texts, tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.alts: list[str | None] = []
        self.tags: list[str] = []
        self.feed(html)
        styles = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
        self.loads += re.findall(r"@import[^;]+|url\(\s*['\"]?(?!data:)[^)]+\)", styles)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        address = found.get("href" if tag == "link" else "src")
        if address and not address.startswith("data:"):
            self.loads.append(address)
        self.tags.append(tag)
        if tag == "img":
            self.alts.append(found.get("alt"))


@pytest.fixture(scope="module")
def reveal(skip_unless_demanded) -> dict[str, str]:
    try:
        return reveal_files()
    except DerainError as error:
        skip_unless_demanded(str(error), "DERAIN_EDU_REQUIRE_BROWSER")
        raise


def test_the_page_is_complete_in_itself(tiny_lesson, reveal):
    html = to_html(deck(tiny_lesson, NAME), reveal)
    page = Page(html)
    assert page.loads == []
    assert "Reveal.initialize" in html and "sourceMappingURL" not in html
    assert page.alts == ["A <teal> picture."] * 2  # and not the one of the exercise
    assert page.tags.count("math") == 3 and "$$" not in html
    assert re.search(r'<div class="fragment"\s*>\s*<p>Because\.</p>', html)
    assert page.tags.count("section") == 5 + 14  # five columns, fourteen slides
    assert "secret" not in html and "def twice" not in html


def test_a_formula_that_can_not_be_read_is_shown_as_written(tiny_lesson, reveal):
    tiny_lesson.cells[-1].source = "## You can now …\n\nSay $a < b_c_d$."
    html = to_html(deck(tiny_lesson, NAME), reveal)
    assert "<code>a &lt; b_c_d</code>" in html


def test_what_a_page_loads_is_found():
    for html in (
        '<script src="https://a.org/x.js"></script>', '<link href="style.css">',
        "<style>@import 'x.css';</style>", "<p style='background: url(x.png)'>", '<img src="x">',
    ):  # fmt: skip
        assert len(Page(html).loads) == 1, html
    assert Page('<img src="data:image/png;base64,A"><a href="https://a.org">a</a>').loads == []


# -- the command ----------------------------------------------------------------------------------


@pytest.fixture
def executed(tiny_lesson, tmp_path) -> Path:
    path = tmp_path / "executed.ipynb"
    nbformat.write(tiny_lesson, path)
    return path


def test_a_notebook_that_has_run(executed, reveal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert slides("4", executed=executed) == Path(f"{NAME}.slides.html")
    assert "What fits on a slide?" in Path(f"{NAME}.slides.html").read_text(encoding="utf-8")


def test_a_lesson_that_runs_first_leaves_nothing_else(
    tiny_lesson, reveal, tmp_path, monkeypatch, capsys
):
    used = []

    def run(path: Path, out: Path, environment: dict[str, str]) -> LessonRun:
        used.append(out)
        assert path == lesson_folder() / f"{NAME}.ipynb"
        assert environment == {"DERAIN_EDU_BOOK": "1"}  # sliders become pictures
        nbformat.write(tiny_lesson, out / path.name)
        return LessonRun(path.stem, 1.0, 1.0, error)

    error: str | None = None
    monkeypatch.setattr(module, "run_lesson", run)
    monkeypatch.chdir(tmp_path)
    assert slides("04", tmp_path / "new" / "deck.html").is_file()
    assert "04_progressive_prn runs first" in capsys.readouterr().out
    error = "AssertionError: no"
    with pytest.raises(DerainError, match="did not run through, so there are .*: AssertionError"):
        slides("04")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert len(used) == 2 and not any(folder.exists() for folder in used)


def test_errors_are_one_sentence(executed, tiny_lesson, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "reveal_files", dict)
    (tmp_path / "notes.txt").write_text("no notebook")
    (tmp_path / "other.ipynb").write_text('{"cells": "none"}')
    for cell in tiny_lesson.cells:
        cell.pop("outputs", None) if cell.cell_type == "markdown" else cell.update(outputs=[])
    nbformat.write(tiny_lesson, tmp_path / "fresh.ipynb")
    for arguments, message in (
        (("99", None, executed), "there is no lesson '99'"),
        (("04", tmp_path, executed), "is a folder: name a file in it"),
        (("04", None, tmp_path / "notes.txt"), r"notes\.txt can't be read as a notebook"),
        (("04", None, tmp_path / "gone.ipynb"), r"gone\.ipynb can't be read as a notebook"),
        (("04", None, tmp_path / "other.ipynb"), r"other\.ipynb can't be read as a notebook"),
        (("05", None, executed), "is not lesson 05"),
        (("04", None, tmp_path / "fresh.ipynb"), r"has no outputs: run it first, or leave out"),
    ):
        with pytest.raises(DerainError, match=message):
            slides(*arguments)
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.parametrize("missing", ["sphinx_revealjs", "latex2mathml"])
def test_a_missing_package_is_named(missing, monkeypatch):
    found = module.find_spec
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == missing else found(name))
    with pytest.raises(DerainError, match="run `pip install sphinx-revealjs latex2mathml`"):
        slides("04")
