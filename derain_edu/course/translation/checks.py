"""What a translation must keep: numbers, code, formulas, links, fields, tags, the form of a table.

>>> from derain_edu.course.translation.checks import faults
>>> faults("use `psnr`: **26.8 dB**", "用 `psnr`，得到 **28.6 dB**")
['numbers: 26.8 became 28.6']
"""

from __future__ import annotations

import re
from collections import Counter

# What is counted, in this order; what one finds is taken out before the next one looks.
_KEPT = {
    "links": re.compile(r"\]\(([^)]+)\)"),
    "code": re.compile(r"(`+[^`]+`+)"),
    "formulas": re.compile(r"(\$[^$]+\$)"),
    "tags": re.compile(r"(</?[a-z]+[^>]*>)"),
    "fields": re.compile(r"(\{[^{}]*\})"),
    "numbers": re.compile(
        r"(?<![A-Za-z_\d])(\d+(?:[.,]\d+)*(?: ?(?:thousand|million|mega(?=pixel)|万|亿))?)"
    ),
}
# Chinese counts large numbers in 万 and 亿: 12 million is 1200 万.
_LARGE = {"thousand": 10**3, "million": 10**6, "mega": 10**6, "万": 10**4, "亿": 10**8}


def faults(english: str, chinese: str, context: str | None = None) -> list[str]:
    """Return what a translation lost or added.

    Parameters
    ----------
    english, chinese : str
        The sentence and its translation.
    context : str, optional
        Of the entry in the catalogue: what is printed or shown is no Markdown.
    """
    found = []
    rest = [english, chinese]
    for name, pattern in _KEPT.items():
        if context is not None and name not in ("fields", "numbers"):
            continue
        before, after = (Counter(map(_plain, pattern.findall(text))) for text in rest)
        if before != after:
            lost, new = before - after, after - before
            found.append(f"{name}: {_list(lost)} became {_list(new)}")
        rest = [pattern.sub(" ", text) for text in rest]
    if context is None:
        found += _form(english, chinese)
    return found


def _plain(found: str) -> str:
    """Write a large number in figures, and leave everything else as it is.

    >>> _plain("169 thousand"), _plain("16.9 万"), _plain("168,963")
    ('169000', '169000', '168,963')
    """
    for word, size in _LARGE.items():
        if found.endswith(word) and found[0].isdigit():
            return f"{float(found.removesuffix(word).replace(',', '')) * size:.0f}"
    return found


def _list(items: Counter[str]) -> str:
    return ", ".join(items.elements()) or "nothing"


def _form(english: str, chinese: str) -> list[str]:
    """Return faults of Markdown: another number of columns, stars that are not rendered."""
    from markdown_it import MarkdownIt

    found = []
    if english.startswith("|") and english.count("|") != chinese.count("|"):
        found.append("another number of columns")
    if "\n" in chinese:
        found.append("more than one line")
    reader = MarkdownIt()
    text = re.sub(r"\$[^$]+\$|`[^`]+`", "x", chinese.replace("|", " "))
    for token in reader.parseInline(text)[0].children or ():
        if token.type == "text" and "*" in token.content and "*" not in re.sub(
            r"\*+(?=\S)[^*]+\*+", "", english
        ):
            found.append(f"stars that stay stars (a space beside them helps): {token.content!r}")
    return found
