"""A folder of odd files: each result is right or one sentence says why not, and the batch ends.

The files are made by a seed: every mode, format, size, name and damage that a folder sees. Each
comes with the pixels that were put into it, so that no reader of pictures is needed to know what
is right. ``DERAIN_EDU_ODD_SEEDS=20`` tries 300 files; a usual run tries 30.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from torch import nn

from derain_edu.cli.file_jobs import derain_files
from derain_edu.cli.targets import plan_jobs

SEEDS = int(os.environ.get("DERAIN_EDU_ODD_SEEDS", "2"))

NAMES = (
    "plain", "two words", "UPPER", "~foo", "-o", "=SUM(A1)", "a.b.c", "雨の日", "e\u0301", "100%",
    "x" * 200, "quote'\"", "<img src=x>", "line\nend", "photo_derained",
)  # fmt: skip
SIZES = ((1, 1), (1, 40), (37, 1), (7, 5), (33, 20), (64, 64), (3, 300))
# mode -> the formats that can hold it
FORMATS = {
    "1": ("PNG", "TIFF", "BMP", "GIF"),
    "L": ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP"),
    "LA": ("PNG", "TIFF"),
    "P": ("PNG", "GIF", "TIFF", "BMP"),
    "PA": ("PNG",),  # a palette with one transparent colour
    "RGB": ("PNG", "JPEG", "TIFF", "BMP", "WEBP"),
    "RGBA": ("PNG", "TIFF", "WEBP"),
    "CMYK": ("JPEG", "TIFF"),
    "I;16": ("PNG", "TIFF"),
    "F": ("TIFF",),
}
SUFFIXES = {
    "PNG": (".png", ".PNG"), "JPEG": (".jpg", ".jpeg", ".JPG"), "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",), "GIF": (".gif",), "WEBP": (".webp",),
}  # fmt: skip


@dataclass(frozen=True)
class OddPicture:
    """A file and what is right for it.

    Attributes
    ----------
    path : Path
        The file.
    about : str
        Its properties, for a message.
    pixels : np.ndarray | None
        (H, W, 3) in [0, 1], upright; None: only an error is right.
    white : int
        The value of white in a result with 16 bits.
    may_fail : bool
        Whether an error is right, too: the file was cut off.
    """

    path: Path
    about: str
    pixels: np.ndarray | None
    white: int
    may_fail: bool


def make_odd_pictures(folder: Path, seed: int, count: int = 15) -> list[OddPicture]:
    """Write ``count`` files into ``folder``; the same seed always gives the same ones."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    return [_make(folder, k, random) for k in range(count)]


def _make(folder: Path, number: int, random: np.random.Generator) -> OddPicture:
    mode = str(random.choice(list(FORMATS)))
    kind = str(random.choice(FORMATS[mode]))
    size = SIZES[random.integers(len(SIZES))]
    image, pixels = _picture(mode, size, random)
    options: dict[str, object] = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    about = [mode, kind, f"{size[0]}×{size[1]}"]
    if kind in ("JPEG", "WEBP", "PNG", "TIFF") and mode != "PA" and random.random() < 0.3:
        orientation = int(random.integers(1, 9))
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif.tobytes()
        pixels = _turned(pixels, orientation)
        about.append(f"orientation {orientation}")
    if mode in ("RGB", "RGBA") and random.random() < 0.3:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        options["icc_profile"] = profile if random.random() < 0.5 else b"no profile"
        about.append("profile")
    if mode == "RGB" and kind in ("TIFF", "WEBP") and random.random() < 0.4:
        frame = Image.new("RGB", image.size)
        options |= {"save_all": True, "append_images": [frame]}
        about.append("two frames")
    if mode == "PA":
        options["transparency"] = 0
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    content, may_fail, wanted = buffer.getvalue(), False, pixels
    fate = random.random()
    if fate < 0.2:
        content, may_fail = content[: random.integers(len(content))], True
        about.append(f"cut off after {len(content)} bytes")
    elif fate < 0.25:
        content, wanted = (b"", b"no picture\n", b"\x89PNG\r\n\x1a\n")[random.integers(3)], None
        about.append("no picture")
    name = f"{NAMES[random.integers(len(NAMES))]}{number}{random.choice(SUFFIXES[kind])}"
    (folder / name).write_bytes(content)
    white = image.info.get("white", 65535)
    return OddPicture(folder / name, ", ".join(about), wanted, white, may_fail)


