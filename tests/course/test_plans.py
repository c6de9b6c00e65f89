"""The plans for teachers keep the order, leave nothing out, and share the minutes evenly."""

from __future__ import annotations

from itertools import combinations

import pytest

from derain_edu.course.lesson_size import sizes
from derain_edu.course.plans import plans, sessions

ROWS = [
    [30, 50, 55, 40, 60, 45],
    [60] * 7,
    [10, 90, 10, 10, 90],
]


def shortest_by_trying(lengths: list[int], parts: int) -> int:
    """Return the longest session of the best cut, found by trying all of them."""
    best = sum(lengths)
    for cuts in combinations(range(1, len(lengths)), parts - 1):
        edges = [0, *cuts, len(lengths)]
        best = min(best, max(sum(lengths[a:b]) for a, b in zip(edges, edges[1:], strict=False)))
    return best


@pytest.mark.parametrize("lengths", ROWS)
@pytest.mark.parametrize("parts", [1, 2, 3, 5])
def test_the_longest_session_is_as_short_as_possible(lengths, parts):
    minutes = [(f"{k:02}", length) for k, length in enumerate(lengths)]
    found = sessions(minutes, parts)
    assert [number for session in found for number in session.numbers] == [n for n, _ in minutes]
    assert sum(session.minutes for session in found) == sum(lengths)
    assert max(session.minutes for session in found) == shortest_by_trying(lengths, parts)


def test_the_three_plans_hold_the_core_path_and_the_course():
    found = sizes()
    day, week, term = plans(found).values()
    core = [size.lesson.number for size in found if size.lesson.core]
    assert [n for session in day for n in session.numbers] == core
    assert [n for session in week for n in session.numbers] == core
    assert [n for session in term for n in session.numbers] == [s.lesson.number for s in found]
    assert len(day) <= 5 and len(week) <= 5 and len(term) <= 10  # of twelve weeks
    assert sum(s.minutes for s in day) < sum(s.minutes for s in week)
