"""The pictures of lesson 08, and its count of the bytes that a loop writes."""

from __future__ import annotations

import pytest
import torch

from derain_edu.course.views import diagrams, speed
from derain_edu.evaluation.bench_sweeps import indexed_sweeps
from derain_edu.models.irnn import irnn_stack


def written(action) -> int:
    with speed.BytesWritten() as counter:
        action()
    return counter.total


def test_bytes_written_by_hand():
    x = torch.zeros(4, 6)  # 96 bytes
    assert written(lambda: x + 1) == 96
    assert written(lambda: x[1].add_(1)) == 24  # in place: one row
    assert written(lambda: (x + 1).double()) == 96 + 192
    assert written(lambda: torch.mul(x, 2, out=torch.empty(4, 6))) == 96


def test_views_and_empty_memory_write_nothing():
    x = torch.zeros(4, 6)
    assert written(lambda: (x[1], x.t(), x.unbind(0), x.view(24), x.detach())) == 0
    assert written(lambda: (torch.empty(9), x.new_empty(9), torch.empty_like(x))) == 0


def test_bytes_written_backward():
    """Each index writes a gradient as large as the tensor; ``unbind`` stacks all lines once."""
    x = torch.zeros(8, 10, requires_grad=True)  # 320 bytes, a row has 40
    ones = list(torch.ones(8, 10))

    def backward(lines):
        return written(lambda: torch.autograd.grad(lines, x, ones))

    assert backward(list(x.unbind(0))) == 320
    # Eight gradients of the whole picture, and seven sums of two of them.
    assert backward([x[i] for i in range(8)]) == 8 * 320 + 7 * 320


def test_the_indexing_loop_writes_the_square():
    """Twice the side: four times the bytes for ``unbind``, about eight with an index per step."""

    def growth(way):
        totals = []
        for size in (16, 32):
            x = torch.rand(1, 2, size, size, requires_grad=True)
            a, b = torch.rand(4, 2), torch.rand(4, 2)
            totals.append(written(lambda: way(x, a, b).sum().backward()))  # noqa: B023
        return totals[1] / totals[0]

    assert growth(lambda *args: irnn_stack(*args, "loop")) == pytest.approx(4, abs=0.2)
    assert growth(indexed_sweeps) > 6


def test_a_spread_has_all_three_numbers():
    assert speed.spread([0.003, 0.001, 0.002]) == "2.0 (1.0–3.0)"


def test_every_run_is_a_dot():
    runs = {"loop": [0.01, 0.02, 0.04], "compiled": [0.001, 0.003, 0.002]}
    figure = speed.draw_race(runs, {name: runs[name] for name in runs})
    for axis in figure.axes:
        dots, medians = axis.lines[0::2], axis.lines[1::2]
        assert [len(line.get_xdata()) for line in dots] == [3, 3]
        assert [line.get_xdata()[0] for line in medians] == pytest.approx([20, 2])
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["loop", "compiled"]


def test_maps_have_a_line_each():
    h = torch.linspace(-1, 1, 5)
    axis = speed.draw_maps(h, {"first": h, "both": 2 * h}).axes[0]
    assert [line.get_linewidth() for line in axis.lines] == [1.2, 3]


@pytest.mark.parametrize("length", [2, 6, 8])
def test_the_tree_of_a_scan(length):
    """The last box holds all, and nothing that it is made of is left out."""
    text = diagrams.scan_tree([1.0] * length, [2.0] * length)._repr_html_()
    rounds = (length - 1).bit_length()
    assert text.count("<rect") == length * (rounds + 1)
    assert f">1–{length}<" in text and text.count(">h = 2.00<") == length
    steps = [part for part in text.split("<rect")[1:] if 'y="44"' in part.split(">")[0]]
    assert len(steps) == length and all(diagrams.ACCENT in part for part in steps)


def test_the_drawing_of_four_sweeps():
    text = diagrams.four_sweeps()._repr_html_()
    assert text.count('fill-opacity="0.5"') == 1 + 13 + 49  # itself, a cross, everything
