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
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from derain_edu.errors import DerainError
from derain_edu.picture_files import DAMAGED, open_picture

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
    icc_profile : bytes | None, default None
        What its RGB (or grey) values mean, if the file says so.
    """

    rgb: Tensor
    name: str
    alpha: Image.Image | None = None
    grey: bool = False
    icc_profile: bytes | None = None

    def give_back(self, rgb: Tensor) -> Image.Image:
        """Turn a processed (3, H, W) tensor into a picture of the source's kind.

        Grey comes back grey (mode L), transparency comes back untouched (LA or RGBA).
        """
        result = to_pil(rgb)
        if self.grey:
            result = result.convert("L")
        if self.alpha is not None:
            result.putalpha(self.alpha)
        if self.icc_profile:
            result.info["icc_profile"] = self.icc_profile
        return result


PictureLike = str | Path | bytes | Image.Image | np.ndarray | Tensor | Picture


def read_picture(source: PictureLike, name: str | None = None) -> Picture:
    """Read a picture from anything that holds one.

    Parameters
    ----------
    source : str, Path, bytes, PIL.Image.Image, numpy.ndarray, Tensor or Picture
        A file (its EXIF orientation is applied) or its bytes; a Pillow image of any mode; an
        array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, uint16 or floats in [0, 1]; a
        tensor (3, H, W) or (1, 3, H, W) of floats in [0, 1] or uint8.
    name : str, optional
        What to call the picture in error messages. Default: the file's name.

    Returns
    -------
    Picture

    Raises
    ------
    DerainError
        If there is no picture in ``source``, or its shape, type or values do not fit.

    Notes
    -----
    Grey pictures keep their 16 bits. Colour PNGs of 16 bits are read with the 8 upper bits,
    which is what Pillow gives.
    """
    if isinstance(source, Picture):
        return source
    if isinstance(source, (str, Path, bytes, bytearray, memoryview)):
        is_path = isinstance(source, (str, Path))
        name = name or (str(source) if is_path else "picture")
        file = Path(source).expanduser() if is_path else BytesIO(source)
        with open_picture(file, name) as image:
            return _from_pil(image, name)
    if isinstance(source, Image.Image):
        return _from_pil(source, name or getattr(source, "filename", "") or "picture")
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


def _from_pil(image: Image.Image, name: str) -> Picture:
    try:
        image.load()  # Pillow is lazy: damage shows only now
        image = _upright(image)
    except (*DAMAGED, Image.DecompressionBombError) as error:
        raise DerainError(
            f"{name} is damaged or cut off ({error}): copy or download it again"
        ) from error
    if 0 in image.size:
        raise DerainError(f"{name} holds no pixel ({image.width}×{image.height}): give a picture")
    profile = None if image.mode in ("CMYK", "LAB") else image.info.get("icc_profile")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        grey = _deep_grey(image, name)
        return Picture(grey.expand(3, -1, -1).contiguous(), name, None, True, profile)
    grey = image.mode in ("1", "L", "LA", "La")
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")  # also resolves the transparent colour of a palette
        alpha = image.getchannel("A")
    return Picture(_scale_8_bits(np.asarray(image.convert("RGB"))), name, alpha, grey, profile)


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except (*DAMAGED, TypeError, KeyError):
        return image  # unreadable EXIF data: the pixels are fine


def _deep_grey(image: Image.Image, name: str) -> Tensor:
    """Return (1, H, W) in [0, 1] from a grey picture with more than 8 bits."""
    values = np.asarray(image)  # (H, W)
    if image.mode == "F":
        return _from_array(values, name).rgb[:1]
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise DerainError(
            f"{name} has grey values from {low} to {high}: save it with 8 or 16 bits per pixel"
        )
    return torch.from_numpy(values.astype(np.float32)).div_(65535)[None]


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
