"""The sentences inside of Python code: what a lesson prints, and what the package shows.

A sentence with values is taken as a template (see :mod:`derain_edu.language`)::

    f"T = {count}: {seconds:.1f} s for all stages"   →   T = {count}: {1} s for all stages

A field that is a plain name keeps it, any other is numbered, so that the template does not depend
on how the value is computed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

# Words that are shown alone. One word in code may as well be a key, so they are listed.
WORDS = frozenset(
    "rainy derained clean error step steps stage stages loss right wrong done open lesson question "
    "minutes trained fresh truth rain mask map blending additive screen seed layers "
    "amount length width angle brightness veil threshold strength swipe exercise state when up "
    "down left equation initial boundary training validation test whole crop rounded optimizer "
    "report curriculum both .".split()
)
_PROSE = re.compile(r"[A-Za-z]{2,}[,;:.…)]* +[(×±]?[A-Za-z{]|^[A-Z][a-z]+ [a-z]|[a-z]{2}, \{")
_PRINTS = {"print", "say"}
# Here a single word is a label, too: arguments of these functions, and of these names.
_DRAWS = {"set_title", "set_xlabel", "set_ylabel", "annotate", "text", "box", "arrow", "local",
          "compare_guess"}
_LABELS = {"description", "label", "xlabel", "ylabel", "title", "alt", "words", "unit"}
# What to write into a prediction, and into the stub of an exercise.
_HINT = re.compile(r"^(?:my_\w+ = | *return \.\.\.).*?# (.+)$", re.MULTILINE)


def is_prose(text: str) -> bool:
    """Say whether a string of the code is something that people read."""
    page = re.search(r"<[a-z!/]|\n  |\nimport ", text)  # HTML, or a program
    return text in WORDS or (bool(_PROSE.search(text.strip())) and not page)


def _labels(tree: ast.AST) -> set[int]:
    """Return the strings (their ids) that are labels where they stand, even of a single word."""
    parts: list[ast.AST] = []
    for call in _calls(tree, _DRAWS):
        parts += call.args
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in _LABELS:
            parts.append(node.value)
        if isinstance(node, ast.List) and any(isinstance(e, ast.JoinedStr) for e in node.elts):
            parts.append(node.elts[0])  # the row of a table
    return {id(node) for part in parts for node in _strings(part)}


def template(node: ast.Constant | ast.JoinedStr) -> str:
    """Return the template of a string."""
    if isinstance(node, ast.Constant):
        return node.value
    parts = []
    for k, value in enumerate(node.values):
        if isinstance(value, ast.Constant):
            parts.append(value.value)
        else:
            plain = isinstance(value.value, ast.Name) and not value.format_spec
            parts.append(f"{{{value.value.id if plain else k}}}")
    return "".join(parts)


_SETTINGS = {"loc", "textcoords", "ha", "va", "anchor"}  # arguments that no reader sees


def _strings(tree: ast.AST) -> Iterator[ast.Constant | ast.JoinedStr]:
    """Return the strings below a node, in the order of the source; docstrings are none."""
    if isinstance(tree, ast.JoinedStr):
        yield tree
    elif isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        yield tree
    elif isinstance(tree, ast.Subscript):
        yield from _strings(tree.value)
        if isinstance(tree.ctx, ast.Store):  # mistakes["a reason"] = …; else nobody reads the key
            yield from _strings(tree.slice)
    else:
        for child in ast.iter_child_nodes(tree):
            docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            setting = isinstance(child, ast.keyword) and child.arg in _SETTINGS
            if not (docstring or setting):
                yield from _strings(child)


def _calls(tree: ast.AST, names: set[str]) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else None
            if (name or getattr(node.func, "id", None)) in names:
                yield node


def shown(code: str, only_raised: bool = False) -> list[str]:
    """Return the templates of the sentences in a Python source, in order, each once.

    Parameters
    ----------
    code : str
        The source.
    only_raised : bool
        Only what is inside of ``raise``, or handed to :func:`derain_edu.language.local`.
    """
    tree = ast.parse(code)
    parts: list[ast.AST] = [tree]
    if only_raised:
        parts = [node for node in ast.walk(tree) if isinstance(node, ast.Raise)]
        parts += _calls(tree, {"complain", "local"})
    return _read(tree, [node for part in parts for node in _strings(part)])


def drawn(code: str) -> list[str]:
    """Return the templates in a lesson's cell that are shown by the package: labels, titles, …"""
    tree = ast.parse(code)
    printed = {id(node) for call in _calls(tree, _PRINTS) for node in _strings(call)}
    return _read(tree, [node for node in _strings(tree) if id(node) not in printed])


def _read(tree: ast.AST, nodes: Iterable[Any]) -> list[str]:
    """Return the templates of those strings that people read, each once."""
    labels = _labels(tree)
    found = [
        text
        for node in nodes
        if is_prose(text := template(node)) or (id(node) in labels and "<" not in text)
    ]
    worded = [text for text in found if re.search(r"[A-Za-z]{2}", re.sub(r"\{.*?\}", "", text))]
    return [text for text in dict.fromkeys(worded) if text not in WORDS]


# -- what a lesson prints: translated in the cell itself ------------------------------------------


def printed(code: str) -> list[str]:
    """Return what the translator of a cell finds: the strings it prints, what a prediction asks.

    Strings stand as they are written in the source, with the code of their fields.
    """
    return list(dict.fromkeys(text for _, _, text, _ in _printed(code)))


def with_translated_prints(code: str, translate: Callable[[str], str | None]) -> str:
    """Return a cell that prints its sentences in another language."""
    for start, end, text, mark in reversed(_printed(code)):
        if new := translate(text):
            code = code[:start] + (new if mark is None else _literal(new, mark)) + code[end:]
    return code


def _printed(code: str) -> list[tuple[int, int, str, str | None]]:
    """Return start, end and text of each sentence in order, and its mark: ``"f"``, ``""``.

    The mark of a comment is None.
    """
    found: list[Any] = [(*hint.span(1), hint[1], None) for hint in _HINT.finditer(code)]
    for call in _calls(ast.parse(code), _PRINTS):
        for node in _strings(call):
            start, end = _span(code, node)
            text = _inside(code[start:end])
            if re.search(r"[A-Za-z]{3}", re.sub(r"\{[^{}]*\}|\\.", " ", text)):
                found.append((start, end, text, "f" if isinstance(node, ast.JoinedStr) else ""))
    return sorted({entry[:2]: entry for entry in found}.values())


def _span(code: str, node: Any) -> tuple[int, int]:
    """Return where a node begins and ends, in characters (ast counts bytes of a line)."""
    lines = code.splitlines(keepends=True)

    def position(line: int, column: int) -> int:
        before = sum(map(len, lines[: line - 1]))
        return before + len(lines[line - 1].encode()[:column].decode())

    return position(node.lineno, node.col_offset), position(node.end_lineno, node.end_col_offset)


_PIECE = re.compile(r"""(f?)("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""")


def _inside(literal: str) -> str:
    """Return what is between the quotes of a literal, or of several that Python puts together."""
    pieces = _PIECE.findall(literal)
    formatted = any(mark for mark, _ in pieces)
    parts = []
    for mark, quoted in pieces:
        text = quoted[1:-1]
        if formatted and not mark:
            text = text.replace("{", "{{").replace("}", "}}")
        parts.append(text)
    return "".join(parts)


def _literal(text: str, mark: str) -> str:
    """Return a text as a literal with the quotes that are free."""
    quote = "'" if '"' in text.replace('\\"', "") else '"'
    return f"{mark}{quote}{text}{quote}"
