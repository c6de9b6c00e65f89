"""Pictures in, tensors through, pictures out: the one place where the format changes.

Inside the package a picture is RGB, float32 in [0, 1], (3, H, W) or (B, 3, H, W). Outside it may
be a phone photo that lies on its side, a scan in 16 bits, a palette GIF, a NumPy array.
:func:`read_picture` takes all of them, :func:`to_pil` goes back.
Files themselves are opened and written by :mod:`derain_edu.picture_files`.

What cannot be read raises :class:`~derain_edu.errors.DerainError`: one sentence that names the
file and says what to do.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps
from torch import Tensor

from derain_edu.errors import DerainError
from derain_edu.files import at_home
from derain_edu.picture_files import DAMAGED, open_picture, up_to

_ROUNDING = 1e-6  # floats may leave [0, 1] by this much: resampling does it, and nobody sees it


@dataclass(frozen=True)
class Picture:
    """A picture as the networks see it, and what is needed to give it back as it came.

    Attributes
    ----------
    rgb : Tensor
        (3, H, W) float32 in [0, 1].
    name : str
        The file's name or ``"picture"``, for messages.
    alpha : Image.Image | None, default None
        Transparency, mode L, of the same size.
    grey : bool, default False
        Whether the source had one colour channel.
    white : int, default 255
        The value of white in a source of whole numbers: above 255, it had more than 8 bits.
    info : dict[str, Any]
        What its file says besides, and a result should say again: ``icc_profile`` (what the
        colours mean), ``exif``, ``dpi``, and ``lossless``, for WebP.
    """

    rgb: Tensor
    name: str
    alpha: Image.Image | None = None
    grey: bool = False
    white: int = 255
    info: dict[str, Any] = field(default_factory=dict)

    def give_back(self, rgb: Tensor) -> Image.Image:
        """Turn a processed (3, H, W) tensor into a picture of the source's kind.

        Grey comes back grey: mode L, or I;16 if it came with more than 8 bits. Transparency comes
        back untouched (LA or RGBA).
        """
        result = to_pil(rgb)
        if self.white > 255 and self.alpha is None:
            result = _to_deep_grey(rgb, self.white)
        elif self.grey:
            result = result.convert("L")
        if self.alpha is not None:
            result.putalpha(self.alpha)
        result.info |= self.info
        return result


PictureLike = str | Path | bytes | Image.Image | np.ndarray | Tensor | Picture


def read_picture(
    source: PictureLike,
    name: str | None = None,
    frame: int | None = None,
    large: float | None = None,
) -> Picture:
    """Read a picture from anything that holds one.

    Parameters
    ----------
    source : str, Path, bytes, PIL.Image.Image, numpy.ndarray, Tensor or Picture
        A file (its EXIF orientation is applied) or its bytes; a Pillow image of any mode; an
        array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, uint16 or floats in [0, 1]; a
        tensor (3, H, W) or (1, 3, H, W) of floats in [0, 1] or uint8.
    name : str, optional
        What to call the picture in error messages. Default: the file's name.
    frame : int, optional
        Which picture of a file that holds several, from 1. Default: the first; of a TIFF the
        largest, because the first may be a thumbnail.
    large : float, optional
        Take a file of up to so many megapixels. Default: 89, or ``PIL.Image.MAX_IMAGE_PIXELS``
        where you have changed it; what unpacks to more may be an attack.

    Returns
    -------
    Picture

    Raises
    ------
    DerainError
        If there is no picture in ``source``, or its shape, type or values do not fit.

    Notes
    -----
    Grey pictures keep their 16 bits. Colour pictures of 16 bits are read with the 8 upper bits,
    which is what Pillow gives.

    Warns
    -----
    UserWarning
        Where something had to be assumed or left out: the range of a grey picture with 10, 12 or
        32 bits, the lower bits of a colour picture, further frames.
    """
    if isinstance(source, Picture):
        return source
    if isinstance(source, (str, Path, bytes, bytearray, memoryview)):
        is_path = isinstance(source, (str, Path))
        name = name or (str(source) if is_path else "picture")
        file = Path(at_home(str(source))) if is_path else BytesIO(source)
        with up_to(large), open_picture(file, name) as image:
            return _from_pil(image, name, frame)
    if isinstance(source, Image.Image):
        return _from_pil(source, name or getattr(source, "filename", "") or "picture", frame)
    if isinstance(source, np.ndarray):
        return _from_array(source, name or "picture")
    if isinstance(source, Tensor):
        return Picture(_from_tensor(source, name or "picture"), name or "picture")
    raise DerainError(
        f"{name or 'picture'} is a {type(source).__name__}: give a file name, a Pillow image, "
        "a NumPy array or a tensor"
    )


def to_tensor(picture: PictureLike, name: str | None = None) -> Tensor:
    """Return any picture as (3, H, W), RGB, float32 in [0, 1]; see :func:`read_picture`.

    Examples
    --------
    >>> to_tensor(np.full((2, 4, 3), 255, dtype=np.uint8)).shape
    torch.Size([3, 2, 4])
    """
    return read_picture(picture, name).rgb


def to_pil(tensor: Tensor) -> Image.Image:
    """Return (3, H, W) or (1, 3, H, W) as an RGB picture, clamped to [0, 1] and rounded.

    Raises
    ------
    DerainError
        If the shape or type does not fit, or a value is not finite.
    """
    tensor = _one_picture(tensor, "tensor").detach()
    if not tensor.is_floating_point():
        raise DerainError(f"tensor: expected floats in [0, 1], got {tensor.dtype}: divide by 255")
    _check_finite(tensor, "tensor")
    pixels = tensor.float().clamp(0, 1).mul_(255).round_().to("cpu", torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())  # (H, W, 3)


def check_batch(x: Any, name: str = "rainy", value_range: bool = True) -> Tensor:
    """Return ``x`` if it is a batch of pictures, else say what is wrong with it.

    Parameters
    ----------
    x : Tensor
        Expected: (B, 3, H, W), a float type, finite, in [0, 1].
    name : str
        What to call it in the message.
    value_range : bool
        Also check that the values lie in [0, 1].

    Raises
    ------
    DerainError
    """
    expected = f"{name}: expected a float tensor (B, 3, H, W) in [0, 1]"
    if not isinstance(x, Tensor):
        hint = "pass it through derain_edu.images.to_tensor and add [None]"
        raise DerainError(f"{expected}, got {type(x).__name__}: {hint}")
    if x.dim() != 4 or x.shape[1] != 3:
        raise DerainError(f"{expected}, got {_describe(x)}{_shape_hint(x)}")
    if x.numel() == 0:
        raise DerainError(f"{expected}, got {_describe(x)}, which holds no pixel")
    if not x.is_floating_point():
        raise DerainError(f"{expected}, got {_describe(x)}: divide by 255 first")
    values = x.detach()
    _check_finite(values, name)
    if value_range:
        _check_range(float(values.min()), float(values.max()), name)
    return x


def _from_pil(image: Image.Image, name: str, frame: int | None = None) -> Picture:
    try:
        _choose_frame(image, name, frame)
        deep = ";16" in str(getattr(image, "tile", ""))  # what the file holds, before it is read
        lossless = {"lossless": True} if image.format == "WEBP" and _is_lossless(image) else {}
        image.load()  # Pillow is lazy: damage shows only now
        info = _worth_keeping(image) | lossless
        image = _upright(image)
    except (*DAMAGED, Image.DecompressionBombError) as error:
        raise DerainError(
            f"{name} is damaged or cut off ({error}): copy or download it again"
        ) from error
    if 0 in image.size:
        raise DerainError(f"{name} holds no pixel ({image.width}×{image.height}): give a picture")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values, white = _deep_grey(image, name)
        alpha = _colour_key(np.asarray(image), image.info.get("transparency"))
        return Picture(values.expand(3, -1, -1).contiguous(), name, alpha, True, white, info)
    if deep:
        _note(f"{name} has 16 bits per colour, of which 8 are read")
        key = image.info.get("transparency")
        if isinstance(key, tuple):
            image.info["transparency"] = tuple(value >> 8 for value in key)
    if image.mode in ("CMYK", "LAB"):
        image, info = _to_srgb(image), {k: v for k, v in info.items() if k != "icc_profile"}
    if image.mode == "La":  # colours that are multiplied with the transparency already
        image = image.convert("LA")
    grey = image.mode in ("1", "L", "LA")
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")  # also resolves the transparent colour of a palette
        alpha = image.getchannel("A")
    rgb = _scale_8_bits(np.asarray(image.convert("RGB")))
    return Picture(rgb, name, alpha, grey, info=info)


def _note(text: str) -> None:
    warnings.warn(text, stacklevel=2)


def _choose_frame(image: Image.Image, name: str, frame: int | None) -> None:
    """Go to the wanted frame, and say it if there are others."""
    count = getattr(image, "n_frames", 1)
    if frame is not None:
        if not 1 <= frame <= count:
            raise DerainError(f"{name} has no frame {frame}: choose one from 1 to {count}")
        image.seek(frame - 1)
        return
    if count == 1:
        return
    chosen = 1
    if image.format == "TIFF":
        areas = []
        for k in range(count):
            image.seek(k)
            areas.append(image.width * image.height)
        chosen = 1 + areas.index(max(areas))
        image.seek(chosen - 1)
    _note(f"{name} has {count} frames, of which only number {chosen} is read")


# What EXIF data tells about a photo, as numbers of its table: description, maker and model of the
# camera, software, date, author, rights. The rest says how the old file was stored.
_TOLD = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
_EXIF, _GPS = 0x8769, 0x8825  # two tables below: how the photo was taken, and where
_STALE = (0x927C, 0xA002, 0xA003, 0xA005)  # the maker's own notes, the old size, a pointer


def _worth_keeping(image: Image.Image) -> dict[str, Any]:
    """Return what a result should say again: see :class:`Picture`."""
    keep = {key: image.info[key] for key in ("icc_profile", "dpi") if image.info.get(key)}
    try:
        source, exif = image.getexif(), Image.Exif()
        for tag in _TOLD:
            if tag in source:
                exif[tag] = source[tag]
        for table in (_EXIF, _GPS):
            if found := {k: v for k, v in source.get_ifd(table).items() if k not in _STALE}:
                exif[table] = found
        if len(exif):
            keep["exif"] = exif.tobytes()
    except (*DAMAGED, TypeError, KeyError, AttributeError):
        pass  # unreadable EXIF data: the pixels are fine
    return keep


def _is_lossless(image: Image.Image) -> bool:
    """Say whether a WebP is lossless: its chunk of pixels is then called VP8L."""
    file = getattr(image, "fp", None)
    if file is None or not file.seekable():
        return False
    place = file.tell()
    try:
        file.seek(12)  # after RIFF, the length and WEBP come chunks: a name, a length, the content
        while len(head := file.read(8)) == 8:
            if head[:4] in (b"VP8 ", b"VP8L"):
                return bool(head[:4] == b"VP8L")
            length = int.from_bytes(head[4:], "little")
            file.seek(length + length % 2, 1)
        return False
    finally:
        file.seek(place)


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except (*DAMAGED, TypeError, KeyError):
        return image  # unreadable EXIF data: the pixels are fine


def _to_srgb(image: Image.Image) -> Image.Image:
    """Return a picture in printing colours as RGB, by its profile if it has one that works."""
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB")
    except (KeyError, OSError, ImageCms.PyCMSError):
        return image.convert("RGB")
    return image.convert("RGB") if converted is None else converted


def _deep_grey(image: Image.Image, name: str) -> tuple[Tensor, int]:
    """Return (1, H, W) in [0, 1] from grey with more than 8 bits, and the value of white.

    A file says how many bits it has room for, not how many are in use. A camera's 10 or 12 bits in
    a file of 16 would be nearly black, so the largest value decides.
    """
    values = np.asarray(image)  # (H, W)
    if not np.isfinite(values).all():
        raise DerainError(f"{name} holds NaN or infinity: repair the values first")
    low, high = float(values.min()), float(values.max())
    if low < 0:
        raise DerainError(
            f"{name} has grey values from {low:g} to {high:g}: rescale them to 0 and above"
        )
    if image.mode == "F" and high <= 1 + _ROUNDING:
        white = 1
    elif image.mode == "F":
        white = next((w for w in (255, 1023, 4095, 65535) if high <= w), 2**32 - 1)
    else:
        white = next(w for w in (1023, 4095, 65535, 2**24 - 1, 2**32 - 1) if high <= w)
    if white not in (1, 65535):
        _note(f"{name}: its grey values go up to {high:g}, so {white} is taken for white")
    scaled = (values.astype(np.float64) / white).clip(0, 1).astype(np.float32)
    return torch.from_numpy(scaled)[None], min(white, 65535) if white > 1 else 65535


def _to_deep_grey(rgb: Tensor, white: int) -> Image.Image:
    """Return (3, H, W) as 16-bit grey, with the weights of red, green and blue that Pillow has."""
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    rgb = _one_picture(rgb, "tensor").detach().to("cpu", torch.float64).clamp(0, 1)
    grey = (weights @ rgb.flatten(1)).view(rgb.shape[1:]).mul_(white).round_()
    result = Image.fromarray(grey.numpy().astype(np.uint16))
    result.info["white"] = white
    return result


def _colour_key(values: np.ndarray, key: Any) -> Image.Image | None:
    """Return the transparency of a grey picture in which one value means "nothing here"."""
    if not isinstance(key, int):
        return None
    return Image.fromarray(np.uint8(255 * (values != key)))


# ---------------------------------------------------------------------------- arrays and tensors
def _from_array(array: np.ndarray, name: str) -> Picture:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        hint = ""
        if array.ndim == 3 and array.shape[0] in (1, 3, 4):
            hint = ": turn it with array.transpose(1, 2, 0)"
        elif array.ndim == 4:
            hint = ": give one picture of the batch, for example array[0]"
        raise DerainError(
            f"{name}: expected an array (H, W), (H, W, 3) or (H, W, 4), got {array.shape}{hint}"
        )
    if array.size == 0:
        raise DerainError(f"{name} holds no pixel {array.shape}: give a picture")
    planes = _scale_array(array.reshape(*array.shape[:2], -1), name)  # (1, 3 or 4, H, W)
    alpha = None
    if len(planes) == 4:
        alpha = Image.fromarray(planes[3].mul(255).round().to(torch.uint8).numpy())
    rgb = planes[:3].expand(3, -1, -1).contiguous()
    return Picture(rgb, name, alpha, grey=len(planes) == 1)


def _scale_array(array: np.ndarray, name: str) -> Tensor:
    """Return (H, W, C) of uint8, uint16 or floats as (C, H, W) float32 in [0, 1]."""
    if array.dtype == np.uint8:
        return _scale_8_bits(array)
    if array.dtype == np.uint16:
        return torch.from_numpy(array.astype(np.float32)).permute(2, 0, 1).contiguous() / 65535
    if array.dtype.kind != "f":
        raise DerainError(
            f"{name}: expected uint8, uint16 or floats in [0, 1], got {array.dtype}: "
            "convert it first, for example with array.astype(np.uint8)"
        )
    if not np.isfinite(array).all():
        raise DerainError(f"{name} holds NaN or infinity: repair the values first")
    _check_range(float(array.min()), float(array.max()), name)
    tensor = torch.from_numpy(array.astype(np.float32)).permute(2, 0, 1)
    return tensor.clamp(0, 1).contiguous()


def _scale_8_bits(pixels: np.ndarray) -> Tensor:
    """Return (H, W, C) uint8 as (C, H, W) float32 in [0, 1], with one large copy and no more."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        planes = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)
    return planes.to(torch.float32, memory_format=torch.contiguous_format).div_(255)


