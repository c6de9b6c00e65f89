"""Picture files: open them with a message for whatever may be wrong, write them atomically."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from codecs import getincrementaldecoder
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from derain_edu.errors import DerainError

SAVE_AS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF"}

# What Pillow raises for damaged files, depending on the format and on where the damage is.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)


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
            return Image.open(file)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DerainError(
            f"{name} unpacks to more than {Image.MAX_IMAGE_PIXELS / 1e6:.0f} megapixels, which "
            "may be an attack: shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust it"
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
    if start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return "is a HEIC photo, which can't be read here: export it as JPEG first"
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


def save_picture(image: Image.Image, path: str | Path) -> Path:
    """Write a picture so that ``path`` is either the old file or the whole new one.

    Parameters
    ----------
    image : PIL.Image.Image
        8 bits: L, LA, RGB or RGBA.
    path : str or Path
        The suffix chooses the format; JPEG and WebP are written with quality 95. Missing
        folders are made.

    Raises
    ------
    DerainError
        For a suffix that is not in :data:`SAVE_AS`, transparency in a JPEG, or a folder that
        cannot be written.
    """
    path = Path(path)
    check_save_path(path, transparent="A" in image.getbands())
    options = {"quality": 95} if SAVE_AS[path.suffix.lower()] in ("JPEG", "WEBP") else {}
    profile = image.info.get("icc_profile")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(part, SAVE_AS[path.suffix.lower()], icc_profile=profile, **options)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise DerainError(f"{path} can't be written ({error}): choose another place") from error
    return path


def check_save_path(path: Path, transparent: bool = False) -> None:
    """Raise a DerainError now rather than after minutes of work, if ``path`` can't be a picture."""
    kind = SAVE_AS.get(path.suffix.lower())
    if kind is None:
        raise DerainError(f"{path}: don't know this format: choose {', '.join(SAVE_AS)}")
    if transparent and kind == "JPEG":
        raise DerainError(f"{path}: a JPEG can't hold the picture's transparency: choose .png")
