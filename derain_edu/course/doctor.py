"""``derain-edu doctor``: what was found on this machine, and what to do about each problem."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from derain_edu import __version__
from derain_edu.course.notebooks import lesson_folder, lesson_names
from derain_edu.errors import DerainError
from derain_edu.files import PACKAGE, in_checkout
from derain_edu.language import local

MARKS = {"ok": "[ok]  ", "note": "[note]", "problem": "[!!]  "}
WIDTH, INDENT = 100, 18  # of the report, and of what stands below its first line
OLDEST_PYTHON = (3, 10)
PRENET_MEMORY = 1.0  # GiB that PReNet takes with the default tile, Python and PyTorch included
NOT_ON_COLAB = ("jupyterlab", "nbval")  # it has a notebook of its own, and nobody tests there
COMPILED = ("numpy", "torch", "torchvision", "numba", "onnxruntime")  # may be here and yet not load
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
REINSTALL = "install derain-edu again, or work in a full clone of the repository"


@dataclass(frozen=True)
class ReportLine:
    """One line of the report.

    Attributes
    ----------
    state : str
        ``"ok"``, ``"note"`` (fine, but worth knowing) or ``"problem"`` (something will not work).
    topic : str
        What was looked at, such as ``"packages"``.
    found : str
        What is there.
    advice : str, default ""
        What to do about it.
    """

    state: str
    topic: str
    found: str
    advice: str = ""

    def __str__(self) -> str:
        below = " " * INDENT
        lines = [_wrap(local(self.found), f"{MARKS[self.state]} {self.topic:<10} ", below)]
        if self.advice:
            lines.append(_wrap(local(self.advice), f"{below}-> ", f"{below}   "))
        return "\n".join(lines)


def _wrap(text: str, first: str, below: str) -> str:
    """Break a long text at its spaces; a path or an address stays in one piece."""
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=below,
        break_long_words=False, break_on_hyphens=False,
    )


def examine() -> Iterator[ReportLine]:
    """Yield what was found, topic by topic; a check that fails gives one, too."""
    for topic, check in CHECKS.items():
        try:
            yield from check()
        except DerainError as error:
            yield ReportLine("problem", topic, str(error))
        except Exception as error:  # noqa: BLE001 - the doctor must survive every illness
            found = f"the check itself failed: {type(error).__name__}: {error}"
            yield ReportLine("problem", topic, found, "install derain-edu in a fresh environment")


def on_colab() -> bool:
    """Say whether this is Google Colab: its kernel, or a shell beside it."""
    return "google.colab" in sys.modules or "COLAB_RELEASE_TAG" in os.environ


def _pip(words: str) -> str:
    return f"run {Path(sys.executable).name} -m pip install {words}"


def check_python() -> Iterator[ReportLine]:
    """The interpreter, and whether it has an environment of its own."""
    found = f"{platform.python_version()} on {platform.system()}, {sys.executable}"
    apart = sys.prefix != sys.base_prefix or "CONDA_PREFIX" in os.environ or on_colab()
    if sys.version_info[:2] < OLDEST_PYTHON or sys.maxsize < 2**32:
        bits = " and 64 bits" if sys.maxsize < 2**32 else ""
        advice = f"install Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer{bits}"
        yield ReportLine("problem", "python", found, f"{advice}, and the course in it")
    elif not apart:
        advice = "a virtual environment keeps the course's packages apart: make lab makes one"
        yield ReportLine("note", "python", found, advice)
    else:
        yield ReportLine("ok", "python", found)


def check_course() -> Iterator[ReportLine]:
    """Where the course stands: in a clone, in a wheel, on Colab; and whether it is whole."""
    place = f"a clone, {PACKAGE.parent}" if in_checkout() else f"installed in {PACKAGE}"
    names = lesson_names()
    found = f"derain_edu {__version__}, {place}, {len(names)} lessons"
    if on_colab():
        found += ", on Google Colab"
    if not names:
        yield ReportLine("problem", "course", f"{found} in {lesson_folder()}", REINSTALL)
    else:
        yield ReportLine("ok", "course", found)


def check_packages() -> Iterator[ReportLine]:
    """What pyproject.toml asks for, and what is there."""
    try:
        wanted = [line for line in requires("derain-edu") or [] if "extra ==" not in line]
    except PackageNotFoundError:
        advice = _pip('--editable "." in the clone')
        yield ReportLine("problem", "packages", "derain-edu itself is not installed", advice)
        return
    here, missing, old = _compare_versions(wanted)
    skipped = [line for line in missing if on_colab() and line.startswith(NOT_ON_COLAB)]
    lacking = [line for line in missing if line not in skipped]
    if skipped:
        found = f"not on Colab, and not needed there: {', '.join(skipped)}"
        yield ReportLine("note", "packages", found)
    if lacking or old:
        parts = [f"missing: {', '.join(lacking)}"] * bool(lacking)
        parts += [f"too old: {', '.join(old.values())}"] * bool(old)
        names = " ".join(f'"{line}"' for line in wanted if line in lacking or line in old)
        yield ReportLine("problem", "packages", "; ".join(parts), _pip(f"--upgrade {names}"))
    else:
        yield ReportLine("ok", "packages", f"all {len(here)} are here: {', '.join(here)}")


def _compare_versions(wanted: list[str]) -> tuple[list[str], list[str], dict[str, str]]:
    """Return name==version of what is here, what is missing, and what is older than its bound."""
    here, missing, old = [], [], {}
    for line in wanted:
        name, _, least = line.partition(">=")
        try:
            there = version(name)
        except PackageNotFoundError:
            missing.append(line)
            continue
        here.append(f"{name}=={there}")
        if _numbers(there) < _numbers(least):
            old[line] = f"{name} {there} (needs {least})"
    return here, missing, old


def _numbers(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: "2.6.0+cpu" to (2, 6, 0)."""
    numbers = []
    for part in text.split("+")[0].split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def check_loading() -> Iterator[ReportLine]:
    """Whether the compiled packages load: on Windows a system library may be missing."""
    loaded = []
    for name in COMPILED:
        try:
            import_module(name)
            loaded.append(name)
        except ModuleNotFoundError as error:
            if error.name != name:  # the package is here, and something that it needs is not
                yield ReportLine("problem", "loading", f"{name}: {error}", _pip(f"{error.name}"))
        except Exception as error:  # noqa: BLE001 - an ImportError, an OSError, a RuntimeError …
            reason = next(iter(str(error).strip().splitlines()), "")
            advice = _pip(f"--force-reinstall {name}")
            if sys.platform == "win32":
                advice += "; if that does not help: the Microsoft Visual C++ Redistributable (x64)"
            found = f"{name} does not load: {type(error).__name__}: {reason}"
            yield ReportLine("problem", "loading", found, advice)
    yield ReportLine("ok", "loading", f"{', '.join(loaded) or 'nothing'} can be imported")


