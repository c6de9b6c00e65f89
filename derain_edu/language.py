"""The language in which the course speaks: English or Chinese (简体中文).

The package is written in English. Where a sentence is shown to somebody, :func:`local` looks for
its translation in ``language_zh.json``, which ``make notebooks`` compiles from the catalogues
(``notebooks/zh/*.po``). What has no translation there is shown in English.

A sentence with values in it, ``f"yours is {x}, expected {y}"``, stands in the catalogue as its
template, ``yours is {x}, expected {y}``. So no line of the package has to be written in another
way for the sake of its translation.

The environment variable ``DERAIN_EDU_LANGUAGE`` (``en`` or ``zh``) goes before the system's
language; the Chinese notebooks set it.
"""

from __future__ import annotations

import json
import locale
import os
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

SENTENCES = Path(__file__).with_name("language_zh.json")
VARIABLE = "DERAIN_EDU_LANGUAGE"
# Fonts that have Chinese, by the names under which systems know them.
CHINESE_FONTS = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC",
    "Hiragino Sans GB", "Heiti SC", "SimHei", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei",
    "Noto Sans CJK JP",
)  # fmt: skip
FEW_LETTERS, VERY_FEW = 12, 6  # a template with fewer of its own says too little to be sure of it
_WORDS = re.compile(r"[A-Za-z]{3,}")
_PROSE = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,}")
_FIELD = re.compile(r"\{([^{}]*)\}")  # no template has a brace of its own


def language() -> str:
    """Return the language for what is shown: ``"en"`` or ``"zh"``."""
    for variable in (VARIABLE, "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        if wanted := os.environ.get(variable):
            return _known(wanted)
    return _known(locale.getlocale()[0] or "")  # Windows says "Chinese (Simplified)_China"


def _known(name: str) -> str:
    return "zh" if name.lower().startswith(("zh", "chinese")) else "en"


def local(text: str, to: str | None = None) -> str:
    """Return a sentence of the package in the language of its reader.

    Values inside of it that are words of the catalogue themselves are translated as well.

    Parameters
    ----------
    text : str
        As it stands in the package, its values filled in.
    to : str, optional
        The language. Default: that of :func:`language`.

    Returns
    -------
    str
        The translation, or ``text`` where there is none.
    """
    return _in_chinese(text) if text and (to or language()) == "zh" else text


@lru_cache(maxsize=4096)  # a slider writes the same labels again and again
def _in_chinese(text: str) -> str:
    if text in sentences():
        return sentences()[text]
    for template in _templates():
        found = template.match(text)
        if found is not None:
            values = {name: _in_chinese(value) for name, value in found.items()}
            # "{x} in {y}" fits many a sentence that is not in the catalogue
            foreign = _WORDS if template.letters < VERY_FEW else _PROSE
            unknown = any(foreign.search(value) for value in values.values())
            if not unknown or template.letters >= FEW_LETTERS:
                return template.filled(values)
    return text


@dataclass(frozen=True)
class Template:
    """A sentence with fields.

    Attributes
    ----------
    text : str
        In English, such as ``"yours is {x}, expected {y}"``.
    translation : str
        With the same fields, in any order.
    """

    text: str
    translation: str

    @cached_property
    def letters(self) -> int:
        """How many letters are its own."""
        return sum(map(str.isalpha, _FIELD.sub("", self.text)))

    @cached_property
    def pieces(self) -> list[str]:
        """Words, field, words, field, …, words."""
        return _FIELD.split(self.text)

    @cached_property
    def expression(self) -> re.Pattern[str]:
        """What fits the sentence with any values."""
        parts = ["(.*?)" if k % 2 else re.escape(piece) for k, piece in enumerate(self.pieces)]
        return re.compile("".join(parts), re.DOTALL)

    def match(self, sentence: str) -> dict[str, str] | None:
        """Return the values of the fields in ``sentence``, or None if it is another sentence."""
        if not all(words in sentence for words in self.pieces[::2]):  # quicker than the expression
            return None
        found = self.expression.fullmatch(sentence)
        return dict(zip(self.pieces[1::2], found.groups(), strict=True)) if found else None

    def filled(self, values: dict[str, str]) -> str:
        """Return the translation with these values."""
        return _FIELD.sub(lambda field: values[field[1]], self.translation)


def forget() -> None:
    """Read the translations anew the next time: the file has changed."""
    for kept in (sentences, _templates, _in_chinese):
        kept.cache_clear()


@lru_cache(maxsize=1)
def sentences() -> dict[str, str]:
    """Return the Chinese of each sentence and template that the package shows."""
    return json.loads(SENTENCES.read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _templates() -> list[Template]:
    """Return the sentences with values, what says most first."""
    found = [Template(*entry) for entry in sentences().items() if _FIELD.search(entry[0])]
    return sorted(found, key=lambda template: -template.letters)
