"""The Chinese course cannot drift from the English one."""

from __future__ import annotations

import ast
import os
import re
import warnings
from pathlib import Path

import nbformat
import pytest

from derain_edu.course.notebooks import (
    build_notebooks,
    catalogue_keys,
    catalogue_path,
    lesson_names,
    make_notebook,
)
from derain_edu.course.translation import catalogues, pages, prose, strings
from derain_edu.course.translation.checks import faults
from derain_edu.language import SENTENCES

NOTEBOOKS = Path(__file__).resolve().parents[3] / "notebooks"
SOURCES = [NOTEBOOKS / f"{name}.py" for name in lesson_names(NOTEBOOKS, ".py")]
COMPILED = [*map(catalogue_path, SOURCES), NOTEBOOKS / "zh" / "package.po"]
CATALOGUES = [*COMPILED, *map(pages.catalogue_path, pages.PAGES)]
UPDATE = "run `make notebooks`"


def stem(path: Path) -> str:
    return path.stem


def wanted(path: Path) -> list[catalogues.Key]:
    if path.stem == "package":
        return catalogues.package_keys()
    if path.stem in pages.PAGES:
        return pages.page_keys(path.stem)
    return catalogue_keys(NOTEBOOKS / f"{path.stem}.py")


@pytest.mark.parametrize("path", CATALOGUES, ids=stem)
def test_a_catalogue_is_up_to_date(path):
    entries = [entry for entry in catalogues.read(path) if entry.id]
    assert [(entry.id, entry.context) for entry in entries] == wanted(path), UPDATE
    counts = catalogues.counts(catalogues.read(path))
    if counts.fuzzy or counts.missing:
        said = f"{path.name}: {counts.fuzzy} changed and {counts.missing} new sentences in English"
        warnings.warn(said, stacklevel=1)
        if os.environ.get("DERAIN_EDU_REQUIRE_CHINESE") == "1":
            pytest.fail(f"{said}, and DERAIN_EDU_REQUIRE_CHINESE=1 demands Chinese")


@pytest.mark.parametrize("path", CATALOGUES, ids=stem)
def test_a_translation_keeps_numbers_code_formulas_and_links(path):
    found = {
        entry.id: faulty
        for entry in catalogues.read(path)
        if entry.id and entry.string and not entry.fuzzy
        and (faulty := faults(entry.id, entry.string, entry.context))
    }
    assert not found


def test_what_the_package_shows_is_compiled_from_the_catalogues():
    assert SENTENCES.read_bytes() == catalogues.compiled(COMPILED), UPDATE


def test_the_chinese_readme_is_up_to_date():
    text = (NOTEBOOKS.parent / pages.CHINESE_README).read_text(encoding="utf-8")
    assert text == f"{pages.chinese('README').rstrip()}\n", UPDATE
    for source in SOURCES:
        assert f"](notebooks/zh/{source.stem}.ipynb)" in text


def test_no_catalogue_is_left_over():
    assert set((NOTEBOOKS / "zh").glob("*.po")) == set(CATALOGUES)


def without_texts(code: str) -> str:
    """Return the code with its strings taken out: only they and comments may differ."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
        if isinstance(node, ast.JoinedStr):
            fields = [part for part in node.values if isinstance(part, ast.FormattedValue)]
            node.values = sorted(fields, key=ast.dump)
    return ast.dump(tree)


def test_a_chinese_notebook_has_the_cells_of_the_english_one():
    for source in SOURCES:
        for solutions in (False, True):
            english = make_notebook(source, solutions).cells
            chinese = make_notebook(source, solutions, "zh").cells
            assert [cell.cell_type for cell in english] == [cell.cell_type for cell in chinese]
            tags = [[cell.metadata.get("tags") for cell in cells] for cells in (english, chinese)]
            assert tags[0] == tags[1]
            for before, after in zip(english, chinese, strict=True):
                is_bootstrap = "bootstrap" in before.metadata.get("tags", [])
                if before.cell_type == "code" and not is_bootstrap:
                    assert without_texts(before.source) == without_texts(after.source)


# -- Markdown in units


TEXT = """\
# 05 · Title

A paragraph that is
wrapped, with `code x` and $x_1$.

- one item
  goes on
- another item
1. a number

| **Spend** | 10 minutes |
|---|---|

$$
x = \\text{not prose}
$$

```python
print("not prose")
```

<details><summary>Hint</summary>

Look there.

</details>

