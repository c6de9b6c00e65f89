"""The public names, the bundled photos, the device and the seed."""

from __future__ import annotations

import ast
import csv
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import derain_edu as de
from derain_edu.photos import SPLITS, data_folder, photo_path

PACKAGE = Path(de.__file__).parent

# The floors of the house: a module imports only from lower floors, or beside it without a circle.
FLOORS = [
    "errors photos devices timing images picture_files fetching download rain_config streaks "
    "noise_rain rain scenes metrics map_scores models.blocks models.irnn_numba models.irnn_scan "
    "models.irnn",
    "models.residual models.prn models.spanet datasets losses",
    "pretrained models models.transplant",
    "curriculum pinn training_config objective checkpoints parallel training recipes onnx_network "
    "onnx_sweeps onnx_forms restoration evaluation onnx_export quantization fixed_sets "
    "leaderboard model_card",
    "measurements experiment_tables experiments claims verdicts claim_list bench_irnn bench_onnx "
    "bench",
    "plots book sliders widgets features gates sweeps factors attention_views forensics "
    "onnx_views curriculum_views transplant_views showcase exercises exercises.checking "
    "exercises.lesson_01 exercises.lesson_02 exercises.lesson_03 exercises.lesson_04 "
    "exercises.lesson_05 exercises.lesson_06 exercises.lesson_07 exercises.lesson_08 "
    "exercises.lesson_09 exercise_cells lessons course doctor shell "
    "cli_parts cli_course cli_board __main__",
]


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


def test_splits_are_disjoint_and_complete():
    splits = [de.photo_names(split) for split in SPLITS]
    assert sorted(sum(splits, [])) == de.photo_names()
    assert all(splits)
    assert de.photo_names("extra+train") == sorted(splits[0] + splits[1])
    for wrong in ("exam", "train+exam", "train+"):
        with pytest.raises(de.DerainError, match=", ".join(SPLITS)):
            de.photo_names(wrong)


def test_every_photo_has_licence_and_author():
    with open(data_folder() / "photos" / "photos.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    attribution = (data_folder() / "photos" / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for row in rows:
        assert row["licence"] and row["author"] and row["source"]
        assert row["file"] in attribution and row["author"] in attribution
    assert {row["file"] for row in rows} == {
        path.name
        for path in (data_folder() / "photos").iterdir()
        if path.suffix in (".jpg", ".png", ".webp")
    }


def test_photos_load_as_promised():
    for name in de.photo_names():
        photo = de.load_photo(name, long_side=64)
        assert photo.shape[0] == 3 and max(photo.shape[1:]) == 64
        assert photo.dtype == torch.float32 and 0 <= photo.min() and photo.max() <= 1
    assert torch.equal(de.load_photo("china"), de.to_tensor(photo_path("china")))
    with pytest.raises(de.DerainError, match="no bundled photo 'street'"):
        de.load_photo("street")


def test_a_seed_repeats_every_generator():
    drawn = []
    for _ in range(2):
        de.set_seed(7)
        drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert drawn[0] == drawn[1]


def test_the_device_is_named(capsys):
    assert de.choose_device("cpu", verbose=True).type == "cpu"
    assert "cpu" in capsys.readouterr().out
    with pytest.raises(de.DerainError, match="'warp-drive' can't be used"):
        de.choose_device("warp-drive")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of Linux")
def test_memory_is_kept_for_the_next_tensor():
    """Counted, not timed: after some tensors, the system has no new page to bring for the next."""
    code = (
        "import resource, torch\n"
        "from derain_edu.devices import reuse_memory\n"
        "faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "reuse_memory() or exit('skip')\n"
        "[torch.ones(64 << 20, dtype=torch.uint8).sum() for _ in range(20)]\n"
        "before = faults()\n"
        "[torch.ones(64 << 20, dtype=torch.uint8).sum() for _ in range(3)]\n"
        "print(faults() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if "skip" in done.stderr:
        pytest.skip("this C library has no such setting")
    assert int(done.stdout) < 1000  # three times 64 MiB are 49,152 pages


def imports_of(path: Path) -> set[str]:
    """Return the modules of this package that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module == "derain_edu":
                found |= {alias.name for alias in node.names if alias.name != "__version__"}
            elif node.module.startswith("derain_edu."):
                found.add(node.module.removeprefix("derain_edu."))
    return found


def test_imports_go_down_only():
    floor = {name: k for k, names in enumerate(FLOORS) for name in names.split()}
    edges = {}
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        name = name.removesuffix(".__init__")
        if name in ("__init__",):
            continue
        assert name in floor, f"{name} has no floor: add it to FLOORS"
        edges[name] = imports_of(path)
        for used in edges[name]:
            assert used in floor, f"{name} imports {used}, which has no floor"
            assert floor[used] <= floor[name], f"{name} imports {used}, which lives above it"
    done: set[str] = set()
    while ready := {name for name, used in edges.items() if name not in done and used <= done}:
        done |= ready
    assert done == set(edges), f"imports run in a circle: {sorted(set(edges) - done)}"
