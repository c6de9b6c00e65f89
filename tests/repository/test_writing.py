"""One way to write: what the project puts onto a disk goes through ``files.write_atomically``."""

from __future__ import annotations

import ast
from pathlib import Path

import derain_edu

PACKAGE = Path(derain_edu.__file__).parent

# Who may write in another way, and why.
ALLOWED = {
    "files.py": "it is the one way",
    "datasets/fetching.py": "a download grows for minutes, and goes on where it stopped",
    "training/checkpoints.py": "a log grows by a line at a time",
    "inference/video.py": "FFmpeg writes a film for minutes, to the name that files.growing gives",
    "picture_files.py": "Pillow writes to a temporary name, which is renamed",
    "evaluation/bench_derain.py": "files of a temporary folder",
}
METHODS = {"write_text", "write_bytes", "save", "savefig", "savez", "tofile", "to_csv"}
FUNCTIONS = {"copy", "copy2", "copyfile", "move", "save_file"}  # of shutil and safetensors


def writings(code: str) -> list[int]:
    """Return the lines of a module that write to a path in a way of their own."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call) and (_opens_to_write(node) or _saves(node))
    ]


def _opens_to_write(call: ast.Call) -> bool:
    if ast.unparse(call.func).split(".")[-1] not in ("open", "fdopen", "NamedTemporaryFile"):
        return False
    words = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    modes = [word.value for word in words if isinstance(word, ast.Constant)]
    return any(isinstance(m, str) and len(m) <= 3 and set(m) & set("wax+") for m in modes)


def _saves(call: ast.Call) -> bool:
    *owner, name = ast.unparse(call.func).split(".")
    if name in METHODS and owner:
        ours = owner[0] == "self"  # a method of this package, which ends in write_atomically
        in_memory = any(ast.unparse(argument) == "buffer" for argument in call.args)
        return not (ours or in_memory)
    return name in FUNCTIONS and owner[:1] in (["shutil"], ["safetensors"])


def test_everything_is_written_in_one_way():
    paths = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    found = {name: writings(path.read_text(encoding="utf-8")) for name, path in paths.items()}
    found = {name: lines for name, lines in found.items() if lines and name not in ALLOWED}
    assert found == {}, "use files.write_atomically there"
    assert ALLOWED.keys() <= paths.keys()


def test_other_ways_are_found():
    bad = [
        "open(path, 'w')",
        "open(path, mode='ab')",
        "path.open('x')",
        "path.write_text(text)",
        "(folder / name).write_bytes(content)",
        "image.save(path)",
        "torch.save(weights, path)",
        "np.savez(path, x=x)",
        "shutil.copyfile(a, b)",
        "safetensors.torch.save_file(x, path)",
    ]
    assert writings("\n".join(bad)) == list(range(1, len(bad) + 1))
    good = [
        "open(path)",
        "open(path, 'rb')",
        "image.save(buffer, 'PNG')",
        "torch.save(weights, buffer)",
        "self.save('last.pt')",
        "copy.copy(x)",
    ]
    assert writings("\n".join(good)) == []
