"""How an answer is judged: tried on small examples, with a reason and a counter-example.

A checker is a function of the reader's function. It returns if the answer is right and raises
:class:`Wrong` if it is not::

    @checker("01.2")
    def check_error_map(answer):
        x = torch.tensor([0.2, 0.9])
        got = attempt(answer, x)
        expect_close(got, 1 - x, "the result", example=f"x = {show(x)}",
                     mistakes={"you returned x unchanged": x})

What teaches is ``mistakes``: for each way to go wrong that we have thought of, what would come out
of it. If an answer equals one of them, the reader gets that reason instead of two numbers.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from derain_edu.course.progress import MARKS
from derain_edu.language import local

Checker = Callable[[Callable[..., Any]], None]
CHECKERS: dict[str, Checker] = {}  # by number; filled by @checker when a lesson's module is loaded

# Errors that beginners meet in any lesson: a part of their text, and what it means.
HINTS = {
    "is ambiguous": "a tensor holds many numbers, and `if`, `and`, `not`, `min` and `max` want "
    "one: work on each number (`&`, `~`, torch.minimum), or ask once, `.any()` or `.all()`",
    "infer output dtype": "yes or no has no mean: make numbers of it first, `.float()`",
    "bool tensor is not supported": "a minus can't work on yes or no: `~` turns a mask round, and "
    "`.float()` makes numbers of it",
    '"bitwise_': "`&` and `|` come before `<` and `>=`: put each comparison in brackets, "
    "(a < x) & (x < b)",
    "must match the size of tensor": "tensors are lined up from their last axis; there, sizes must "
    "be equal, or one of them 1: `unsqueeze` makes such an axis",
    "one element tensors can be converted": "`math.…` and `float` take one number: take the "
    "function of torch, such as torch.sin, which works on each number of a tensor",
    "cannot be converted to Scalar": "`.item()` is for a tensor of one number: keep the tensor",
    "zero-dimensional tensor": "single numbers have no axis along which torch.cat could put them "
    "together: torch.stack makes one",
    "cannot unpack non-iterable int": "a loop over a dict gives its keys: `.items()` gives pairs "
    "of a key and a value",
    "__init__() takes": "a name with a capital letter, such as torch.nn.Sigmoid, makes a layer: "
    "the function is torch.sigmoid",
    "cannot be interpreted as an integer": "a whole number is asked for: `/` and math.log2 give "
    "a fraction, `//` and int(…) don't",
}


class Wrong(Exception):
    """The answer is wrong; the text says why, for the reader."""


class Untouched(Exception):
    """The stub was not changed: its function returned ``...``."""


@dataclass(frozen=True)
class CheckResult:
    """What a checker found: ``state`` is right, wrong or untouched.

    Attributes
    ----------
    number : str
        Of the exercise, such as ``"03.1"``.
    state : str
        ``"right"``, ``"wrong"`` or ``"untouched"``.
    text : str
        The reason, in one sentence.
    """

    number: str
    state: str
    text: str

    def __bool__(self) -> bool:
        return self.state == "right"

    def __str__(self) -> str:
        return f"{MARKS[self.state]} {self.number}: {self.text}"

    def _ipython_display_(self) -> None:
        """Show nothing: ``check`` has printed it, and a notebook shows a cell's last value."""


def checker(number: str) -> Callable[[Checker], Checker]:
    """Register the function below as the checker of the exercise ``number``."""

    def register(function: Checker) -> Checker:
        CHECKERS[number] = function
        return function

    return register


def judge(number: str, answer: Callable[..., Any]) -> CheckResult:
    """Run the checker of an exercise on an answer; nothing that the answer does gets out.

    Gradients are on (some lessons turn them off), and the random numbers of the notebook stay as
    they were.
    """
    try:
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            CHECKERS[number](answer)
    except Untouched:
        return CheckResult(number, "untouched", local("not attempted yet"))
    except Wrong as reason:
        return CheckResult(number, "wrong", local(str(reason)))
    return CheckResult(number, "right", local("correct"))


def attempt(answer: Callable[..., Any], *arguments: Any) -> Any:
    """Call the answer once and return its result; errors that we know are explained (`HINTS`).

    Tensors are handed over as copies, so that an answer that writes into them is found out.

    Raises
    ------
    Untouched
        If it returned ``...``, as the stubs do.
    Wrong
        If it raised an exception, returned nothing, or changed a tensor that it was given.
        A ``Wrong`` of a function that the answer was given comes out as it is.
    """
    return hinted(answer, {}, *arguments)


def hinted(answer: Callable[..., Any], hints: Mapping[str, str], *arguments: Any) -> Any:
    """Call the answer as :func:`attempt` does, and explain the errors of this exercise, too.

    Parameters
    ----------
    answer : callable
        The reader's function.
    hints : mapping of str to str
        A part of an error's text, such as ``"does not require grad"``, and what it means here. The
        first that fits stands before the error. They go before `HINTS`.
    *arguments
        What the answer is given.

    Raises
    ------
    Untouched, Wrong
        As :func:`attempt` does.
    """
    given = [_copy(value) for value in arguments]
    try:
        result = answer(*given)
    except Wrong:
        raise
    except Exception as error:
        kind, line = type(error).__name__, _line(error)
        told = f"your function raised {kind} in line {line}: {error}"
        if line is None:
            told = f"your function raised {kind}: {error}"
        raise Wrong(_explained(told, _missing_name(error), hints, HINTS)) from None
    if result is ...:
        raise Untouched
    if result is None:
        told = "your function returned nothing (None): does it end in `return`?"
        raise Wrong(_explained(told, hints))
    for before, after in zip(arguments, given, strict=True):
        if not isinstance(before, Tensor) or torch.equal(before, after):
            continue
        if show(before) == show(after):  # too large to be written out
            raise Wrong(
                "your function changed the tensor it was given: make a new one (x + y, not x += y; "
                "x.clamp(), not x.clamp_())"
            )
        raise Wrong(
            f"your function changed the tensor it was given, from {show(before)} to "
            f"{show(after)}: make a new one (x + y, not x += y)"
        )
    return result


