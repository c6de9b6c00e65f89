r"""The scene without rain, from a video of a camera that stands still.

A drop passes a pixel in one frame or two. So in most frames of some seconds the pixel shows the
scene behind, and the median over time is the scene without rain. Rain is brighter than what is
behind it, so where it is dense a percentile below 50 % finds the scene better, and where it is
sparse it takes the dark side of the noise. This is how SPA-Data was made (Wang et al., CVPR 2019,
arXiv 1904.01538, section 3), here in its simplest form.

What must hold: nothing moves but the rain. A drift of some pixels is measured (phase correlation,
on frames made smaller) and taken back; a pan, a cut or a scene that moves by itself is refused
with a sentence.

Memory stays bounded: at most :data:`MOST_BYTES` of frames are held, and the percentile is taken
strip by strip. A video in 4K (3840×2160) needs less than 2 GB in all, however long it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from derain_edu.datasets.video import frame_to_tensor, spread
from derain_edu.errors import DerainError

MOST_BYTES = 560_000_000  # of frames that are held at once: 22 in 4K
WINDOW = 20  # frames before and after the one whose scene is wanted: about 1.5 s of a phone's video
FEWEST = 5  # frames that a scene is built from
_ENOUGH = 128  # frames: more take longer and change nothing
LEAST_SHIFT = 0.25  # pixels: below it, interpolation would blur more than the shift does
_REGISTERED = 512  # longest side, in pixels, of the picture that a shift is measured on
_MOST_SHIFT = 0.01  # of the longer side: more is a pan
_THUMBNAIL = 48  # longest side of the picture that says whether the scene is the same
_LEAST_LIKENESS = 0.6  # correlation of two frames' thumbnails: less is another scene
_MOVES = 24 / 255  # half of the frames differ by more than this: the pixel moves by itself
_MOST_MOVING = 0.35  # of the pixels
_SAMPLED = 3  # every third pixel of every third row says how much moves
_STRIP = 1 << 24  # values of all frames that a percentile is taken of at once


@dataclass(frozen=True)
class Stillness:
    """How still a camera and its scene were.

    Attributes
    ----------
    frames : int
        How many frames were compared.
    drift : float
        The largest shift of one of them, in pixels.
    moving : float
        Share of the pixels that change more than rain changes them, from 0 to 1: leaves, water.
    """

    frames: int
    drift: float
    moving: float

    def __str__(self) -> str:
        return (
            f"{self.frames} frames, shifted by up to {self.drift:.1f} pixels, "
            f"{100 * self.moving:.0f} % of the picture moves by itself"
        )


@dataclass(frozen=True)
class Truth:
    """A scene without rain.

    Attributes
    ----------
    clean : Tensor
        (3, H, W) float32 in [0, 1].
    rainy : Tensor
        (3, H, W) float32 in [0, 1]: the frame that ``clean`` belongs to, pixel by pixel.
    number : int
        Of this frame, from 0.
    stillness : Stillness
        Of the frames that ``clean`` was made from.
    """

    clean: Tensor
    rainy: Tensor
    number: int
    stillness: Stillness


def truth_of(
    frames: Iterable[np.ndarray],
    percentile: float = 50.0,
    window: int | None = None,
    middle: int | None = None,
) -> Truth:
    """Build the scene without rain from a video of a camera that stands still.

    Parameters
    ----------
    frames : iterable of numpy.ndarray
        (H, W, 3) uint8, RGB; see :func:`derain_edu.datasets.video.frames`. They are walked
        through once, and at most .56 GB of them are held at a time.
    percentile : float
        Which value over time a pixel gets, from 0 (darkest) to 100. 50 is the median.
    window : int, optional
        How many frames before and after the middle one are used: choose it where the light
        changes. Default: up to 128 frames, evenly spread over the whole video.
    middle : int, optional
        The frame that the scene is built for, from 0. Default: frame number ``window``; of the
        whole video, the middle one of those used.

    Returns
    -------
    Truth

    Raises
    ------
    DerainError
        If there are fewer than 5 frames, if the camera or the scene moves too much, or if the
        window is too large for the memory.
    """
    _check_percentile(percentile)
    if window is None:
        if middle is not None:
            raise DerainError(f"middle={middle} needs a window, such as window={WINDOW}")
        frames, most = _and_most(frames)
        kept = spread(frames, min(most, _ENOUGH))
        place = len(kept) // 2
    else:
        middle = window if middle is None else middle
        kept = []
        for number, frame in enumerate(frames):
            _check_window(window, frame)
            if number > middle + window:
                break
            if number >= middle - window:
                kept.append((number, frame))
        place = next((k for k, (number, _) in enumerate(kept) if number == middle), None)
        if place is None:
            raise DerainError(f"there is no frame {middle}: choose a smaller middle or window")
    _check_count(len(kept))
    watch = _Watch()
    shifts = [watch.shift_of(number, frame) for number, frame in kept]
    return _truth([f for _, f in kept], shifts, place, kept[place][0], percentile, watch)


def still_pairs(
    frames: Iterable[np.ndarray],
    every: int = 10,
    percentile: float = 50.0,
    window: int | None = None,
) -> Iterator[Truth]:
    """Yield rainy frames of a video, each with the scene without rain at its time.

    Near both ends of the video the window lies to one side, so each scene is made from the same
    number of frames.

    Parameters
    ----------
    frames : iterable of numpy.ndarray
        See :func:`truth_of`.
    every : int
        Take the frames 0, ``every``, 2·``every`` …
    percentile : float
        See :func:`truth_of`.
    window : int, optional
        How many frames before and after are used. Default: 20, or as many as may be held.

    Raises
    ------
    DerainError
        As :func:`truth_of` does, when it comes to the frame.
    """
    _check_percentile(percentile)
    if every < 1:
        raise DerainError(f"every must be at least 1, got {every}")
    watch, kept, waiting, size = _Watch(), deque(), deque(), None
    for number, frame in enumerate(frames):
        if size is None:
            window = min(WINDOW, (_most(frame) - 1) // 2) if window is None else window
            _check_window(window, frame)
            size = 2 * window + 1
        if number % every == 0:
            waiting.append(number)
        kept.append((number, frame, watch.shift_of(number, frame)))
        if len(kept) > size:
            kept.popleft()
        while len(kept) == size and waiting and waiting[0] + window <= number:
            yield _of_window(kept, waiting.popleft(), percentile, watch)
    _check_count(len(kept))
    while waiting:
        yield _of_window(kept, waiting.popleft(), percentile, watch)


def stillness_of(frames: Sequence[tuple[int, np.ndarray]]) -> Stillness:
    """Return how still a camera stood.

    Parameters
    ----------
    frames : sequence of (int, numpy.ndarray)
        Numbers and frames, see :func:`derain_edu.datasets.video.spread`.

    Raises
    ------
    DerainError
        If it moved too much.
    """
    _check_count(len(frames))
    watch = _Watch()
    shifts = np.array([watch.shift_of(number, frame) for number, frame in frames])
    place = len(frames) // 2
    _, stillness = _median([f for _, f in frames], shifts - shifts[place], 50.0, watch)
    return stillness


# ------------------------------------------------------------------------------ the percentile


def percentile_over_time(frames: np.ndarray, percentile: float) -> np.ndarray:
    """Return the percentile over the first axis, interpolated as :func:`numpy.percentile` does.

    For bytes, counting is several times as fast as sorting, and needs a fraction of the memory.

    Parameters
    ----------
    frames : numpy.ndarray
        (T, …) uint8.
    percentile : float
        From 0 to 100.

    Returns
    -------
    numpy.ndarray
        (…) float32, from 0 to 255.
    """
    place = percentile / 100 * (len(frames) - 1)
    below, rest = int(place), np.float32(place - int(place))
    low = _in_order(frames, below).astype(np.float32)
    if rest:
        low += rest * (_in_order(frames, below + 1) - low)
    return low


def _in_order(frames: np.ndarray, place: int) -> np.ndarray:
    """Return the value that stands at ``place`` when the first axis is sorted: bit by bit.

    A value v stands at or before the place if more than ``place`` of the values are at most v.
    """
    found = np.zeros(frames.shape[1:], np.uint8)
    counter = np.uint8 if len(frames) < 256 else np.uint32
    for bit in (128, 64, 32, 16, 8, 4, 2, 1):
        at_most = (frames <= found + np.uint8(bit - 1)).sum(axis=0, dtype=counter)
        found += np.where(at_most <= place, np.uint8(bit), np.uint8(0))
    return found


def _median(
    frames: Sequence[np.ndarray], shifts: np.ndarray, percentile: float, watch: _Watch
) -> tuple[Tensor, Stillness]:
    """Return the percentile of the frames, moved onto each other, and how still they were."""
    watch.check(shifts)
    height, width = frames[0].shape[:2]
    clean = torch.empty(3, height, width)
    moves = []
    rows = max(1, _STRIP // (len(frames) * width * 3))
    for top in range(0, height, rows):
        strip = np.stack([
            _moved_strip(frame, shift, top, min(height, top + rows))
            for frame, shift in zip(frames, shifts, strict=True)
        ])  # (T, rows, W, 3)
        value = percentile_over_time(strip, percentile)
        clean[:, top : top + len(value)] = torch.from_numpy(value).permute(2, 0, 1) / 255
        sample = strip[:, ::_SAMPLED, ::_SAMPLED]
        low, high = np.percentile(sample, [25, 75], axis=0)
        moves.append(((high - low).max(axis=2) > 255 * _MOVES).ravel())
    drift = float(np.hypot(*shifts.T).max())
    stillness = Stillness(len(frames), drift, float(np.concatenate(moves).mean()))
    if stillness.moving > _MOST_MOVING:
        raise DerainError(
            f"{100 * stillness.moving:.0f} % of the picture moves by itself: put the camera onto a "
            "tripod, before a scene in which only the rain moves"
        )
    return clean, stillness


def _truth(
    frames: Sequence[np.ndarray],
    shifts: Sequence[np.ndarray],
    place: int,
    number: int,
    percentile: float,
    watch: _Watch,
) -> Truth:
    relative = np.array(shifts) - shifts[place]
    clean, stillness = _median(frames, relative, percentile, watch)
    return Truth(clean, frame_to_tensor(frames[place]), number, stillness)


def _of_window(
    kept: Iterable[tuple[int, np.ndarray, np.ndarray]],
    number: int,
    percentile: float,
    watch: _Watch,
) -> Truth:
    numbers, frames, shifts = zip(*kept, strict=True)
    return _truth(frames, shifts, numbers.index(number), number, percentile, watch)


# ------------------------------------------------------------------------------ registration


class _Watch:
    """Measures by how much each frame is shifted against the first one, and looks for cuts."""

    def __init__(self) -> None:
        self.first: np.ndarray | None = None
        self.thumbnail: np.ndarray | None = None
        self.size = (0, 0)

    def shift_of(self, number: int, frame: np.ndarray) -> np.ndarray:
        """Return (down, right) in pixels: by how much the scene has moved since the first frame.

        Raises
        ------
        DerainError
            If the frame is no (H, W, 3) uint8, has another size, or shows another scene.
        """
        registration, fft2 = _registration()
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise DerainError(
                f"frame {number}: expected (H, W, 3) uint8, got {frame.shape} {frame.dtype}"
            )
        small, scale = _small_grey(frame, _REGISTERED)
        thumbnail, _ = _small_grey(small, _THUMBNAIL)
        waves = fft2(small * _fading(small.shape))
        if self.first is None or self.thumbnail is None:
            self.first, self.thumbnail = waves, thumbnail
            self.size = frame.shape[:2]
            return np.zeros(2)
        if frame.shape[:2] != self.size:
            raise DerainError(
                f"frame {number} is {frame.shape[1]}×{frame.shape[0]} pixels, the first one "
                f"{self.size[1]}×{self.size[0]}: give frames of one video"
            )
        if _likeness(thumbnail, self.thumbnail) < _LEAST_LIKENESS:
            raise DerainError(
                f"frame {number} shows another scene than the first one (a cut or a pan?): give a "
                "part of the video in which the camera stands still"
            )
        # How exact: a twentieth of a pixel of the frame itself.
        exact = round(20 * scale)
        shift, _, _ = registration(self.first, waves, upsample_factor=exact, space="fourier")
        return -np.asarray(shift, dtype=np.float64) * scale

    def check(self, shifts: np.ndarray) -> None:
        """Refuse a camera that was moved."""
        most, drift = max(3.0, _MOST_SHIFT * max(self.size)), float(np.hypot(*shifts.T).max())
        if drift > most:
            raise DerainError(
                f"the camera moves by {drift:.0f} pixels, and at most {most:.0f} can be taken "
                "back: put it onto a tripod, or give a part of the video in which it stands still"
            )


def _registration() -> tuple[Callable[..., Any], Callable[..., np.ndarray]]:
    try:
        from scipy.fft import fft2  # stays in float32
        from skimage.registration import phase_cross_correlation
    except ImportError as error:
        raise DerainError(
            'drift is measured with scikit-image: install it with pip install "derain-edu[video]"'
        ) from error
    return phase_cross_correlation, fft2


def _small_grey(picture: np.ndarray, longest: int) -> tuple[np.ndarray, float]:
    """Return a grey copy, mean 0, at most ``longest`` pixels on a side, and how much smaller it is.

    Of (H, W, 3) the green channel is taken, which is nearest to brightness.
    """
    grey = picture[..., 1] / np.float32(255) if picture.ndim == 3 else picture  # (H, W)
    scale = max(1.0, max(grey.shape) / longest)
    if scale > 1:
        size = [max(8, round(side / scale)) for side in grey.shape]
        grey = F.interpolate(torch.from_numpy(grey)[None, None], size, mode="area")[0, 0].numpy()
    return grey - grey.mean(), scale


def _fading(shape: tuple[int, ...]) -> np.ndarray:
    """Return 1 inside and less towards the rim: to phase correlation a picture repeats itself."""
    rows, columns = (np.minimum(1, 4 * np.hanning(side + 2)[1:-1]) for side in shape)
    return np.outer(rows, columns).astype(np.float32)


def _likeness(one: np.ndarray, two: np.ndarray) -> float:
    """Return the correlation of two thumbnails; 1 where both are plain, as fog is."""
    if max(one.std(), two.std()) < 0.01:
        return 1.0
    return float((one * two).mean() / max(1e-6, one.std() * two.std()))


def _moved_strip(frame: np.ndarray, shift: np.ndarray, top: int, bottom: int) -> np.ndarray:
    """Return the rows ``top`` to ``bottom`` of a frame that is moved back by ``shift``.

    (rows, W, 3) uint8. Interpolated by a cubic (Keys, 1981); beyond the rim its last pixel is
    repeated.
    """
    if np.hypot(*shift) < LEAST_SHIFT:
        return frame[top:bottom]
    height, width = frame.shape[:2]
    whole = np.floor(shift).astype(int)
    part = shift - whole
    rows = np.clip(np.arange(top - 1, bottom + 2) + whole[0], 0, height - 1)
    columns = np.clip(np.arange(-1, width + 2) + whole[1], 0, width - 1)
    values = torch.from_numpy(frame[rows][:, columns]).permute(2, 0, 1).float()[:, None]
    kernel = torch.outer(_cubic(part[0]), _cubic(part[1]))[None, None]
    moved = F.conv2d(values, kernel)[:, 0]  # (3, rows, W)
    return moved.clamp(0, 255).round().byte().permute(1, 2, 0).numpy()


def _cubic(part: float) -> Tensor:
    """Return the weights of four neighbours for a place between the two in the middle."""
    x = torch.tensor([1 + part, part, 1 - part, 2 - part], dtype=torch.float64)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x < 1, near, far).float()


# ------------------------------------------------------------------------------ what is checked


def _most(frame: np.ndarray) -> int:
    """Return how many frames of this size may be held."""
    return max(FEWEST, MOST_BYTES // frame.nbytes)


def _and_most(frames: Iterable[np.ndarray]) -> tuple[Iterable[np.ndarray], int]:
    """Look at the first frame; return all of them, and how many may be held."""
    walk = iter(frames)
    first = next(walk, None)
    if first is None:
        raise DerainError("there is no frame: give a video")

    def all_of_them() -> Iterator[np.ndarray]:
        yield first
        yield from walk

    return all_of_them(), _most(first)


def _check_percentile(percentile: float) -> None:
    if not 0 <= percentile <= 100:
        raise DerainError(f"percentile goes from 0 (darkest) to 100, got {percentile:g}")


def _check_window(window: int, frame: np.ndarray) -> None:
    if window < FEWEST // 2:
        raise DerainError(f"window must be at least {FEWEST // 2} frames, got {window}")
    if 2 * window + 1 > _most(frame):
        raise DerainError(
            f"a window of {window} frames on each side of {frame.shape[1]}×{frame.shape[0]} pixels "
            f"needs too much memory: choose at most {(_most(frame) - 1) // 2}"
        )


def _check_count(count: int) -> None:
    if count < FEWEST:
        raise DerainError(f"{count} frames are too few for a scene: give at least {FEWEST}")
