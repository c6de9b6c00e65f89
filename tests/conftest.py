"""What all tests share: the reference folder, an empty or a filled cache, seeds, threads.

No test sees the cache of the person who runs it: ``DERAIN_EDU_CACHE`` is an empty folder, or,
for tests that ask for ``filled_cache``, one that holds the authors' weights and the benchmark
pictures of the reference folder.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch

REPOSITORY = Path(__file__).resolve().parent.parent
CACHED_SETS = {"official-weights": "official", "rain100l": "benchmarks", "rain100h": "benchmarks"}

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # the workers share the cores


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of research-only reference data beside the repository."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "golden").is_dir():
        reason = f"the reference folder {folder} is not on this machine"
        if os.environ.get("DERAIN_EDU_REQUIRE_REFERENCE") == "1":
            pytest.fail(f"{reason}, and DERAIN_EDU_REQUIRE_REFERENCE=1 demands it")
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def filled_cache(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with everything the reference folder holds; DERAIN_EDU_CACHE names it."""
    from derain_edu.download import download_set

    cache = tmp_path_factory.mktemp("filled_cache")
    os.environ["DERAIN_EDU_CACHE"] = str(cache)
    for name, folder in CACHED_SETS.items():
        download_set(name, source=reference / folder, say=None)
    return cache


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own with nothing in it."""
    cache = tmp_path / "empty_cache"
    cache.mkdir()
    monkeypatch.setenv("DERAIN_EDU_CACHE", str(cache))
    return cache


@pytest.fixture(autouse=True)
def _own_cache(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    if "filled_cache" in request.fixturenames:
        cache = request.getfixturevalue("filled_cache")
    else:
        cache = tmp_path_factory.getbasetemp() / "no_cache"
    monkeypatch.setenv("DERAIN_EDU_CACHE", str(cache))


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