def _explained(problem: str, *tables: Mapping[str, str]) -> str:
    """Put the first hint that fits before a problem."""
    for part, hint in (entry for table in tables for entry in table.items()):
        if part in problem:
            return f"{local(hint)} ({local(problem)})"
    return problem


def expect_close(
    got: Any,
    want: Any,
    what: str,
    *,
    mistakes: Mapping[str, Any] | None = None,
    example: str = "",
    tolerance: float = 1e-5,
) -> None:
    """Compare a result with the truth; if it is wrong, look for the mistake that explains it.

    Parameters
    ----------
    got, want : tensor or number
        The result and the truth.
    what : str
        What the result is, in the reader's words: "the rainy picture".
    mistakes : mapping of str to tensor or number, optional
        A reason, and what comes out for that reason. The first that fits is told.
    example : str
        What went into the function, short enough to read: "clean = 0.9, streak = 0.3".
    tolerance : float
        How far apart two equal numbers may be, absolutely and relative to the truth.

    Raises
    ------
    Wrong
        If ``got`` is not ``want``.
    """
    found, truth = _tensor(got), _tensor(want)
    if found is None:
        kind = "tensor" if isinstance(want, Tensor) else "number"
        yours = "complex" if _is_complex(got) else f"a {type(got).__name__}"
        raise Wrong(f"{what} should be a {kind}, and yours is {yours}")
    if _same(found, truth, tolerance):
        return
    known = (mistakes or {}).items()
    fitting = [text for text, value in known if _same(found, _tensor(value), tolerance)]
    reason = local([*fitting, f"{what} is not right"][0])
    end = "" if reason.endswith(("?", "!", "？", "！", "。")) else local(".")
    gap = "" if (reason + end).endswith(("？", "！", "。")) else " "
    case = local(" (for {example})").replace("{example}", local(example)) if example else ""
    raise Wrong(f"{reason}{end}{gap}{local(_difference(found, truth))}{case}")


def expect(holds: Any, reason: str) -> None:
    """Raise :class:`Wrong` with this reason unless something holds."""
    if not holds:
        raise Wrong(reason)


def show(value: Any) -> str:
    """Write numbers as a reader can take them in: ``0.25``, ``[0.1, 0.2]``, or a shape."""
    if isinstance(value, Tensor):
        if value.numel() > 12:
            return local(f"a tensor of shape {tuple(value.shape)}")
        return str(_rounded(value.detach().tolist()))
    if isinstance(value, float):  # a count stays a count: 95,107 and not 9.511e+04
        return f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"
    return repr(value)


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _copy(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    return value.detach().clone().requires_grad_(value.requires_grad)


def _tensor(value: Any) -> Tensor | None:
    """Return numbers as a float64 tensor; None if they are no numbers, or complex ones."""
    if _is_complex(value):  # a conversion would drop the imaginary part
        return None
    if isinstance(value, np.ndarray):  # PyTorch takes no array that runs backwards
        value = np.array(value, order="C")
    try:
        return torch.as_tensor(value).detach().to("cpu", torch.float64)
    except (TypeError, ValueError, RuntimeError):
        return None


def _is_complex(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_is_complex, value))
    return torch.is_complex(value) if isinstance(value, Tensor) else bool(np.iscomplexobj(value))


def _same(a: Tensor, b: Tensor | None, tolerance: float) -> bool:
    return b is not None and a.shape == b.shape and torch.allclose(a, b, tolerance, tolerance)


def _difference(got: Tensor, want: Tensor) -> str:
    """Say how two tensors differ: in their shapes, or most where."""
    if got.shape != want.shape:
        return f"The shape should be {tuple(want.shape)}, and yours is {tuple(got.shape)}"
    if got.ndim == 0:
        return f"Yours is {show(got.item())}, expected {show(want.item())}"
    worst = int((got - want).abs().nan_to_num(nan=torch.inf).argmax())
    place = tuple(int(i) for i in torch.unravel_index(torch.tensor(worst), got.shape))
    yours, right = got.flatten()[worst].item(), want.flatten()[worst].item()
    return f"At position {place} yours is {show(yours)}, expected {show(right)}"


_IMPORTS = {
    "math": "import math",
    "np": "import numpy as np",
    "torch": "import torch",
    "nn": "from torch import nn",
    "F": "from torch.nn import functional as F",
}


def _missing_name(error: Exception) -> dict[str, str]:
    """Return the hint for a NameError: nothing was imported, or ``torch.`` was forgotten."""
    name = error.name if type(error) is NameError else None
    if name in _IMPORTS:
        return {"NameError": f"write `{_IMPORTS[name]}` above your function"}
    if name and callable(getattr(torch, name, None)):
        return {"NameError": f"the function is torch.{name}"}
    return {}


def _line(error: Exception) -> int | None:
    """Return the line of the reader's cell that raised, if it can be told."""
    frames = traceback.extract_tb(error.__traceback__)
    return frames[1].lineno if len(frames) > 1 else None
