"""Real rain with a truth: the clip of a camera that stands still, and the median over 41 frames.

What the networks score there is recorded for two frames, in which the encoder of the phone kept
much of the rain. (Five frames, 60 to 300 in steps of 60: rainy 33.93 dB, the authors' PReNet of
Rain100L 34.42, open 34.15, open-light 33.78.) Compression is a part of the difference to the
truth, so no network can score high: the differences count.
"""

from __future__ import annotations

import pytest

from derain_edu.datasets.download import cached_set
from derain_edu.datasets.tripod import truth_of
from derain_edu.datasets.video import frames
from derain_edu.inference.restoration import derain_tensor
from derain_edu.metrics import psnr
from derain_edu.models import create_model

pytest.importorskip("av")
pytest.importorskip("skimage")

# frame -> PSNR on Y, protocol prenet_matlab: the rainy frame, and derained with these weights
RAINY = {120: 33.53, 240: 33.80}
DERAINED = {
    "official-rain100l": {120: 34.39, 240: 34.24},
    "open": {120: 33.87, 240: 33.92},
    "open-light": {120: 33.66, 240: 33.60},
}


@pytest.fixture(scope="module")
def truths(filled_cache):
    clip = frames(cached_set("real-clip") / "yard.mp4")
    assert (len(clip), clip.height, clip.width) == (376, 640, 368)  # upright
    return {number: truth_of(clip, window=20, middle=number) for number in RAINY}


def test_the_rainy_frames(truths):
    for number, truth in truths.items():
        assert truth.number == number and truth.stillness.frames == 41
        assert truth.stillness.drift < 0.25 and truth.stillness.moving < 0.05
        assert psnr(truth.rainy, truth.clean) == pytest.approx(RAINY[number], abs=0.05)


@pytest.mark.parametrize("weights", DERAINED)
def test_the_networks(truths, weights):
    """After a change of the open weights: measure again, and write the new numbers down."""
    model = create_model("prenet", weights)
    scores = {n: psnr(derain_tensor(model, t.rainy), t.clean) for n, t in truths.items()}
    print(weights, {number: round(score, 2) for number, score in scores.items()})
    assert scores == pytest.approx(DERAINED[weights], abs=0.05)
