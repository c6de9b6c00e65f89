"""Claims about deraining networks, and what the recorded numbers say about them.

Each :class:`Claim` names the experiments that test it, and a function that turns their CSV files
into findings: a sentence with a number, and an answer. ``derain-edu claims`` writes them all into
``data/results/CLAIMS.md``; nobody types a number.

A :class:`Comparison` of two variants pairs them by seed, so that what both share (the start, the
samples) drops out. It states beforehand the smallest difference that matters, and has one of four
answers, see :data:`ANSWERS`. The differences found under one claim are corrected for their number
(Holm): with five questions, something would otherwise be "found" by chance in every fourth claim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from derain_edu.errors import DerainError
from derain_edu.experiments.statistics import (
    LEVEL,
    chance_of_a_difference,
    chance_of_no_difference,
    holm,
    interval,
)
from derain_edu.files import data_folder, write_atomically

HOLDS, FAILS = "holds", "does not hold"
SAME, OPEN = "no difference that matters", "can't tell"
ANSWERS = (HOLDS, FAILS, SAME, OPEN)
MARGIN = 0.2  # dB: what a reader of a table would call a difference


@dataclass(frozen=True)
class Finding:
    """One measured sentence.

    Attributes
    ----------
    text : str
        The sentence, with its number.
    answer : str
        One of :data:`ANSWERS`: what it says about the claim.
    """

    text: str
    answer: str


@dataclass(frozen=True)
class Comparison:
    """A difference, measured with several seeds.

    Attributes
    ----------
    what : str
        The difference in words.
    values : tuple[float, ...]
        One per seed.
    unit : str, default "dB"
        Of the values.
    decimals : int, default 2
        Digits after the point, for print only.
    expect : int, default 1
        What the claim expects: 1: above zero, −1: below zero, 0: a difference of either sign.
    margin : float, default MARGIN
        The smallest difference that matters, stated before the runs: 0.2 dB.
    why : str, default ""
        Why this margin, where it is another one than :data:`MARGIN` dB.
    """

    what: str
    values: tuple[float, ...]
    unit: str = "dB"
    decimals: int = 2
    expect: int = 1
    margin: float = MARGIN
    why: str = ""

    def __post_init__(self) -> None:
        if not self.values:
            raise DerainError("a comparison has no runs yet: finish its experiment first")

    @property
    def effect(self) -> str:
        """The mean and its interval, such as "+0.11 ± 0.07 dB (n = 5)"."""
        (middle, half), d = interval(self.values), self.decimals
        unit = f" {self.unit}" if self.unit else ""
        text = f"{middle:+.{d}f} ± {half:.{d}f}{unit} (n = {len(self.values)})"
        return text.replace("-", "−")

    def answer(self, no_difference: float) -> str:
        """Return one of :data:`ANSWERS`, from the p value of "no difference", corrected.

        A difference that is certain and too small to matter counts as none.
        """
        if chance_of_a_difference(self.values, self.margin) <= LEVEL:
            return FAILS if self.expect == 0 else SAME
        if no_difference > LEVEL:
            return OPEN
        up = interval(self.values)[0] > 0
        return HOLDS if self.expect == 0 or up == (self.expect > 0) else FAILS

    def finding(self, answer: str) -> Finding:
        """Return the comparison as a sentence with this answer."""
        unit = f" {self.unit}" if self.unit else ""
        margin = f"margin {self.margin:g}{unit}{', ' + self.why if self.why else ''}"
        beside = f"; {margin}" if self.why or self.margin != MARGIN else ""
        return Finding(f"{self.what}: {self.effect}{beside}", answer)


def answered(found: Sequence[Finding | Comparison]) -> list[Finding]:
    """Return all as findings; the comparisons are corrected for their number."""
    compared = [one for one in found if isinstance(one, Comparison)]
    chances = iter(holm([chance_of_no_difference(one.values) for one in compared]))
    return [
        one.finding(one.answer(next(chances))) if isinstance(one, Comparison) else one
        for one in found
    ]


@dataclass(frozen=True)
class Claim:
    """A sentence about a mechanism, and how it was put to the test.

    Attributes
    ----------
    number : int
        Its place on the page, from 1.
    text : str
        The sentence.
    lesson : str
        Where it is tested, such as ``"03"``; empty if in no lesson.
    experiments : tuple[str, ...]
        Names of the result files that it is judged by.
    test : str
        How it was tested, in a sentence or two.
    judge : Callable[[], Iterable[Finding | Comparison]]
        Reads the result files and returns what they say.
    """

    number: int
    text: str
    lesson: str
    experiments: tuple[str, ...]
    test: str
    judge: Callable[[], Iterable[Finding | Comparison]]

    def found(self) -> list[Finding | Comparison]:
        """Read the result files and return what they say."""
        return list(self.judge())

    def findings(self) -> list[Finding]:
        """Return it with an answer to each."""
        return answered(self.found())


def verdict(findings: Iterable[Finding]) -> str:
    """Sum up: one of :data:`ANSWERS`, or on which part it depends.

    >>> verdict([Finding("a", "holds"), Finding("b", "can't tell")])
    "depends: (a) holds, (b) can't tell"
    """
    findings = list(findings)
    answers = {finding.answer for finding in findings}
    if len(answers) == 1:
        return answers.pop()
    parts = (f"({letter(k)}) {finding.answer}" for k, finding in enumerate(findings))
    return "depends: " + ", ".join(parts)


def letter(k: int) -> str:
    """Return a, b, c … for 0, 1, 2 …"""
    return chr(ord("a") + k)


def span(values: list[float], form: str) -> str:
    """Return "low to high", or one number where both are written alike."""
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low} to {high}"


def decided(low: float, high: float, bound: float, below: bool = True) -> str:
    """Answer a claim that a number lies below a bound (or above it), from its interval."""
    if not below:
        low, high, bound = -high, -low, -bound
    return HOLDS if high < bound else FAILS if low > bound else OPEN


# -- the page -----------------------------------------------------------------------------------


PICTURE = "pictures/claims.png"
_COLOURS = {HOLDS: "#009E73", FAILS: "#D55E00", SAME: "#0072B2", OPEN: "#000000"}
_IN_WORDS = {1: "One", 2: "Two", 11: "Eleven", 12: "Twelve", 13: "Thirteen"}


def page(claims: Iterable[Claim]) -> str:
    """Return ``CLAIMS.md``: a table of verdicts, then every claim with its numbers."""
    judged = [(claim, claim.findings()) for claim in claims]
    answers = [finding.answer for _, findings in judged for finding in findings]
    counted = [f"{answers.count(answer)} × *{answer}*" for answer in ANSWERS]
    lines = [
        f"# {_IN_WORDS[len(judged)]} claims, tested",
        "",
        "Written by `derain-edu claims` from the CSV files of this folder: don't edit it.",
        "",
        "| | claim | verdict | lesson |",
        "|---|---|---|---|",
    ]
    for claim, findings in judged:
        link = f"[{claim.number}](#claim-{claim.number})"
        where = claim.lesson or "none"
        lines.append(f"| {link} | {claim.text} | {verdict(findings)} | {where} |")
    lines += [
        "",
        f"{len(answers)} findings: {', '.join(counted)}.",
        "",
        "![Every comparison with its 95 % interval, and the margin within which a difference does "
        f"not matter]({PICTURE})",
        "",
        "How to read it. A number is the mean over seeds of a difference that is paired by seed, "
        "with its 95 % interval (Student's t). There is *no difference that matters* if the "
        f"interval lies within ±{MARGIN:g} dB, or within the margin that the line names (a test "
        "of equivalence: two one-sided tests). Else the claim *holds* or *does not hold* if the "
        "difference is not zero: a t test, p ≤ .05, corrected for the number of comparisons "
        "under the claim (Holm), so a single interval that leaves out zero may not be enough. "
        "Else we *can't tell*. Where something was open with three or five seeds, more were added "
        "in one go, whatever came out: a number of seeds was never chosen by looking for a "
        "difference. The networks are small and their training is short: an answer is "
        "about these budgets, and the CSV files say which.",
    ]
    for claim, findings in judged:
        files = ", ".join(f"[{name}.csv]({name}.csv)" for name in claim.experiments)
        lines += ["", f"## Claim {claim.number}", "", f"**{claim.text}**", ""]
        where = f"Lesson {claim.lesson}; " if claim.lesson else ""
        lines += [f"Test: {claim.test} {where}{files}.", ""]
        lines += [
            f"- ({letter(k)}) {finding.text}: **{finding.answer}**"
            for k, finding in enumerate(findings)
        ]
    return "\n".join(lines) + "\n"


def picture(claims: Iterable[Claim]) -> bytes:
    """Draw the interval of each comparison as PNG, in units of its margin."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = []
    for claim in claims:
        found = claim.found()
        rows += [
            (f"{claim.number} ({letter(k)})", one, finding.answer)
            for k, (one, finding) in enumerate(zip(found, answered(found), strict=True))
            if isinstance(one, Comparison)
        ]
    figure = Figure(figsize=(7.5, 0.9 + 0.2 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.set_xscale("symlog", linthresh=1, linscale=1)
    axis.axvspan(-1, 1, color="0.9", zorder=0)
    axis.axvline(0, color="0.6", linewidth=0.8, zorder=1)
    for place, (_, one, answer) in enumerate(rows):
        middle, half = (number / one.margin for number in interval(one.values))
        axis.errorbar(
            middle, place, xerr=half, fmt="o", markersize=4, color=_COLOURS[answer], linewidth=1.5
        )
    for answer, colour in _COLOURS.items():
        axis.plot([], [], "o-", color=colour, label=answer, markersize=4)
    axis.set(
        xlim=(-100, 100), ylim=(len(rows) - 0.5, -0.5),
        xlabel="difference, in units of the smallest that matters (grey: does not matter)",
    )  # fmt: skip
    ticks = (-100, -10, -1, 0, 1, 10, 100)
    axis.set_xticks(ticks, [f"{tick:+d}".replace("-", "−") if tick else "0" for tick in ticks])
    axis.set_yticks(range(len(rows)), [name for name, _, _ in rows], fontsize=8)
    figure.legend(fontsize=8, loc="outside upper center", ncols=4, frameon=False)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()


def write_claims(claims: Iterable[Claim], folder: Path | None = None) -> Path:
    """Write the page and its picture; return its path. Default folder: ``data/results``."""
    claims = list(claims)
    path = (folder or data_folder() / "results") / "CLAIMS.md"
    path.with_name("pictures").mkdir(parents=True, exist_ok=True)
    write_atomically(path.parent / PICTURE, picture(claims))
    write_atomically(path, page(claims).encode())
    return path
