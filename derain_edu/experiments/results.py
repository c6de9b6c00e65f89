"""What was recorded: the rows of an experiment as CSV, and where, when and with what it ran."""

from __future__ import annotations

import csv
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from derain_edu import __version__
from derain_edu.errors import DerainError
from derain_edu.experiments.measurements import Measurement
from derain_edu.experiments.tables import Experiment
from derain_edu.files import PACKAGE, data_folder, write_atomically
from derain_edu.text import csv_text


def load_results(name: str) -> list[dict[str, Any]]:
    """Return the recorded rows of an experiment, numbers as numbers.

    Raises
    ------
    DerainError
        If nothing is recorded under that name.
    """
    rows = read_rows(data_folder() / "results" / f"{name}.csv")
    if not rows:
        raise DerainError(f"no results for {name!r}: run derain-edu experiment {name} first")
    return [{key: _number(value) for key, value in row.items()} for row in rows]


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file as text; none if there is no such file."""
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Add a row by writing the whole file anew and renaming it: a kill can't leave half a line."""
    write_rows(path, [*read_rows(path), row])


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV file with a column for every key of any row."""
    columns = dict.fromkeys(column for row in rows for column in row)
    write_atomically(path, csv_text(rows, list(columns)).encode())


def describe(
    experiment: Experiment | Measurement, path: Path, cells: int, commit: str | None
) -> None:
    """Write the JSON beside the CSV: the question, the budget, the minutes, and every run.

    A run adds some rows, here ``cells`` of them, and says with which versions, on which machine,
    and at which commit it began. What earlier runs said about theirs stays.
    """
    rows, story = read_rows(path), path.with_suffix(".json")
    earlier = json.loads(story.read_text(encoding="utf-8"))["runs"] if story.exists() else []
    run = {
        "cells": cells,
        "derain_edu": __version__,
        "commit": commit,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "threads": torch.get_num_threads(),
    }
    content = {
        **{key: value for key, value in asdict(experiment).items() if not callable(value)},
        "minutes": round(sum(float(row["minutes"]) for row in rows), 2),
        "runs": [*earlier, run],
    }
    text = json.dumps({"experiment": content.pop("name"), **content}, indent=2, default=asdict)
    write_atomically(story, f"{text}\n".encode())


def this_commit() -> str | None:
    """Return the commit of this checkout, "-dirty" if the package differs; None where none is.

    The results don't count: each row changes them.
    """

    def git(*words: str) -> str:
        command = ["git", "-C", str(PACKAGE), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", str(PACKAGE))
        return git("rev-parse", "--short", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
