"""``derain-edu derain``: many pictures, odd places, and nothing that was there is lost."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import derain_edu as de
from derain_edu.cli import file_jobs
from derain_edu.cli.targets import plan_jobs
from derain_edu.errors import DerainError
from derain_edu.models.pretrained import open_weights_folder

QUICK = ["--model", "residual"]


def pixels(path: Path | io.BytesIO) -> np.ndarray:
    return np.asarray(Image.open(path))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder and of those below, by its name."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture
def photo(pair, tmp_path, monkeypatch):
    """A function that puts a small photo under a name in the working folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def put(name: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.open(pair[0]).save(path)
        return path

    return put


def test_derain_one_photo(call, pair, tmp_path):
    rainy, clean = pair
    target = tmp_path / "new" / "derained.png"
    status, out, err = call("derain", rainy, "-o", target, "--model", "residual", "--clean", clean)
    assert status == 0 and "residual, weights open; cpu" in out and "64×43 pixels" in out
    before, after = map(float, re.search(r"PSNR ([\d.]+) -> ([\d.]+) dB", out).groups())
    result, rain, truth = (de.to_tensor(path) for path in (target, rainy, clean))
    assert before == pytest.approx(de.psnr(rain, truth), abs=0.006)
    assert after == pytest.approx(de.psnr(result, truth), abs=0.006)
    expected = de.derain(rainy, "residual")
    assert np.array_equal(np.asarray(Image.open(target)), np.asarray(expected))


def test_derain_many_photos_and_skip_the_bad_one(call, pair, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"")
    model = open_weights_folder() / "residual.safetensors"
    status, out, err = call("derain", pair[0], bad, pair[1], "-o", tmp_path / "o", "--model", model)
    assert status == 2 and err.count("error:") == 1 and "bad.jpg is empty (0 bytes)" in err
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["clean.png", "rainy.png"]


def test_derain_names_its_result_after_the_photo(call, pair, tmp_path):
    de.to_pil(de.to_tensor(pair[0])).save(tmp_path / "photo.gif")
    assert call("derain", tmp_path / "photo.gif", pair[0], "--model", "residual")[0] == 0
    assert (tmp_path / "photo_derained.png").exists() and (tmp_path / "rainy_derained.png").exists()


def test_derain_never_touches_what_it_reads(call, pair, tmp_path):
    rainy, clean = pair
    before = rainy.read_bytes()
    for target in (rainy, tmp_path / "." / "rainy.png", tmp_path):
        status, _, err = call("derain", rainy, "-o", target, "--model", "residual")
        assert status == 2 and "would overwrite what is read" in err
    status, _, err = call("derain", rainy, clean, "-o", tmp_path, "--model", "residual")
    assert status == 2 and rainy.read_bytes() == before


def test_derain_refuses_a_clean_of_another_size_and_transparency_as_jpeg(call, pair, tmp_path):
    Image.new("RGBA", (20, 20)).save(tmp_path / "clear.png")
    status, _, err = call(
        "derain", pair[0], "--clean", tmp_path / "clear.png", "--model", "residual"
    )
    assert status == 2 and "give the clean picture that belongs to it" in err
    status, _, err = call(
        "derain", tmp_path / "clear.png", "-o", tmp_path / "a.jpg", "--model", "residual"
    )
    assert status == 2 and "a JPEG can't hold the picture's transparency" in err


def test_derain_options_reach_the_network(call, pair, tmp_path):
    arguments = ["derain", pair[0], "--model", "prn", "--tile", "200", "-o", tmp_path / "1.png"]
    assert call(*arguments, "--stages", "1")[0] == 0
    expected = de.derain(pair[0], "prn", stages=1)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "1.png")), np.asarray(expected))
    status, _, err = call("derain", pair[0], "--model", "residual", "--stages", "2")
    assert status == 2 and "residual has no option 'stages'" in err

def test_what_computes_the_network(call, photo):
    photo("a.png")
    for option, expected in {"torch": "open; cpu", "auto": "open, ONNX Runtime, float32; "}.items():
        status, out, _ = call("derain", "a.png", "--engine", option, "--overwrite")
        assert status == 0 and f"prenet, weights {expected}" in out
    status, out, _ = call("derain", "a.png", "--fast", "--overwrite")
    assert status == 0 and "ONNX Runtime, int8 convolutions; " in out
    status, _, err = call("derain", "a.png", "--engine", "steam", "--overwrite")
    assert status == 2 and "unknown engine 'steam'" in err