def check_loops() -> Iterator[ReportLine]:
    """Where numba keeps the compiled sweeps of SPANet."""
    try:
        from derain_edu.models.irnn_numba import kept_in
    except ImportError:
        return  # numba is missing or broken, which is said above

    folder = kept_in()
    if folder is None:
        found = "SPANet's are compiled anew in each program, which takes some seconds"
        advice = "set NUMBA_CACHE_DIR to a folder that you may write to"
        yield ReportLine("note", "loops", found, advice)
    else:
        yield ReportLine("ok", "loops", f"SPANet's are kept in {folder}")


def check_device() -> Iterator[ReportLine]:
    """Where the networks will run, and with how many threads."""
    import torch

    from derain_edu.devices import choose_device, describe_device

    device = choose_device()
    yield ReportLine("ok", "device", f"{describe_device(device)}; torch {torch.__version__}")
    if device.type == "cpu" and shutil.which("nvidia-smi"):
        advice = "install the CUDA build of PyTorch (pytorch.org) to use the GPU"
        found = "there is an NVIDIA driver, but PyTorch has no GPU"
        yield ReportLine("note", "device", found, advice)
    if device.type == "cpu" and torch.backends.mps.is_available():
        advice = "optional: --device mps, or de.choose_device('mps'); not every lesson can use it"
        found = "there is an Apple GPU; the course takes the CPU"
        yield ReportLine("note", "device", found, advice)
    threads, cores = torch.get_num_threads(), os.cpu_count() or 1
    if device.type == "cpu" and threads < cores / 2:
        limited = "OMP_NUM_THREADS" in os.environ
        advice = "unset OMP_NUM_THREADS to use more of them" if limited else ""
        yield ReportLine("note", "threads", f"{threads} of {cores} cores are used", advice)


def check_memory() -> Iterator[ReportLine]:
    """Free memory."""
    import psutil

    memory = psutil.virtual_memory()
    free, total = memory.available / 2**30, memory.total / 2**30
    found = f"{free:.1f} of {total:.1f} GiB free"
    if free < 1.5 * PRENET_MEMORY:
        advice = "close other programs, or derain with --tile 256"
        yield ReportLine("problem", "memory", found, advice)
    else:
        yield ReportLine("ok", "memory", found)


