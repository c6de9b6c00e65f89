"""A small competition: fixed pictures, a budget, and a table that a tool fills in.

Nobody types a score. An entry is measured from a weight file, on pictures that never change:
photos of the splits ``validation`` and ``test`` that no training of the course saw, in three
kinds of rain (:mod:`derain_edu.datasets.held_out`). *Validation* is for choosing, as often as you
like. *Test* is for the board, and each look at it is counted: looking twenty times and keeping the
best result is training on it by hand.

The leagues go by the minutes of training on a CPU. A network with more parameters than
:data:`BUDGET` allows, or with minutes that nobody knows, plays in the open league.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from torch import nn

from derain_edu.datasets.held_out import RAINS, SETS
from derain_edu.errors import DerainError
from derain_edu.evaluation.provenance import loaded, training_minutes
from derain_edu.evaluation.scores import DRY_SCORES, SCORES, measure
from derain_edu.files import changing, check_writable, data_folder, file_hash, write_atomically
from derain_edu.models.pretrained import open_weights_folder, read_weights
from derain_edu.text import csv_name, csv_text, name_in_csv, table
from derain_edu.training.recipes import minutes_of


@dataclass(frozen=True)
class Budget:
    """What an entry may use.

    Attributes
    ----------
    parameters : int, default 300_000
        At most so many. (A PReNet has 168,963, a SPANet 283,716.)
    minutes : tuple[float, ...], default (5.0, 15.0, 45.0)
        The leagues: minutes of training on a CPU, wall clock.
    """

    parameters: int = 300_000
    minutes: tuple[float, ...] = (5.0, 15.0, 45.0)


BUDGET = Budget()
OPEN_LEAGUE = "open"


@dataclass(frozen=True)
class Entry:
    """One line of the board. Only :func:`measured_entry` should make one.

    Attributes
    ----------
    name : str
        How the entry is called, 1 to 40 characters.
    model : str
        The name that :func:`derain_edu.create_model` knows.
    parameters : int
        How many numbers were trained.
    cpu_minutes : float | None
        Minutes of training on a CPU; None: unknown.
    minutes_from : str
        Who says so: ``"log"`` (the run folder), ``"stated"`` (the author) or ``"unknown"``.
    date : str
        Day of the measurement, YYYY-MM-DD.
    sha256 : str
        Of the weight file; of nothing for the rainy picture itself.
    looks : int, default 1
        How often the test pictures were scored under this name.
    sets : int, default SETS
        Which fixed pictures these were, see :data:`derain_edu.datasets.held_out.SETS`.
    scores : dict[str, float]
        A number for each of :data:`derain_edu.evaluation.scores.SCORES`. An entry from before the
        dry pictures has none for them.
    more : dict[str, str]
        What its author wrote into columns of their own; kept as it is.

    Raises
    ------
    DerainError
        If a number can't be true: a PSNR that is not between 0 and 100 dB, an SSIM that is not
        between -1 and 1, minutes below 0.
    """

    name: str
    model: str
    parameters: int
    cpu_minutes: float | None
    minutes_from: str
    date: str
    sha256: str
    looks: int = 1
    sets: int = SETS
    scores: dict[str, float] = field(default_factory=dict)
    more: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        bounds = {score: (0, 100) if score.startswith("psnr") else (-1, 1) for score in self.scores}
        bounds |= {"cpu_minutes": (0, math.inf), "parameters": (0, math.inf)}
        bounds |= {"looks": (1, math.inf), "sets": (0, math.inf)}
        for column, (low, high) in bounds.items():
            value = self.scores.get(column, getattr(self, column, None))
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                raise DerainError(
                    f"the entry {self.name!r} has {value:g} in {column}, which can't be true: "
                    "measure it again"
                )

    @property
    def league(self) -> str:
        """The smallest league whose budget holds this entry, such as ``"15 min"``."""
        if self.parameters > BUDGET.parameters or self.cpu_minutes is None:
            return OPEN_LEAGUE
        fitting = [limit for limit in BUDGET.minutes if self.cpu_minutes <= limit]
        return f"{fitting[0]:g} min" if fitting else OPEN_LEAGUE

    def mean_psnr(self, split: str = "test") -> float:
        """The PSNR by which the board is sorted: the mean over the three kinds of rain."""
        return sum(self.scores[f"psnr_{split}_{rain}"] for rain in RAINS) / len(RAINS)


# -- from a weight file to an entry ---------------------------------------------------------------


def measured_entry(
    name: str, weights: str | Path, minutes: float | None = None, model: str | None = None
) -> Entry:
    """Measure a weight file on all fixed pictures.

    Parameters
    ----------
    name : str
        How the entry is called.
    weights : path
        A file that the trainer wrote. Beside the run's ``last.pt``, its minutes are read there.
    minutes : float, optional
        Minutes of training on a CPU, for a file that has left its run folder.
    model : str, optional
        The model's name, if the file does not say it.
    """
    path, name = Path(weights), checked_name(name)
    network = loaded(path, model)
    known, source = training_minutes(path, minutes)
    return Entry(
        name=name,
        model=model or read_weights(path).model or "?",
        parameters=sum(p.numel() for p in network.parameters()),
        cpu_minutes=known,
        minutes_from=source,
        date=date.today().isoformat(),
        sha256=file_hash(path),
        scores=measure(network),
    )


def checked_name(name: str) -> str:
    """Return a name that fits into one cell of a table, or say why not."""
    name = name.strip()
    if not 0 < len(name) <= 40 or not name.isprintable() or "|" in name:
        raise DerainError(f"the name {name!r} does not fit: give 1 to 40 characters, without |")
    return name


# -- the file -------------------------------------------------------------------------------------

_FIELDS = ("name", "model", "parameters", "cpu_minutes", "minutes_from", *SCORES,
           "looks", "sets", "date", "sha256")  # fmt: skip
_NEEDED = tuple(column for column in _FIELDS if column not in DRY_SCORES)


def course_board() -> Path:
    """Return the file of the course's own entries: the bar to beat."""
    return data_folder() / "results" / "leaderboard.csv"


