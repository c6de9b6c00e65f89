"""Gates for all text and code: alt text, links, leftovers, spelling, portability, import time.

Each gate is a function that returns the faults it finds, and is tested on text that has some.
What lessons and exercises must have is in test_notebooks_in_step.py and test_exercise_cells.py.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

import derain_edu
from derain_edu.course import notebooks

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = sorted((ROOT / "derain_edu").rglob("*.py"))
SOURCES = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
BOOK = sorted(p for p in (ROOT / "book").rglob("*") if p.suffix in (".py", ".md", ".css"))
PROSE = [
    *ROOT.glob("*.md"), *(ROOT / "data").rglob("*.md"), *(p for p in BOOK if p.suffix == ".md")
]
TOP = [ROOT / name for name in ("Makefile", "pyproject.toml", "environment.yml", ".ci/run")]


def where(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def lesson_parts(source: Path) -> tuple[str, str]:
    """Return the prose and the code of a lesson."""
    cells = notebooks.lesson_cells(source)
    prose = (text for kind, text, _ in cells if kind == "markdown")
    code = (text for kind, text, _ in cells if kind == "code")
    return "\n\n".join(prose), "\n\n".join(code)


def texts() -> Iterator[tuple[Path, str]]:
    """Yield every file of prose, and the prose of every lesson."""
    for path in PROSE:
        yield path, path.read_text(encoding="utf-8")
    for path in SOURCES:
        yield path, lesson_parts(path)[0]


def codes() -> Iterator[tuple[Path, str]]:
    """Yield every module of the package, and the code of every lesson."""
    for path in PACKAGE:
        yield path, path.read_text(encoding="utf-8")
    for path in SOURCES:
        yield path, lesson_parts(path)[1]


def all_faults(gate, files) -> list[str]:
    return [f"{where(path)}: {fault}" for path, text in files for fault in gate(text)]


def plain(text: str) -> str:
    """Return Markdown without its code, where brackets mean something else."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


# --- alternative text -----------------------------------------------------------------------


def pictures_without_alt(text: str) -> list[str]:
    """Return the Markdown and HTML pictures whose alternative text says nothing."""
    text = plain(text)
    bare = [found[0] for found in re.finditer(r"!\[\s*\]\([^)]*\)", text)]
    tags = re.findall(r"<img\b[^>]*>", text)
    return bare + [tag for tag in tags if not re.search(r"""\balt=(["'])\s*\S.*?\1""", tag)]


def test_every_picture_in_the_prose_has_alt_text():
    files = list(texts())
    assert sum(text.count("![") for _, text in files) >= 3  # there are some
    assert all_faults(pictures_without_alt, files) == []


@pytest.mark.parametrize("bad", ["![](a.png)", "![ ](a.png)", "<img src='a'>", '<img alt="" a>'])
def test_a_picture_without_alt_text_is_found(bad):
    assert pictures_without_alt(f"![words](b.png) {bad} <img src='a' alt='words'>") == [bad]
    assert pictures_without_alt(f"`{bad}`") == []


SHOWS_A_PICTURE = ("to_pil", "derain", "fromarray", "open", "new_figure")


def displays_without_alt(code: str) -> list[str]:
    """Return what a lesson shows past ``plots.show``: no words go with such a picture."""
    tree = ast.parse(code)
    faults = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
            faults += [f"line {node.lineno}: pyplot" for name in names if "pyplot" in name]
        if isinstance(node, ast.Call) and _name(node) == "Image" and not _has_alt(node):
            faults.append(f"line {node.lineno}: Image without alt")
        shows = isinstance(node, ast.Call) and _name(node) in ("show", "show_png")
        if shows and "plots" in ast.unparse(node.func) and len(node.args) < 2:
            faults.append(f"line {node.lineno}: {_name(node)} without alt")
    for node in tree.body:
        last = node.value if isinstance(node, ast.Expr) else None
        if isinstance(last, ast.Call) and _name(last) in SHOWS_A_PICTURE:
            faults.append(f"line {node.lineno}: {_name(last)} as the value of a cell")
    return faults


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func).split(".")[-1]


def _has_alt(call: ast.Call) -> bool:
    if "ipywidgets" in ast.unparse(call.func):
        return True  # the widget has no such property; the words stand beside the slider
    words = {word.arg: ast.unparse(word.value) for word in call.keywords}
    return "alt" in words or "'alt'" in words.get("metadata", "")