def check_cache() -> Iterator[ReportLine]:
    """The cache folder, and how much of each set is in it."""
    from derain_edu.datasets.download import SETS, cache_folder, cached_files, read_manifest

    folder = cache_folder()
    above = next(path for path in (folder, *folder.parents) if path.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        advice = "set DERAIN_EDU_CACHE to a folder that you may write to"
        yield ReportLine("problem", "cache", f"{folder} can't be written", advice)
    else:
        free = shutil.disk_usage(above).free / 2**30
        low = ReportLine("note", "cache", f"{folder}, only {free:.2f} GiB free", "free some space")
        yield ReportLine("ok", "cache", f"{folder}, {free:.0f} GiB free") if free > 0.5 else low
    for name in SETS:
        here, total = len(cached_files(name)), len(read_manifest(name))
        found = f"{name}: {here} of {total} files"
        advice = f"optional, research use only: derain-edu download {name}"
        complete = here == total
        yield ReportLine("ok" if complete else "note", "cache", found, "" if complete else advice)


def check_photos() -> Iterator[ReportLine]:
    """The bundled photos: all there, and readable."""
    from derain_edu.datasets.photos import load_photo, photo_names

    damaged = []
    for name in photo_names():
        try:
            load_photo(name)
        except OSError:  # it is missing, or no picture
            damaged.append(name)
    if damaged:
        found = f"{len(damaged)} of {len(photo_names())} can't be read: {', '.join(damaged)}"
        yield ReportLine("problem", "photos", found, REINSTALL)
    else:
        yield ReportLine("ok", "photos", f"{len(photo_names())} photos, all readable")


def check_weights() -> Iterator[ReportLine]:
    """The course's own weights, and one small run with them."""
    import torch
    from safetensors import SafetensorError, safe_open

    from derain_edu.models import create_model
    from derain_edu.models.pretrained import open_weights_folder

    files = sorted(open_weights_folder().glob("*.safetensors"))
    for path in files:
        try:
            with safe_open(path, framework="pt"):
                pass
        except (OSError, SafetensorError) as error:
            yield ReportLine("problem", "weights", f"{path.name} is damaged: {error}", REINSTALL)
            return
    names = [path.stem for path in files]
    if "prenet" not in names:
        found = f"no weights of prenet in {open_weights_folder()}"
        yield ReportLine("problem", "weights", found, REINSTALL)
        return
    model = create_model("prenet", pretrained="open")
    began = time.perf_counter()
    with torch.inference_mode():
        model(torch.rand(1, 3, 128, 128))
    seconds = time.perf_counter() - began
    found = f"open: {', '.join(names)}; prenet takes {seconds:.2f} s for 128×128 pixels"
    yield ReportLine("ok", "weights", found)


def check_jupyter() -> Iterator[ReportLine]:
    """Whether the kernel python3, which the notebooks ask for, is this Python."""
    if on_colab():
        yield ReportLine("ok", "jupyter", "Colab's own notebook")
        return
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    advice = f"run {Path(sys.executable).name} -m ipykernel install --sys-prefix"
    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        yield ReportLine("problem", "jupyter", "there is no kernel python3", advice)
        return
    program = spec.argv[0]
    if program in ("python", "python3"):  # Jupyter takes these words as "the Python I run in"
        program = sys.executable
    found = f"kernel python3 runs {program}"
    # Folders are compared, not files: every virtual environment links to the same Python.
    if Path(program).absolute().parent == Path(sys.executable).absolute().parent:
        yield ReportLine("ok", "jupyter", found)
    else:
        yield ReportLine("problem", "jupyter", f"{found}, not {sys.executable}", advice)


def check_sliders() -> Iterator[ReportLine]:
    """Whether JupyterLab has the part that draws sliders."""
    if on_colab():
        return
    from jupyter_core.paths import jupyter_path

    part = Path("@jupyter-widgets", "jupyterlab-manager", "package.json")
    if any((Path(folder) / part).is_file() for folder in jupyter_path("labextensions")):
        yield ReportLine("ok", "sliders", "JupyterLab can draw them")
    else:
        advice = _pip("--force-reinstall jupyterlab_widgets, and reload the page")
        yield ReportLine("problem", "sliders", "JupyterLab will show text in their place", advice)


def find_browser() -> str | None:
    """Return the path of a Chromium on this machine, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def check_browser() -> Iterator[ReportLine]:
    """A Chromium for the browser tests; the course itself runs in any browser."""
    path = find_browser()
    if path is None:
        found = "no Chromium: the browser tests are skipped (the course needs none)"
        yield ReportLine("note", "browser", found)
    else:
        yield ReportLine("ok", "browser", f"{path}, for the browser tests")


CHECKS: dict[str, Callable[[], Iterator[ReportLine]]] = {
    "python": check_python,
    "course": check_course,
    "packages": check_packages,
    "loading": check_loading,
    "loops": check_loops,
    "device": check_device,
    "memory": check_memory,
    "cache": check_cache,
    "photos": check_photos,
    "weights": check_weights,
    "jupyter": check_jupyter,
    "sliders": check_sliders,
    "browser": check_browser,
}


def report(say: Callable[[str], None] = print) -> bool:
    """Print the lines as they come, and return True if none of them is a problem."""
    problems = 0
    for line in examine():
        problems += line.state == "problem"
        say(str(line))
    words = {0: "no problems found", 1: "1 problem found"}
    say(local(words.get(problems, f"{problems} problems found")))
    return problems == 0
