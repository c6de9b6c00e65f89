"""Gate for dataclasses: ``help()``, an IDE and the book can read what each field means."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import derain_edu

PACKAGE = Path(derain_edu.__file__).parent


def dataclasses_of(source: str) -> list[ast.ClassDef]:
    """Return the public dataclasses at the top level of a module."""
    return [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
        and not node.name.startswith("_")
        and any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)
    ]


def documented_fields(docstring: str) -> list[str]:
    """Return the lines ``name : type, default value`` of the section *Attributes*."""
    _, _, section = docstring.partition("Attributes\n----------\n")
    section = re.split(r"\n\n.+\n-+\n", section)[0]
    entries = re.findall(r"^(\S.*)\n    \S", section, re.MULTILINE)  # each needs a text below it
    return [entry for entry in entries if " : " in entry]


def field_faults(source: str) -> list[str]:
    """Return the fields that *Attributes* leaves out, or gives another type, default or place."""
    faults = []
    for node in dataclasses_of(source):
        fields = [part for part in node.body if isinstance(part, ast.AnnAssign)]
        expected = []
        for field in fields:
            line = f"{field.target.id} : {ast.get_source_segment(source, field.annotation)}"
            if field.value is not None and not isinstance(field.value, ast.Call):
                line += f", default {ast.get_source_segment(source, field.value)}"
            expected.append(line)
        found = documented_fields(ast.get_docstring(node) or "")
        faults += [f"{node.name}: no {line!r}" for line in expected if line not in found]
        faults += [f"{node.name}: has no {line!r}" for line in found if line not in expected]
        if sorted(found) == sorted(expected) and found != expected:
            faults.append(f"{node.name}: in another order")
    return faults


def test_every_field_of_a_dataclass_is_documented():
    faults, number = [], 0
    for path in sorted(PACKAGE.rglob("*.py")):
        where = path.relative_to(PACKAGE).as_posix()
        source = path.read_text(encoding="utf-8")
        number += len(dataclasses_of(source))
        faults += [f"{where}: {fault}" for fault in field_faults(source)]
    assert faults == []
    assert number > 30


GOOD = '''
@dataclass(frozen=True)
class Config:
    """What it is.

    Attributes
    ----------
    size : int
        In pixels.
    name : str, default "x"
        For messages.
    """

    size: int
    name: str = "x"
'''


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("size : int\n        In pixels.\n    ", "", "no 'size : int'"),
        ("        In pixels.\n", "", "no 'size : int'"),  # named, but nothing is said
        ("    size : int", "    size : float", "no 'size : int'"),
        ('default "x"', 'default "y"', "no 'name : str, default \"x\"'"),
        ("\n    size: int\n", "\n", "has no 'size : int'"),
        ("    Attributes\n    ----------\n", "", "no 'size : int'"),
        ('    size: int\n    name: str = "x"', '    name: str = "x"\n    size: int', "order"),
    ],
)
def test_a_field_without_a_text_is_found(old, new, fault):
    assert field_faults(GOOD) == []
    assert old in GOOD
    assert any(fault in found for found in field_faults(GOOD.replace(old, new)))
    assert field_faults(GOOD.replace(old, new).replace("@dataclass(frozen=True)\n", "")) == []
