"""The parts of the build: what runs again, what is cut, and what a missing picture says."""

from __future__ import annotations

import os
import re
import sys
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from derain_edu.errors import DerainError

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "book"))
import course_map  # noqa: E402
import make_book  # noqa: E402
import sphinx_extension  # noqa: E402

FIRST = "# 03 · Title\n\n**Why?**\n\n| **Time** | 40 minutes |\n"


def png(width: int = 40, height: int = 10) -> bytes:
    image, buffer = Image.new("RGB", (width, height)), BytesIO()
    for x in range(width):
        image.paste((x, 0, 0), (x, 0, x + 1, height))
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def notebook(alt: str = "a picture", code: str = "1"):
    data = {"image/png": b64encode(png()).decode()}
    output = new_output("display_data", data, metadata={"image/png": {"alt": alt}})
    return new_notebook(cells=[new_markdown_cell(FIRST), new_code_cell(code, outputs=[output])])


def test_the_hash_changes_with_cells_and_files_and_with_nothing_else(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("1")
    first = make_book.common_hash(["code"], tmp_path)
    (tmp_path / "code" / "__pycache__").mkdir()
    (tmp_path / "code" / "__pycache__" / "a.pyc").write_text("compiled")
    assert make_book.common_hash(["code"], tmp_path) == first
    lesson_hash = make_book.lesson_hash
    assert lesson_hash(notebook(), first) == lesson_hash(notebook("other"), first)
    assert lesson_hash(notebook(code="2"), first) != lesson_hash(notebook(), first)
    (tmp_path / "code" / "a.py").write_text("2")
    assert make_book.common_hash(["code"], tmp_path) != first
    assert lesson_hash(notebook(), "x") != lesson_hash(notebook(), "y")


@pytest.fixture
def lessons(monkeypatch, tmp_path):
    """Two lessons that take a newcomer's environment, and a list of those that ran."""
    for name in ("00_one", "01_two"):
        nbformat.write(notebook(code=name), tmp_path / f"{name}.ipynb")
    ran: list[str] = []

    def run_lesson(path: Path, out: Path, environment: dict[str, str]):
        cache = Path(environment["DERAIN_EDU_CACHE"])
        assert environment["DERAIN_EDU_BOOK"] == "1" and not cache.exists()
        ran.append(path.stem)
        nbformat.write(nbformat.read(path, 4), out / path.name)
        return SimpleNamespace(error=None, details="", seconds=1.0)

    monkeypatch.setattr(make_book, "lesson_folder", lambda language="en": tmp_path)
    monkeypatch.setattr(make_book, "common_hash", lambda: "the same")
    monkeypatch.setattr(make_book, "run_lesson", run_lesson)
    return tmp_path, ran


def test_only_what_has_changed_runs_again(lessons):
    folder, ran = lessons
    environment = dict(os.environ)
    for _ in range(2):
        make_book.execute(["00_one", "01_two"], folder / "executed")
    assert ran == ["00_one", "01_two"]
    assert os.environ == environment
    nbformat.write(notebook(code="new"), folder / "01_two.ipynb")
    make_book.execute(["00_one", "01_two"], folder / "executed")
    assert ran == ["00_one", "01_two", "01_two"]


def test_what_a_test_ran_need_not_run_again_but_a_test_runs_it_always(lessons):
    folder, ran = lessons
    for _ in range(2):
        make_book.run_as_newcomer("00_one", folder / "executed", make_book.common_hash())
    assert ran == ["00_one", "00_one"]
    make_book.execute(["00_one", "01_two"], folder / "executed")
    assert ran == ["00_one", "00_one", "01_two"]


def test_a_lesson_that_fails_stops_the_build_and_leaves_the_others(lessons, monkeypatch):
    folder, ran = lessons
    good = make_book.run_lesson

    def fails(path: Path, out: Path, environment: dict[str, str]):
        run = good(path, out, environment)
        if path.stem == "01_two":
            run.error = "AssertionError: worse"
            run.details = "assert a < b\nAssertionError: worse"
        return run

    monkeypatch.setattr(make_book, "run_lesson", fails)
    with pytest.raises(SystemExit, match="assert a < b\nAssertionError: worse"):
        make_book.execute(["00_one", "01_two"], folder / "executed")
    assert [path.name for path in (folder / "executed").iterdir()] == ["00_one.ipynb"]


def test_lessons_can_run_before_the_pages_are_built(lessons, monkeypatch):
    folder, ran = lessons
    monkeypatch.setattr(make_book, "find_lesson", {"00": "00_one", "01": "01_two"}.get)
    options = ["--only-run", "--run", "01", "--chinese", "--out", str(folder / "built")]
    assert make_book.main(options) == 0
    assert ran == ["01_two"]
    assert [path.name for path in (folder / "built").iterdir()] == ["book-executed"]


def test_widgets_leave_a_line_and_the_first_cell_is_folded():
    page = notebook()
    page.metadata["widgets"] = {"state": 1}
    page.cells[1].metadata["tags"] = ["bootstrap"]
    page.cells[1].outputs.append(new_output("display_data", {make_book.WIDGET: {"model_id": "1"}}))
    page = make_book.prepared(page)
    assert "widgets" not in page.metadata
    assert page.cells[1].metadata["tags"] == ["bootstrap", "hide-input"]
    assert "Run the notebook" in page.cells[1].outputs[1]["data"]["text/html"]
    assert "image/png" in page.cells[1].outputs[0]["data"]


def test_a_link_to_the_demo_leads_to_its_page_of_the_book():
    page = notebook()
    link = f"{make_book.repository_url()}/blob/main/book/demo/page.md"
    page.cells.append(new_markdown_cell(f"See [Try it]({link})."))
    page = make_book.prepared(page)
    assert page.cells[-1].source == "See [Try it](../try/index.md)."


def test_a_card_holds_title_question_and_the_part_of_the_picture(monkeypatch, tmp_path):
    monkeypatch.setitem(course_map.CENTRAL, "03", course_map.Central("a pic", 0.25, 0.75))
    text = course_map.course_map({"03_title": notebook()}, tmp_path / "cards")
    assert "{grid-item-card} 03 · Title ★" in text and "\nWhy?\n" in text
    assert ":img-alt: a picture" in text and ":img-top: /cards/03.png" in text
    image = Image.open(tmp_path / "cards" / "03.png")
    assert image.size == (20, 10) and image.getpixel((0, 0)) == (10, 0, 0)


def test_a_chinese_lesson_has_the_same_picture():
    words = course_map.CENTRAL["00"].words
    [alt] = course_map.translations(words)
    assert "去雨" in alt
    found, _ = course_map.central_picture(notebook(alt), course_map.CENTRAL["00"], "00_start_here")
    assert found == alt


def test_a_missing_central_picture_is_named_with_what_is_there():
    with pytest.raises(DerainError, match="03_title shows no picture(?s:.)*  a picture"):
        course_map.central_picture(notebook(), course_map.Central("elephant"), "03_title")


def test_a_lesson_that_has_not_run_gets_a_card_without_a_picture(tmp_path):
    bare = new_notebook(cells=[new_markdown_cell(FIRST)])
    assert ":img-top:" not in course_map.course_map({"03_title": bare}, tmp_path)
    poor = new_notebook(cells=[new_markdown_cell("# 03")])
    with pytest.raises(DerainError, match="03_title needs a title"):
        course_map.course_map({"03_title": poor}, tmp_path)


@pytest.mark.parametrize("formula", [r"h_t = \mathrm{relu}(\alpha\,h_{t-1})", r"a, \dots, b"])
def test_formulas_become_mathml(formula):
    from docutils import nodes

    text = sphinx_extension.mathml(nodes.math("", formula), as_block=False)
    assert text.startswith("<math") and "\\" not in text and "code" not in text


def test_a_formula_that_can_not_be_converted_is_a_warning(monkeypatch):
    from docutils import nodes

    told = []
    monkeypatch.setattr(sphinx_extension.logger, "warning", lambda *words, **_: told.append(words))
    assert sphinx_extension.mathml(nodes.math("", r"\nonsense"), False) == r"<code>\nonsense</code>"
    assert len(told) == 1


@pytest.mark.parametrize("number", sorted(course_map.CENTRAL))
def test_the_lesson_of_each_card_still_has_its_picture(number):
    """A quick look into the source, so that nobody has to run all lessons to find it gone."""
    [source] = (Path(make_book.TOP) / "notebooks").glob(f"{number}_*.py")
    text = re.sub(r'"\s*\n\s*f?"', "", source.read_text(encoding="utf-8"))  # joined strings
    assert course_map.CENTRAL[number].words in text, "choose others in book/course_map.py"


def test_every_lesson_has_a_card():
    assert set(course_map.CENTRAL) == {name[:2] for name in make_book.lesson_names()}