# ------------------------------------------------------------------------------ nothing is lost


@pytest.mark.parametrize("spelling", ["clean", "clean/", "clean/../clean", "link", "CLEAN"])
def test_no_result_takes_the_place_of_an_input(call, photo, spelling):
    """Neither of the rainy picture nor of the clean one, also with --overwrite."""
    photo("rainy/1.png"), photo("clean/1.png")
    os.symlink("clean", "link")
    if spelling == "CLEAN" and not os.path.isdir("CLEAN"):
        pytest.skip("this disk tells letter case apart")
    before = contents(Path())
    for last in ([], ["--overwrite"]):
        status, _, err = call(
            "derain", "rainy/1.png", "--clean", "clean/1.png", "-o", spelling, *QUICK, *last
        )
        assert status == 2 and "would overwrite what is read: choose another -o" in err
    assert contents(Path()) == before


def test_weights_are_inputs_too(photo):
    photo("a.png"), photo("weights.png")
    plan = plan_jobs(["a.png"], "weights.png", overwrite=True, inputs=[Path("weights.png")])
    assert not plan.jobs and "weights.png would overwrite what is read" in plan.problems[0]


def test_the_same_command_again_keeps_its_results_and_goes_on(call, photo):
    photo("a.png"), photo("b.jpg")
    assert call("derain", "a.png", *QUICK)[0] == 0
    Path("a_derained.png").write_bytes(b"edited since")
    names = ["a.png", "a_derained.png", "b.jpg"]  # what the shell makes of *
    status, out, err = call("derain", *names, *QUICK)
    assert (status, err) == (0, "")
    assert "note: a_derained.png: made from another of the pictures, left out" in out
    assert "note: a_derained.png exists and stays: --overwrite makes results again" in out
    assert Path("a_derained.png").read_bytes() == b"edited since"
    assert sorted(os.listdir()) == ["a.png", "a_derained.png", "b.jpg", "b_derained.jpg"]
    assert call("derain", *names, *QUICK, "--overwrite")[0] == 0
    assert np.array_equal(pixels("a_derained.png"), np.asarray(de.derain("a.png", "residual")))
    assert sorted(os.listdir()) == ["a.png", "a_derained.png", "b.jpg", "b_derained.jpg"]


def test_a_file_that_exists_stays_without_overwrite(call, photo):
    photo("a.png")
    Path("mine.png").write_bytes(b"mine")
    status, _, err = call("derain", "a.png", "-o", "mine.png", *QUICK)
    assert status == 2 and "mine.png exists: choose another -o, or replace it by --overw" in err
    assert Path("mine.png").read_bytes() == b"mine"
    assert call("derain", "a.png", "-o", "mine.png", *QUICK, "--overwrite")[0] == 0
    assert pixels("mine.png").shape == (43, 64, 3)


@pytest.mark.parametrize(
    ("names", "output", "expected"),
    [
        (["a/x.gif", "a/../a/x.png"], None, ["a/x_derained.png", "a/../a/x_derained_2.png"]),
        (["a/x.jpg", "b/x.jpg", "b/X.jpg"], "out/", ["out/x.jpg", "out/x_2.jpg", "out/X_3.jpg"]),
        (["a/x.jpg", "b/x.jpg", "a/x_2.jpg"], "o", ["o/x.jpg", "o/x_2.jpg", "o/x_2_2.jpg"]),
    ],
)
def test_two_results_get_two_names(photo, names, output, expected):
    plan = plan_jobs(names, output)
    assert [job.target for job in plan.jobs] == [Path(name) for name in expected]
    assert f"{Path(names[1])} goes to {Path(expected[1])}, because" in plan.notes[0]


def test_one_picture_named_twice_is_derained_once(photo):
    photo("a/x.png")
    assert len(plan_jobs(["a/x.png", "a/../a/x.png", "./a/x.png"]).jobs) == 1


# ------------------------------------------------------------------------------ the batch goes on


