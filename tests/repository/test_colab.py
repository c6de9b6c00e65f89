"""The contract with Google Colab: what the bootstrap cell does there, and what it leaves alone.

Colab brings PyTorch, NumPy and most of what the course needs, in versions of its own. The first
code cell of every lesson adds the course and touches nothing else. Here a clean environment
imitates Colab: it sees the packages of this one, but not the course and not what Colab lacks, and
pip gets a wheel of this tree where the cell names the repository.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import nbformat
import pytest

from derain_edu.course import notebooks

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SOLVED = sorted((ROOT / "notebooks" / "solutions").glob("[0-9][0-9]_*.ipynb"))
SOURCES = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.py"))

# What Colab had in August 2026, of the packages that pyproject.toml names; beside them IPython
# 7.34.0 and ipykernel 6.17.1. Google publishes the list: pip-freeze.gpu.txt in
# github.com/googlecolab/backend-info, here at commit a724079. (Of torchvision, matplotlib,
# jupytext, nbclient, psutil, tqdm, filelock and SciPy the versions are those of June.) The package,
# `derain-edu derain` with PReNet and SPANet, and lesson 00 ran once with them under Python 3.13.0.
COLAB = {
    "torch": "2.11.0", "torchvision": "0.26.0", "numpy": "2.1.3", "numba": "0.61.2",
    "scipy": "1.16.3",
    "pillow": "11.3.0", "matplotlib": "3.10.0", "ipywidgets": "7.7.1", "jupytext": "1.19.3",
    "nbclient": "0.10.4", "psutil": "5.9.5", "safetensors": "0.8.0", "tqdm": "4.67.3",
    "typer": "0.27.1", "platformdirs": "4.11.3", "filelock": "3.29.0",
}  # fmt: skip
PYTHON = "3.13.15"
FOR_A_LAPTOP = {"jupyterlab", "nbval"}  # Colab is the notebook server, and nobody tests there
ONNX = {"onnx", "onnxscript", "onnxruntime"}  # not there either, and two lessons need them
HIDDEN = ("derain_edu", "_derain_edu", "nbval", "onnx", "jupyterlab")  # beginnings of file names

KERNEL = """
import importlib.metadata, json, subprocess, sys, types

cell, wheel, on_colab = open(sys.argv[1], encoding="utf-8").read(), sys.argv[2], sys.argv[3] == "y"
calls, run = [], subprocess.run

def redirected(command, **options):
    calls.append(command)
    kept = [wheel if word.startswith("git+") else word for word in command]
    return run([word for word in kept if not word.startswith("onnx")], **options)

def distributions():
    return {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}

def try_cell():
    try:
        exec(cell, {"__name__": "__main__"})
    except ModuleNotFoundError as error:
        return f"{error}"

subprocess.run = redirected
if on_colab:
    sys.modules["google"] = types.ModuleType("google")
    sys.modules["google.colab"] = types.ModuleType("google.colab")
before = distributions()
errors = [try_cell(), try_cell()]
shown = {"before": before, "after": distributions(), "calls": calls, "errors": errors}
if errors == [None, None]:
    import derain_edu as de
    from derain_edu.experiments.results import load_results
    network = de.create_model("prenet", pretrained="open")
    shown["file"], shown["photo"] = de.__file__, list(de.load_photo("china").shape)
    shown["parameters"] = sum(p.numel() for p in network.parameters())
    shown["results"] = len(load_results("curricula"))
