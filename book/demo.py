"""The page *Try it*: what it needs beside its text, put together in one folder.

Everything that the page loads lies in that folder: its own code (``book/demo``), ONNX Runtime
Web from npm (the versions in ``package-lock.json``), one stage of PReNet and the whole SPANet as
ONNX files, and two example photos with synthetic rain. npm's packages and the exported networks
are kept in a second folder, so that they are fetched and made once.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from functools import partial
from pathlib import Path

import torch
from filelock import FileLock

from derain_edu.datasets.photos import load_photo, photo_row
from derain_edu.files import write_atomically
from derain_edu.images import to_pil
from derain_edu.inference.engine import onnx_file_name
from derain_edu.inference.onnx_export import export_onnx
from derain_edu.inference.onnx_stage import export_stage
from derain_edu.models import create_model
from derain_edu.rain.synthesis import add_rain

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "demo"
OWN_FILES = (
    "app.js", "attention.js", "helper.js", "network.js", "picture.js", "strings.js", "tiles.js",
    "try.css", "worker.js",
)  # fmt: skip
# WebAssembly for every browser, and a build with WebGPU for those that have it. A browser loads
# one of the two. (The other builds for WebGPU are 10 MB larger.)
RUNTIME_FILES = (
    "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm",
    "ort.jspi.bundle.min.mjs", "ort-wasm-simd-threaded.jspi.wasm",
)  # fmt: skip
NPM_SECONDS = 300
# Photos of the test split, which no network of this course has seen: name, rain, seed, words.
EXAMPLES = (
    ("china", "light", 1, "a temple in China, in light rain"),
    ("picosdeeuropa", "heavy", 4, "mountains in Spain, in heavy rain"),
)
# File, model, what writes it. A browser loads SPANet only when somebody asks for it.
NETWORKS = {
    "stage.onnx": ("prenet", export_stage),
    "spanet.onnx": ("spanet", partial(export_onnx, maps=True)),
}
EXAMPLE_SIDE = 480  # pixels on the longer side: some seconds on a laptop
CHECK_SIZE = (20, 24)


def build_demo(folder: Path, kept: Path) -> str | None:
    """Put together what the page loads.

    Parameters
    ----------
    folder : Path
        Where the page will lie.
    kept : Path
        Keeps npm's packages and the exported networks for the next time.

    Returns
    -------
    str or None
        Why the page can't be made here, if npm or the network is missing.
    """
    kept.mkdir(parents=True, exist_ok=True)
    with FileLock(kept / "lock"):  # another build waits until all is there
        missing = fetch_runtime(kept / "npm")
        if missing is not None:
            return missing
        networks = {name: export_once(name, kept) for name in NETWORKS}
    for name in OWN_FILES:
        copy(SOURCE / name, folder / name)
    for name in RUNTIME_FILES:
        copy(kept / "npm/node_modules/onnxruntime-web/dist" / name, folder / "ort" / name)
    for name, path in networks.items():
        copy(path, folder / name)
    write_json(known_answer(), folder / "check.json")
    write_json([write_example(folder, *example) for example in EXAMPLES], folder / "examples.json")
    return None


def fetch_runtime(folder: Path) -> str | None:
    """Install npm's packages into a folder, unless they are there; return why it failed."""
    lock = (SOURCE / "package-lock.json").read_bytes()
    done = folder / "installed"
    if done.is_file() and done.read_bytes() == lock:
        return None
    npm = shutil.which("npm")  # on Windows a script with another name
    if npm is None:
        return "npm is not installed"
    for name in ("package.json", "package-lock.json"):
        copy(SOURCE / name, folder / name)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        subprocess.run(
            [npm, "ci", *options], cwd=folder, check=True, timeout=NPM_SECONDS,
            stdin=subprocess.DEVNULL, capture_output=True,
        )  # fmt: skip
    except (subprocess.SubprocessError, OSError) as error:
        return f"npm can't fetch its packages ({type(error).__name__})"
    write_atomically(done, lock)
    return None


def export_once(name: str, kept: Path) -> Path:
    """Return one of the files, which is made if the network or the exporter has changed."""
    model, write = NETWORKS[name]
    network = create_model(model, pretrained="open")
    code = hashlib.sha256()
    for path in sorted((HERE.parent / "derain_edu" / "inference").glob("onnx_*.py")):
        code.update(path.read_bytes())
    stem = Path(name).stem
    path = kept / f"{stem}-{code.hexdigest()[:12]}-{onnx_file_name(network)}"
    if not path.is_file():
        write(network, path)
        for old in set(kept.glob(f"{stem}-*.onnx")) - {path}:
            old.unlink()
    return path


def known_answer() -> dict[str, object]:
    """Return a small picture and its first stage, with which a browser checks its graphics card."""
    rainy = torch.rand(1, 3, *CHECK_SIZE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        (derained,) = create_model("prenet", pretrained="open").unroll(rainy, stages=1)
    height, width = CHECK_SIZE
    numbers = {"rainy": rainy, "derained": derained}
    return {"height": height, "width": width} | {
        name: [round(value, 6) for value in tensor.flatten().tolist()]
        for name, tensor in numbers.items()
    }


def write_example(folder: Path, name: str, rain: str, seed: int, title: str) -> dict[str, str]:
    """Let it rain on a photo, and return what the page says of it."""
    rainy = add_rain(load_photo(name, EXAMPLE_SIDE), rain, seed=seed).rainy
    file = f"{name}_in_{rain}_rain.png"
    folder.mkdir(parents=True, exist_ok=True)
    to_pil(rainy).save(folder / file, optimize=True)
    row = photo_row(name)
    return {
        "file": file,
        "title": title,
        "author": row["author"],
        "licence": row["licence"].replace("-", " ", 2),
        "deed": _deed(row["licence"]),
        "source": row["source"].split(" ")[0],
    }


def _deed(licence: str) -> str:
    """Return the address of a Creative Commons licence, such as CC-BY-4.0."""
    _, _, rest = licence.partition("CC-")
    kind, _, version = rest.lower().rpartition("-")
    return f"https://creativecommons.org/licenses/{kind}/{version}/"


def write_json(content: object, path: Path) -> None:
    """Write a JSON file."""
    write_atomically(path, json.dumps(content, separators=(",", ":")).encode())


def copy(source: Path, target: Path) -> None:
    """Copy a file unless its copy is equal: Sphinx reads only what is newer."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_file() or target.read_bytes() != source.read_bytes():
        shutil.copyfile(source, target)
