"""The claims of the notes that this course grew from, and what the recorded numbers say about them.

Each :class:`Claim` names the experiments that test it, and a function that turns their CSV files
into findings: a sentence with a number, and whether it speaks for the claim. ``derain-edu claims``
writes them all into ``data/results/CLAIMS.md``; nobody types a number.

A finding that compares two variants pairs them by seed, so that what both share (the start, the
samples) drops out, and takes Student's 95 % interval of the mean difference. It speaks for or
against a claim only if the interval leaves out zero. Three seeds show large effects and hide
small ones: *can't tell* is an honest result, not a gap to be filled by taste.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from derain_edu.errors import DerainError
from derain_edu.experiments.verdicts import judged
from derain_edu.files import data_folder, write_atomically

WORDS = {True: "holds", False: "does not hold", None: "can't tell"}


@dataclass(frozen=True)
class Finding:
    """One measured sentence.

    Attributes
    ----------
    text : str
        The sentence, with its number.
    speaks_for : bool | None
        Whether it supports the claim. None: the numbers leave it open.
    """

    text: str
    speaks_for: bool | None


@dataclass(frozen=True)
class Claim:
    """A sentence of the notes, and how it was put to the test.

    Attributes
    ----------
    number : int
        Its place on the page, from 1.
    text : str
        The sentence of the notes.
    lesson : str
        Where it is tested, such as ``"03"``.
    experiments : tuple[str, ...]
        Names of the result files that it is judged by.
    test : str
        How it was tested, in a sentence or two.
    judge : Callable[[], Iterable[Finding]]
        Reads the result files and returns the findings.
    """

    number: int
    text: str
    lesson: str
    experiments: tuple[str, ...]
    test: str
    judge: Callable[[], Iterable[Finding]]

    def findings(self) -> list[Finding]:
        """Read the result files and return what they say."""
        return list(self.judge())


def verdict(findings: Iterable[Finding]) -> str:
    """Sum up: *holds*, *does not hold*, *can't tell*, or on which part it depends.

    >>> verdict([Finding("a", True), Finding("b", None)])
    "depends: (a) holds, (b) can't tell"
    """
    findings = list(findings)
    kinds = {finding.speaks_for for finding in findings}
    if len(kinds) == 1:
        return WORDS[kinds.pop()]
    parts = (f"({letter(k)}) {WORDS[f.speaks_for]}" for k, f in enumerate(findings))
    return "depends: " + ", ".join(parts)


def letter(k: int) -> str:
    """Return a, b, c … for 0, 1, 2 …"""
    return chr(ord("a") + k)


def span(values: list[float], form: str) -> str:
    """Return "low to high", or one number where both are written alike."""
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low} to {high}"


def compare(
    what: str, values: list[float], unit: str = "dB", decimals: int = 2, expect: int = 1
) -> Finding:
    """Return the finding about a difference that the claim expects above (1) or below (−1) zero."""
    if not values:
        raise DerainError("a comparison has no runs yet: finish its experiment first")
    found = judged(what, values, unit, decimals)
    speaks = None if found.holds is None else found.holds == (expect > 0)
    return Finding(f"{what}: {found.effect} (n = {found.n})", speaks)


# -- the page -----------------------------------------------------------------------------------


def page(claims: Iterable[Claim]) -> str:
    """Return ``CLAIMS.md``: a table of verdicts, then every claim with its numbers."""
    judged = [(claim, claim.findings()) for claim in claims]
    lines = [
        "# Eleven claims, tested",
        "",
        "Written by `derain-edu claims` from the CSV files of this folder: don't edit it. Numbers "
        "are means over seeds with 95 % intervals (Student's t) of differences paired by seed; "
        "*can't tell* means that the interval includes zero. The networks are small and their "
        "training is short: a verdict is about these budgets, and the CSV files say which.",
        "",
        "| | claim | verdict | lesson |",
        "|---|---|---|---|",
    ]
    for claim, findings in judged:
        link = f"[{claim.number}](#claim-{claim.number})"
        lines.append(f"| {link} | {claim.text} | {verdict(findings)} | {claim.lesson} |")
    for claim, findings in judged:
        files = ", ".join(f"[{name}.csv]({name}.csv)" for name in claim.experiments)
        lines += ["", f"## Claim {claim.number}", "", f"**{claim.text}**", ""]
        lines += [f"Test: {claim.test} Lesson {claim.lesson}; {files}.", ""]
        lines += [
            f"- ({letter(k)}) {finding.text}: **{WORDS[finding.speaks_for]}**"
            for k, finding in enumerate(findings)
        ]
    return "\n".join(lines) + "\n"


def write_claims(claims: Iterable[Claim], folder: Path | None = None) -> Path:
    """Write the page; return its path. Default folder: ``data/results``."""
    path = (folder or data_folder() / "results") / "CLAIMS.md"
    write_atomically(path, page(claims).encode())
    return path
