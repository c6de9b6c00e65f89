"""Frames of a video: upright, all of them, and one sentence for what can't be read."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from PIL import Image

from derain_edu.datasets.video import decoded, frame_to_tensor, frames, spread
from derain_edu.errors import DerainError

av = pytest.importorskip("av")


def write_video(path, pictures, turn=0):
    """A small video without loss, which a player shall turn by so many degrees."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264rgb", rate=10, options={"crf": "0"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "rgb24"
        if turn:
            stream.set_display_rotation(turn)
        for picture in pictures:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        file.mux(stream.encode(None))
    return path


@pytest.fixture
def pictures():
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (16, 24, 3), dtype=np.uint8) for _ in range(7)]


def test_all_frames_as_often_as_wanted(tmp_path, pictures):
    clip = frames(write_video(tmp_path / "a clip.mkv", pictures))
    assert (len(clip), clip.height, clip.width, clip.name) == (7, 16, 24, "a clip")
    for _ in range(2):
        walked = list(clip)
        assert len(walked) == 7
        assert all(np.array_equal(a, b) for a, b in zip(walked, pictures, strict=True))


@pytest.mark.skipif(not hasattr(av.VideoStream, "set_display_rotation"), reason="an older PyAV")
@pytest.mark.parametrize("turn", [90, 180, -90])
def test_a_turned_video_is_upright(tmp_path, pictures, turn):
    clip = frames(write_video(tmp_path / "turned.mp4", pictures, turn))
    expected = np.rot90(pictures[3], turn // 90)  # both count counter-clockwise
    assert np.array_equal(list(clip)[3], expected)
    assert (clip.height, clip.width) == expected.shape[:2]


def test_a_folder_in_natural_order(tmp_path, pictures):
    for number in (10, 2, 1):
        Image.fromarray(pictures[number % 7]).save(tmp_path / f"f{number}.png")
    clip = frames(tmp_path)
    assert [np.array_equal(f, pictures[n]) for f, n in zip(clip, (1, 2, 3), strict=True)] == [1] * 3
    Image.new("RGB", (9, 9)).save(tmp_path / "f11.png")
    with pytest.raises(DerainError, match="f11.png is 9×9 pixels and the frames before are 24×16"):
        list(frames(tmp_path))


def test_what_is_no_video(tmp_path):
    (tmp_path / "text.mp4").write_text("not a video", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    for name, message in {
        "text.mp4": "is not a video that can be read here",
        "gone.mp4": "does not exist: check the name",
        "empty": "holds no picture: name a video or another folder",
    }.items():
        with pytest.raises(DerainError, match=message):
            frames(tmp_path / name)


def test_the_frames_before_a_damaged_end_are_used(tmp_path, pictures):
    path = write_video(tmp_path / "clip.mkv", pictures)
    path.write_bytes(path.read_bytes()[:-3000])
    walked = list(frames(path))
    assert 0 < len(walked) < 7 and np.array_equal(walked[0], pictures[0])


def test_where_the_decoder_stops_is_said(tmp_path):
    def broken():
        yield "a frame"
        raise av.error.InvalidDataError(1, "Invalid data")

    with pytest.warns(UserWarning, match="clip.mp4 is damaged .*what comes before"):
        assert list(decoded(broken(), tmp_path / "clip.mp4")) == ["a frame"]


def test_without_the_package_a_sentence_says_how_to_install_it(tmp_path, monkeypatch):
    real = builtins.__import__

    def no_av(name, *args, **more):
        if name == "av":
            raise ImportError
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", no_av)
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(DerainError, match=r'pip install "derain-edu\[video\]"'):
        frames(tmp_path / "clip.mp4")


def test_a_frame_as_a_picture(pictures):
    picture = frame_to_tensor(pictures[0])
    assert picture.shape == (3, 16, 24) and picture.is_contiguous()
    assert picture[2, 5, 7] == pictures[0][5, 7, 2] / np.float32(255)


@pytest.mark.parametrize("count", range(1, 40))
def test_frames_are_spread_evenly(count):
    kept = [number for number, frame in spread(range(count), most=6)]
    assert len(kept) == count if count <= 6 else 3 < len(kept) <= 6
    assert len({b - a for a, b in zip(kept, kept[1:], strict=False)}) <= 1 and kept[0] == 0
    assert count - kept[-1] <= max(1, kept[-1] // max(1, len(kept) - 1))
