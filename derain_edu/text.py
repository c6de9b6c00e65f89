"""Text that people read: tables of figures, CSV, Markdown, a guess beside what was measured."""

from __future__ import annotations

import csv
import html
import io
import os
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from derain_edu.language import local


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return lines of text with aligned columns, the first one to the left."""
    cells = [[local(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(columns, column)) for column in zip(*cells, strict=True)]
    lines = []
    for first, *others in (cells[0], ["-" * width for width in widths], *cells[1:]):
        filled = [" " * (w - columns(c)) + c for c, w in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([pad(first, widths[0]), *filled]).rstrip())
    return "\n".join(lines)


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def pad(text: str, width: int) -> str:
    """Return a text with spaces behind it, ``width`` columns in all."""
    return text + " " * (width - columns(text))


LINE = 84  # characters: what JupyterLab holds beside its file browser on a screen of 1280 pixels


def compare_guess(guess: float | None, measured: float, unit: str = "", decimals: int = 1) -> None:
    """Print a reader's prediction beside what was measured."""
    measured = round(measured, decimals) + 0.0  # no "-0.0"
    unit = f" {local(unit)}" if unit else ""
    parts = [local("no guess yet")]
    if guess is not None:
        parts = [local(f"you said {guess:.{decimals}f}") + unit]
    parts.append(local(f"measured {measured:.{decimals}f}") + unit)
    if guess is not None:
        parts.append(local(f"you were off by {abs(guess - measured):.{decimals}f}"))
    print(" · ".join(parts))


def say(text: str) -> None:
    """Print a line; what a notebook's narrow column can't hold goes on below, word by word."""
    print(textwrap.fill(local(text), LINE, subsequent_indent="    ", break_on_hyphens=False))


def bars_are_off() -> bool:
    """Say whether ``TQDM_DISABLE`` is set, which tqdm overlooks where ``disable`` is given too."""
    return os.environ.get("TQDM_DISABLE", "0") not in ("", "0")


# -- what others wrote, inside of our files -------------------------------------------------------


def csv_text(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return rows as the text of a CSV file with these columns; what a row lacks stays empty."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def csv_name(name: str) -> str:
    """Return a name that no spreadsheet takes for a formula: ``=1+1`` gets a ``'`` in front.

    A leading ``'`` gets another one, so that :func:`name_in_csv` finds every name again.

    Examples
    --------
    >>> csv_name("=HYPERLINK(1)"), name_in_csv("'=HYPERLINK(1)"), csv_name("street.png")
    ("'=HYPERLINK(1)", '=HYPERLINK(1)', 'street.png')
    """
    return f"'{name}" if name[:1] in set("=+-@'\t\r") else name


def name_in_csv(cell: str) -> str:
    """Return the name that :func:`csv_name` wrote into this cell."""
    return cell.removeprefix("'")


def in_markdown(text: str) -> str:
    r"""Return a text as one line that Markdown and HTML show as it is, whoever wrote it.

    Examples
    --------
    >>> print(in_markdown("<img src=x>\n| a *b*"))
    &lt;img src=x&gt; \| a \*b\*
    """
    line = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*\[\]|])", r"\\\1", line)


def code_in_markdown(text: str) -> str:
    """Return a text as inline code, fenced by more backticks than it holds in a row.

    Examples
    --------
    >>> code_in_markdown("prenet"), code_in_markdown("a`b")
    ('`prenet`', '`` a`b ``')
    """
    line = " ".join(text.split())
    longest = max(map(len, re.findall("`+", line)), default=0)
    fence, space = "`" * (longest + 1), " " * (longest > 0)
    return f"{fence}{space}{line}{space}{fence}"
