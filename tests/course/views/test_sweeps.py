"""How far a pixel sees: measured against finite differences and hand counts, drawn and moved."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from derain_edu.course.views import sweeps
from derain_edu.errors import DerainError
from derain_edu.experiments.influence import influence, share_beyond
from derain_edu.models.irnn import irnn_stack

ZOOM = 4


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(png)).convert("RGB"))


def panels(png: bytes, height: int, width: int, count: int) -> list[np.ndarray]:
    """The first pictures of a strip, without their titles: (height · ZOOM, width · ZOOM, 3)."""
    shown, step = pixels(png)[24 : 24 + height * ZOOM], width * ZOOM + 12
    return [shown[:, k * step : k * step + width * ZOOM] for k in range(count)]


# -- measurements ---------------------------------------------------------------------------------


@pytest.mark.parametrize("pixel", [None, (0, 0), (4, 1)])
def test_influence_is_what_finite_differences_find(pixel):
    torch.manual_seed(3)
    layer = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.Tanh(), nn.Conv2d(3, 2, 3, padding=1)
    ).double()
    x = torch.randn(1, 2, 5, 6, dtype=torch.float64)
    row, column = pixel or (2, 3)
    expected = torch.zeros(5, 6, dtype=torch.float64)
    with torch.no_grad():
        for c, i, j in np.ndindex(2, 5, 6):
            plus, minus = x.clone(), x.clone()
            plus[0, c, i, j] += 1e-5
            minus[0, c, i, j] -= 1e-5
            change = (layer(plus) - layer(minus))[0, :, row, column].sum()
            expected[i, j] += (change / 2e-5).abs()
    found = influence(layer, x, pixel)
    assert torch.allclose(found, expected, atol=1e-8)
    # Two 3×3 convolutions see two pixels far; what they do not see is 0, not just small.
    near = torch.zeros(5, 6, dtype=torch.bool)
    near[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3] = True
    assert torch.equal(found > 0, near)


def test_influence_leaves_its_input_alone():
    x = torch.ones(1, 1, 3, 3)
    influence(lambda x: 2 * x, x)
    assert not x.requires_grad and x.grad is None


@pytest.mark.parametrize("shape", [(3, 4, 4), (2, 3, 4, 4)])
def test_influence_wants_one_picture(shape):
    with pytest.raises(DerainError, match=r"one picture \(1, C, H, W\), got"):
        influence(lambda x: x, torch.zeros(shape))


def test_share_beyond_counts_square_rings():
    seen = torch.tensor(
        [
            [1.0, 0.0, 0.0, 0.0, 3.0],
            [0.0, 2.0, 0.0, 0.0, 0.0],
            [0.0, 0.0, 4.0, 0.0, 0.0],
        ]
    )  # the middle is row 1, column 2: the 4 is at distance 1, the 1 and the 3 at distance 2
    assert share_beyond(seen, (0, 1, 2)) == pytest.approx([1.0, 0.4, 0.0])


def test_share_beyond_of_the_middle_alone_is_nothing():
    seen = torch.zeros(7, 7)
    seen[3, 3] = 5
    assert share_beyond(seen, (0, 3)) == [0, 0]


# -- pictures -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spot():
    x = torch.zeros(7, 9)
    x[2, 3] = 1
    return x


@pytest.mark.parametrize("alpha", [-1.0, 0.0, 1.2])
@pytest.mark.parametrize("position", [0, 4, 9])
def test_sweeps_on_their_way(spot, alpha, position):
    before, up, right, down, left = panels(
        sweeps.draw_sweeps(spot, alpha, position, ZOOM), 7, 9, 5
    )
    assert (before[2 * ZOOM : 3 * ZOOM, 3 * ZOOM : 4 * ZOOM] == 255).all()
    assert before.astype(int).sum() == 255 * 3 * ZOOM * ZOOM
    # Waiting pixels are grey or white (R = G = B); those of the colour map and the front are not.
    grey = {
        name: (np.ptp(panel.astype(int), axis=2) == 0)[ZOOM // 2 :: ZOOM, ZOOM // 2 :: ZOOM]
        for name, panel in {"up": up, "right": right, "down": down, "left": left}.items()
    }
    rows, columns = min(position, 7), min(position, 9)
    assert grey["up"][: 7 - rows].all() and not grey["up"][7 - rows :].any()
    assert grey["down"][rows:].all() and not grey["down"][:rows].any()
    assert grey["right"][:, columns:].all() and not grey["right"][:, :columns].any()
    assert grey["left"][:, : 9 - columns].all() and not grey["left"][:, 9 - columns :].any()


def test_a_finished_sweep_shows_its_trace(spot):
    right = panels(sweeps.draw_sweeps(spot, 1.0, 9, ZOOM), 7, 9, 5)[2]
    centres = right[ZOOM // 2 :: ZOOM, ZOOM // 2 :: ZOOM].astype(int)  # (7, 9, 3)
    yellow, violet = centres[2, 3], centres[0, 0]
    assert yellow.sum() > violet.sum()
    bright = (centres == yellow).all(axis=2)
    expected = np.zeros((7, 9), bool)
    expected[2, 3:] = True
    assert (bright == expected).all()


@pytest.fixture(scope="module")
def maps():
    x = torch.ones(1, 1, 7, 9, dtype=torch.float64)

    def one_round(x):
        return irnn_stack(x, torch.ones(4, 1), torch.zeros(4, 1), "loop").sum(1)

    start = torch.zeros(7, 9)
    start[3, 4] = 1
    ways = (one_round, lambda x: one_round(one_round(x)))
    return [start, *(influence(way, x) for way in ways)]


@pytest.mark.parametrize(("number", "seen"), [(0, 1), (1, 7 + 9 - 1), (2, 7 * 9)])
def test_rounds_colour_what_is_seen(maps, number, seen):
    left, ways = panels(sweeps.draw_round(maps, number, ZOOM), 7, 9, 2)
    blue = np.abs(left[ZOOM // 2 :: ZOOM, ZOOM // 2 :: ZOOM] / 255 - sweeps.SEEN).max(axis=2) < 0.01
    assert blue.sum() == seen
    assert (blue == (maps[number] > 0).numpy()).all()
    brightest = ways[ZOOM // 2 :: ZOOM, ZOOM // 2 :: ZOOM].astype(int).sum(axis=2)
    assert brightest.argmax() == 3 * 9 + 4  # the middle hears itself on most ways


def test_rounds_have_one_size(maps):
    sizes = {pixels(sweeps.draw_round(maps, k, ZOOM)).shape for k in range(3)}
    assert sizes == {(220 + 24, 2 * (9 * ZOOM + 12) + 300, 3)}


def test_fades_and_shares_have_a_line_per_name():
    fades = {"one": torch.ones(9), "half": 0.5 ** torch.arange(9.0)}
    axis = sweeps.draw_fades(fades).axes[0]
    assert [line.get_label() for line in axis.lines[:2]] == ["one", "half"]
    assert axis.lines[1].get_ydata()[3] == 0.125 and axis.get_yscale() == "log"
    axis = sweeps.draw_heard({"a": [90, 5], "b": [9, 1]}, (0, 8)).axes[0]
    assert [list(line.get_xdata()) for line in axis.lines] == [[0, 8], [0, 8]]


def test_the_histogram_counts_alpha_only():
    rows = [{"factor": f, "low": low, "high": low + 0.05, "count": n}
            for f, low, n in (("alpha", -0.1, 3), ("alpha", 0.2, 4), ("beta", 0.2, 9))]
    axis = sweeps.draw_alphas(rows).axes[0]
    assert [bar.get_height() for bar in axis.patches] == [3, 4]
    assert axis.patches[0].get_facecolor() != axis.patches[1].get_facecolor()
    assert axis.get_ylabel() == "how many of 7"


# -- sliders --------------------------------------------------------------------------------------


def test_the_sweep_sliders_move_the_picture(spot):
    position, alpha, image, words = sweeps.sweep_sliders(spot, ZOOM).children
    assert (position.min, position.max) == (0, 9)
    for control in (position, alpha):
        seen, start = [], control.value
        for value in (control.min, (control.min + control.max) / 2, control.max):
            control.value = int(value) if control is position else value
            seen.append(image.value)
            assert f"done {position.value} " in words.value
            assert f"α = {alpha.value:.1f}" in words.value
        assert len({pixels(png).shape for png in seen}) == 1
        assert len(set(seen)) == 3
        control.value = start
    assert image.value == sweeps.draw_sweeps(spot, alpha.value, position.value, ZOOM)


def test_the_round_slider_moves_the_picture(maps):
    number, image, words = sweeps.round_slider(maps, ZOOM).children
    assert (number.min, number.max) == (0, 2)
    texts, seen = [], []
    for value in (0, 1, 2):
        number.value = value
        texts.append(words.value)
        seen.append(image.value)
    assert len(set(seen)) == 3
    assert "0 rounds" in texts[0] and "1 of 63 pixels" in texts[0]
    assert "1 round:" in texts[1] and "15 of 63 pixels" in texts[1]
    assert "63 of 63 pixels" in texts[2]
