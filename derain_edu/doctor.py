"""``derain-edu doctor``: what was found on this machine, and what to do about each problem."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from derain_edu.errors import DerainError

MARKS = {"ok": "[ok]  ", "note": "[note]", "problem": "[!!]  "}
PRENET_MEMORY = 1.0  # GiB that PReNet takes with the default tile, Python and PyTorch included


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    state: str  # "ok", "note" (fine, but worth knowing) or "problem" (something will not work)
    topic: str
    found: str
    advice: str = ""

    def __str__(self) -> str:
        line = f"{MARKS[self.state]} {self.topic:<10} {self.found}"
        return f"{line}\n{' ' * 18}-> {self.advice}" if self.advice else line


def examine() -> Iterator[Finding]:
    """Yield what was found, topic by topic; a check that fails is a finding too."""
    for topic, check in CHECKS.items():
        try:
            yield from check()
        except DerainError as error:
            yield Finding("problem", topic, str(error))
        except Exception as error:  # noqa: BLE001 - the doctor must survive every illness
            found = f"the check itself failed: {type(error).__name__}: {error}"
            yield Finding("problem", topic, found, "install derain-edu in a fresh environment")


def check_python() -> Iterator[Finding]:
    """The interpreter, and whether it has an environment of its own."""
    found = f"{platform.python_version()} on {platform.system()}, {sys.executable}"
    if sys.prefix == sys.base_prefix and "CONDA_PREFIX" not in os.environ:
        advice = "a virtual environment keeps the course's packages apart: make lab makes one"
        yield Finding("note", "python", found, advice)
    else:
        yield Finding("ok", "python", found)


def check_packages() -> Iterator[Finding]:
    """What pyproject.toml asks for, and what is there."""
    missing, old = [], []
    try:
        wanted = [line for line in requires("derain-edu") or [] if "extra ==" not in line]
    except PackageNotFoundError:
        advice = 'run pip install --editable "." in the clone'
        yield Finding("problem", "packages", "derain-edu itself is not installed", advice)
        return
    for line in wanted:
        name, _, least = line.partition(">=")
        try:
            if _numbers(version(name)) < _numbers(least):
                old.append(f"{name} {version(name)} (needs {least})")
        except PackageNotFoundError:
            missing.append(name)
    if missing or old:
        found = "; ".join(
            f"{word}: {', '.join(names)}"
            for word, names in (("missing", missing), ("too old", old))
            if names
        )
        names = " ".join(f'"{line}"' for line in wanted if line.partition(">=")[0] in missing)
        advice = f"run {Path(sys.executable).name} -m pip install --upgrade {names or 'derain-edu'}"
        yield Finding("problem", "packages", found, advice)
    else:
        yield Finding("ok", "packages", f"all {len(wanted)} are here, torch {version('torch')}")


def _numbers(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: "2.6.0+cpu" to (2, 6, 0)."""
    numbers = []
    for part in text.split("+")[0].split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def check_device() -> Iterator[Finding]:
    """Where the networks will run, and with how many threads."""
    import torch

    from derain_edu.devices import choose_device, describe_device

    device = choose_device()
    yield Finding("ok", "device", describe_device(device))
    if device.type == "cpu" and shutil.which("nvidia-smi"):
        advice = "install the CUDA build of PyTorch (pytorch.org) to use the GPU"
        yield Finding("note", "device", "there is an NVIDIA driver, but PyTorch has no GPU", advice)
    threads, cores = torch.get_num_threads(), os.cpu_count() or 1
    if device.type == "cpu" and threads < cores / 2:
        limited = "OMP_NUM_THREADS" in os.environ
        advice = "unset OMP_NUM_THREADS to use more of them" if limited else ""
        yield Finding("note", "threads", f"{threads} of {cores} cores are used", advice)


