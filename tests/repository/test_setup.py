"""The project as a whole: photos, packaging, JupyterLab's start, the headless course."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from derain_edu.course import lab, notebooks, run
from derain_edu.course.run import run_course
from derain_edu.datasets.photos import SPLITS
from derain_edu.errors import DerainError

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = ROOT / "data" / "photos"


# --- photos ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photo_rows() -> list[dict[str, str]]:
    with open(PHOTOS / "photos.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_photo_list_agrees_with_the_files(photo_rows):
    files = {path.name for path in PHOTOS.iterdir()} - {"photos.csv", "ATTRIBUTION.md"}
    assert files == {row["file"] for row in photo_rows} and len(files) == len(photo_rows) == 251
    for row in photo_rows:
        with Image.open(PHOTOS / row["file"]) as picture:
            assert picture.size == (int(row["width"]), int(row["height"]))
            assert max(picture.size) <= 1024 and picture.mode in ("RGB", "L")
        assert row["name"] == Path(row["file"]).stem
        assert row["licence"] and row["author"] and row["source"] and row["changes"]
        assert row["split"] in SPLITS
    assert sum((PHOTOS / name).stat().st_size for name in files) < 17_000_000


def test_every_photo_is_attributed(photo_rows):
    text = (PHOTOS / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for row in photo_rows:
        [line] = [line for line in text.splitlines() if f"| [{row['file']}]" in line]
        assert row["author"] in line and row["source"] in line and row["changes"] in line
        assert row["licence"].replace("-", " ") in line.replace("-", " ")
    assert {row["licence"] for row in photo_rows} == {
        "CC0-1.0", "public domain", "CC-BY-2.0", "CC-BY-3.0", "CC-BY-4.0",
        "CC-BY-SA-2.0", "CC-BY-SA-2.5", "CC-BY-SA-3.0", "CC-BY-SA-3.0-PL", "CC-BY-SA-4.0",
    }  # fmt: skip


def test_no_scene_is_in_two_splits(photo_rows):
    """Tiny grey versions of two photos of one scene would correlate strongly."""
    tiny = []
    for row in photo_rows:
        with Image.open(PHOTOS / row["file"]) as picture:
            small = np.asarray(picture.convert("L").resize((16, 16)), dtype=float)
        tiny.append(((small - small.mean()) / small.std()).ravel())
    likeness = np.corrcoef(tiny) - np.eye(len(tiny))
    splits = np.array([row["split"] for row in photo_rows])
    across = splits[:, None] != splits[None, :]
    assert likeness[across].max() < 0.9
    noisy = tiny[0] + 0.3 * np.random.default_rng(0).standard_normal(256)
    assert np.corrcoef(tiny[0], noisy)[0, 1] > 0.9  # the threshold would find a noisy copy


# --- packaging ------------------------------------------------------------------------------


def requirement_lines(section: str) -> list[str]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(rf"^{section} = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    return re.findall(r'"([^"]+)"', block[1])


# On conda-forge, torch and playwright are other things (the latter is the one for Node.js).
CONDA_NAMES = {"torch": "pytorch", "playwright": "playwright-python"}


def test_environment_yml_agrees_with_pyproject():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    conda = set(re.findall(r"^  - ([a-z][\w-]*>=[\d.]+)$", text, re.MULTILINE))
    pip = set()
    for line in requirement_lines("dependencies") + requirement_lines("dev"):
        name, least = line.split(">=")
        pip.add(f"{CONDA_NAMES.get(name, name)}>={least}")
    python = re.search(r'requires-python = "(.+)"', (ROOT / "pyproject.toml").read_text())
    assert conda == pip | {f"python{python[1]}"}


def test_bounds_are_lower_bounds():
    lines = requirement_lines("dependencies") + requirement_lines("dev")
    assert len(lines) > 20
    assert [line for line in lines if not re.fullmatch(r"[a-z][\w-]*>=[\d.]+", line)] == []


def test_a_bare_import_needs_the_standard_library_only():
    """On Colab the package is installed without its requirements: imports must be lazy."""
    script = (
        "import sys; before = set(sys.modules); import derain_edu; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new - set(sys.stdlib_module_names) - {'derain_edu'}))"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert shown.stdout.strip() == "[]", shown.stdout + shown.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [path] = target.glob("*.whl")
    return path


def files_below(folder: Path, *suffixes: str) -> set[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix in suffixes)
    return {path.as_posix() for path in found if ".ipynb_checkpoints" not in path.parts}


def test_the_wheel_is_complete(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    package = files_below(ROOT / "derain_edu", ".py", ".j2", ".json", ".csv", ".safetensors")
    photos = {f"data/{name}" for name in files_below(ROOT / "data", ".csv", ".json", ".md")}
    photos |= {f"data/photos/{name}" for name in files_below(PHOTOS, ".png", ".jpg")}
    notebooks = {f"notebooks/{name}" for name in files_below(ROOT / "notebooks", ".ipynb")}
    expected = {f"derain_edu/{name}" for name in package | photos | notebooks}
    assert len(photos) >= 25 and notebooks
    assert expected - inside == set()
    code = {name for name in inside if not name.startswith("derain_edu/data/photos/")}
    unwanted = {n for n in code if re.search(r"notebooks/.*\.py$|\.pyc$|tests/|\.pth$", n)}
    assert unwanted == set()


def test_the_wheel_works_outside_the_repository(wheel, tmp_path):
    """Unpacked elsewhere it finds its photos, and gives a student a folder of lessons."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    script = (
        "from pathlib import Path\n"
        "import derain_edu.course.lab as c, derain_edu.datasets.photos as p\n"
        "print(p.__file__, len(p.photo_names()), p.load_photo('china').shape)\n"
        "print(c.in_checkout(), c.copy_lessons(Path('derain-edu-course')))\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
    )
    assert shown.returncode == 0, shown.stderr
    assert str(tmp_path) in shown.stdout and " 251 torch.Size([3, 427, 640])" in shown.stdout
    assert "False []" in shown.stdout
    copied = {path.name for path in (tmp_path / "derain-edu-course").rglob("*.ipynb")}
    assert copied == {f"{name}.ipynb" for name in notebooks.lesson_names()} and copied
    solved = notebooks.lesson_names(tmp_path / "derain-edu-course" / "solutions")
    assert solved == notebooks.lesson_names(ROOT / "notebooks" / "solutions") and solved