def read_board(path: str | Path) -> list[Entry]:
    """Read a board; a file that does not exist yet, or is empty, is an empty board.

    Raises
    ------
    DerainError
        If the file is something else than a board, or an entry can't be true.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")  # a spreadsheet may add a mark at the start
        table = csv.DictReader(io.StringIO(text, newline=""))
        columns, rows = table.fieldnames or [], list(table)
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DerainError(f"{path} can't be read as a leaderboard ({error})") from error
    if text.strip() and (missing := [column for column in _NEEDED if column not in columns]):
        raise DerainError(
            f"{path} has no column {missing[0]}, so it is not a leaderboard of derain-edu: name "
            "another file"
        )
    return [_parse(row, f"{path}, entry {number}") for number, row in enumerate(rows, 1)]


def _parse(row: dict[str, str], where: str) -> Entry:
    if None in row or None in row.values():
        raise DerainError(f"{where} has more or fewer cells than the first line: mend it by hand")
    column = ""
    try:
        scores = {}
        for column in SCORES:
            if column in _NEEDED or row.get(column):
                scores[column] = float(row[column])
        column = "cpu_minutes"
        minutes = float(row[column]) if row[column] else None
        numbers = {}
        for column in ("parameters", "looks", "sets"):
            numbers[column] = int(row[column])
    except ValueError as error:
        raise DerainError(
            f"{where}: {column} is {row[column]!r}, not a number: measure this entry again"
        ) from error
    texts = {column: row[column] for column in ("model", "minutes_from", "date", "sha256")}
    more = {column: text for column, text in row.items() if column not in _FIELDS}
    name = checked_name(name_in_csv(row["name"]))
    return Entry(name, cpu_minutes=minutes, scores=scores, more=more, **numbers, **texts)


def write_board(entries: Sequence[Entry], path: str | Path) -> Path:
    """Write a board as a CSV file that is never seen half-written.

    Raises
    ------
    DerainError
        If another file than a board is there, or the place can't be written.
    """
    path = Path(path)
    read_board(path)  # complains about any other file
    more = dict.fromkeys(column for entry in entries for column in entry.more)
    text = csv_text(map(_row, entries), [*_FIELDS, *more])
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise DerainError(f"{path} can't be written ({error}): choose another place") from error
    return path


def _row(entry: Entry) -> dict[str, Any]:
    row = {**entry.more, **asdict(entry), "name": csv_name(entry.name)}
    row |= {key: f"{value:.4f}" for key, value in entry.scores.items()}
    row["cpu_minutes"] = "" if entry.cpu_minutes is None else f"{entry.cpu_minutes:.2f}"
    del row["scores"], row["more"]
    return row


def add_entry(
    name: str, weights: str | Path, board: str | Path, replace_old: bool = False, **more: Any
) -> Entry:
    """Measure a weight file and put it on a board.

    Parameters
    ----------
    name, weights, **more
        See :func:`measured_entry`.
    board : path
        The CSV file; made if there is none.
    replace_old : bool
        Let the entry take the place of one with the same name. Its looks at the test pictures
        are counted on.
    """
    board, weights, name = Path(board), Path(weights), checked_name(name)
    if name in {entry.name for entry in read_board(course_board())}:
        raise DerainError(f"{name!r} is an entry of the course: choose another name")
    _split_board(name, weights, board, replace_old)  # bad input: before the measurement
    check_writable(board)
    entry = measured_entry(name, weights, **more)
    with changing(board):  # what others have added during the measurement stays
        old, others = _split_board(name, weights, board, replace_old)
        if old is not None:
            entry = replace(entry, looks=old.looks + 1, more=old.more)
        write_board([*others, entry], board)
    return entry


def _split_board(
    name: str, weights: Path, board: Path, replace_old: bool
) -> tuple[Entry | None, list[Entry]]:
    """Return the entry of this name, if there is one, and the others; refuse what can't go in."""
    entries = read_board(board)
    old = next((entry for entry in entries if entry.name == name), None)
    if old is not None and not replace_old:
        raise DerainError(f"{board} has an entry {name!r}: choose another name, or use --replace")
    others = [entry for entry in entries if entry.name != name]
    if weights.is_file():
        digest = file_hash(weights)
        if same := next((entry for entry in others if entry.sha256 == digest), None):
            raise DerainError(f"{weights} is on {board} already, as {same.name!r}")
    return old, others


