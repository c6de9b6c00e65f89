"""Commands on videos: pairs from a tripod, a clip derained with its sound, the score of a clip."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from PIL import Image

import derain_edu as de
from derain_edu.cli import video_jobs
from derain_edu.cli.targets import Job
from derain_edu.datasets.video import frames

av = pytest.importorskip("av")
pytest.importorskip("skimage")

RATE = 10  # frames per second
QUICK = ["--model", "residual"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Twelve rainy frames of a still scene (64×48), and a tone as its sound."""
    path = tmp_path_factory.mktemp("film") / "street.mp4"
    clean = de.load_photo("china", long_side=72)[:, :48, :64]
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=RATE, options={"crf": "4"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = file.add_stream("aac", rate=8000, layout="mono")
        for k in range(12):
            rainy = np.asarray(de.to_pil(de.add_rain(clean, "light", seed=k).rainy))
            file.mux(video.encode(av.VideoFrame.from_ndarray(rainy, "rgb24")))
        tone = np.sin(np.arange(9600) / 8).astype(np.float32)[None]
        part = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        part.sample_rate, part.pts = 8000, 0
        file.mux(sound.encode(part))
        file.mux(video.encode(None))
        file.mux(sound.encode(None))
    return path


def sound_of(path) -> list[bytes]:
    with av.open(str(path)) as file:
        return [bytes(p) for p in file.demux(file.streams.audio) if p.size]


def times_of(path) -> list[float]:
    with av.open(str(path)) as file:
        return [round(frame.time, 3) for frame in file.decode(video=0)]


# ------------------------------------------------------------------------------ pairs


def test_pairs_can_be_trained_on(call, clip, tmp_path):
    out = tmp_path / "mine"
    status, text, err = call("pairs", clip, "-o", out, "--every", "5", "--window", "3")
    assert status == 0, err
    assert "3 pairs of 64×48 pixels" in text and "7 frames, shifted by up to 0." in text
    assert "they are not independent" in text
    folder = de.PairedFolder(out)
    assert [folder[k]["name"] for k in range(3)] == [f"street_{k:05}" for k in (0, 5, 10)]
    clean = np.median(np.stack(list(frames(clip))[2:9]), axis=0).transpose(2, 0, 1)
    assert 255 * folder[1]["clean"].numpy() == pytest.approx(clean, abs=0.01)
    arguments = ["--steps", "2", "--patch-size", "16", "--batch-size", "1", "--out", tmp_path / "r"]
    status, text, _ = call("train", "--data", out, "--model", "residual", *arguments)
    assert status == 0 and "2 steps" in text


def test_pairs_that_are_there_stay(call, clip, tmp_path):
    out = tmp_path / "mine"
    options = ["pairs", clip, "-o", out, "--window", "2", "--every"]
    assert call(*options, "6")[0] == 0
    (out / "clean" / "other_1.png").touch()
    before = (out / "clean" / "street_00000.png").stat().st_mtime_ns
    status, _, err = call(*options, "4")
    assert status == 2 and "has pairs of street already" in err
    assert (out / "clean" / "street_00000.png").stat().st_mtime_ns == before
    status, text, _ = call(*options, "4", "--overwrite")
    assert status == 0 and "note: 1 older pairs of street stay there, such as street_00006" in text
    assert sorted(p.name for p in (out / "rainy").iterdir()) == [
        f"street_{k:05}.png" for k in (0, 4, 6, 8)
    ]


def test_half_a_pair_is_never_left(clip, tmp_path, monkeypatch):
    real, count = video_jobs.save_picture, []

    def stop_at_the_fourth(picture, path):
        count.append(path)
        if len(count) == 4:
            raise KeyboardInterrupt
        return real(picture, path)

    monkeypatch.setattr(video_jobs, "save_picture", stop_at_the_fourth)
    with pytest.raises(KeyboardInterrupt, match="stopped: 1 pairs are in"):
        video_jobs.write_pairs(clip, tmp_path, every=4, window=2, say=lambda text: None)
    assert len(de.PairedFolder(tmp_path)) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pairs", "gone.mp4"], "error: gone.mp4 does not exist"),
        (["pairs", "CLIP", "--window", "100000000"], "Invalid value for '--window'"),
        (["pairs", "CLIP", "--window", "1000000"], "error: a window of 1000000 frames"),
        (["pairs", "CLIP", "-o", "file"], "error: "),
        (["derain", "CLIP", "photo.png"], "error: a video is derained alone"),
        (["derain", "CLIP", "--clean", "a.png", "--strip"], "error: --clean, --strip is about"),
        (["derain", "CLIP", "-o", "-"], "error: a video can't go to standard output"),
        (["derain", "CLIP", "-o", "clip.gif"], "error: clip.gif: a video is written as .mp4"),
        (["derain", "CLIP", "-o", "CLIP"], "would overwrite what is read"),
        (["derain", "CLIP", "-o", "file.mp4"], "error: file.mp4 exists: choose another -o"),
        (["derain", "gone.mp4", *QUICK], "error: gone.mp4 does not exist"),
        (["derain", "text.mp4", *QUICK], "error: text.mp4 is not a video that can be read"),
        (["evaluate", "--still", "CLIP", "--dry"], "error: say what to measure on"),
        (["evaluate", "--still", "CLIP", "--csv", "a.csv"], "error: --still goes without"),
        (["evaluate", "--still", "CLIP", "--limit", "2", *QUICK], "error: flicker needs at least"),
    ],
)
def test_errors_are_one_sentence(call, clip, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("file", "file.mp4", "text.mp4"):
        (tmp_path / name).write_text("no video", encoding="utf-8")
    status, _, err = call(*(clip if word == "CLIP" else word for word in arguments))
    assert status == 2 and message in err and "Traceback" not in err
    if message.startswith("error: "):
        assert err.count("\n") == 1


# ------------------------------------------------------------------------------ derain


def test_a_clip_is_derained_with_its_sound(call, clip, tmp_path):
    out = tmp_path / "new" / "dry.mp4"
    status, text, err = call("derain", clip, "-o", out, *QUICK)
    assert status == 0, err
    assert "note: each frame is derained by itself" in text
    assert f"street.mp4 -> {out}  (12 frames, with its sound, " in text
    assert sound_of(out) == sound_of(clip) != []
    assert times_of(out) == times_of(clip)
    network = de.create_model("residual", "open")
    for rainy, derained in list(zip(frames(clip), frames(out), strict=True))[::5]:
        expected = np.asarray(de.derain(rainy, network).convert("L"), dtype=float)
        there, before = (np.asarray(Image.fromarray(f).convert("L")) for f in (derained, rainy))
        assert np.abs(expected - there).mean() < 2  # H.264 loses a little
        assert np.abs(expected - there).mean() < np.abs(there.astype(float) - before).mean()
    assert [path.name for path in out.parent.iterdir()] == ["dry.mp4"]


def test_the_default_name_and_overwrite(call, clip, tmp_path):
    own = tmp_path / "a.mkv"
    own.write_bytes(clip.read_bytes())
    assert call("derain", own, *QUICK)[0] == 0
    assert (tmp_path / "a_derained.mkv").is_file()
    assert call("derain", own, *QUICK)[0] == 2
    assert call("derain", own, *QUICK, "--overwrite")[0] == 0
    assert sound_of(tmp_path / "a_derained.mkv") == sound_of(clip)


class StopsAfter(torch.nn.Module):
    """Leaves pictures as they are, and raises at some call."""

    halo = 0

    def __init__(self, calls: int, error: type[BaseException]) -> None:
        super().__init__()
        self.calls, self.error = calls, error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls -= 1
        if self.calls < 0:
            raise self.error("stop")
        return x


def test_after_ctrl_c_the_beginning_is_there(clip, tmp_path):
    said = []
    job = Job(clip, tmp_path / "dry.mp4")
    network = StopsAfter(7, KeyboardInterrupt)
    assert not video_jobs.derain_clip(job, network, None, lambda text: None, said.append)
    assert said == [f"stopped: the first 7 of 12 frames are in {job.target}"]
    assert times_of(job.target) == times_of(clip)[:7]
    network = StopsAfter(0, KeyboardInterrupt)
    assert not video_jobs.derain_clip(job, network, None, lambda text: None, said.append)
    assert said[1] == "stopped before the first frame was done"
    assert len(times_of(job.target)) == 7  # what was there stays


def test_of_a_damaged_clip_the_beginning_is_derained(clip, tmp_path):
    own = tmp_path / "clip.ts"  # a kind of film that has no table of contents
    with av.open(str(clip)) as source, av.open(str(own), "w") as file:
        streams = {s.index: file.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                file.mux(packet)
    content = own.read_bytes()
    own.write_bytes(content[: len(content) // 2])
    job, said = Job(own, tmp_path / "dry.mkv"), []
    assert video_jobs.derain_clip(job, StopsAfter(99, OSError), None, said.append, said.append)
    assert 0 < len(times_of(job.target)) < 12


def test_an_error_leaves_what_was_there(clip, tmp_path):
    (tmp_path / "dry.mp4").write_bytes(b"old")
    job = Job(clip, tmp_path / "dry.mp4")
    with pytest.raises(ZeroDivisionError):
        video_jobs.derain_clip(job, StopsAfter(3, ZeroDivisionError), None, lambda text: None)
    assert [path.name for path in tmp_path.iterdir()] == ["dry.mp4"]
    assert job.target.read_bytes() == b"old"


# ------------------------------------------------------------------------------ evaluate


def test_a_still_clip_is_scored(call, clip):
    status, text, err = call("evaluate", "--still", clip, *QUICK, "--limit", "8")
    assert status == 0, err
    [flat] = re.findall(r"^flat +([\d.]+) +([\d.]+)$", text, re.MULTILINE)
    [kept] = re.findall(r"edges kept: (\d+) %", text)
    assert "6 frames, shifted by up to 0." in text and 80 < int(kept) < 120
    assert float(flat[0]) > float(flat[1]) > 0