def test_every_picture_in_code_has_alt_text():
    files = list(codes())
    assert sum(text.count("plots.show(") for _, text in files) > 50
    assert all_faults(displays_without_alt, files) == []


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        ("import matplotlib.pyplot as plt", "pyplot"),
        ("from matplotlib import pyplot", "pyplot"),
        ("display(Image(png))", "Image without alt"),
        ("plots.show(figure)", "show without alt"),
        ("def f():\n    plots.show_png(png)", "show_png without alt"),
        ("de.derain('a.png')", "derain as the value"),
    ],
)
def test_a_display_without_alt_text_is_found(bad, fault):
    good = "plots.show(figure, 'words')\nImage(x, alt='a')\nImage(x, metadata={'alt': 'a'})\n"
    assert displays_without_alt(good) == []
    [found] = displays_without_alt(good + bad)
    assert fault in found


# --- links ----------------------------------------------------------------------------------

LINK = r"\[[^\]]*\]\(<?([^)\s>]+)|(?:href|src)=[\"']([^\"']+)"


def dead_links(text: str, folder: Path) -> list[str]:
    """Return the links that lead to no file: relative ones, and those into the repository."""
    repository = notebooks.repository_url()
    short = repository.removeprefix("https://github.com/")
    ours = rf"(?:{repository}|https://colab\.research\.google\.com/github/{short})"
    dead = []
    for match in re.finditer(LINK, plain(text)):
        link = match[1] or match[2]
        target = unquote(link.split("#")[0])
        inside = re.match(rf"{ours}/(?:blob|tree|raw)/main/(.+)", target)
        if inside:
            path = ROOT / inside[1]
        elif re.match(r"[a-z]+:|#", link):  # somewhere else in the world, or on this page
            continue
        else:
            path = folder / target
        if not path.exists():
            dead.append(link)
    return dead


def test_every_link_leads_to_a_file():
    """Those of the book lead to pages that its builder makes, which checks them itself."""
    files = [(path, text) for path, text in texts() if path not in BOOK]
    links = [link for path, text in files for link in dead_links(text, path.parent)]
    assert links == []
    assert sum(len(re.findall(LINK, plain(text))) for _, text in files) > 30


def test_readme_names_every_lesson_once():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\(notebooks/(\w+)\.ipynb\)", text)
    assert linked == notebooks.lesson_names()
    # A link that opens a lesson in Colab stands beside it, or nowhere.
    colab = [name for name in linked if f"]({notebooks.colab_url(name)})" in text]
    assert colab in ([], linked)


def test_a_dead_link_is_found(tmp_path):
    (tmp_path / "a b.md").touch()
    home = notebooks.repository_url()
    colab = notebooks.colab_url("03_no_such_lesson")
    text = (
        f"[x](a%20b.md#part) [x](gone.md) [x](https://example.org/gone) [x](#here) "
        f"[x]({home}/blob/main/README.md) [x]({home}/blob/main/gone.md) [x]({colab}) "
        f"[x]({notebooks.colab_url(notebooks.lesson_names()[0])}) "
        f"<a href='lost.md'>x</a> `[x](code)`"
    )
    assert dead_links(text, tmp_path) == ["gone.md", f"{home}/blob/main/gone.md", colab, "lost.md"]


# --- leftovers and spelling -----------------------------------------------------------------

LEFTOVER = re.compile("|".join((r"\bTO" r"DO\b", r"\bFIX" r"ME\b", r"\bX" r"XX\b")))


def leftovers(text: str) -> list[str]:
    lines = enumerate(text.splitlines(), 1)
    return [f"line {k}: {line.strip()}" for k, line in lines if LEFTOVER.search(line)]


def test_nothing_is_left_over():
    files = [*PACKAGE, *SOURCES, *TESTS, *BOOK, *PROSE, *TOP]
    assert all_faults(leftovers, ((p, p.read_text(encoding="utf-8")) for p in files)) == []


def test_a_leftover_is_found():
    assert leftovers("fine\n# TO" "DO: later") == ["line 2: # TO" "DO: later"]
    assert leftovers("a todo list, XXXL") == []


