"""The scene without rain, on scenes whose truth is known; and what moves too much is refused."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch

import derain_edu as de
from derain_edu.datasets import tripod
from derain_edu.datasets.tripod import (
    percentile_over_time,
    still_pairs,
    stillness_of,
    truth_of,
)
from derain_edu.errors import DerainError

pytest.importorskip("skimage")


def as_bytes(picture: torch.Tensor) -> np.ndarray:
    return np.asarray(de.to_pil(picture))


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    return as_bytes(de.load_photo("china", long_side=200))  # (133, 200, 3)


def rained(frame: np.ndarray, seed: int) -> np.ndarray:
    """Bright upright streaks that cover a twentieth of the picture, elsewhere in each frame."""
    generator, rainy = np.random.default_rng(seed), frame.copy()
    height, width = frame.shape[:2]
    for _ in range(height * width // 20 // 20):
        y, x = generator.integers(0, height), generator.integers(0, width)
        rainy[y : y + 20, x] = np.minimum(255, rainy[y : y + 20, x].astype(int) + 80)
    return rainy


@pytest.fixture(scope="module")
def clip(scene) -> list[np.ndarray]:
    return [rained(scene, seed) for seed in range(30)]


@pytest.mark.parametrize("percentile", [0, 12.5, 20, 50, 73, 100])
@pytest.mark.parametrize("count", [5, 8, 300])
def test_the_percentile_is_numpys(percentile, count):
    frames = np.random.default_rng(0).integers(0, 256, (count, 4, 6, 3), dtype=np.uint8)
    frames[:, 0] //= 64  # many ties
    expected = np.percentile(frames, percentile, axis=0)
    assert percentile_over_time(frames, percentile) == pytest.approx(expected, abs=1e-4)


def test_the_scene_is_found(clip, scene):
    truth = truth_of(clip)
    assert np.array_equal(as_bytes(truth.clean), scene)
    assert truth.number == 15 and np.array_equal(as_bytes(truth.rainy), clip[15])
    assert truth.stillness.frames == 30 and truth.stillness.drift < 0.25
    assert truth.stillness.moving == 0
    assert np.array_equal(as_bytes(truth_of(iter(clip)).clean), scene)  # one walk is enough


def test_a_window_takes_the_frames_around_the_middle(clip):
    truth = truth_of(clip, percentile=30, window=3, middle=10)
    expected = np.percentile(np.stack(clip[7:14]), 30, axis=0).transpose(2, 0, 1)
    assert 255 * truth.clean.numpy() == pytest.approx(expected, abs=1e-3)
    assert truth.number == 10 and truth.stillness.frames == 7
    assert truth_of(clip, window=3).number == 3


def test_pairs_have_the_same_number_of_frames_each(clip):
    pairs = list(still_pairs(iter(clip), every=7, window=4))
    assert [pair.number for pair in pairs] == [0, 7, 14, 21, 28]
    for pair, first in zip(pairs, (0, 3, 10, 17, 21), strict=True):
        expected = np.median(np.stack(clip[first : first + 9]), axis=0).transpose(2, 0, 1)
        assert 255 * pair.clean.numpy() == pytest.approx(expected, abs=1e-3)
        assert np.array_equal(as_bytes(pair.rainy), clip[pair.number])
    short = list(still_pairs(clip[:6], every=5))  # fewer frames than the window: all of them
    assert [pair.stillness.frames for pair in short] == [6, 6]


def moved(shift: tuple[float, float]) -> np.ndarray:
    """A part of a photo, from elsewhere by fractions of a pixel: shrunk from twice the size."""
    photo = de.load_photo("china", long_side=400)
    down, right = (round(2 * part) for part in shift)
    part = photo[:, 20 - down : 220 - down, 20 - right : 340 - right]
    return as_bytes(torch.nn.functional.avg_pool2d(part, 2))  # (100, 160, 3)


def test_a_drift_is_taken_back():
    path = [(0.15 * k, -0.1 * k) for k in range(21)]  # 3 pixels down and 2 to the left
    still, drifting = moved(path[4]), [rained(moved(s), k) for k, s in enumerate(path)]
    truth = truth_of(drifting, window=16, middle=4)
    assert truth.stillness.drift == pytest.approx(np.hypot(2.5, 1.5), abs=0.3)
    plain = np.median(np.stack(drifting), axis=0)

    def error(picture: np.ndarray) -> float:
        return float(np.abs(picture.astype(float) - still)[3:-3, 3:-3].mean())

    assert error(as_bytes(truth.clean)) < 0.6 * error(plain)


@pytest.mark.parametrize("shift", [(1.0, 0.0), (-2.0, 1.0), (0.5, -1.5)])
def test_a_frame_moved_back_lies_on_the_scene(shift):
    there = moved(shift)
    back = tripod._moved_strip(there, np.array(shift), 0, len(there))
    inside = np.s_[4:-4, 4:-4]
    before = np.abs(there.astype(float) - moved((0, 0)))[inside].mean()
    after = np.abs(back.astype(float) - moved((0, 0)))[inside].mean()
    assert after < (0.01 if shift == (1.0, 0.0) else 0.5 * before)
    tops = range(0, 100, 20)
    strips = [tripod._moved_strip(there, np.array(shift), top, top + 20) for top in tops]
    assert np.array_equal(np.concatenate(strips), back)


def test_what_moves_too_much_is_refused(scene, clip):
    pan = [scene[:, k : k + 150] for k in range(0, 40, 4)]
    with pytest.raises(DerainError, match="camera moves by|another scene"):
        truth_of(pan)
    other = as_bytes(de.load_photo("rocket", long_side=200))[:133, :200]
    with pytest.raises(DerainError, match="frame 12 shows another scene.*a cut or a pan"):
        truth_of(clip[:12] + [other] * 5)
    generator = np.random.default_rng(0)
    water = [f.copy() for f in clip]
    for frame in water:
        frame[:70] = generator.integers(0, 255, (70, 1, 1))
    with pytest.raises(DerainError, match="moves by itself|another scene"):
        truth_of(water)
    with pytest.raises(DerainError, match="frame 5 is 100×133 pixels, the first one 200×133"):
        truth_of(clip[:5] + [scene[:, :100]] * 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"percentile": 101}, "percentile goes from 0"),
        ({"window": 1}, "window must be at least 2"),
        ({"window": 3, "middle": 40}, "there is no frame 40"),
        ({"middle": 3}, "middle=3 needs a window"),
        ({"window": 10**6}, "needs too much memory: choose at most"),
    ],
)
def test_options_that_do_not_fit(clip, options, message):
    with pytest.raises(DerainError, match=message):
        truth_of(clip, **options)


def test_too_few_frames_and_wrong_ones(clip):
    for frames in ([], clip[:4]):
        with pytest.raises(DerainError, match="there is no frame|4 frames are too few"):
            truth_of(frames)
    with pytest.raises(DerainError, match="0 frames are too few"):
        list(still_pairs([]))
    with pytest.raises(DerainError, match="every must be at least 1"):
        list(still_pairs(clip, every=0))
    with pytest.raises(DerainError, match=r"expected \(H, W, 3\) uint8, got"):
        truth_of([frame / 255 for frame in clip])
    assert stillness_of(list(enumerate(clip))).frames == 30


def test_no_more_frames_are_held_than_memory_allows(clip, scene, monkeypatch):
    """A hundred frames, room for eight: both ways hold at most these."""
    alive, most = set(), 0

    class Frame(np.ndarray):
        def __array_finalize__(self, source):
            pass

    def walk():
        nonlocal most
        for k in range(100):
            frame = clip[k % 30].copy().view(Frame)
            alive.add(id(frame))
            weakref.finalize(frame, alive.discard, id(frame))
            most = max(most, len(alive))
            yield frame

    monkeypatch.setattr(tripod, "MOST_BYTES", 8 * scene.nbytes)
    assert 4 < truth_of(walk()).stillness.frames <= 8 and most <= 10
    most = 0
    assert all(pair.stillness.frames == 7 for pair in still_pairs(walk(), every=30)) and most <= 10
