"""The exercises of lesson 16: a leak between splits, stop or another seed, one honest score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from derain_edu.course.exercises.checking import (
    Wrong,
    attempt,
    checker,
    expect,
    expect_close,
    hinted,
)
from derain_edu.experiments.statistics import interval
from derain_edu.language import local

# ------------------------------------------------------------------------------------ 16.1, a leak

# train, test, the scenes that are in both
_LISTS = [
    (["pier-light-01.png", "quay-light-01.png"], ["pier-light-02.png", "quay-heavy-01.png"],
     {"pier", "quay"}),
    (["bridge-light-01.png", "old-town-light-01.png", "old-town-heavy-02.png", "port-mix-04.png"],
     ["old-town-heavy-07.png", "old-gate-light-02.png", "bridge-mix-09.png"],
     {"bridge", "old-town"}),
    (["gate-light-01.png"], ["gatehouse-light-01.png"], set()),
]  # fmt: skip


@checker("16.1")
def check_shared_scenes(answer: Callable[..., Any]) -> None:
    """Try ``shared_scenes(train, test)`` on lists with a hyphen in a scene, and on none."""
    for train, test, truth in _LISTS:
        try:
            found = attempt(answer, list(train), list(test))
        except Wrong as reason:
            raise Wrong(_of_lists(str(reason))) from None
        example = f"(train {train}, test {test})"
        expect(
            isinstance(found, list | tuple | set | frozenset)
            and all(isinstance(scene, str) for scene in found),
            f"return a list or a set of scenes, strings, not {found!r}",
        )
        scenes = set(found)
        for words, holds in _wrong_scenes(scenes, train, test, truth).items():
            expect(not holds, f"{local(words)} {example}")
        expect(scenes == truth, f"yours is {sorted(scenes)}, expected {sorted(truth)} {example}")
        expect(len(found) == len(scenes), f"return each scene once, not {list(found)} {example}")


def _of_lists(reason: str) -> str:
    """Say what a usual error means here."""
    if "to unpack" in reason:
        return (
            "a scene's name may hold a hyphen, such as old-town, so split gives more than three "
            "parts: cut from the right, rsplit('-', 2)"
        )
    if "unsupported operand" in reason and "list" in reason:
        return "lists have no &: make sets of the scenes first, set(…)"
    return reason


def _wrong_scenes(
    scenes: set[str], train: Sequence[str], test: Sequence[str], truth: set[str]
) -> dict[str, bool]:
    """Return what may be wrong with the scenes that were found, and whether it is."""
    parts = [[name.rsplit("-", 2) for name in names] for names in (train, test)]
    both = [{scene for scene, _, _ in names} for names in parts]
    with_rain = [{f"{scene}-{rain}" for scene, rain, _ in names} for names in parts]
    first_parts = {name.split("-")[0] for name in train} & {name.split("-")[0] for name in test}
    return {
        "you found none: no file is in both lists, because rain and number differ. Compare the "
        "scenes": bool(truth) and not scenes,
        "give the scenes, not the names of files": any(name.endswith(".png") for name in scenes),
        "this is scene and rain together: the same scene in other rain leaks, too":
            scenes == with_rain[0] & with_rain[1] != truth,
        "a scene's name may hold a hyphen, such as old-town: cut from the right":
            scenes == first_parts != truth,
        "these are all scenes: return those that are in both lists":
            scenes == both[0] | both[1] != truth,
        "'gate' and 'gatehouse' are two scenes: compare whole names":
            not truth and scenes == {"gate"},
        "these are the scenes of one list: return those that are in both":
            scenes in both and scenes != truth,
    }  # fmt: skip


# --------------------------------------------------------------------- 16.2, stop or another seed

STEPS = ("keep", "drop", "too small", "more seeds")
# gains, margin, what to do
_GAINS: list[tuple[list[float], float, str]] = [
    ([0.4, 0.5, 0.6], 0.1, "keep"),  # 0.25 to 0.75
    ([0.2, 0.3, 0.4], 0.1, "keep"),  # 0.05 to 0.55: it begins within the margin
    ([-0.6, -0.4, -0.5, -0.5], 0.1, "drop"),
    ([0.8], 0.1, "more seeds"),
    ([-0.01, 0.0, 0.02, 0.01], 0.1, "too small"),  # holds 0
    ([0.05, 0.06, 0.05, 0.06], 0.1, "too small"),  # above 0
    ([-0.05, -0.06, -0.05, -0.06], 0.1, "too small"),  # below 0
    ([2.0, -1.0, 1.5], 0.1, "more seeds"),
    ([0.9, -0.9, 0.1, -0.1], 0.1, "more seeds"),  # the mean is 0
    ([0.5, 0.9], 0.2, "more seeds"),
    ([0.05, 0.06, 0.05, 0.06], 0.01, "keep"),
]
# what to do, what an answer says, why not
_WHY = {
    ("keep", "drop"): "gains are after − before: above 0 the change helps",
    ("drop", "keep"): "gains are after − before: below 0 the change does harm",
    ("keep", "more seeds"): "all of the interval is above 0, so the seeds decide: margin is "
                            "only for 'too small'",
    ("keep", "too small"): "the interval reaches beyond margin, so it may matter",
    ("drop", "more seeds"): "all of the interval is below 0, so the seeds decide",
    ("drop", "too small"): "the interval reaches below −margin: compare its lower end, too",
    ("too small", "keep"): "the interval is above 0, but all of it is within ±margin: ask this "
                           "first",
    ("too small", "drop"): "the interval is below 0, but all of it is within ±margin: ask this "
                           "first",
    ("too small", "more seeds"): "all of the interval is within ±margin: no further seed is needed",
    ("more seeds", "too small"): "the interval reaches beyond ±margin, so a difference that "
                                 "matters is still possible. Compare both ends, not the mean",
    ("more seeds", "keep"): "the interval holds 0: compare its lower end with 0, not the mean",
    ("more seeds", "drop"): "the interval holds 0: compare its upper end with 0, not the mean",
}  # fmt: skip


@checker("16.2")
def check_next_step(answer: Callable[..., Any]) -> None:
    """Try ``next_step(gains, margin)`` on intervals at all places, and on one seed."""
    hints = {"to unpack": "interval(gains) gives two numbers, the mean and half the width"}
    for gains, margin, truth in _GAINS:
        example = f"(gains {gains}, margin {margin})"
        try:
            found = hinted(answer, hints, list(gains), margin)
        except Wrong as reason:
            if "None" not in str(reason):
                raise
            raise Wrong(f"{reason} One case has no return in yours {example}") from None
        expect(isinstance(found, str) and found in STEPS,
               f"return one of {', '.join(map(repr, STEPS))}, not {found!r} {example}")  # fmt: skip
        if len(gains) == 1:
            expect(found == truth, "one seed has no spread, and half = 0 is no certainty: ask for "
                   f"more seeds first {example}")  # fmt: skip
        mean, half = interval(gains)
        why = _WHY.get((truth, found), "")
        expect(found == truth, f"not {found!r} but {truth!r}: {why}. The interval goes from "
               f"{mean - half:.2f} to {mean + half:.2f} {example}")  # fmt: skip


# -------------------------------------------------------------------------- 16.3, one honest score

# name -> (validation, test); the best one on validation is not the best one on test
_NETWORKS = [
    {"a": (30.0, 29.0), "b": (32.5, 28.5), "c": (31.0, 31.5)},
    {"wide": (27.0, 26.0), "deep": (26.5, 28.0), "small": (26.0, 25.0), "old": (25.0, 27.0)},
]


@checker("16.3")
def check_hand_over(answer: Callable[..., Any]) -> None:
    """Try ``hand_over(networks, validation, test)``, and count who looks at what."""
    for scores in _NETWORKS:
        looks: dict[str, list[str]] = {"validation": [], "test": []}

        def measure(
            name: Any, split: str, scores: Any = scores, looks: Any = looks
        ) -> float:
            if not isinstance(name, str) or name not in scores:
                raise Wrong(f"{split} was given {name!r}: give it the name of a network")
            looks[split].append(name)
            return scores[name][split == "test"]

        found = attempt(
            answer, list(scores), lambda name, m=measure: m(name, "validation"),
            lambda name, m=measure: m(name, "test"),
        )  # fmt: skip
        _check_looks(looks, list(scores))
        _check_report(found, scores, looks["test"])


def _check_looks(looks: Mapping[str, Sequence[str]], names: Sequence[str]) -> None:
    tested, judged = looks["test"], set(looks["validation"])
    expect(tested, "you never called test: the score that you report comes from the test pictures")
    expect(
        len(set(tested)) == 1,
        f"you looked at the test pictures of {len(set(tested))} networks: choose by validation, "
        "and call test for the chosen one only",
    )
    expect(
        len(tested) == 1,
        f"you called test {len(tested)} times for one network, and each call is a look: call it "
        "once, and keep the number",
    )
    missing = [name for name in names if name not in judged]
    expect(not missing, f"you never called validation for {', '.join(missing)}")


def _check_report(found: Any, scores: Mapping[str, Any], tested: Sequence[str]) -> None:
    best = max(scores, key=lambda name: scores[name][0])
    table = ", ".join(f"{name} {pair[0]} dB" for name, pair in scores.items())
    if not (isinstance(found, tuple | list) and len(found) == 3):
        raise Wrong(f"return three things: name, score, looks; not {found!r}")
    name, score, count = found
    expect(isinstance(name, str), f"the first of the three is a name, not {name!r}")
    expect(
        name == best == tested[0],
        f"you handed over {name!r} and tested {tested[0]!r}; the best on validation is {best!r} "
        f"(validation: {table})",
    )
    mistakes = {"this is the validation score, by which you chose: report the one of test":
                scores[best][0]}  # fmt: skip
    expect_close(score, scores[best][1], "the score", mistakes=mistakes, example=f"{best!r}")
    mistakes = {
        "only calls of test are looks": len(scores),
        "the call of test is a look": 0,
        "calls of validation are free: only calls of test are looks": len(scores) + 1,
    }
    expect_close(count, 1, "the number of looks", mistakes=mistakes)
