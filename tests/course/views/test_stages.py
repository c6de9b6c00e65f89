"""The figures of lesson 04 show the numbers that they are given."""

from __future__ import annotations

from derain_edu.course.views.stages import draw_recorded, draw_rest, draw_scores


def test_scores_count_from_the_first_stage():
    [axis] = draw_scores({"loop": [30.0, 29.0], "PRN": [28.0, 31.0]}, "first draft").axes
    assert list(axis.lines[1].get_xdata()) == [1, 2]
    assert list(axis.lines[1].get_ydata()) == [28.0, 31.0]
    assert axis.get_legend().get_title().get_text() == "first draft"


def test_the_trained_stage_is_marked():
    left, right = draw_rest({"a": [1.0, 2.0, 3.0], "b": [2.0, 1.0, 0.0]}, [5, 2, 1], 2).axes
    assert right.get_yscale() == "log"
    for axis in (left, right):
        assert list(axis.lines[-1].get_xdata()) == [2, 2]


def test_each_recorded_run_is_a_dot_beside_the_bar_of_its_variant():
    rows = [
        {"variant": variant, "seed": seed, "gain": gain + 0.1 * seed}
        for variant, gain in (("on, on", 3.0), ("on, off", 1.0)) for seed in range(3)
    ]
    [axis] = draw_recorded(rows, "gain", "dB").axes
    dots = axis.lines[-1]
    assert list(dots.get_ydata()) == [row["gain"] for row in rows]
    assert list(dots.get_xdata()) == [-0.2] * 3 + [0.8] * 3
