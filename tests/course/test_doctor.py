"""The doctor finds each illness that the test provokes, and says what to do about it."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import psutil
import pytest
import torch

from derain_edu.course import doctor
from derain_edu.models.pretrained import open_weights_folder


@pytest.fixture(autouse=True)
def _not_on_colab(monkeypatch):
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.fixture
def colab(monkeypatch):
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab")


def problems(topic: str) -> list[doctor.ReportLine]:
    """Return the problems of one check; each must come with advice."""
    found = [finding for finding in doctor.CHECKS[topic]() if finding.state == "problem"]
    assert all(finding.advice for finding in found)
    return found


def test_a_healthy_machine_has_no_problem_and_every_topic():
    healthy = {"python", "course", "packages", "loading", "device", "photos", "weights"}
    for topic in healthy:
        findings = list(doctor.CHECKS[topic]())
        assert findings and not [f for f in findings if f.state == "problem"], findings
    assert healthy < doctor.CHECKS.keys()


# --- python and the course ------------------------------------------------------------------


def test_python_too_old(monkeypatch):
    monkeypatch.setattr(doctor, "OLDEST_PYTHON", (99, 1))
    [finding] = problems("python")
    assert "install Python 99.1 or newer, and" in finding.advice
    assert sys.executable in finding.found


def test_python_of_32_bits(monkeypatch):
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    [finding] = problems("python")
    assert "or newer and 64 bits" in finding.advice


def test_python_of_the_system(monkeypatch):
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    [finding] = doctor.check_python()
    assert finding.state == "note" and "virtual environment" in finding.advice
    monkeypatch.setenv("COLAB_RELEASE_TAG", "x")  # nobody makes an environment there
    assert next(doctor.check_python()).state == "ok"


def test_where_the_course_is(monkeypatch, tmp_path):
    [finding] = doctor.check_course()
    assert "a clone" in finding.found and "Colab" not in finding.found
    monkeypatch.setattr(doctor, "in_checkout", lambda: False)
    monkeypatch.setenv("COLAB_RELEASE_TAG", "x")
    [finding] = doctor.check_course()
    assert "installed in" in finding.found and "on Google Colab" in finding.found
    monkeypatch.setattr(doctor, "lesson_names", lambda: [])
    [finding] = problems("course")
    assert "0 lessons" in finding.found and finding.advice == doctor.REINSTALL


def test_colab_is_known_by_its_kernel_too(monkeypatch):
    assert not doctor.on_colab()
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace())
    assert doctor.on_colab()


# --- packages -------------------------------------------------------------------------------


def test_the_course_itself_is_not_installed(monkeypatch):
    def unknown(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "requires", unknown)
    [finding] = problems("packages")
    assert "derain-edu itself" in finding.found and '--editable "."' in finding.advice


WANTED = ["torch>=2.6", "numpy>=1.26", "nbval>=0.11", "pytest>=8.0; extra == 'dev'"]


@pytest.mark.parametrize(
    ("here", "found", "advice"),
    [
        ({"torch": "2.6.0+cpu", "numpy": "1.26.4", "nbval": "0.11"}, None, None),
        ({"torch": "2.10.1", "numpy": "2.0.0rc1", "nbval": "0.11"}, None, None),
        ({"torch": "2.5.9", "numpy": "1.26.4", "nbval": "1"},
         "too old: torch 2.5.9 (needs 2.6)", '--upgrade "torch>=2.6"'),
        ({"torch": "2.5.9", "nbval": "1"},
         "missing: numpy>=1.26; too old: torch 2.5.9 (needs 2.6)",
         '--upgrade "torch>=2.6" "numpy>=1.26"'),
    ],
)
def test_packages_against_their_bounds(monkeypatch, here, found, advice):
    def version(name):
        if name not in here:
            raise PackageNotFoundError(name)
        return here[name]

    monkeypatch.setattr(doctor, "requires", lambda name: WANTED)
    monkeypatch.setattr(doctor, "version", version)
    if found is None:
        [finding] = doctor.check_packages()
        assert finding.state == "ok" and f"torch=={here['torch']}" in finding.found
    else:
        [finding] = problems("packages")
        assert finding.found == found and finding.advice.endswith(advice)


def test_colab_lacks_what_it_does_not_need(monkeypatch, colab):
    def version(name):
        if name != "torch":
            raise PackageNotFoundError(name)
        return "2.11.0+cu128"

    monkeypatch.setattr(doctor, "version", version)
    monkeypatch.setattr(doctor, "requires", lambda name: ["torch>=2.6", "nbval>=0.11"])
    note, fine = doctor.check_packages()
    assert note.state == "note" and "nbval" in note.found and fine.state == "ok"
    monkeypatch.setattr(doctor, "requires", lambda name: ["nbval>=0.11", "onnx>=1.17"])
    [finding] = problems("packages")
    assert finding.found == "missing: onnx>=1.17" and "nbval" not in finding.advice


@pytest.mark.parametrize(
    ("error", "found", "advice"),
    [
        (OSError("[WinError 126] c10.dll\nmore"), "torch does not load: OSError: [WinError 126]",
         "--force-reinstall torch"),
        (RuntimeError(""), "torch does not load: RuntimeError", "--force-reinstall torch"),
        (ModuleNotFoundError("No module named 'sympy'", name="sympy"), "torch: No module",
         "pip install sympy"),
    ],
)
def test_a_package_that_does_not_load(monkeypatch, error, found, advice):
    def load(name):
        if name == "torch":
            raise error

    monkeypatch.setattr(doctor, "import_module", load)
    monkeypatch.setattr(sys, "platform", "linux")
    [finding] = problems("loading")
    assert finding.found.startswith(found) and finding.advice.endswith(advice)
    rest = [f for f in doctor.check_loading() if f.state == "ok"]
    assert [f.found for f in rest] == ["numpy, torchvision, numba, onnxruntime can be imported"]
    monkeypatch.setattr(sys, "platform", "win32")
    [finding] = problems("loading")
    assert ("Visual C++" in finding.advice) == ("reinstall" in advice)


def test_a_package_that_is_missing_is_reported_once(monkeypatch):
    def load(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(doctor, "import_module", load)
    assert problems("loading") == []  # check_packages says it
    assert "nothing can be imported" in next(doctor.check_loading()).found


# --- the machine ----------------------------------------------------------------------------


@pytest.fixture
def cpu_only(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(doctor.os, "cpu_count", lambda: 8)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)


def test_a_cpu_with_all_its_threads(cpu_only):
    [finding] = doctor.check_device()
    assert finding.state == "ok"
    assert finding.found == f"cpu: 8 threads of 8 cores; torch {torch.__version__}"


def test_a_gpu_that_pytorch_does_not_see(cpu_only, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", {"nvidia-smi": "/usr/bin/nvidia-smi"}.get)
    _, finding = doctor.check_device()
    assert finding.state == "note" and "CUDA build" in finding.advice


def test_a_gpu_of_apple(cpu_only, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    _, finding = doctor.check_device()
    assert finding.state == "note" and "--device mps" in finding.advice


def test_few_threads(cpu_only, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    _, finding = doctor.check_device()
    assert finding.found == "3 of 8 cores are used" and finding.advice == ""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    _, finding = doctor.check_device()
    assert "unset OMP_NUM_THREADS" in finding.advice


@pytest.mark.parametrize(("free", "state"), [(1.4, "problem"), (1.6, "ok")])
def test_memory(monkeypatch, free, state):
    memory = SimpleNamespace(available=free * 2**30, total=8 * 2**30)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    [finding] = doctor.check_memory()
    assert finding.state == state and f"{free} of 8.0 GiB" in finding.found
    assert ("--tile 256" in finding.advice) == (state == "problem")


def test_a_full_disk(monkeypatch, empty_cache):
    assert next(doctor.check_cache()).state == "ok"
    usage = SimpleNamespace(free=0.25 * 2**30)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage)
    finding = next(doctor.check_cache())
    assert finding.state == "note" and "only 0.25 GiB free" in finding.found
    assert str(empty_cache) in finding.found


# --- photos and weights ---------------------------------------------------------------------


def test_a_damaged_photo(monkeypatch, tmp_path):
    from derain_edu.datasets import photos

    right, wrong = photos.photo_path, tmp_path / "wrong.png"
    wrong.write_bytes(right("china").read_bytes()[:100])
    files = {"china": wrong, "rocket": tmp_path / "gone.png"}
    monkeypatch.setattr(photos, "photo_path", lambda name: files.get(name) or right(name))
    [finding] = problems("photos")
    assert "2 of 251 can't be read: china, rocket" in finding.found


def test_damaged_weights(monkeypatch, tmp_path):
    for name in ("prenet", "spanet"):
        shutil.copy(open_weights_folder() / f"{name}.safetensors", tmp_path)
    monkeypatch.setattr("derain_edu.models.pretrained.open_weights_folder", lambda: tmp_path)
    assert problems("weights") == []
    whole = (tmp_path / "spanet.safetensors").read_bytes()
    (tmp_path / "spanet.safetensors").write_bytes(whole[:-1000])
    [finding] = problems("weights")
    assert "spanet.safetensors is damaged" in finding.found


# --- jupyter and the browser ----------------------------------------------------------------


def test_no_kernel(monkeypatch):
    import jupyter_client.kernelspec as kernels

    def none(self, name):
        raise kernels.NoSuchKernel(name)

    monkeypatch.setattr(kernels.KernelSpecManager, "get_kernel_spec", none)
    [finding] = problems("jupyter")
    assert "no kernel python3" in finding.found and "ipykernel install" in finding.advice


def test_no_sliders(monkeypatch, tmp_path):
    part = tmp_path / "@jupyter-widgets" / "jupyterlab-manager"
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda name: [str(tmp_path)])
    [finding] = problems("sliders")
    assert "jupyterlab_widgets" in finding.advice
    part.mkdir(parents=True)
    (part / "package.json").write_text("{}")
    assert next(doctor.check_sliders()).state == "ok"


def test_colab_has_a_notebook_of_its_own(colab):
    assert [f.state for f in (*doctor.check_jupyter(), *doctor.check_sliders())] == ["ok"]


def test_the_browser_is_optional(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    [finding] = doctor.check_browser()
    assert finding.state == "note" and "skipped" in finding.found
    monkeypatch.setattr(doctor.shutil, "which", {"google-chrome": "/opt/chrome"}.get)
    [finding] = doctor.check_browser()
    assert finding.state == "ok" and "/opt/chrome" in finding.found


# --- the report -----------------------------------------------------------------------------


def test_long_findings_are_wrapped_but_not_paths():
    path = os.sep.join(["folder"] * 20)
    text = str(doctor.ReportLine("problem", "here", f"{'word ' * 40}{path}", "do " * 40))
    lines = text.splitlines()
    assert path in text and all(len(line) <= 100 for line in lines if path not in line)
    assert lines[0].startswith("[!!]   here       word") and len(lines) == 6
    assert all(line.startswith(" " * 18) for line in lines[1:])
    assert sum(line.strip().startswith("->") for line in lines) == 1
