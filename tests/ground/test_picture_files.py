"""What a file says, and what it holds, comes back; nothing is lost on a full or a strange disk."""

from __future__ import annotations

import errno
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin

from derain_edu import images
from derain_edu.errors import DerainError
from derain_edu.images import read_picture
from derain_edu.picture_files import check_save_path, save_picture

STRIPES = np.zeros((24, 24, 3), np.uint8)  # the colours of which JPEG keeps least: red and blue,
STRIPES[:, ::2, 0], STRIPES[:, 1::2, 2] = 255, 255  # one pixel wide


def through(source: Path, target: Path, **options: bool) -> Image.Image:
    """Read a picture and write it, as a network that changes nothing would."""
    picture = read_picture(source)
    save_picture(picture.give_back(picture.rgb), target, **options)
    return Image.open(target)


def quiet(source: Path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing had to be assumed
        return read_picture(source).rgb.numpy()


# ------------------------------------------------------------------------------ writing


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
def test_a_full_disk_leaves_the_old_picture(suffix, tmp_path, monkeypatch):
    path = tmp_path / f"old{suffix}"
    path.write_bytes(b"old")

    def no_space(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(DerainError, match="No space left"):
        save_picture(Image.fromarray(STRIPES), path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_places_that_can_not_be_written(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("file/new.png", "loop/new.png", "x" * 300 + ".png"):
        with pytest.raises(DerainError, match="can't be written"):
            save_picture(Image.fromarray(STRIPES), tmp_path / name)
        with pytest.raises(DerainError):
            read_picture(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("a.webp", {"size": (16384, 2)}, "a WEBP holds at most 16383 pixels"),
        ("a.jpg", {"size": (3, 65536)}, "a JPEG holds at most 65535 pixels"),
        ("a.bmp", {"transparent": True}, "a BMP can't hold the picture's transparency"),
        ("a.gif", {}, "don't know this format"),
    ],
)
def test_what_a_format_can_not_hold(name, options, sentence):
    with pytest.raises(DerainError, match=sentence):
        check_save_path(Path(name), **options)
    check_save_path(Path("a.png"), **options)


# ------------------------------------------------------------------------------ what comes back


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_colour_stripes_survive(suffix, tmp_path):
    source = tmp_path / f"in{suffix}"
    options = {".jpg": {"quality": 95, "subsampling": 0}, ".webp": {"lossless": True}}[suffix]
    Image.fromarray(STRIPES).save(source, **options)
    result = np.asarray(through(source, tmp_path / f"out{suffix}").convert("RGB"))
    assert np.abs(result.astype(int) - STRIPES).mean() < 6  # 89 where half the colour is dropped


def test_a_lossy_webp_stays_a_small_file(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "in.webp", quality=60)
    through(tmp_path / "in.webp", tmp_path / "out.webp")
    assert b"VP8L" not in (tmp_path / "out.webp").read_bytes()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_what_exif_tells_comes_back(suffix, tmp_path):
    exif = Image.Exif()
    told = {0x010F: "Maker", 0x0110: "Model", 0x0132: "2026:01:02 03:04:05", 0x013B: "Somebody"}
    exif.update(told | {0x0112: 6})
    exif[0x8769] = {0x9003: "2026:01:02 03:04:05", 0x927C: b"secret notes", 0xA002: 24}
    exif[0x8825] = {1: "N", 2: (52.0, 30.0, 0.0)}
    Image.fromarray(STRIPES[:20]).save(tmp_path / "in.jpg", exif=exif.tobytes(), dpi=(300, 300))
    result = through(tmp_path / "in.jpg", tmp_path / f"out{suffix}")
    assert result.size == (20, 24)  # upright
    again = result.getexif()
    assert {tag: again.get(tag) for tag in told} == told
    assert again.get(0x0112, 1) == 1  # and not turned once more
    assert again.get_ifd(0x8769) == {0x9003: "2026:01:02 03:04:05"}
    assert [float(part) for part in again.get_ifd(0x8825)[2]] == [52, 30, 0]
    if suffix != ".webp":  # which has no place for it
        assert result.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    bare = through(tmp_path / "in.jpg", tmp_path / f"bare{suffix}", strip=True)
    assert not set(bare.getexif()) & (set(told) | {0x8769, 0x8825})


@pytest.mark.parametrize("white", [1023, 4095, 65535])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey_of_a_camera_in_16_bits(white, suffix, tmp_path):
    values = np.uint16(np.linspace(0, white, 24 * 24).reshape(24, 24))
    Image.fromarray(values).save(tmp_path / f"in{suffix}")
    if white == 65535:
        seen = quiet(tmp_path / f"in{suffix}")
    else:
        with pytest.warns(UserWarning, match=f"so {white} is taken for white"):
            seen = read_picture(tmp_path / f"in{suffix}").rgb.numpy()
    assert np.allclose(seen[0], values / white, atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = through(tmp_path / f"in{suffix}", tmp_path / f"out{suffix}")
        eight = through(tmp_path / f"in{suffix}", tmp_path / "out.bmp")
    assert result.mode == "I;16" and np.array_equal(np.asarray(result), values)
    assert np.abs(np.asarray(eight) - 255.0 * values / white).max() <= 0.51


def test_a_transparent_value_of_16_bits(tmp_path):
    values = np.uint16([[0, 40000], [65535, 40000]])
    Image.fromarray(values).save(tmp_path / "key.png", transparency=40000)
    picture = read_picture(tmp_path / "key.png")
    assert np.array_equal(np.asarray(picture.alpha), [[255, 0], [255, 0]])
    assert picture.give_back(picture.rgb).mode == "LA"


def test_printing_colours_go_through_their_profile(tmp_path):
    """A profile that is there is asked, and one that is broken does no harm."""
    ink = np.zeros((4, 5, 4), np.uint8)
    ink[..., 0] = 255
    Image.fromarray(ink, "CMYK").save(tmp_path / "plain.tif")
    assert np.allclose(quiet(tmp_path / "plain.tif")[:, 0, 0], [0, 1, 1], atol=0.01)
    Image.fromarray(ink, "CMYK").save(tmp_path / "broken.tif", icc_profile=b"no profile")
    assert np.allclose(quiet(tmp_path / "broken.tif")[:, 0, 0], [0, 1, 1], atol=0.01)
    srgb, lab = (ImageCms.createProfile(name) for name in ("sRGB", "LAB"))
    colours = Image.new("RGB", (4, 5), (200, 100, 50))
    picture = read_picture(ImageCms.profileToProfile(colours, srgb, lab, outputMode="LAB"))
    assert "icc_profile" not in picture.info  # it belongs to colours that are gone
    assert np.allclose(255 * picture.rgb[:, 0, 0], [200, 100, 50], atol=3)


# ------------------------------------------------------------------------------ several pictures


def test_other_frames_are_announced_and_can_be_chosen(tmp_path):
    frames = [Image.new("L", (6, 4), grey) for grey in (10, 200)]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    with pytest.warns(UserWarning, match="has 2 frames, of which only number 1 is read"):
        assert read_picture(tmp_path / "two.gif").rgb[0, 0, 0] * 255 == pytest.approx(10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_picture(tmp_path / "two.gif", frame=2).rgb[0, 0, 0] * 255 == pytest.approx(200)
    with pytest.raises(DerainError, match="has no frame 3: choose one from 1 to 2"):
        read_picture(tmp_path / "two.gif", frame=3)


def test_a_thumbnail_is_not_taken_for_the_picture(tmp_path):
    pages = [Image.new("RGB", (4, 3)), Image.new("RGB", (40, 30), (255, 0, 0))]
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:])
    with pytest.warns(UserWarning, match="only number 2 is read"):
        assert read_picture(tmp_path / "scan.tif").rgb.shape == (3, 30, 40)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_plain_tiff_that_lies_on_its_side(mode, tmp_path):
    """Pillow reads such a file by its name in another way than from memory, and wrongly."""
    image = Image.fromarray(STRIPES[:7]).convert(mode)
    image.save(tmp_path / "side.tif", exif=_turned(6))
    by_name, from_memory = (
        read_picture(source).rgb
        for source in (tmp_path / "side.tif", (tmp_path / "side.tif").read_bytes())
    )
    assert by_name.shape == (3, 24, 7) and np.array_equal(by_name, from_memory)


def _turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[TiffImagePlugin.X_RESOLUTION] = 1
    exif[0x0112] = orientation
    return exif.tobytes()


# ------------------------------------------------------------------------------ no picture


@pytest.mark.parametrize(
    ("start", "sentence"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "is a HEIC photo"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "is a HEIC photo"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "is a damaged AVIF"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "is a video"),
        (b"\x1aE\xdf\xa3" + 20 * b"\0", "is a video"),
        (b"II*\0" + 20 * b"\xff", "a TIFF, or a camera's raw file"),
    ],
)
def test_what_a_file_is_instead(start, sentence, tmp_path):
    (tmp_path / "file").write_bytes(start + bytes(64))
    with pytest.raises(DerainError, match=sentence):
        read_picture(tmp_path / "file")


def test_a_name_that_begins_like_a_home_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(STRIPES).save("~foo.png")
    assert read_picture("~foo.png").rgb.shape == (3, 24, 24)


def test_large_is_for_one_picture_and_not_for_the_program(tmp_path, monkeypatch):
    """Far beyond Pillow's limit, where it raises an error rather than a warning."""
    picture = tmp_path / "a.png"
    Image.new("L", (50, 40)).save(picture)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    seen = []
    real = images.open_picture
    monkeypatch.setattr(
        images, "open_picture", lambda *a: seen.append(Image.MAX_IMAGE_PIXELS) or real(*a)
    )
    assert images.read_picture(picture, large=0.002).rgb.shape == (3, 40, 50)
    assert images.read_picture(picture.read_bytes(), large=1).rgb.shape == (3, 40, 50)
    assert seen == [2000, 1_000_000] and Image.MAX_IMAGE_PIXELS == 500
    for too_little in (None, 0.0009):  # Pillow's error begins at twice its limit
        with pytest.raises(DerainError, match="unpacks to more than"):
            images.read_picture(picture, large=too_little)
    assert Image.MAX_IMAGE_PIXELS == 500
    with pytest.raises(DerainError, match="large is a number of megapixels"):
        images.read_picture(picture, large=float("nan"))


def test_large_never_lowers_a_limit(tmp_path, monkeypatch):
    picture = tmp_path / "a.png"
    Image.new("L", (50, 40)).save(picture)
    for limit in (None, 10_000):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert images.read_picture(picture, large=0.0005).rgb.shape == (3, 40, 50)
        assert limit == Image.MAX_IMAGE_PIXELS
