"""Picture files: open them with a message for whatever may be wrong, write them atomically."""

from __future__ import annotations

import contextlib
import math
import struct
import threading
import warnings
import zlib
from codecs import getincrementaldecoder
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from derain_edu.errors import DerainError
from derain_edu.files import write_atomically

SAVE_AS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}
OPAQUE = ("JPEG", "BMP")  # formats without transparency
DEEP = ("PNG", "TIFF")  # formats that hold grey with 16 bits
LONGEST = {"JPEG": 65535, "WEBP": 16383}  # pixels on a side

HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")  # its brands

# What Pillow raises for damaged files, depending on the format and on where the damage is.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)


_LIMIT = threading.RLock()


@contextlib.contextmanager
def up_to(megapixels: float | None) -> Iterator[None]:
    """Let pictures of this size be read here; beyond its own limit Pillow suspects an attack.

    Pillow has one limit for the whole program. So it is raised while one picture is read, by one
    thread at a time, and never lowered.
    """
    if megapixels is not None and not (math.isfinite(megapixels) and megapixels > 0):
        raise DerainError(f"large is a number of megapixels, such as 200, got {megapixels}")
    if megapixels is None or Image.MAX_IMAGE_PIXELS is None:  # None: there is no limit
        yield
        return
    with _LIMIT:
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = max(before, round(megapixels * 1e6))
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def open_picture(file: Path | BytesIO, name: str) -> Image.Image:
    """Open a picture with Pillow, which reads only its header now and its pixels when needed.

    Parameters
    ----------
    file : Path or BytesIO
        Where the picture is.
    name : str
        What to call it in error messages.

    Raises
    ------
    DerainError
        If the file is missing, is not a picture, or unpacks to so many pixels that it may be an
        attack (a decompression bomb).
    """
    if isinstance(file, Path):
        _check_file(file, name)
    start = _first_bytes(file, name)
    if not start:
        raise DerainError(f"{name} is empty (0 bytes): copy or download it again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(file)
        if image.format == "TIFF":
            # Pillow maps a plain TIFF into memory by its name, and then mixes up the rows and
            # columns of one that lies on its side. Without a name it reads the file.
            image.filename = ""
        return image
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DerainError(
            f"{name} unpacks to more than {Image.MAX_IMAGE_PIXELS / 1e6:.0f} megapixels, which "
            "may be an attack: shrink it, or say --large with its megapixels if you trust it (in "
            "Python: read_picture with large)"
        ) from error
    except UnidentifiedImageError as error:
        raise DerainError(f"{name} {_what_it_is(start)}") from error
    except DAMAGED as error:
        raise DerainError(f"{name} can't be opened ({error}): copy or download it again") from error


def _check_file(path: Path, name: str) -> None:
    if "://" in name:
        raise DerainError(f"{name} is a web address: download the picture and give its file name")
    try:
        if path.is_dir():
            raise DerainError(f"{name} is a folder: name a picture in it")
        if not path.exists():
            raise DerainError(f"{name} does not exist: check the name (you are in {Path.cwd()})")
        if not path.is_file():  # a pipe or a device would block, or never end
            raise DerainError(f"{name} is not a regular file: give a picture's file name")
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise DerainError(f"{name} can't be opened ({error}): check the name") from error


def _first_bytes(file: Path | BytesIO, name: str) -> bytes:
    if isinstance(file, BytesIO):
        return file.getbuffer()[:64].tobytes()
    try:
        with open(file, "rb") as opened:
            return opened.read(64)
    except OSError as error:
        raise DerainError(f"{name} can't be read ({error.strerror}): check its rights") from error


def _what_it_is(start: bytes) -> str:
    """Finish the sentence "NAME …" for a file that Pillow does not know."""
    if start[4:8] == b"ftyp":
        if any(brand in start[8:] for brand in HEIC):
            return "is a HEIC photo, which can't be read here: export it as JPEG first"
        if any(brand in start[8:] for brand in (b"avif", b"avis")):
            return "is a damaged AVIF, or this Pillow can't read AVIF: copy it again, or as PNG"
        return "is a video, not a picture: save its frames as PNG first"
    if start[:4] == b"\x1aE\xdf\xa3" or start[8:12] == b"AVI ":
        return "is a video, not a picture: save its frames as PNG first"
    if start[:4] in (b"II*\0", b"MM\0*"):
        return (
            "is a TIFF, or a camera's raw file, of a kind that can't be read here: save it with "
            "8 bits per channel"
        )
    if start.startswith(b"version https://git-lfs"):
        return "is only a Git LFS pointer: run git lfs pull to get the picture"
    if start.lstrip()[:5].lower() in (b"<!doc", b"<html"):
        return "is a web page, not a picture: download the picture itself"
    if _is_text(start):
        return "is a text file, not a picture: give a JPEG or PNG"
    return "is not a picture that can be read here: give a JPEG or PNG, or copy it again"


def _is_text(start: bytes) -> bool:
    try:
        text = getincrementaldecoder("utf-8")().decode(start)  # may end inside a character
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter in "\t\r\n" for letter in text)