```{glossary}
PSNR
  How far two pictures
  are apart.
```"""


def test_markdown_is_cut_into_what_a_translator_reads():
    assert prose.units(TEXT) == [
        "05 · Title",
        "A paragraph that is wrapped, with `code x` and $x_1$.",
        "one item goes on",
        "another item",
        "a number",
        "| **Spend** | 10 minutes |",
        "<details><summary>Hint</summary>",
        "Look there.",
        "PSNR",
        "How far two pictures are apart.",
    ]


def test_markdown_without_translations_says_the_same():
    once = prose.translated(TEXT, lambda unit: None)
    assert once.split() == TEXT.split() and prose.units(once) == prose.units(TEXT)


def test_each_unit_is_translated_where_it_stands():
    told = prose.translated(TEXT, lambda unit: f"«{unit}»")
    assert prose.units(told) == [f"«{unit}»" for unit in prose.units(TEXT)]
    assert "\n# «05 · Title»\n" in f"\n{told}" and "\n- «another item»\n1. «a number»\n" in told
    assert 'print("not prose")' in told and "\\text{not prose}" in told


# -- sentences in code


CODE = '''\
"""No sentence: a docstring."""
my_guess = None  # write a number
names = {"two words": 3, "key": 4}
print(f"{names['key']:.2f} dB, and "
      "{} stays", "é is one character")
axis.set_title("error")
print("a \\"quoted\\" word")
'''


def test_what_a_cell_prints_and_what_is_drawn_are_apart():
    assert strings.printed(CODE) == [
        "write a number",
        "{names['key']:.2f} dB, and {{}} stays",
        "é is one character",
        'a \\"quoted\\" word',
    ]
    assert strings.printed('print("loss:", losses["all at once"])') == ["loss:"]
    assert strings.drawn(CODE) == ["two words"]  # "error" is one of the words of the package
    assert strings.drawn('axis.set_title("crossing")') == ["crossing"]
    assert strings.drawn('axis.legend(loc="upper left")') == []


def test_a_cell_prints_in_another_language():
    chinese = {
        "write a number": "写一个数",
        "{names['key']:.2f} dB, and {{}} stays": "{names['key']:.2f} dB，{{}} 不变",
        "é is one character": "é 是一个字符",
        'a \\"quoted\\" word': "一个“词”",
    }
    code = strings.with_translated_prints(CODE, chinese.get)
    assert code.splitlines()[1] == "my_guess = None  # 写一个数"
    said: list[str] = []
    exec(  # noqa: S102
        code.replace("axis.set_title", "str"), {"print": lambda *words: said.extend(words)}
    )
    assert said == ["4.00 dB，{} 不变", "é 是一个字符", "一个“词”"]


def test_a_template_does_not_depend_on_how_a_value_is_computed():
    code = 'raise E(f"{name!r} has {len(x) + 1:,} of {total}: give more")\nlog("not shown here")'
    assert strings.shown(code, only_raised=True) == ["{name} has {2} of {total}: give more"]


# -- the catalogues


LESSON = """\
# %% [markdown]
# # 03 · Title
#
# **Why?**
#
# | | |
# |---|---|
# | **Time** | 40 minutes |
#
# Rain falls on the picture, and the network takes it out again.

# %% tags=["bootstrap"]
import derain_edu as de
"""


@pytest.fixture
def course(tmp_path):
    """A course of one lesson in two languages, its first paragraph translated."""
    (tmp_path / "zh").mkdir()
    source = tmp_path / "03_title.py"
    source.write_text(LESSON, encoding="utf-8")
    build_notebooks(tmp_path)
    path = catalogue_path(source)
    catalogue = catalogues.read(path)
    for entry in catalogue:
        if entry.id and entry.id.startswith("Rain falls"):
            entry.string = "雨落在图像上，网络再把它去掉。"
    catalogues.write(catalogue, path)
    build_notebooks(tmp_path)
    return source


def first_cell(source: Path) -> str:
    notebook = nbformat.read(source.parent / "zh" / f"{source.stem}.ipynb", 4)
    return notebook.cells[0].source


def test_a_translated_paragraph_is_in_the_chinese_notebook(course):
    assert "雨落在图像上" in first_cell(course) and "Rain falls" not in first_cell(course)
    notebook = nbformat.read(course.parent / "zh" / "03_title.ipynb", 4)
    assert 'os.environ["DERAIN_EDU_LANGUAGE"] = "zh"' in notebook.cells[1].source
    assert "/blob/main/notebooks/zh/03_title.ipynb" in first_cell(course)


def test_a_changed_paragraph_is_english_until_somebody_has_looked_at_it(course):
    text = course.read_text(encoding="utf-8").replace("takes it out", "takes some of it out")
    course.write_text(text, encoding="utf-8")
    build_notebooks(course.parent)
    assert "takes some of it out" in first_cell(course) and "雨" not in first_cell(course)
    path = catalogue_path(course)
    assert catalogues.counts(catalogues.read(path)).fuzzy == 1
    assert "雨落在图像上" in path.read_text(encoding="utf-8")  # kept for the translator
    build_notebooks(course.parent)
    text = path.read_text(encoding="utf-8")
    assert text.count("#, fuzzy") == 1 and text.count("#") == 2  # and the comment at the top


def test_a_catalogue_is_written_the_same_every_time(course):
    path = catalogue_path(course)
    before = path.read_bytes()
    build_notebooks(course.parent)
    assert path.read_bytes() == before and b"\r" not in before
    assert not re.search(rb"\d{4}-\d\d-\d\d", before)  # no dates


# -- what a translation must keep


@pytest.mark.parametrize(
    ("english", "chinese", "context", "fault"),
    [
        ("26.8 dB", "28.6 dB", None, "numbers"),
        ("use `psnr` here", "这里用 psnr", None, "code"),
        ("the weight $w$", "权重 $v$", None, "formulas"),
        ("see [it](a.md)", "见[它](b.md)", None, "links"),
        ("<b>so</b>", "<b>这样", None, "tags"),
        ("| a | b |", "| 甲 |", None, "columns"),
        ("a **word** here", "一个**“词”**在这里", None, "stars"),
        ("so", "这\n样", None, "line"),
        ("{x} of {y}", "{x} / {z}", "shown", "fields"),
        ("{x} of 3", "{x} / 4", "print", "numbers"),
        ("12 million", "12 万", None, "numbers"),
    ],
)
def test_a_lossy_translation_is_found(english, chinese, context, fault):
    assert any(fault in text for text in faults(english, chinese, context))
    assert faults(english, english, context) == []


def test_a_sound_translation_passes():
    english = "**Predict:** `x` has 3 of 12 uses ($T = 6$): see [05](05.md), {no} field."
    chinese = "**先猜一猜：** `x` 的 12 次使用中有 3 次（$T = 6$），见 [05](05.md)，{no} 不算。"
    assert faults(english, chinese) == []
    assert faults("12 megapixels, 169 thousand weights", "1200 万像素，16.9 万个权重") == []
