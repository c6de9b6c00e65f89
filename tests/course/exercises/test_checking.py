"""The judge: what it says to answers that fail, write into their input, or differ."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch

from derain_edu.course import exercises
from derain_edu.course.exercises import checking
from derain_edu.course.exercises.checking import (
    HINTS,
    Wrong,
    attempt,
    expect,
    expect_close,
    hinted,
    judge,
    show,
)


@pytest.fixture
def doubling(monkeypatch):
    """An exercise "00.1": return 2 x."""
    monkeypatch.setattr(checking, "CHECKERS", {})

    @checking.checker("00.1")
    def check(answer):
        x = torch.tensor([0.25, -1.0])
        got = attempt(answer, x)
        expect_close(got, 2 * x, "the double", example=f"x = {show(x)}",
                     mistakes={"you returned x unchanged": x, "you squared x": x**2})

    return "00.1"


def divide(x):
    return x / 0 if x.sum() > 9 else [][0]


def add_in_place(x):
    x += x
    return x


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: x + x, "✅ 00.1: correct"),
        (lambda x: ..., "⏳ 00.1: not attempted yet"),
        (lambda x: None, "❌ 00.1: your function returned nothing"),
        (lambda x: x, "you returned x unchanged. At position (1,) yours is -1, expected -2 "
                      "(for x = [0.25, -1.0])"),
        (lambda x: x * x, "you squared x"),
        (lambda x: 3 * x, "the double is not right. At position (1,) yours is -3"),
        (lambda x: x[:1], "The shape should be (2,), and yours is (1,)"),
        (lambda x: "two", "the double should be a tensor, and yours is a str"),
        (lambda x: 2 * x + 1e-9j, "the double should be a tensor, and yours is complex"),
        (lambda x: (2 * x + 9j).numpy(), "yours is complex"),
        (lambda x: [complex(value, 3) for value in 2 * x], "yours is complex"),
        (lambda x: torch.full_like(x, torch.nan), "yours is nan, expected"),
        (lambda: 1, "your function raised TypeError"),
        (divide, f"raised IndexError in line {divide.__code__.co_firstlineno + 1}: list index"),
        (lambda x: relu(x), "the function is torch.relu (your function raised NameError"),  # noqa: F821
        (lambda x: F.relu(x), "write `from torch.nn import functional as F` above your function"),  # noqa: F821
        (lambda x: doubled, "❌ 00.1: your function raised NameError"),  # noqa: F821
        (add_in_place, "changed the tensor it was given, from [0.25, -1.0] to [0.5, -2.0]"),
    ],
)
def test_what_the_judge_says(doubling, answer, words):
    assert words in str(judge(doubling, answer))


YES = torch.tensor([True, False])
RAISES = {  # for each hint, an answer that meets the error
    "is ambiguous": lambda x: 1 if x > 0 else 2,
    "infer output dtype": lambda x: (x > 0).mean(),
    "bool tensor is not supported": lambda x: 1 - YES,
    '"bitwise_': lambda x: x > 0.5 & x,
    "must match the size of tensor": lambda x: x + torch.rand(3),
    "one element tensors can be converted": lambda x: math.sin(x),
    "cannot be converted to Scalar": lambda x: x.item(),
    "zero-dimensional tensor": lambda x: torch.cat((x[0], x[1])),
    "cannot unpack non-iterable int": lambda x: [a for a, b in {1: 2}],
    "__init__() takes": lambda x: torch.nn.Sigmoid(x),
    "cannot be interpreted as an integer": lambda x: [0 for _ in range(4 / 2)],
}


def test_an_error_that_beginners_meet_is_explained_in_every_exercise(doubling):
    assert RAISES.keys() == HINTS.keys()
    for part, answer in RAISES.items():
        told = judge(doubling, answer).text
        assert told.startswith(f"{HINTS[part]} (your function raised ") and part in told, told


def test_the_hint_of_an_exercise_goes_first():
    with pytest.raises(Wrong, match=r"^take the larger \(your function raised RuntimeError"):
        hinted(max, {"is ambiguous": "take the larger"}, torch.rand(2), torch.rand(2))


def test_what_a_checkers_own_function_finds_wrong_comes_out_as_it_is():
    def join(x):
        raise Wrong("this join is ambiguous")

    with pytest.raises(Wrong, match="^this join is ambiguous$"):
        hinted(lambda x, join: join(x), {}, 1, join)


def test_only_a_right_answer_is_true(doubling):
    answers = (lambda x: 2 * x, lambda x: x, lambda x: ...)
    assert [bool(judge(doubling, answer)) for answer in answers] == [True, False, False]


def test_the_notebook_keeps_its_random_numbers_and_its_gradient_mode(doubling):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    seen = []
    with torch.no_grad():
        judge(doubling, lambda x: seen.append(torch.is_grad_enabled()) or 2 * x + torch.rand(2))
        assert not torch.is_grad_enabled()
    assert seen == [True] and torch.equal(torch.rand(2), expected)


def test_numbers_are_compared_with_the_tolerance():
    expect_close(1.000001, 1.0, "it")
    with pytest.raises(Wrong, match="it is not right. Yours is 1.1, expected 1$"):
        expect_close(1.1, 1.0, "it")
    with pytest.raises(Wrong, match="Yours is 95,108, expected 95,107$"):
        expect_close(95_108, 95_107, "it", tolerance=1e-9)
    expect_close(1.1, 1.0, "it", tolerance=0.2)
    for value in (1 + 0j, np.complex64(1), torch.tensor(1 + 5j)):
        with pytest.raises(Wrong, match="it should be a number, and yours is complex"):
            expect_close(value, 1.0, "it")


def test_expect():
    expect(True, "never said")
    with pytest.raises(Wrong, match="said"):
        expect([], "said")


def test_long_tensors_are_shown_by_their_shape():
    assert show(torch.rand(3, 5)) == "a tensor of shape (3, 5)"
    assert show(0.123456) == "0.1235" and show(torch.tensor([0.1, 1.0])) == "[0.1, 1.0]"


def test_an_example_is_chinese_too(doubling, monkeypatch):
    monkeypatch.setenv("DERAIN_EDU_LANGUAGE", "zh")
    text = str(judge(doubling, lambda x: 3 * x))
    assert "（当 x = [0.25, -1.0] 时）" in text and "。 " not in text and "(for" not in text


def test_a_reason_of_two_parts_is_chinese_in_both(monkeypatch):
    monkeypatch.setenv("DERAIN_EDU_LANGUAGE", "zh")
    exercises.numbers()  # loads the checkers
    for answer in (lambda first, second: (first, second), both_zero):
        assert not re.search("[a-z]{3,} [a-z]{2,}", str(judge("13.3", answer)))


def both_zero(first, second):
    for weight in (*first.parameters(), *second.parameters()):
        torch.nn.init.zeros_(weight)
    return first, second