print(json.dumps(shown))
"""


# --- the imitation --------------------------------------------------------------------------


def make_shelf(shelf: Path, site: Path) -> None:
    """Fill a folder with links to all that is installed here and also on Colab."""
    shelf.mkdir()
    for entry in site.iterdir():
        if not entry.name.lower().startswith(HIDDEN) and entry.suffix != ".pth":
            (shelf / entry.name).symlink_to(entry, target_is_directory=entry.is_dir())


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """A function that runs the bootstrap cell twice in a clean environment, as one kernel would."""
    if os.name == "nt":
        pytest.skip("symbolic links need a privilege on Windows")
    folder = tmp_path_factory.mktemp("colab")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    # venv says where its packages go; pip is found on the shelf, with everything else
    [site] = (folder / "env").glob("lib/python*/site-packages")
    here = Path(pytest.__file__).resolve().parent.parent
    make_shelf(folder / "shelf", here)
    (site / "shelf.pth").write_text(f"{folder / 'shelf'}\n")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    (folder / "cell.py").write_text(notebooks.bootstrap_code(), encoding="utf-8")
    offline = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONNOUSERSITE": "1"}
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | offline

    def run(on_colab: bool) -> dict:
        words = [str(python), "-c", KERNEL, str(folder / "cell.py"), str(wheel)]
        done = subprocess.run(
            [*words, "y" if on_colab else "n"], cwd=folder, env=environment,
            capture_output=True, text=True, encoding="utf-8",
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    run.site = site
    return run


def test_only_colab_installs_the_course_and_only_once(colab):
    elsewhere = colab(on_colab=False)
    assert elsewhere["calls"] == [] and elsewhere["before"] == elsewhere["after"]
    assert elsewhere["errors"] == ["No module named 'derain_edu'"] * 2
    assert {"torch", "numpy", "ipywidgets"} <= elsewhere["before"].keys()  # or nothing is tested
    assert not {"derain-edu", *ONNX, *FOR_A_LAPTOP} & elsewhere["before"].keys()

    there = colab(on_colab=True)
    assert there["errors"] == [None, None]
    [command] = there["calls"]  # of two runs
    assert "--no-deps" in command and not {"--upgrade", "-U", "--force-reinstall"} & set(command)
    new = there["after"].items() - there["before"].items()
    assert dict(new) == {"derain-edu": "0.1.0"}
    assert there["before"].items() <= there["after"].items()  # nothing gone, nothing changed

    # The lesson finds what it needs, inside what was installed.
    assert Path(there["file"]).is_relative_to(colab.site)
    assert there["photo"] == [3, 427, 640] and there["parameters"] == 168_963
    assert there["results"] > 10

    again = colab(on_colab=True)  # a second lesson on the same machine
    assert again["calls"] == [] and again["errors"] == [None, None]


# --- what needs no environment --------------------------------------------------------------


@pytest.mark.parametrize("path", NOTEBOOKS + SOLVED, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_notebook_has_this_bootstrap_cell_and_its_own_colab_link(path):
    cells = nbformat.read(path, 4).cells
    tagged = [cell for cell in cells if "bootstrap" in cell.metadata.get("tags", ())]
    assert [cell.source for cell in tagged] == [notebooks.bootstrap_code()]
    first_code = next(cell for cell in cells if cell.cell_type == "code")
    assert first_code is tagged[0]
    links = re.findall(r"https://colab\.research\.google\.com/[^\s)]+", cells[0].source)
    assert links == [notebooks.colab_url(path.stem, solutions=path in SOLVED)]


def requirements() -> dict[str, str]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)[1]
    return dict(re.findall(r'"([\w-]+)>=([\d.]+)"', block))


def numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def test_the_bounds_admit_what_colab_has():
    bounds = requirements()
    assert bounds.keys() == COLAB.keys() | FOR_A_LAPTOP | ONNX
    assert [n for n in COLAB if numbers(COLAB[n]) < numbers(bounds[n])] == []
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    [python] = re.findall(r'^requires-python = ">=([\d.]+)"$', project, re.MULTILINE)
    assert numbers(python) <= numbers(PYTHON)
    assert numbers("0.9.10") < numbers("0.10")  # compared as numbers, not as text


def bootstrap_packages() -> set[str]:
    """Return what the bootstrap cell installs beside the course, by name."""
    lists = [n for n in ast.walk(ast.parse(notebooks.bootstrap_code())) if isinstance(n, ast.List)]
    words = [word.value for row in lists for word in row.elts if isinstance(word, ast.Constant)]
    return {word for word in words if word not in ("-m", "pip", "install") and word[0] != "-"}


def code_of(source: Path) -> str:
    return "\n\n".join(text for kind, text, _ in notebooks.lesson_cells(source) if kind == "code")


NEED_ONNX = [path for path in SOURCES if re.search(r"onnx", code_of(path))]


def test_the_bootstrap_cell_asks_for_nothing_that_colab_has():
    assert bootstrap_packages() <= ONNX | {"onnx-ir"}


def test_a_lesson_that_exports_finds_onnx_on_colab():
    assert NEED_ONNX
    assert ONNX <= bootstrap_packages()


def imports_of(code: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_lessons_import_only_what_colab_has(source):
    modules = {name if name != "pillow" else "PIL" for name in COLAB}
    allowed = modules | sys.stdlib_module_names | {"derain_edu", "IPython"} | ONNX
    assert imports_of(code_of(source)) - allowed == set()


def test_a_foreign_import_is_found():
    assert imports_of("import a.b as c\ndef f():\n    from d.e import g") == {"a", "d"}


def images_with_alt(code: str) -> list[int]:
    """Return the lines that call ``Image(…, alt=…)``, which IPython 7.34 does not know."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] == "Image"
        and any(word.arg == "alt" for word in node.keywords)
    ]


def test_pictures_are_displayed_in_a_way_that_colab_knows():
    package = {path: path.read_text(encoding="utf-8") for path in ROOT.glob("derain_edu/**/*.py")}
    found = {
        path.name: images_with_alt(code)
        for path, code in (package | {path: code_of(path) for path in SOURCES}).items()
    }
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_an_image_with_alt_is_found():
    assert images_with_alt("display(Image(data=x, alt='a'))\nImage(metadata={'alt': 'a'})") == [1]