def save_picture(image: Image.Image, path: str | Path, strip: bool = False) -> Path:
    """Write a picture so that ``path`` is either the old file or the whole new one.

    Parameters
    ----------
    image : PIL.Image.Image
        L, LA, RGB or RGBA with 8 bits, or I;16. Its ``info`` may hold what
        :meth:`derain_edu.images.Picture.give_back` puts there: a colour profile, EXIF data, dots
        per inch, and whether the source was lossless.
    path : str or Path
        The suffix chooses the format. JPEG is written with quality 95 and all its colour (4:4:4);
        WebP with quality 95, or lossless where the source was. 16 bits go into PNG and TIFF, and
        become 8 elsewhere. Missing folders are made.
    strip : bool
        Leave out what EXIF tells: date, author, camera, place. The colour profile stays.

    Raises
    ------
    DerainError
        For a suffix that is not in :data:`SAVE_AS`, a picture that the format can't hold, or a
        folder that cannot be written.
    """
    path = Path(path)
    check_save_path(path, transparent="A" in image.getbands(), size=image.size)
    kind = SAVE_AS[path.suffix.lower()]
    if image.mode == "I;16" and kind not in DEEP:
        image = _eight_bits(image)
    options: dict[str, Any] = {
        "JPEG": {"quality": 95, "subsampling": 0},
        "WEBP": {"lossless": True} if image.info.get("lossless") else {"quality": 95},
    }.get(kind, {})
    kept = ("icc_profile",) if strip else ("icc_profile", "exif", "dpi")
    options |= {key: image.info[key] for key in kept if image.info.get(key)}
    buffer = BytesIO()  # a disk that fills up must not leave a part of it, which Pillow overlooks
    try:
        image.save(buffer, kind, **options)
        write_atomically(path, buffer.getvalue())
    except (OSError, ValueError) as error:
        raise DerainError(f"{path} can't be written ({error}): choose another place") from error
    return path


def _eight_bits(image: Image.Image) -> Image.Image:
    white = image.info.get("white", 65535)
    values = np.asarray(image, dtype=np.float64) * (255 / white)
    result = Image.fromarray(np.uint8(np.round(values.clip(0, 255))))
    result.info = image.info
    return result


def check_save_path(
    path: Path, transparent: bool = False, size: tuple[int, int] | None = None
) -> None:
    """Raise a DerainError now rather than after minutes of work, if ``path`` can't be a picture.

    Parameters
    ----------
    path : Path
        Where the picture shall go.
    transparent : bool
        Whether it has transparency.
    size : (int, int), optional
        Its width and height.
    """
    kind = SAVE_AS.get(path.suffix.lower())
    if kind is None:
        raise DerainError(f"{path}: don't know this format: choose {', '.join(SAVE_AS)}")
    if transparent and kind in OPAQUE:
        raise DerainError(f"{path}: a {kind} can't hold the picture's transparency: choose .png")
    if size is not None and max(size) > LONGEST.get(kind, max(size)):
        raise DerainError(
            f"{path}: a {kind} holds at most {LONGEST[kind]} pixels on a side, and the picture has "
            f"{max(size)}: choose .png"
        )