def test_one_bad_file_does_not_stop_the_others(call, photo):
    """Nothing of what is wrong with a file, its name or its place is a traceback."""
    photo("good.png"), photo("~foo.png"), photo(245 * "n" + ".png"), photo("中.png")
    Path("empty.jpg").touch(), Path("text.png").write_text("hello"), Path("folder.png").mkdir()
    os.symlink("loop.png", "loop.png")
    names = ["empty.jpg", "text.png", "loop.png", 245 * "n" + ".png", 300 * "m" + ".png"]
    status, out, err = call("derain", *names, "~foo.png", "中.png", "good.png", *QUICK)
    assert status == 2 and err.count("error: ") == len(names) == len(err.splitlines())
    assert "n_derained.png can't be written (File name too long)" in err
    for name in ("~foo", "中", "good"):
        assert pixels(f"{name}_derained.png").shape == (43, 64, 3)


def test_an_output_that_is_a_file_or_may_not_be_written_is_found_out_first(
    call, photo, monkeypatch
):
    photo("a.png"), photo("b.png")
    Path("taken").touch()
    monkeypatch.setattr(file_jobs, "load_on", lambda *_, **__: pytest.fail("too late"))
    status, _, err = call("derain", "a.png", "b.png", "-o", "taken", *QUICK)
    assert status == 2 and err.count("can't be written (Not a directory)") == 2
    assert call("derain", "a.png", "-o", "taken/deep/er/", *QUICK)[0] == 2
    Path("closed").mkdir(mode=0o500)
    if not os.access("closed", os.W_OK):  # root may write anywhere
        status, _, err = call("derain", "a.png", "-o", "closed", *QUICK)
        assert status == 2 and "closed/a.png can't be written (Permission denied)" in err


class Fragile(torch.nn.Module):
    """A network of somebody's own, with a fault that only some pictures show."""

    halo = 0

    def forward(self, rainy):
        if rainy.shape[-1] == 20:
            raise ZeroDivisionError("20 columns")
        return rainy


def test_an_own_network_may_fail_on_one_photo(photo):
    photo("a.png"), photo("c.png")
    Image.new("RGB", (20, 9)).save("b.png")
    said, wrong = [], []
    plan = plan_jobs(["a.png", "b.png", "c.png"])
    done = file_jobs.derain_files(plan.jobs, Fragile(), say=said.append, complain=wrong.append)
    assert done == len(said) == 2
    assert wrong == ["b.png was left out: the network raised ZeroDivisionError (20 columns)"]


def test_ctrl_c_says_how_many_are_done(call, photo, monkeypatch):
    names = [photo(f"{k}.png").name for k in range(3)]
    real = file_jobs.derain
    calls = []

    def stopped(*args, **more):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **more)

    monkeypatch.setattr(file_jobs, "derain", stopped)
    status, _, err = call("derain", *names, *QUICK)
    assert status == 130 and err == "error: stopped: 1 of 3 pictures are done\n"
    assert os.path.exists("0_derained.png") and not os.path.exists("1_derained.png")
    assert call("derain", *names, *QUICK)[0] == 0 and os.path.exists("2_derained.png")


@pytest.mark.parametrize("coding", ["cp1252", "cp437"])
def test_output_that_goes_to_a_file_with_a_narrow_code_page(photo, coding):
    photo("中.png")
    command = [sys.executable, "-m", "derain_edu", "derain", "中.png", *QUICK]
    environ = {**os.environ, "PYTHONIOENCODING": coding}
    done = subprocess.run(command, capture_output=True, env=environ)
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u4e2d.png -> \u4e2d_derained.png" in done.stdout
    assert os.path.exists("中_derained.png")


# ------------------------------------------------------------------------------ folders and pipes


def test_a_folder_stands_for_its_pictures(call, photo):
    photo("in/b.png"), photo("in/A.JPG"), photo("in/deep/er/c.png"), photo("in/deep/.h.png")
    for name in ("Thumbs.db", ".DS_Store", "clip.mp4", "a.txt", "._b.png"):
        Path("in", name).write_text("x")
    status, out, err = call("derain", "in", "-o", "out/", *QUICK)
    assert (status, err) == (0, "") and "2 of 2 pictures derained" in out
    assert "note: in/.DS_Store, in/._b.png, in/Thumbs.db and 2 more: no picture, left out" in out
    assert "note: in/deep: left out, --recursive takes folders too" in out
    assert sorted(contents(Path("out"))) == ["A.JPG", "b.png"]
    status, out, _ = call("derain", "in/", "-o", "out", "--recursive", *QUICK)
    assert status == 0 and "out/A.JPG, out/b.png exist and stay" in out
    assert sorted(contents(Path("out"))) == ["A.JPG", "b.png", "deep/er/c.png"]