def _from_tensor(tensor: Tensor, name: str) -> Tensor:
    tensor = _one_picture(tensor, name).detach().cpu()
    if tensor.dtype == torch.uint8:
        return tensor.float() / 255
    if not tensor.is_floating_point():
        raise DerainError(
            f"{name}: expected floats in [0, 1], got {tensor.dtype}: divide by the largest "
            "possible value first"
        )
    _check_finite(tensor, name)
    _check_range(float(tensor.min()), float(tensor.max()), name)
    return tensor.float().clamp(0, 1).contiguous()


def _one_picture(tensor: Tensor, name: str) -> Tensor:
    """Return (3, H, W) from (3, H, W) or (1, 3, H, W)."""
    single = tensor[0] if tensor.dim() == 4 and len(tensor) == 1 else tensor
    if single.dim() == 3 and single.shape[0] == 3 and single.numel() > 0:
        return single
    raise DerainError(f"{name}: expected (3, H, W), got {_describe(tensor)}{_shape_hint(tensor)}")


def _check_finite(x: Tensor, name: str) -> None:
    # The sum of finite pictures is finite, and unlike isfinite(x) it needs no memory of its own.
    if not torch.isfinite(x.sum(dtype=torch.float64)):
        raise DerainError(f"{name} holds NaN or infinity: check how it was computed")


def _check_range(low: float, high: float, name: str) -> None:
    if low >= -_ROUNDING and high <= 1 + _ROUNDING:
        return
    hint = "divide by 255 first" if low >= 0 and high > 2 else "clamp or rescale it first"
    raise DerainError(f"{name}: expected values in [0, 1], got {low:.4g} to {high:.4g}: {hint}")


def _describe(x: Tensor) -> str:
    return f"{str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}"


def _shape_hint(x: Tensor) -> str:
    if x.dim() == 4 and x.shape[1] == 3:
        return ": give one picture of the batch, for example x[0]"
    if x.dim() in (3, 4) and x.shape[-1] == 3:
        return f": put the channels first with x.movedim(-1, {x.dim() - 3})"
    if x.dim() == 3 and x.shape[0] == 3:
        return ": add the batch dimension with x[None]"
    if x.dim() >= 3 and x.shape[-3] == 1:
        return ": repeat the grey channel three times, x.expand(…, 3, H, W)"
    return ""