# --- commands for make and CI ---------------------------------------------------------------


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_installs_again_only_after_a_change(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / ".venv").mkdir()

    def plan() -> str:
        command = ["make", "--dry-run", "lab", "TORCH_INDEX=https://example.org/cpu"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout

    first = plan()
    assert "pip install" in first and "-m derain_edu lab" in first
    assert first.index("--index-url https://example.org/cpu") < first.index("--editable")
    (tmp_path / ".venv" / ".installed").touch()
    assert "pip install" not in plan() and "-m derain_edu lab" in plan()
    later = time.time() + 10
    os.utime(tmp_path / "pyproject.toml", (later, later))
    assert "pip install" in plan()


@pytest.mark.skipif(os.name == "nt", reason="a POSIX file mode and bash")
def test_ci_run_is_a_runnable_script():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert "make test" in script.read_text(encoding="utf-8")


# --- JupyterLab -----------------------------------------------------------------------------


def test_lab_arguments(tmp_path):
    plain = lab.lab_arguments(tmp_path, "notebooks/00 a.ipynb", port=1234)
    assert "--ServerApp.ip=127.0.0.1" in plain and "--ServerApp.port=1234" in plain
    assert "--LabApp.default_url=/lab/tree/notebooks/00%20a.ipynb" in plain
    assert f"--ServerApp.root_dir={tmp_path}" in plain
    assert not [word for word in plain if "token" in word or "root=" in word or "browser" in word]
    bare = lab.lab_arguments(tmp_path, "a.ipynb", browser=False, as_root=True)
    assert set(bare) - set(lab.lab_arguments(tmp_path, "a.ipynb")) == {
        "--no-browser", "--allow-root"
    }


def test_lab_environment_keeps_the_token_on_and_adds_the_settings():
    result = lab.lab_environment({"JUPYTER_TOKEN": "", "JUPYTER_CONFIG_PATH": "mine", "A": "1"})
    assert "JUPYTER_TOKEN" not in result and result["A"] == "1"
    ours, mine = result["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert mine == "mine"
    settings = Path(ours) / "labconfig" / "default_setting_overrides.json"
    assert "@jupyterlab/apputils-extension:notification" in json.loads(settings.read_text())
    assert lab.lab_environment({"JUPYTER_TOKEN": "secret"})["JUPYTER_TOKEN"] == "secret"


def test_a_browser_needs_a_display_on_linux(monkeypatch):
    monkeypatch.setattr(lab.webbrowser, "get", lambda: object())
    assert not lab.has_browser("linux", {})
    assert lab.has_browser("linux", {"WAYLAND_DISPLAY": "wayland-0"})
    assert lab.has_browser("win32", {}) and lab.has_browser("darwin", {})

    def none():
        raise lab.webbrowser.Error("no browser")

    monkeypatch.setattr(lab.webbrowser, "get", none)
    assert not lab.has_browser("win32", {})


def test_an_edited_lesson_is_never_overwritten(tmp_path):
    target = tmp_path / "course"
    assert lab.copy_lessons(target) == []
    name = notebooks.lesson_names()[0]
    notebook = nbformat.read(target / f"{name}.ipynb", 4)
    notebook.cells.append(nbformat.v4.new_code_cell("my = 'own'"))
    nbformat.write(notebook, target / f"{name}.ipynb")
    before = (target / f"{name}.ipynb").read_bytes()
    assert lab.copy_lessons(target) == [name]
    assert (target / f"{name}.ipynb").read_bytes() == before


def test_find_lesson():
    name = notebooks.lesson_names()[0]
    assert {notebooks.find_lesson(given) for given in ("0", "00", name)} == {name}
    with pytest.raises(DerainError, match="no lesson '77'"):
        notebooks.find_lesson("77")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetch(url: str) -> tuple[int, str]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


@pytest.fixture
def running_lab(tmp_path):
    """JupyterLab as `derain-edu lab` starts it; yields what it printed up to its address."""
    start = f"from derain_edu.course.lab import lab; lab(port={free_port()}, browser=False)"
    log = tmp_path / "log"
    folders = {name: str(tmp_path) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")}
    with open(log, "w") as file:
        server = subprocess.Popen(
            [sys.executable, "-c", start], stdout=file, stderr=subprocess.STDOUT,
            env={**os.environ, **folders, "JUPYTER_TOKEN": ""},
        )
    try:
        patience = time.monotonic() + 300  # a busy machine may need minutes to import it all
        while "?token=" not in log.read_text() and server.poll() is None:
            assert time.monotonic() < patience, log.read_text()
            time.sleep(0.1)
        yield log.read_text()
    finally:
        server.terminate()
        server.wait(timeout=120)


def test_lab_starts_for_this_machine_only_and_with_a_token(running_lab):
    address = re.search(r"http://127\.0\.0\.1:(\d+)(/lab/tree/\S+)\?token=(\w+)", running_lab)
    assert address, running_lab
    port, path, token = address.groups()
    base = f"http://127.0.0.1:{port}"
    assert path == f"/lab/tree/notebooks/{notebooks.lesson_names()[0]}.ipynb"
    assert "open the http address below" in running_lab

    assert fetch(f"{base}{path}?token={token}")[0] == 200
    assert fetch(f"{base}/api/contents/notebooks")[0] == 403
    assert fetch(f"{base}/api/contents/notebooks?token=wrong")[0] == 403

    _, settings = fetch(
        f"{base}/lab/api/settings/@jupyterlab/apputils-extension:notification?token={token}"
    )
    assert json.loads(settings)["schema"]["properties"]["fetchNews"]["default"] == "false"

    source = f"notebooks/{notebooks.lesson_names(suffix='.py')[0]}.py"
    _, text = fetch(f"{base}/api/contents/{source}?type=notebook&token={token}")
    assert json.loads(text)["type"] == "notebook"  # jupytext opens a .py as a notebook
    _, text = fetch(f"{base}/lab/api/extensions?token={token}")
    assert "jupyterlab-jupytext" in text


# --- the headless course --------------------------------------------------------------------


@pytest.fixture
def two_lessons(tmp_path, monkeypatch) -> Path:
    """A folder with a lesson that holds 200 MiB for a while, and one that fails."""
    # Memory is sampled ten times a second: it must be there for longer than that to be seen.
    good = "import time\ndata = bytearray(b'x') * (200 << 20)\ntime.sleep(2)\nlen(data)"
    code = {"00_good": good, "01_bad": "1 / 0"}
    for name, text in code.items():
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text)])
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    monkeypatch.setattr(run, "lesson_folder", lambda: tmp_path)
    monkeypatch.setattr(notebooks, "lesson_folder", lambda: tmp_path)
    return tmp_path


