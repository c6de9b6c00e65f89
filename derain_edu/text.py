"""Text that people read: tables of figures, a guess beside what was measured."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return lines of text with aligned columns, the first one to the left."""
    widths = [max(len(row[k]) for row in (header, *rows)) for k in range(len(header))]
    lines = []
    for row in (header, ["-" * width for width in widths], *rows):
        others = [cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *others]).rstrip())
    return "\n".join(lines)


LINE = 84  # characters: what JupyterLab holds beside its file browser on a screen of 1280 pixels


def compare_guess(guess: float | None, measured: float, unit: str = "", decimals: int = 1) -> None:
    """Print a reader's prediction beside what was measured."""
    measured = round(measured, decimals) + 0.0  # no "-0.0"
    told = "no guess yet" if guess is None else f"you said {guess:.{decimals}f} {unit}".rstrip()
    line = f"{told} · measured {measured:.{decimals}f} {unit}".rstrip()
    if guess is not None:
        line += f" · you were off by {abs(guess - measured):.{decimals}f}"
    print(line)


def say(text: str) -> None:
    """Print a line; what a notebook's narrow column can't hold goes on below, word by word."""
    print(textwrap.fill(text, LINE, subsequent_indent="    ", break_on_hyphens=False))


def bars_are_off() -> bool:
    """Say whether ``TQDM_DISABLE`` is set, which tqdm overlooks where ``disable`` is given too."""
    return os.environ.get("TQDM_DISABLE", "0") not in ("", "0")
