"""The pictures of shares in lesson 05: the numbers behind the arrows and the tables."""

from __future__ import annotations

import torch

from derain_edu.course.views import plots, shares


def test_the_parts_along_the_sum_add_up_to_it_and_lengths_stay():
    values = torch.randn(4, 50, generator=torch.Generator().manual_seed(0))
    points = shares.beside_the_sum(values)
    assert points.shape == (4, 2) and (points[:, 1] >= 0).all()
    torch.testing.assert_close(points[:, 0].sum(), values.sum(dim=0).norm())
    torch.testing.assert_close(points.norm(dim=1), values.norm(dim=1))


def test_two_arrows_at_right_angles():
    points = shares.beside_the_sum(torch.eye(2))
    torch.testing.assert_close(points, torch.full((2, 2), 0.5**0.5))


def test_the_drawings_name_every_share_and_every_number():
    figure, axes = plots.new_figure(1, 3)
    values = torch.randn(3, 20, generator=torch.Generator().manual_seed(1))
    shares.draw_fan(axes[0, 0], values, "fan")
    assert [text.get_text().strip() for text in axes[0, 0].texts if text.get_text()] == [
        "sum", "1", "2", "3",
    ]
    shares.draw_table(axes[0, 1], torch.eye(2), "cosines", "s", "t")
    assert [t.get_text() for t in axes[0, 1].texts] == ["1.00", "0.00", "0.00", "1.00", "s", "t"]
    shares.draw_table(axes[0, 2], torch.tensor([[2.0, 0.0], [0.5, 3.0]]), "x", "s", "t", "log")
    assert [t.get_text() for t in axes[0, 2].texts][:4] == ["2", "0", "0.5", "3"]
    assert plots.figure_png(figure).startswith(b"\x89PNG")
