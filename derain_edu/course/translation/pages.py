"""The pages around the lessons in Chinese: the README, and what the book has in both languages.

(The README's table of lessons needs no catalogue: it comes from the Chinese lessons.)

Their catalogues are ``notebooks/zh/NAME.po``. ``make notebooks`` writes ``README.zh-CN.md``; the
pages of the book are made while it is built.
"""

from __future__ import annotations

import re
from pathlib import Path

from derain_edu.course.lesson_tables import question_table, with_table
from derain_edu.course.notebooks import lesson_folder, lessons
from derain_edu.course.translation import catalogues, prose
from derain_edu.files import PACKAGE, write_atomically
from derain_edu.language import local

TOP = PACKAGE.parent
PAGES = {
    "README": "README.md",
    "index": "book/index.md",
    "glossary": "book/glossary.md",
    "teachers": "book/teachers.md",
    "try": "book/demo/page.md",
}
CHINESE_README = "README.zh-CN.md"
_MARK = re.compile(r'^(:(?:start-after|end-before): "## )(.+)"$', re.MULTILINE)
_CAPTION = re.compile(r"^(:caption: )(.+)$", re.MULTILINE)  # of a part of the book
_NOTEBOOKS = re.compile(r"(\]\((?:https://\S+/blob/main/)?notebooks/)(?=\d\d_|solutions)")
_TERM = re.compile(r"\{term\}`(?:([^`<]+) <)?([^`<>]+)>?`")  # a link into the glossary


def catalogue_path(name: str) -> Path:
    """Return the catalogue of a page."""
    return TOP / "notebooks" / "zh" / f"{name}.po"


def page_keys(name: str) -> list[catalogues.Key]:
    """Return what is to be translated of a page."""
    text = (TOP / PAGES[name]).read_text(encoding="utf-8")
    if name == "README":
        text = with_table(text, "")
    return [(unit, None) for unit in dict.fromkeys(prose.units(text))]


def chinese(name: str) -> str:
    """Return a page in Chinese; what has no translation is in English."""
    text = (TOP / PAGES[name]).read_text(encoding="utf-8")
    translate = catalogues.translator(catalogues.read(catalogue_path(name)))
    text = prose.translated(text, translate)
    if name == "README":
        text = with_table(text, question_table(lessons(lesson_folder("zh")), "zh"))
    # Terms are translated, so a link to one leads to its Chinese name.
    text = _TERM.sub(lambda m: f"{{term}}`{m[1] or m[2]} <{translate(m[2]) or m[2]}>`", text)
    # The front page takes a part of the README, from one heading to another.
    headings = catalogues.translator(catalogues.read(catalogue_path("README")))
    text = _MARK.sub(lambda mark: f'{mark[1]}{headings(mark[2]) or mark[2]}"', text)
    text = _CAPTION.sub(lambda caption: f"{caption[1]}{local(caption[2], 'zh')}", text)
    text = text.replace(f"[简体中文]({CHINESE_README})", "[English](README.md)")
    return _NOTEBOOKS.sub(r"\1zh/", text)


def write_pages() -> list[Path]:
    """Bring the catalogues of the pages up to date, and write the README in Chinese."""
    for name in PAGES:
        catalogues.update(catalogue_path(name), page_keys(name))
    target = TOP / CHINESE_README
    write_atomically(target, f"{chinese('README').rstrip()}\n".encode())
    return [*map(catalogue_path, PAGES), target]
