"""Claims put to the test in a lesson, one after the other, and the table that says how they did.

A claim is written so that its numbers, one per photo or per seed, lie above zero if it is right.
Their mean with Student's 95 % interval decides: above zero, below zero, or neither.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from derain_edu.errors import DerainError
from derain_edu.experiments.statistics import interval
from derain_edu.language import local

FEWEST = 3  # numbers without which nothing is decided


@dataclass(frozen=True)
class Verdict:
    """One claim and its numbers: their mean, the half-width of its 95 % interval, how many.

    Attributes
    ----------
    claim : str
        The sentence that was tested.
    middle : float
        Mean of the numbers.
    half : float
        Half-width of the 95 % interval of the mean.
    n : int
        How many numbers there are.
    unit : str
        Of the numbers, such as ``"dB"``.
    decimals : int
        Digits after the point, for print only.
    """

    claim: str
    middle: float
    half: float
    n: int
    unit: str
    decimals: int

    @property
    def holds(self) -> bool | None:
        """True above zero, False below, None where the interval has zero in it."""
        if self.n < FEWEST or abs(self.middle) <= self.half:
            return None
        return self.middle > 0

    @property
    def word(self) -> str:
        """The answer in words."""
        return {True: "holds", False: "no, the opposite", None: "can't tell"}[self.holds]

    @property
    def effect(self) -> str:
        """The mean and its interval, such as "+0.11 ± 0.07 dB"."""
        d = self.decimals
        numbers = f"{self.middle:+.{d}f} ± {self.half:.{d}f}".replace("-", "−")
        return f"{numbers} {local(self.unit)}"


def judged(claim: str, values: Iterable[Any], unit: str, decimals: int) -> Verdict:
    """Return the verdict on one claim, see :meth:`Verdicts.judge`."""
    numbers = [float(value) for value in values]
    if not numbers:
        raise DerainError(f"no numbers for {claim!r}: a verdict needs {FEWEST} or more")
    return Verdict(claim, *interval(numbers), len(numbers), unit, decimals)


class Verdicts:
    """The claims that a lesson has judged so far.

    >>> verdicts = Verdicts()
    >>> verdicts.judge("B is better than A", [0.31, 0.28, 0.35]).word
    'holds'
    >>> verdicts["B is better than A"].effect
    '+0.31 ± 0.09 dB'
    """

    def __init__(self) -> None:
        self._judged: dict[str, Verdict] = {}
        self._not_shown: dict[str, Verdict] = {}

    def judge(
        self, claim: str, values: Iterable[Any], unit: str = "dB", decimals: int = 2
    ) -> Verdict:
        """Put a claim to the test; keep and return the verdict.

        Parameters
        ----------
        claim : str
            A sentence. Judged again (as when a cell runs twice), it replaces its old verdict.
        values : sequence of numbers, or tensor (n,)
            One per photo or seed, above zero if the claim is right.
        unit : str
            Of ``values``.
        decimals : int
            Digits after the point, for print only.
        """
        verdict = judged(claim, values, unit, decimals)
        self._judged[claim] = self._not_shown[claim] = verdict
        return verdict

    def __getitem__(self, claim: str) -> Verdict:
        if claim not in self._judged:
            raise DerainError(f"{claim!r} was not judged yet: run the cells above")
        return self._judged[claim]

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self._judged.values())

    def latest(self) -> VerdictTable:
        """Return the verdicts since the last time, as a table that a notebook shows."""
        latest, self._not_shown = list(self._not_shown.values()), {}
        return VerdictTable(latest)

    def table(self) -> VerdictTable:
        """Return all verdicts so far, as a table that a notebook shows."""
        return VerdictTable(list(self))


class VerdictTable:
    """Verdicts, shown as a table in a notebook and as lines elsewhere."""

    def __init__(self, verdicts: Sequence[Verdict]) -> None:
        self.verdicts = list(verdicts)

    def __repr__(self) -> str:
        lines = []
        for v in self.verdicts:
            lines += textwrap.wrap(local(v.claim), 84)
            lines.append(f"    {v.effect}, n = {v.n}: {local(v.word)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return an HTML table; its cells break between words, never inside one."""
        left = ' style="text-align: left"'
        number = ' style="text-align: left; white-space: nowrap"'
        titles = ("claim", "mean ± 95 %", "n", "verdict")
        head = "".join(f"<th{left}>{local(title)}</th>" for title in titles)
        rows = [
            f"<tr><td{left}>{html.escape(local(v.claim))}</td>"
            f"<td{left}>{html.escape(v.effect)}</td><td{number}>{v.n}</td>"
            f"<td{number}><b>{html.escape(local(v.word))}</b></td></tr>"
            for v in self.verdicts
        ]
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