def test_run_course_reports_time_memory_and_result(two_lessons, capsys):
    began = time.perf_counter()
    good, bad = run_course(out=two_lessons / "out")
    whole = time.perf_counter() - began
    assert good.error is None and bad.error == "ZeroDivisionError: division by zero"
    assert 200 < good.peak_mib < 1000 and good.peak_mib - bad.peak_mib > 100
    assert good.seconds > 2  # its cell sleeps so long
    assert 0 < bad.seconds and good.seconds + bad.seconds < whole
    shown = capsys.readouterr().out
    assert re.search(r"^00_good +\d+\.\d\d +\d+ MiB  ok$", shown, re.MULTILINE)
    assert re.search(r"^01_bad .*ZeroDivisionError: division by zero$", shown, re.MULTILINE)
    assert "1 of 2 lessons ran through" in shown
    executed = nbformat.read(two_lessons / "out" / "00_good.ipynb", 4)
    assert executed.cells[0].outputs[0].data["text/plain"] == str(200 << 20)
    assert "ZeroDivisionError" in (two_lessons / "out" / "01_bad.html").read_text(encoding="utf-8")
    assert not nbformat.read(two_lessons / "00_good.ipynb", 4).cells[0].outputs


def test_run_course_takes_numbers_and_refuses_unknown_ones(two_lessons, capsys):
    assert [run.name for run in run_course(only=["0"])] == ["00_good"]
    with pytest.raises(DerainError, match="no lesson '9'"):
        run_course(only=["9"])
