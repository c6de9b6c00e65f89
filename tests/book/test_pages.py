"""The pages of the book: their examples run, and they name what there is to name."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import derain_edu as de

BOOK = Path(__file__).resolve().parents[2] / "book"
BLOCK = re.compile(r"^```python\n(>>> .*?)^```$", re.MULTILINE | re.DOTALL)


def examples(page: str) -> str:
    """Return the examples of a page as one doctest."""
    return "\n".join(BLOCK.findall((BOOK / page).read_text(encoding="utf-8")))


def test_the_examples_of_the_package_page_run():
    text = examples("api.md")
    assert text.count(">>>") > 30
    test = doctest.DocTestParser().get_doctest(text, {}, "api.md", str(BOOK / "api.md"), 0)
    told: list[str] = []
    runner = doctest.DocTestRunner()
    runner.run(test, out=told.append)
    assert runner.failures == 0, "".join(told)


@pytest.mark.parametrize("name", [name for name in de.__all__ if name != "__version__"])
def test_every_public_name_is_documented_and_has_an_example(name):
    page = (BOOK / "api.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\.\. auto\w+:: derain_edu\.(\w+)$", page, re.MULTILINE)
    assert documented.count(name) == 1
    assert re.search(rf"\bde\.{name}\b", examples("api.md"))


def test_nothing_else_is_documented():
    page = (BOOK / "api.md").read_text(encoding="utf-8")
    assert set(re.findall(r":: derain_edu\.(\w+)$", page, re.MULTILINE)) <= set(de.__all__)


def test_the_glossary_is_sorted_and_each_term_is_explained():
    text = (BOOK / "glossary.md").read_text(encoding="utf-8")
    body = re.search(r"```\{glossary\}\n(.*)```", text, re.DOTALL)[1]
    entries = dict(re.findall(r"^(\S.*)\n((?:  .*\n)+)", body, re.MULTILINE))
    assert len(entries) > 35 and list(entries) == sorted(entries, key=str.lower)
    for term, words in entries.items():
        assert len(words.split()) >= 6, term
