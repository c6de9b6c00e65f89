"""Take the rain out of a video, frame by frame, and copy its sound.

A network of this package sees one picture. So each frame is derained by itself, and what it does
differs a little from one frame to the next: what is left of the rain flickers.
:mod:`derain_edu.evaluation.flicker` measures by how much.

The result is upright, in H.264, and keeps the times of the frames, the colours as the source codes
them, and the sound, byte by byte. After Ctrl-C the result is complete up to there. A program that
is killed leaves a file ``NAME.….part.mkv`` that players show, if the result is Matroska (``.mkv``);
an MP4 gets its table of contents at the end only, so a part of it is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from derain_edu.datasets.video import (
    THREADS,
    Frames,
    decoded,
    frame_to_tensor,
    opened,
    reason_of,
    upright,
    video_package,
)
from derain_edu.errors import DerainError
from derain_edu.files import growing
from derain_edu.images import to_pil
from derain_edu.inference.restoration import derain_tensor

SAVE_AS = (".mp4", ".mov", ".m4v", ".mkv")  # what a result may be
_CODEC = "libx264"
# crf 18 is hard to tell from the source by eye.
_QUALITY = {"crf": "18", "preset": "medium"}


@dataclass(frozen=True)
class DerainedVideo:
    """What :func:`derain_video` did.

    Attributes
    ----------
    path : Path
        The result.
    frames : int
        How many frames it has.
    expected : int
        How many the source has.
    sound : bool
        Whether it has sound.
    stopped : bool
        Whether the work was stopped by Ctrl-C, and the result is the beginning only.
    """

    path: Path
    frames: int
    expected: int
    sound: bool
    stopped: bool


def check_video_path(path: Path) -> None:
    """Raise a DerainError if a video can't be written under this name."""
    if path.suffix.lower() not in SAVE_AS:
        raise DerainError(f"{path}: a video is written as {', '.join(SAVE_AS)}: choose one of them")


def derain_video(
    source: str | Path,
    target: str | Path,
    model: nn.Module,
    tile: int | None = None,
    on_frame: Callable[[], object] | None = None,
) -> DerainedVideo:
    """Derain each frame of a video by itself.

    Parameters
    ----------
    source : str or Path
        A video file.
    target : str or Path
        Where the result goes: ``.mp4``, ``.mov``, ``.m4v`` or ``.mkv``. What is there is
        replaced.
    model : nn.Module
        (B, 3, H, W) in, (B, 3, H, W) out.
    tile : int, optional
        See :func:`derain_edu.inference.restoration.derain_tensor`.
    on_frame : callable, optional
        Called after each frame.

    Returns
    -------
    DerainedVideo
        After Ctrl-C, too: then ``stopped`` is true, and the result holds what was done so far.

    Raises
    ------
    DerainError
        If the source can't be read, or the target can't hold it.
    """
    source, target = Path(source), Path(target)
    check_video_path(target)
    expected = len(Frames(source))
    av = video_package()
    try:
        with growing(target) as path, ExitStack() as stack:
            film = _Film(stack, source, path)
            stopped = False
            try:
                for frame in film.frames():
                    derained = derain_tensor(model, frame_to_tensor(upright(frame)), tile)
                    film.add(np.asarray(to_pil(derained)), frame)
                    if on_frame:
                        on_frame()
            except KeyboardInterrupt:
                if not film.count:
                    raise
                stopped = True
            film.finish()
    except av.FFmpegError as error:
        raise DerainError(
            f"{target} can't be written ({reason_of(error)}): choose another place, or .mkv, which "
            "holds sound of any kind"
        ) from error
    return DerainedVideo(target, film.count, max(expected, film.count), film.sound, stopped)


class _Film:
    """A video that is read and one that is written, side by side."""

    def __init__(self, stack: ExitStack, source: Path, target: Path) -> None:
        self.source, self.count = source, 0
        self.reader = stack.enter_context(opened(source))
        self.writer = stack.enter_context(video_package().open(str(target), "w"))
        self.pictures = self.reader.streams.video[0]
        self.pictures.thread_type, self.pictures.codec_context.thread_count = "AUTO", THREADS
        self.rate = self.pictures.average_rate or Fraction(25)
        self.sounds: dict[int, Any] = {}
        self.encoder: Any = None

    @property
    def sound(self) -> bool:
        """Whether the result has sound."""
        return bool(self.sounds)

    def frames(self) -> Iterator[Any]:
        """Yield the frames of the source; sound that comes between them is copied."""
        waiting: list[Any] = []  # sound before the first frame, which says how large the film is
        for item in decoded(self._read(), self.source):
            if not isinstance(item, video_package().VideoFrame):
                waiting.append(item)
            else:
                if self.encoder is None:
                    self._begin(item)
                yield item
            if self.encoder is not None:
                self._copy(waiting)
                waiting.clear()

    def _read(self) -> Iterator[Any]:
        """Yield frames, and packets of sound, as they come."""
        for packet in self.reader.demux([self.pictures, *self.reader.streams.audio]):
            if packet.stream.index == self.pictures.index:
                yield from packet.decode()
            else:
                yield packet

    def _begin(self, frame: Any) -> None:
        """Open the streams of the result, as the first frame asks for."""
        height, width = upright(frame).shape[:2]
        try:
            self.encoder = self.writer.add_stream(_CODEC, rate=self.rate, options=_QUALITY)
        except ValueError as error:  # a build of FFmpeg without it
            raise DerainError(
                f"this PyAV has no encoder {_CODEC}: install the one of PyPI, pip install av"
            ) from error
        # H.264 halves the colours in both directions, so both sides are even.
        self.encoder.width, self.encoder.height = width + width % 2, height + height % 2
        self.encoder.pix_fmt = "yuv420p"
        self.encoder.codec_context.time_base = self.pictures.time_base
        self.encoder.time_base = self.pictures.time_base
        colours = self.pictures.codec_context
        for name in ("color_range", "colorspace", "color_primaries", "color_trc"):
            setattr(self.encoder.codec_context, name, getattr(colours, name))
        for stream in self.reader.streams.audio:
            if stream.codec_context.name not in self.writer.supported_codecs:
                raise DerainError(
                    f"{self.writer.format.name} can't hold this sound "
                    f"({stream.codec_context.name}): choose a name with .mkv"
                )
            self.sounds[stream.index] = self.writer.add_stream_from_template(stream)

    def _copy(self, packets: list[Any]) -> None:
        for packet in packets:
            if packet.dts is not None:  # the last one of a stream is empty
                packet.stream = self.sounds[packet.stream.index]
                self.writer.mux(packet)

    def add(self, pixels: np.ndarray, like: Any) -> None:
        """Write a derained frame (H, W, 3) uint8 at the time of the frame it was made from."""
        height, width = pixels.shape[:2]
        pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = video_package().VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
        frame = frame.reformat(
            format="yuv420p", dst_colorspace=like.colorspace, dst_color_range=like.color_range
        )
        frame.pts, frame.time_base = like.pts, self.pictures.time_base
        if frame.pts is None:  # a kind of file that tells its rate only
            frame.pts = round(self.count / self.rate / self.pictures.time_base)
        self.writer.mux(self.encoder.encode(frame))
        self.count += 1

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if self.encoder is None:
            raise DerainError(f"{self.source} holds no frame: record or copy it again")
        self.writer.mux(self.encoder.encode(None))