def spelling(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run codespell with the configuration of this repository."""
    command = [sys.executable, "-m", "codespell_lib", "--toml", "pyproject.toml", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8")


def test_spelling():
    done = spelling()
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_misspelt_word_is_found(tmp_path):
    (tmp_path / "bad.md").write_text("We rec" "ieve a picture.\n", encoding="utf-8")
    done = spelling(str(tmp_path / "bad.md"))
    assert done.returncode != 0 and "==> receive" in done.stdout


def test_the_list_of_ignored_words_is_short_and_needed():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    words = re.search(r'^ignore-words-list = "(.+)"$', text, re.MULTILINE)[1].split(",")
    assert len(words) <= 5
    others = [p for p in (*PACKAGE, *SOURCES, *TESTS, *PROSE) if p != Path(__file__)]
    everything = "\n".join(p.read_text(encoding="utf-8") for p in others).lower()
    assert [word for word in words if not re.search(rf"\b{word}\b", everything)] == []


# --- portability ----------------------------------------------------------------------------

# What Windows does not have.
POSIX_MODULES = set("crypt fcntl grp posix pty pwd resource syslog termios tty".split())
POSIX_NAMES = {
    "os": set(
        "fork forkpty getegid geteuid getgid getloadavg getpgid getuid killpg mkfifo nice "
        "posix_fadvise posix_spawn sched_getaffinity sched_setaffinity setsid statvfs sync uname "
        "wait wait3 wait4 WNOHANG".split()
    ),
    "signal": set("SIGALRM SIGHUP SIGKILL SIGUSR1 SIGUSR2 alarm pause setitimer".split()),
}
FOLDERS = re.compile(r"(?:/tmp|/dev|/proc|/sys|/var|/etc|/usr|/home)(?:/|$)")


def posix_only(code: str) -> list[str]:
    """Return what does not exist on Windows: modules, calls, folders, paths made with "/".

    A guarded call is written ``getattr(os, "geteuid", None)``: it says by itself that the
    function may be missing.
    """
    tree = ast.parse(code)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body and isinstance(node.body[0], ast.Expr)
    }
    faults = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None)
            names = {module} if module else {alias.name for alias in node.names}
            faults += [f"line {node.lineno}: import {n}" for n in sorted(names & POSIX_MODULES)]
            wrong = POSIX_NAMES.get(module, set()) & {alias.name for alias in node.names}
            faults += [f"line {node.lineno}: {module}.{n}" for n in sorted(wrong)]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in POSIX_NAMES.get(node.value.id, ()):
                faults.append(f"line {node.lineno}: {node.value.id}.{node.attr}")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in docstrings and FOLDERS.match(node.value):
                faults.append(f"line {node.lineno}: {node.value}")
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            ends = [n.value for n in (node.left, node.right) if isinstance(n, ast.Constant)]
            if any(isinstance(end, str) and (end[:1] == "/" or end[-1:] == "/") for end in ends):
                faults.append(f"line {node.lineno}: {ast.unparse(node)}")
    return faults


def test_the_package_and_the_lessons_run_on_windows_too():
    assert all_faults(posix_only, codes()) == []


@pytest.mark.parametrize(
    "bad",
    [
        "import fcntl", "from resource import getrusage", "from signal import SIGKILL",
        "os.geteuid()", "os.fork()", "signal.alarm(3)", "open('/tmp/a')", "Path('/dev/shm')",
        "folder + '/name'", "'data/' + name",
    ],
)
def test_a_call_that_only_posix_has_is_found(bad):
    good = '"""/tmp/a"""\ngetattr(os, "geteuid", None)\nPath("a") / "b"\n1 / 2\nimport os.path\n'
    assert posix_only(good) == []
    assert len(posix_only(good + bad)) == 1


def without_encoding(code: str) -> list[str]:
    """Return the text files that are opened with the encoding of the machine."""
    faults = []
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.Call) or "encoding" in {w.arg for w in node.keywords}:
            continue
        name = ast.unparse(node.func)
        place = {"read_text": 0, "write_text": 1}.get(name.split(".")[-1], 3)
        if len(node.args) > place:
            continue  # it is given by its place
        given = [ast.unparse(a) for a in (*node.args, *(w.value for w in node.keywords))]
        binary = any(re.search(r"'[rwax+]*b[rwax+]*'", word) for word in given)
        if (name == "open" and not binary) or name.endswith((".read_text", ".write_text")):
            faults.append(f"line {node.lineno}: {ast.unparse(node)}")
    return faults


def test_text_files_are_opened_with_their_encoding():
    assert all_faults(without_encoding, codes()) == []


def test_a_file_without_encoding_is_found():
    good = "open(p, 'rb')\nopen(p, mode='wb')\nopen(p, encoding='utf-8')\nImage.open(p)\n"
    good += "p.read_text('utf-8')\np.write_text(x, 'utf-8')\nopen(p, 'r+b' if more else 'wb')\n"
    assert without_encoding(good) == []
    bad = "open(p)\nopen(p, 'w')\np.read_text()\np.write_text(x)"
    assert len(without_encoding(bad)) == 4


# --- doctests and import time ---------------------------------------------------------------


def test_examples_in_docstrings_run():
    """pytest collects them, as configured, from the package's folder."""
    written = [p for p in PACKAGE if re.search(r"^ *>>> ", p.read_text("utf-8"), re.MULTILINE)]
    assert len(written) >= 4 and ROOT / "derain_edu" / "datasets" / "download.py" in written
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "derain_edu/datasets/download.py"],
        cwd=ROOT, capture_output=True, text=True, encoding="utf-8",
    )
    assert "derain_edu.datasets.download.read_manifest" in done.stdout, done.stdout + done.stderr
    config = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'^testpaths = \["derain_edu", "tests"\]$', config, re.MULTILINE)


