"""Frames of a video, one after the other: upright, RGB, in bytes.

A phone writes a video as its sensor saw it, and beside it by how much a player must turn it.
:class:`Frames` turns it, so a video filmed upright is upright here. It holds one frame at a time,
and can be walked through as often as wanted. A folder of pictures, in natural order (2 before 10),
is a video too.

The package that reads videos, PyAV, is an optional part: ``pip install "derain-edu[video]"``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from derain_edu.datasets.pairs import pictures_of
from derain_edu.errors import DerainError
from derain_edu.images import read_picture, to_pil

THREADS = 4  # of a decoder: each holds some frames, of 12 MB in 4K

Item = TypeVar("Item")


def video_package() -> ModuleType:
    """Return PyAV, or raise a DerainError that says how to install it."""
    try:
        import av
    except ImportError as error:
        raise DerainError(
            'videos need the package PyAV: install it with pip install "derain-edu[video]", or '
            "give a folder of the frames as pictures"
        ) from error
    return av


def frames(path: str | Path) -> Frames:
    """Return the frames of a video, or of a folder of pictures.

    Parameters
    ----------
    path : str or Path
        A video file of any kind that FFmpeg reads, or a folder.

    Returns
    -------
    Frames
        Walk through it: each frame is an array (H, W, 3) of uint8, RGB, upright.

    Raises
    ------
    DerainError
        At once if there is no video; while walking if a frame is damaged or differs in size.
    """
    return Frames(path)


class Frames:
    """The frames of a video file or of a folder of pictures; see :func:`frames`.

    Attributes
    ----------
    name : str
        The file's or folder's name without its suffix.
    height, width : int
        Of an upright frame, in pixels.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()
        self.name = self.path.stem
        self._pictures: list[Path] = []
        if self.path.is_dir():
            self.name = self.path.resolve().name
            self._pictures = pictures_of(self.path)
            if not self._pictures:
                raise DerainError(f"{self.path} holds no picture: name a video or another folder")
        self.expected = len(self._pictures) or _count(self.path)
        first = next(iter(self), None)
        if first is None:
            raise DerainError(f"{self.path} holds no frame: record or copy it again")
        self.height, self.width = first.shape[:2]

    def __len__(self) -> int:
        """Return how many frames there should be; a damaged file may have fewer."""
        return self.expected

    def __iter__(self) -> Iterator[np.ndarray]:
        return self._from_folder() if self._pictures else self._from_file()

    def _from_folder(self) -> Iterator[np.ndarray]:
        size = None
        for path in self._pictures:
            frame = np.asarray(to_pil(read_picture(path).rgb))
            size = size or frame.shape
            if frame.shape != size:
                raise DerainError(
                    f"{path} is {frame.shape[1]}×{frame.shape[0]} pixels and the frames before "
                    f"are {size[1]}×{size[0]}: name a folder that holds one video's frames only"
                )
            yield frame

    def _from_file(self) -> Iterator[np.ndarray]:
        size = None
        with opened(self.path) as container:
            stream = container.streams.video[0]
            stream.thread_type, stream.codec_context.thread_count = "AUTO", THREADS
            for frame in decoded(container.decode(stream), self.path):
                picture = upright(frame)
                size = size or picture.shape
                if picture.shape != size:
                    raise DerainError(f"{self.path} changes its size on the way: cut it there")
                yield picture


def opened(path: Path) -> Any:
    """Open a video file for reading with PyAV; use it in a ``with``.

    Raises
    ------
    DerainError
        If it does not exist, is no video, or holds sound only.
    """
    if not path.is_file():
        raise DerainError(f"{path} does not exist: check the name (you are in {Path.cwd()})")
    av = video_package()
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise DerainError(
            f"{path} is not a video that can be read here ({reason_of(error)}): give an .mp4, "
            "or a folder of its frames as pictures"
        ) from error
    if not container.streams.video:
        container.close()
        raise DerainError(f"{path} holds no picture, only sound: give a video")
    return container


def decoded(items: Iterable[Item], path: Path) -> Iterator[Item]:
    """Pass on what PyAV decodes; where the rest of a file is damaged, warn and stop there.

    Warns
    -----
    UserWarning
        If the end of the video can't be read. What came before is used.
    """
    av = video_package()
    source = iter(items)
    while True:
        try:
            item = next(source)
        except StopIteration:
            return
        except av.FFmpegError as error:
            warnings.warn(
                f"{path} is damaged ({reason_of(error)}): what comes before is used, and the rest "
                "is left out",
                stacklevel=2,
            )
            return
        yield item


def reason_of(error: Exception) -> str:
    """Return what FFmpeg says went wrong, in a few words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def upright(frame: Any) -> np.ndarray:
    """Return a frame of PyAV as (H, W, 3) uint8, RGB, turned as the file says."""
    pixels = frame.to_ndarray(format="rgb24")
    # PyAV gives the angle counter-clockwise, which is also how np.rot90 counts.
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90) % 4))


def frame_to_tensor(frame: np.ndarray) -> Tensor:
    """Return (H, W, 3) uint8 as a picture of this package: (3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.array(frame)).permute(2, 0, 1).contiguous() / 255


def spread(frames: Iterable[Item], most: int) -> list[tuple[int, Item]]:
    """Return evenly spread frames and their numbers: more than half of ``most``, or all.

    One walk is enough, however long the video is, and never more than ``most`` frames are held:
    when there are too many, every second one is dropped, and from then on only half as many are
    taken.

    Parameters
    ----------
    frames : iterable
        Of any length.
    most : int
        At least 2.

    Examples
    --------
    >>> [number for number, _ in spread("abcdefghi", most=4)]
    [0, 4, 8]
    """
    kept: list[tuple[int, Item]] = []
    step = 1
    for number, frame in enumerate(frames):
        if number % step:
            continue
        if len(kept) == most:
            kept, step = kept[::2], 2 * step
            if number % step:
                continue
        kept.append((number, frame))
    return kept


def _count(path: Path) -> int:
    """Return how many frames a file says it has, or what its length and rate make likely."""
    with opened(path) as container:
        stream = container.streams.video[0]
        if stream.frames:
            return int(stream.frames)
        seconds = float(container.duration or 0) / 1e6  # FFmpeg counts in microseconds
        return round(seconds * float(stream.average_rate or 25))
