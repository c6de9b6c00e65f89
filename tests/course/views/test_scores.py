"""The views of the lesson on scores."""

from derain_edu.course.views.scores import draw_ladder


def test_the_ladder_has_one_line_per_picture_and_one_tick_per_step():
    figure = draw_ladder({"A": [37.0, 38.5], "B": [32.0, 39.9]}, ["RGB", "Y"])
    [axis] = figure.axes
    assert [line.get_label() for line in axis.lines] == ["A", "B"]
    assert [list(line.get_ydata()) for line in axis.lines] == [[37.0, 38.5], [32.0, 39.9]]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["RGB", "Y"]