def share_of_an_import(statement: str) -> float:
    """Return the processor time of a statement as a share of that of importing PyTorch before."""
    code = (
        "import time\nbegan = time.process_time()\n"
        "import torch\nmiddle = time.process_time()\n"
        f"{statement}\nprint((time.process_time() - middle) / (middle - began))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def test_the_import_is_quick():
    """About a tenth of what PyTorch takes. The first one after an installation also compiles."""
    everything = "import derain_edu as de; [getattr(de, name) for name in de.__all__]"
    assert any(share_of_an_import(everything) < 0.25 for _ in range(3))


def test_a_slow_import_is_found():
    slow = "while time.process_time() - middle < 0.4 * (middle - began): pass"
    assert share_of_an_import(slow) > 0.25


# --- the files around the course ------------------------------------------------------------


@pytest.mark.skipif(shutil.which("make") is None or os.name == "nt", reason="needs make and sh")
@pytest.mark.parametrize("broken", [None, "ruff", "codespell_lib", "pytest"])
def test_make_lint_runs_three_checks_and_fails_with_each(tmp_path, broken):
    """A stand-in for Python notes how it is called, and fails in one of the checks."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".installed").touch()
    stand_in = tmp_path / "python"
    stand_in.write_text(f'#!/bin/sh\necho "$2" >> log\n[ "$2" != "{broken}" ]\n', "utf-8")
    stand_in.chmod(0o755)
    done = subprocess.run(["make", "lint", "PY=./python"], cwd=tmp_path, capture_output=True)
    assert (tmp_path / "log").read_text("utf-8").split() == ["ruff", "codespell_lib", "pytest"]
    assert (done.returncode == 0) == (broken is None)
    plan = ["make", "--dry-run", "test", "PY=./python"]  # `make test` starts with the same
    shown = subprocess.run(plan, cwd=tmp_path, capture_output=True, text=True).stdout
    order = ("-m ruff", "-m codespell_lib", "up_to_date", "-n auto")
    places = [shown.index(word) for word in order]
    assert places == sorted(places)
    tests = subprocess.run(["make", "test", "PY=./python"], cwd=tmp_path, capture_output=True)
    assert (tests.returncode == 0) == (broken is None)
    summary = tests.stdout.decode().split("All parts:\n")[1]
    lines = re.findall(r"^--- (.+): 0 min \d+ s(, FAILED)?$", summary, re.MULTILINE)
    assert [name.split()[0].rstrip(",") for name, _ in lines] == [
        "style", "unit", "lessons", "browser", "in",
    ]  # fmt: skip
    failed = {None: 0, "pytest": 4}.get(broken, 1)  # all parts run even if one fails
    assert [bool(fault) for _, fault in lines] == [True] * failed + [False] * (5 - failed)


def load_yaml(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_a_commit_is_checked_by_the_same_command():
    [repository] = load_yaml(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"  # nothing is downloaded
    assert [hook["entry"] for hook in repository["hooks"]] == ["make lint"]


def test_the_workflow_tests_three_systems_and_the_oldest_python():
    workflow = load_yaml(".github/workflows/test.yml")
    [job] = workflow["jobs"].values()
    matrix = job["strategy"]["matrix"]
    config = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    oldest = re.search(r'^requires-python = ">=(.+)"$', config, re.MULTILINE)[1]
    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    assert matrix["python"][0] == oldest and len(matrix["python"]) > 1
    assert workflow["permissions"] == {"contents": "read"}
    commands = [step.get("run", "") for step in job["steps"]]
    assert commands[-1].startswith("make test")


def test_the_citation_agrees_with_the_package():
    citation = load_yaml("CITATION.cff")
    assert citation["version"] == derain_edu.__version__
    assert citation["repository-code"] == notebooks.repository_url()
    numbers = [work["identifiers"][0]["value"] for work in citation["references"]]
    assert numbers == ["arXiv:1901.09221", "arXiv:1904.01538"]
    prose = "\n".join(lesson_parts(source)[0] for source in SOURCES)
    assert all(number.replace(":", " ") in prose for number in numbers)