def league_name(text: str) -> str:
    """Return the league that ``"15"``, ``"15 min"`` or ``"open"`` means."""
    known = [f"{limit:g} min" for limit in BUDGET.minutes] + [OPEN_LEAGUE]
    for league in known:
        if text.strip() in (league, league.removesuffix(" min")):
            return league
    raise DerainError(f"unknown league {text!r}: choose one of {', '.join(known)}")


def ranked(entries: Sequence[Entry], league: str | None = None) -> list[Entry]:
    """Return the entries of a league (default: all) from the best to the worst."""
    chosen = [e for e in entries if e.sets == SETS and league in (None, e.league)]
    return sorted(chosen, key=lambda entry: -entry.mean_psnr())


def board_table(entries: Sequence[Entry], league: str | None = None) -> str:
    """Return the board as lines of text, best first."""
    header = ["entry", "league", "parameters", "minutes", "light", "heavy", "mix", "mean", "dry",
              "worst", "looks"]  # fmt: skip
    rows = []
    for entry in ranked(entries, league):
        minutes = "?" if entry.cpu_minutes is None else f"{entry.cpu_minutes:.1f}"
        tests = [f"{entry.scores[f'psnr_test_{rain}']:.2f}" for rain in RAINS]
        dry = [f"{entry.scores[s]:.2f}" if s in entry.scores else "?" for s in DRY_SCORES]
        rows.append([entry.name, entry.league, f"{entry.parameters:,}",
                     minutes + "*" * (entry.minutes_from == "stated"), *tests,
                     f"{entry.mean_psnr():.2f}", *dry, str(entry.looks)])  # fmt: skip
    lines = [
        table(header, rows),
        "PSNR in dB on the fixed test pictures, protocol prenet_matlab; dry: what is left of "
        "pictures without rain, at most 60",
    ]
    if any(entry.minutes_from == "stated" for entry in entries):
        lines.append("* stated by the author, not read from a run folder")
    if old := [entry.name for entry in entries if entry.sets != SETS]:
        lines.append(f"measured on other pictures, measure again: {', '.join(old)}")
    return "\n".join(lines)


# -- the course's own entries ---------------------------------------------------------------------

NO_NETWORK = "the rainy picture"


def course_entries(say: Callable[[str], None] = print) -> list[Entry]:
    """Measure the weights that come with the course, and the rainy pictures themselves."""
    digest = hashlib.sha256(b"").hexdigest()
    entries = [Entry(NO_NETWORK, "none", 0, 0.0, "log", date.today().isoformat(), digest,
                     scores=measure(nn.Identity()))]  # fmt: skip
    for path in sorted(open_weights_folder().glob("*.safetensors")):
        minutes = minutes_of(f"open-{path.stem}")
        entries.append(measured_entry(f"course: {path.stem}", path, minutes))
        say(f"{entries[-1].name}: {entries[-1].mean_psnr():.2f} dB")
    return entries
