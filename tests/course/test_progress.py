"""What the checks note about a student's exercises, and how it is shown."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from derain_edu.course import exercises, progress
from derain_edu.course.lab import lab_arguments
from derain_edu.course.notebooks import lesson_cells, lesson_folder
from derain_edu.errors import DerainError


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A progress file of the test's own, which does not exist yet."""
    path = tmp_path / "folder" / "progress.json"
    monkeypatch.setenv("DERAIN_EDU_PROGRESS", str(path))
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    return path


def stub(*_):
    return ...


def test_a_check_is_kept_with_state_time_and_tries(file):
    exercises.check("01.1", stub)
    exercises.check("01.1", lambda *_: None)
    kept = json.loads(file.read_text(encoding="utf-8"))["01.1"]
    assert (kept["last"], kept["tries"], kept["right_at"]) == ("wrong", 1, None)
    assert kept["at"].startswith("20") and kept["at"].endswith("+00:00")


def test_what_was_right_stays_done_in_a_fresh_copy_of_the_lesson(file):
    for state in ("wrong", "right", "untouched"):
        progress.keep("01.2", state)
    record = progress.read()["01.2"]
    assert record.state == "right" and record.last == "untouched" and record.tries == 2


def test_the_line_counts_this_lesson_and_the_course(file):
    everything = exercises.numbers()
    here = [number for number in everything if number.startswith("04.")]
    for number in (here[0], here[1], "01.1"):
        progress.keep(number, "right")
    progress.keep(here[2], "wrong")
    assert progress.line("04") == (
        f"done: 2 of {len(here)} exercises of this lesson, 3 of {len(everything)} of the course"
    )
    row = next(row for row in progress.table().splitlines() if row.startswith("04 ·"))
    assert f"2 of {len(here)}" in row and row.count("✅") == 2 and row.count("❌") == 1


def test_the_titles_are_those_of_the_cards():
    found = {n: t for titles in progress._course().values() for n, t in titles.items()}
    assert sorted(found) == exercises.numbers() and all(found.values())
    cells = lesson_cells(lesson_folder() / "04_progressive_prn.py")
    assert any(f"### Exercise 04.1 · {found['04.1']}\n" in text for _, text, _ in cells)


def test_two_notebooks_at_once_lose_nothing(file):
    code = (
        "import sys; from derain_edu.course import progress\n"
        "for k in range(20): progress.keep(f'{sys.argv[1]}.{k}', 'right')"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, lesson]) for lesson in ("90", "91")]
    assert [process.wait(120) for process in running] == [0, 0]
    assert len(progress.read()) == 40


def test_nothing_is_kept_when_it_is_off(file, monkeypatch):
    monkeypatch.setenv("DERAIN_EDU_PROGRESS", "OFF")
    exercises.check("01.1", stub)
    exercises.progress("01")
    assert not file.exists() and progress.read() == {}
    assert "not kept" in progress.line("01") and "nothing is kept" in progress.table()


def test_a_solved_notebook_is_nobodys_progress(file, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/solutions/01_paired_data.ipynb")
    progress.keep("01.1", "right")
    assert not file.exists()
    monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/01_paired_data.ipynb")
    progress.keep("01.1", "right")
    assert file.exists()


@pytest.mark.parametrize("damaged", ["{", "[]", '{"01.1": 5}', '{"01.1": {"colour": 1}}', "\udcff"])
def test_a_damaged_file_is_left_alone_and_the_lesson_goes_on(file, damaged, capsys):
    file.parent.mkdir()
    content = damaged.encode("utf-8", "surrogateescape")
    file.write_bytes(content)
    with pytest.warns(UserWarning, match="progress is not kept.*delete it"):
        exercises.check("01.1", stub)
    exercises.progress("01")
    assert "delete it" in capsys.readouterr().out and file.read_bytes() == content
    with pytest.raises(DerainError, match="repair it, or delete it"):
        progress.table()


def test_the_page_says_who_and_what_and_replaces_only_itself(file, tmp_path):
    progress.keep("01.1", "wrong")
    progress.keep("01.2", "right")
    path = progress.write_page(tmp_path / "mine.html", "A <b> & C")
    text = path.read_text(encoding="utf-8")
    assert "progress of A &lt;b&gt; &amp; C" in text and "1 of " in text
    assert text.count("✅ done") == 1 and text.count("❌ not right yet") == 1
    progress.write_page(path)
    essay = tmp_path / "essay.html"
    essay.write_text("my essay", encoding="utf-8")
    with pytest.raises(DerainError, match=r"essay\.html is no progress page"):
        progress.write_page(essay)
    assert essay.read_text(encoding="utf-8") == "my essay"


def test_the_map_of_lesson_00_leads_to_the_lessons(file, monkeypatch):
    progress.keep("04.1", "right")
    shown = progress.course_map().data
    assert 'href="04_progressive_prn.ipynb">04 · ' in shown and "<td>1 of 3</td>" in shown
    monkeypatch.setenv("DERAIN_EDU_BOOK", "1")
    assert 'href="04_progressive_prn.html">' in progress.course_map().data
    monkeypatch.setitem(sys.modules, "google.colab", None)
    assert "colab.research.google.com" in progress.course_map().data
    file.write_text("{", encoding="utf-8")
    assert "repair it, or delete it" in progress.course_map().data


def test_the_file_browser_lists_each_lesson_once(tmp_path):
    from jupyter_server.services.contents.filemanager import FileContentsManager

    option = next(a for a in lab_arguments(tmp_path, "x") if "hide_globs" in a)
    assert option.startswith("--ContentsManager.hide_globs=[")
    for name in ("01_rain.py", "01_rain.ipynb", "own.py"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    globs = eval(option.split("=", 1)[1])
    manager = FileContentsManager(root_dir=str(tmp_path), hide_globs=globs)
    listed = {entry["name"] for entry in manager.get("", content=True)["content"]}
    assert listed == {"01_rain.ipynb", "own.py"}
