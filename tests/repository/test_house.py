"""The public names, and the rooms of the house: who imports whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import derain_edu as de

PACKAGE = Path(de.__file__).parent

# The rooms of the house, from the ground up: a room imports only from rooms below it. The files
# at the top level are the ground; __init__ only names what others define.
ROOMS = (
    "ground", "rain", "datasets", "models", "training", "inference", "evaluation", "experiments",
    "course", "cli",
)  # fmt: skip
GROUND = "language errors files devices text picture_files images metrics map_scores".split()


def test_every_public_name_exists():
    for name in de.__all__:
        assert getattr(de, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'rainbow'"):
        de.rainbow  # noqa: B018


def test_import_is_lazy():
    """Only the error class and the like: no torch, no matplotlib, until a name is used."""
    code = "import sys, derain_edu; print([m for m in ('torch', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def modules_in(package: Path) -> dict[str, Path]:
    """Return every module under a package by its name inside of it, such as ``rain.config``."""
    found = {}
    for path in package.rglob("*.py"):
        name = ".".join(path.relative_to(package).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def imports_of(path: Path, known: dict[str, Path]) -> set[str]:
    """Return the modules of ``known`` that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            package, _, module = node.module.partition(".")
            if package != "derain_edu":
                continue
            for alias in node.names:
                inside = f"{module}.{alias.name}".lstrip(".")
                target = inside if inside in known else module
                if target and alias.name != "__version__":
                    found.add(target)
        elif isinstance(node, ast.Import):
            names = (alias.name for alias in node.names)
            found |= {n.removeprefix("derain_edu.") for n in names if n.startswith("derain_edu.")}
    return found


def room_of(module: str) -> str:
    first, _, rest = module.partition(".")
    if module == "__main__":
        return "cli"
    return "ground" if not rest and first in GROUND else first


def faults_of_the_house(package: Path) -> list[str]:
    """Return the imports that lead up, to another room's neighbour, or round in a circle."""
    modules, faults = modules_in(package), []
    arrows = {m: imports_of(path, modules) for m, path in modules.items() if m != "__init__"}
    for name, used in arrows.items():
        if room_of(name) not in ROOMS:
            faults.append(f"{name} stands in no room")
            continue
        for other in sorted(used):
            if other not in modules:
                faults.append(f"{name} imports {other}, which is not there")
            elif room_of(other) not in ROOMS:
                faults.append(f"{name} imports {other}, which stands in no room")
            elif ROOMS.index(room_of(other)) > ROOMS.index(room_of(name)):
                faults.append(f"{name} imports {other}, which stands above it")
    done: set[str] = set()
    while ready := {name for name, used in arrows.items() if name not in done and used <= done}:
        done |= ready
    if circle := sorted(set(arrows) - done):
        faults.append(f"imports run in a circle: {', '.join(circle)}")
    return faults


def test_a_room_imports_only_from_rooms_below():
    assert faults_of_the_house(PACKAGE) == []


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"rain/a.py": "from derain_edu.models.b import x", "models/b.py": ""}, "above it"),
        ({"rain/a.py": "def f():\n from derain_edu.models import b", "models/b.py": ""}, "above"),
        ({"rain/a.py": "from derain_edu.rain.b import x", "rain/b.py": "import derain_edu.rain.a"},
         "in a circle: rain.a, rain.b"),
        ({"attic/a.py": ""}, "attic.a stands in no room"),
        ({"stray.py": ""}, "stray stands in no room"),
        ({"rain/a.py": "from derain_edu.rain.gone import x"}, "which is not there"),
    ],
)  # fmt: skip
def test_a_fault_of_the_house_is_found(tmp_path, files, fault):
    """On a small house that is built wrong on purpose."""
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "errors.py").touch()
    faults = faults_of_the_house(tmp_path)
    assert any(fault in found for found in faults) and len(faults) <= 2


def test_the_house_has_a_small_ground():
    files = [path for path in PACKAGE.iterdir() if path.suffix == ".py"]
    folders = [path for path in PACKAGE.iterdir() if path.is_dir() and path.name[0] not in "._"]
    assert len(files) <= 12
    assert {path.name for path in folders} - set(ROOMS) == set()


# What is tested by its way, not by its room.
SLICES = {"repository", "lessons", "conformance", "browser", "book"}


def test_tests_stand_in_the_rooms_that_they_test():
    folder = Path(__file__).resolve().parents[1]
    rooms = {path.relative_to(folder).parts[0] for path in folder.rglob("test_*.py")}
    assert rooms == {*ROOMS, *SLICES}