def check_memory() -> Iterator[Finding]:
    """Free memory."""
    import psutil

    memory = psutil.virtual_memory()
    free, total = memory.available / 2**30, memory.total / 2**30
    found = f"{free:.1f} of {total:.1f} GiB free"
    if free < 1.5 * PRENET_MEMORY:
        advice = "close other programs, or derain with --tile 256"
        yield Finding("problem", "memory", found, advice)
    else:
        yield Finding("ok", "memory", found)


def check_cache() -> Iterator[Finding]:
    """The cache folder, and how much of each set is in it."""
    from derain_edu.download import SETS, cache_folder, cached_files, read_manifest

    folder = cache_folder()
    above = next(path for path in (folder, *folder.parents) if path.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        advice = "set DERAIN_EDU_CACHE to a folder that you may write to"
        yield Finding("problem", "cache", f"{folder} can't be written", advice)
    else:
        free = shutil.disk_usage(above).free / 2**30
        low = Finding("note", "cache", f"{folder}, only {free:.2f} GiB free", "free some space")
        yield Finding("ok", "cache", f"{folder}, {free:.0f} GiB free") if free > 0.5 else low
    for name in SETS:
        here, total = len(cached_files(name)), len(read_manifest(name))
        found = f"{name}: {here} of {total} files"
        advice = f"optional, research use only: derain-edu download {name}"
        complete = here == total
        yield Finding("ok" if complete else "note", "cache", found, "" if complete else advice)


def check_photos() -> Iterator[Finding]:
    """The bundled photos: all there, and readable."""
    from derain_edu.photos import load_photo, photo_names

    names = photo_names()
    for name in names:
        load_photo(name)
    yield Finding("ok", "photos", f"{len(names)} photos, all readable")


def check_weights() -> Iterator[Finding]:
    """The course's own weights, and one small run with them."""
    import torch

    from derain_edu.models import create_model
    from derain_edu.pretrained import open_weights_folder

    names = sorted(path.stem for path in open_weights_folder().glob("*.safetensors"))
    if "prenet" not in names:
        advice = "install derain-edu again, or work in a full clone of the repository"
        found = f"no weights of prenet in {open_weights_folder()}"
        yield Finding("problem", "weights", found, advice)
        return
    model = create_model("prenet", pretrained="open")
    began = time.perf_counter()
    with torch.inference_mode():
        model(torch.rand(1, 3, 128, 128))
    seconds = time.perf_counter() - began
    found = f"open: {', '.join(names)}; prenet takes {seconds:.2f} s for 128×128 pixels"
    yield Finding("ok", "weights", found)


def check_jupyter() -> Iterator[Finding]:
    """Whether the kernel python3, which the notebooks ask for, is this Python."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    advice = f"run {Path(sys.executable).name} -m ipykernel install --sys-prefix"
    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        yield Finding("problem", "jupyter", "there is no kernel python3", advice)
        return
    program = spec.argv[0]
    if program in ("python", "python3"):  # Jupyter takes these words as "the Python I run in"
        program = sys.executable
    found = f"kernel python3 runs {program}"
    # Folders are compared, not files: every virtual environment links to the same Python.
    if Path(program).absolute().parent == Path(sys.executable).absolute().parent:
        yield Finding("ok", "jupyter", found)
    else:
        yield Finding("problem", "jupyter", f"{found}, not {sys.executable}", advice)


CHECKS: dict[str, Callable[[], Iterator[Finding]]] = {
    "python": check_python,
    "packages": check_packages,
    "device": check_device,
    "memory": check_memory,
    "cache": check_cache,
    "photos": check_photos,
    "weights": check_weights,
    "jupyter": check_jupyter,
}


def report(say: Callable[[str], None] = print) -> bool:
    """Print the findings as they come, and return True if none of them is a problem."""
    problems = 0
    for finding in examine():
        problems += finding.state == "problem"
        say(str(finding))
    say(f"{problems or 'no'} problem{'' if problems == 1 else 's'} found")
    return problems == 0
