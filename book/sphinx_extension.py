"""What the book needs beyond Sphinx and myst-nb: formulas without a server, texts of pictures.

- Formulas become MathML while the book is built, with the converter that comes with docutils.
  Browsers draw MathML themselves, so no page loads MathJax.
- The pictures of a lesson keep their alternative texts (myst-nb drops them).
- The signature of a dataclass does not repeat the fields that its docstring lists.
- The Chinese book can be searched.
"""

from __future__ import annotations

import dataclasses
import re
from html import escape
from typing import Any

import jieba
from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from myst_nb.core.render import NbElementRenderer
from sphinx.search.zh import SearchChinese
from sphinx.util import logging

logger = logging.getLogger(__name__)
SPELLED_OUT = {r"\dots": r"\ldots"}  # commands that the converter doesn't know


def mathml(node: nodes.Element, as_block: bool) -> str:
    """Return a formula as MathML; a formula that can't be converted is a warning."""
    text = node.astext()
    for command, known in SPELLED_OUT.items():
        text = re.sub(re.escape(command) + r"(?![A-Za-z])", lambda _, known=known: known, text)
    try:
        return tex2mathml(text, as_block=as_block)
    except MathError as error:
        logger.warning("can't convert the formula %r: %s", text, error, location=node)
        return f"<code>{escape(text)}</code>"


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(mathml(node, as_block=False))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="formula">{mathml(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def keep_alternative_texts() -> None:
    """Let myst-nb hand the alternative text in an output's metadata on to the picture."""
    render = NbElementRenderer.render_image
    if getattr(render, "keeps_alt", False):
        return

    def render_image(self: NbElementRenderer, data: Any) -> list[nodes.Element]:
        elements = render(self, data)
        alt = data.output_metadata.get(data.mime_type, {}).get("alt")
        for image in (found for element in elements for found in element.findall(nodes.image)):
            if alt:
                image["alt"] = alt
        return elements

    render_image.keeps_alt = True
    NbElementRenderer.render_image = render_image


def without_fields(
    app: Any, what: str, name: str, thing: Any, options: Any, given: str, returned: Any
) -> tuple[str, Any] | None:
    """Drop the signature of a dataclass: its fields are listed below, with their defaults."""
    return ("", None) if what == "class" and dataclasses.is_dataclass(thing) else None


class Search(SearchChinese):
    """Cut Chinese pages into words for the search (jieba knows them).

    Sphinx names the program that finds the stem of a word after the language, and there is none for
    Chinese: the English one serves both.
    """

    language_name = "English"


def setup(app: Any) -> dict[str, Any]:
    """Connect all of it to Sphinx."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("autodoc-process-signature", without_fields)
    jieba.setLogLevel("WARNING")
    app.add_search_language(Search)
    keep_alternative_texts()
    return {"parallel_read_safe": True, "parallel_write_safe": True}
