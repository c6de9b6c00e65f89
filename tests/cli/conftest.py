"""What the tests of the commands share: a call in this process, and small pictures as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import derain_edu as de
from derain_edu.cli.app import app


@pytest.fixture
def call() -> Callable[..., tuple[int, str, str]]:
    """A function that runs a command in this process: status, output and errors."""

    def run(*arguments: object, stdin: bytes = b"") -> tuple[int, str, str]:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        run.stdout = result.stdout_bytes
        return result.exit_code, result.stdout, result.stderr

    return run


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A small rainy photo and the clean one, as files."""
    clean = de.load_photo("china", long_side=64)
    for name, picture in (("rainy", de.add_rain(clean, "light", seed=0).rainy), ("clean", clean)):
        de.to_pil(picture).save(tmp_path / f"{name}.png")
    return tmp_path / "rainy.png", tmp_path / "clean.png"


@pytest.fixture
def pairs(pair: tuple[Path, Path], tmp_path: Path) -> Path:
    """A folder with two pairs in the plain layout."""
    for kind, path in zip(("rainy", "clean"), pair, strict=True):
        (tmp_path / "set" / kind).mkdir(parents=True)
        for number in ("1", "2"):
            (tmp_path / "set" / kind / f"{number}.png").write_bytes(path.read_bytes())
    return tmp_path / "set"