def test_results_inside_of_the_folder_are_no_pictures_of_it(photo):
    photo("a.png"), photo("out/a.png"), photo("b_derained.png")
    plan = plan_jobs(["."], "out", recursive=True, overwrite=True)
    assert [job.picture for job in plan.jobs] == [Path("a.png"), Path("b_derained.png")]


@pytest.mark.parametrize(
    ("names", "output", "message"),
    [
        ([""], None, "a name is empty"),
        (["a.png"], "", "a name is empty"),
        (["a.png", "b.png"], "-", "-o - is one file, and there are several pictures"),
        (["."], "all.png", "-o all.png is one file"),
        (["-"], "out/", "standard input has no name for out/: name a file"),
    ],
)
def test_places_that_can_not_be(photo, names, output, message):
    with pytest.raises(DerainError, match=message):
        plan_jobs(names, output)


def test_a_folder_without_pictures_is_an_error(call, photo):
    for name in (".", os.sep):
        status, out, err = call("derain", name, *QUICK)
        assert status == 2 and err == f"error: {name} holds no picture: name another folder\n"


def test_a_slash_makes_a_folder_and_a_tilde_is_home(photo, tmp_path, monkeypatch):
    photo("a.png")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    assert plan_jobs(["a.png"], "v1.2/").jobs[0].target == Path("v1.2/a.png")
    home = tmp_path / "home"
    assert plan_jobs(["a.png"], "~/out/").jobs[0].target == home / "out" / "a.png"
    assert plan_jobs(["~/b.png"]).jobs[0].picture == home / "b.png"


def test_standard_input_and_output(call, pair):
    """The picture stands alone on standard output, with all messages on the other side."""
    expected = np.asarray(de.derain(pair[0], "residual"))
    status, _, err = call("derain", "-", *QUICK, stdin=pair[0].read_bytes())
    assert status == 0 and "standard input -> standard output" in err
    assert np.array_equal(pixels(io.BytesIO(call.stdout)), expected)
    assert call("derain", pair[0], "-o", "-", *QUICK)[0] == 0
    assert np.array_equal(pixels(io.BytesIO(call.stdout)), expected)
    target = pair[0].with_name("new.png")
    status, out, _ = call("derain", "-", "-o", target, *QUICK, stdin=pair[0].read_bytes())
    assert status == 0 and "standard input ->" in out
    assert np.array_equal(pixels(target), expected)
    status, _, err = call("derain", "-", *QUICK)
    assert status == 2 and "error: standard input is empty (0 bytes)" in err


def test_large_takes_the_place_of_a_limit_in_python(call, photo, monkeypatch):
    photo("a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # the photo has 2752
    assert call("derain", "a.png", *QUICK)[0] == 2
    assert call("derain", "a.png", *QUICK, "--large", "1")[0] == 0
    assert Image.MAX_IMAGE_PIXELS == 1000


# ------------------------------------------------------------------------------ what a file says


def test_a_frame_of_several_and_what_is_told_or_left_out(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exif = Image.Exif()
    exif[0x013B] = "Somebody"
    frames = [Image.new("RGB", (20, 16), colour) for colour in ("black", "white")]
    frames[0].save("two.webp", save_all=True, append_images=frames[1:], exif=exif, lossless=True)
    status, out, _ = call("derain", "two.webp", "-o", "first.png", *QUICK)
    assert status == 0 and "note: two.webp has 2 frames, of which only number 1 is read" in out
    status, out, _ = call("derain", "two.webp", "-o", "second.png", "--frame", 2, "--strip", *QUICK)
    assert status == 0 and "frames" not in out
    first, second = Image.open("first.png"), Image.open("second.png")
    assert np.asarray(first).mean() < 128 < np.asarray(second).mean()
    assert first.getexif().get(0x013B) == "Somebody" and 0x013B not in second.getexif()
    status, _, err = call("derain", "two.webp", "-o", "third.png", "--frame", 3, *QUICK)
    assert status == 2 and "has no frame 3: choose one from 1 to 2" in err


def test_what_the_format_can_not_hold_is_refused_before_the_work(call, photo, monkeypatch):
    Image.new("L", (16_390, 2)).save("wide.png")
    monkeypatch.setattr(file_jobs, "derain", lambda *_, **__: pytest.fail("it was computed"))
    status, _, err = call("derain", "wide.png", "-o", "wide.webp", *QUICK)
    assert status == 2 and "a WEBP holds at most 16383 pixels on a side" in err
