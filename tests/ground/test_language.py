"""Sentences of the package in the language of their reader."""

from __future__ import annotations

import json

import pytest

from derain_edu import language
from derain_edu.errors import DerainError
from derain_edu.text import compare_guess, table

CATALOGUE = {
    "not right yet": "还不对",
    "the picture": "图像",
    "{what} is not right": "{what}不对",
    "Yours is {1}, expected {3}": "应为 {3}，你的是 {1}",
    "{x} of {y}": "{y} 中的 {x}",
    "your function raised {kind}: {error}": "你的函数抛出 {kind}：{error}",
    "measured {1}": "实测 {1}",
    "no guess yet": "还没有猜",
}


@pytest.fixture
def chinese(tmp_path, monkeypatch):
    """A reader of Chinese, and a catalogue of a few sentences."""
    path = tmp_path / "zh.json"
    path.write_text(json.dumps(CATALOGUE), encoding="utf-8")
    monkeypatch.setattr(language, "SENTENCES", path)
    monkeypatch.setenv("DERAIN_EDU_LANGUAGE", "zh")
    language.forget()
    yield
    language.forget()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"DERAIN_EDU_LANGUAGE": "zh", "LANG": "en_US.UTF-8"}, "zh"),
        ({"DERAIN_EDU_LANGUAGE": "en", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
    ],
)
def test_the_language_is_chosen_or_the_systems(variables, expected, monkeypatch):
    for name in ("DERAIN_EDU_LANGUAGE", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert language.language() == expected


@pytest.mark.parametrize("name", ["zh_CN", "Chinese (Simplified)_China"])
def test_windows_says_it_in_words(name, monkeypatch):
    for variable in ("DERAIN_EDU_LANGUAGE", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(language.locale, "getlocale", lambda: (name, "936"))
    assert language.language() == "zh"


@pytest.mark.parametrize(
    ("english", "expected"),
    [
        ("not right yet", "还不对"),
        ("the picture is not right", "图像不对"),  # a value that is a word itself
        ("x[0] is not right", "x[0]不对"),
        ("Yours is 0.5, expected [1, 2]", "应为 [1, 2]，你的是 0.5"),
        ("3 of 12", "12 中的 3"),
        ("the mean of all pictures here", "the mean of all pictures here"),  # another sentence
        ("your function raised KeyError: no such key", "你的函数抛出 KeyError：no such key"),
        ("nobody has translated this", "nobody has translated this"),
        ("", ""),
    ],
)
def test_a_sentence_is_found_with_its_values(english, expected, chinese):
    assert language.local(english) == expected
    assert language.local(english, "en") == english


def test_in_english_nothing_is_read(monkeypatch):
    monkeypatch.setattr(language, "SENTENCES", None)
    language.forget()
    assert language.local("not right yet", "en") == "not right yet"


def test_errors_tables_and_guesses_speak_it(chinese, capsys):
    assert str(DerainError("the picture is not right")) == "图像不对"
    lines = table(["the picture", "a"], [["x", "not right yet"], ["not right yet", "1"]])
    assert lines.splitlines() == [
        "图像         a",
        "------  ------",
        "x       还不对",
        "还不对       1",
    ]
    compare_guess(None, 2.0, "dB")
    assert capsys.readouterr().out == "还没有猜 · 实测 2.0 dB\n"