def _picture(
    mode: str, size: tuple[int, int], random: np.random.Generator
) -> tuple[Image.Image, np.ndarray]:
    """Return a smooth picture, as Pillow holds it and as (H, W, 3) numbers from 0 to 1."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width] / max(size)
    phases = random.uniform(0, 6, 3)
    colour = 0.5 + 0.5 * np.sin(3 * x[..., None] + 2 * y[..., None] + phases)
    rgb = Image.fromarray(np.uint8(np.round(255 * colour)))
    grey = colour[..., :1].repeat(3, 2)
    eight = np.uint8(np.round(255 * grey[..., 0]))
    if mode == "1":
        image = Image.fromarray(eight > 127)
        return image, np.float64(eight > 127)[..., None].repeat(3, 2)
    if mode in ("L", "LA"):
        image = Image.fromarray(eight)
        if mode == "LA":
            image.putalpha(Image.fromarray(255 - eight))
        return image, grey
    if mode in ("P", "PA"):
        image = rgb.quantize(16)
        return image, np.asarray(image.convert("RGB")) / 255
    if mode == "I;16":
        white = int(random.choice([1023, 4095, 65535]))
        grey[0, 0] = 1  # what is white somewhere tells how many bits there are
        image = Image.fromarray(np.uint16(np.round(white * grey[..., 0])))
        image.info["white"] = white
        return image, grey
    if mode == "F":
        return Image.fromarray(np.float32(grey[..., 0])), grey
    if mode == "RGBA":
        rgb.putalpha(Image.fromarray(eight))
    if mode == "CMYK":  # without a profile: ink is what light lacks
        ink = np.dstack([np.uint8(np.round(255 * (1 - colour))), np.zeros_like(eight)])
        return Image.fromarray(ink, "CMYK"), colour
    return rgb, colour


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Return the picture as the orientation of EXIF asks to show it."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)  # first row and column change places
    flips = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}
    return np.flip(pixels, flips.get(orientation, ()))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_each_result_is_right_or_a_sentence(seed, tmp_path):
    odd = make_odd_pictures(tmp_path / "in", seed)
    before = {path: path.read_bytes() for path in (tmp_path / "in").iterdir()}
    plan = plan_jobs([str(tmp_path / "in")], f"{tmp_path}/out/")
    targets = {job.picture: job.target for job in plan.jobs}
    problems: list[str] = list(plan.problems)
    derain_files(plan.jobs, nn.Identity(), say=lambda _: None, complain=problems.append)
    for picture in odd:
        target = targets.get(picture.path)
        sentences = [text for text in problems if str(picture.path) in text]
        if target is not None and target.exists():
            assert sentences == [], picture.about
            assert_right(picture, target)
        else:
            assert picture.may_fail or picture.pixels is None, f"{picture.about}: {sentences}"
            assert len(sentences) == 1, picture.about
            assert_one_sentence(sentences[0].replace(str(picture.path), "NAME"))
    assert {path: path.read_bytes() for path in (tmp_path / "in").iterdir()} == before
    left = [path for path in (tmp_path / "out").rglob("*") if path not in targets.values()]
    assert left == []  # no temporary file


def assert_right(picture: OddPicture, target: Path) -> None:
    assert picture.pixels is not None, f"{picture.about}: no picture, and a result"
    result = Image.open(target)
    deep = result.mode.startswith("I;16")
    values = np.asarray(result) / picture.white if deep else np.asarray(result.convert("RGB")) / 255
    values = values if values.ndim == 3 else values[..., None].repeat(3, 2)
    assert values.shape == picture.pixels.shape, picture.about
    lossy = "JPEG" in picture.about or "WEBP" in picture.about or "CMYK" in picture.about
    difference = np.abs(values - picture.pixels)
    assert difference.max() < (0.5 if lossy else 1.01 / 255), picture.about  # of very few pixels
    assert difference.mean() < (0.1 if lossy else 1 / 255), picture.about


def assert_one_sentence(text: str) -> None:
    assert len(text) < 300 and "Traceback" not in text and "\n" not in text, text
