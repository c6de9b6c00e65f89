"""PSNR and SSIM, by the protocol of the paper that you want to compare with.

The same picture gets different scores in different papers, because they do not measure the
same thing. The four protocols of the course:

``prenet_matlab``
    PReNet's evaluation. The output is *truncated* to 8 bits, turned into luma Y with the range
    16 to 235 (peak 1), and compared. SSIM uses an 11×11 Gaussian window, σ = 1.5, only where it
    fits, after averaging down large pictures by ``f = max(1, round(min(H, W) / 256))``.
``restormer_y``
    The output is *rounded* to 8 bits, and so is its Y; same window, never averaged down.
``spanet_released``
    Float RGB, 7×7 uniform window, sample covariance, and an SSIM that believes the data range
    is 2 (its code forgot to say that it is 1), which flatters every picture.
``rgb``
    RGB rounded to 8 bits, range 1, 11×11 Gaussian window: what most people expect.

All protocols take RGB in [0, 1] and compute in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from derain_edu.errors import DerainError


class _Views(NamedTuple):
    """What a protocol compares: two pictures, their peak, and how SSIM looks at them."""

    derained: Tensor  # (B, C, H, W) float64
    clean: Tensor
    ssim_options: dict[str, object]


def truncate_to_8_bits(picture: Tensor) -> Tensor:
    """Clamp to [0, 1] and cut down to multiples of 1/255, as ``np.uint8(255 * x)`` does."""
    # The product is taken in float32, as the authors' code does: there k/255 always gives k back.
    return (picture.clamp(0, 1).float() * 255).floor().double() / 255


def round_to_8_bits(picture: Tensor) -> Tensor:
    """Clamp to [0, 1] and round to multiples of 1/255."""
    return (picture.clamp(0, 1).double() * 255).round() / 255


def luma(picture: Tensor) -> Tensor:
    """Return the Y of ITU-R BT.601 as MATLAB computes it, in [16/255, 235/255].

    (B, 3, H, W) in [0, 1] to (B, 1, H, W). White is 235/255 and not 1: errors shrink by
    219/255, which alone is worth 1.32 dB.
    """
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=picture.dtype, device=picture.device)
    return (torch.einsum("bchw,c->bhw", picture, weights) + 16).unsqueeze(1) / 255


def _prenet_matlab(derained: Tensor, clean: Tensor) -> _Views:
    y, y_clean = luma(truncate_to_8_bits(derained)), luma(truncate_to_8_bits(clean))
    return _Views(y, y_clean, {"average_down": True})


def _restormer_y(derained: Tensor, clean: Tensor) -> _Views:
    y, y_clean = (round_to_8_bits(luma(round_to_8_bits(x))) for x in (derained, clean))
    return _Views(y, y_clean, {})


def _spanet_released(derained: Tensor, clean: Tensor) -> _Views:
    options = {"window": "uniform", "size": 7, "sample_covariance": True, "peak": 2.0}
    return _Views(derained.double().clamp(0, 1), clean.double().clamp(0, 1), options)


def _rgb(derained: Tensor, clean: Tensor) -> _Views:
    return _Views(round_to_8_bits(derained), round_to_8_bits(clean), {})


_PROTOCOLS: dict[str, Callable[[Tensor, Tensor], _Views]] = {
    "prenet_matlab": _prenet_matlab,
    "restormer_y": _restormer_y,
    "spanet_released": _spanet_released,
    "rgb": _rgb,
}
PROTOCOLS = tuple(_PROTOCOLS)


def psnr(derained: Tensor, clean: Tensor, protocol: str = "prenet_matlab") -> float:
    """Return the peak signal-to-noise ratio in dB, averaged over the batch.

    Parameters
    ----------
    derained, clean : Tensor
        (3, H, W) or (B, 3, H, W), RGB in [0, 1]. What leaves it a little, as the output of a
        network does, is clamped, as all protocols do.
    protocol : str
        One of :data:`PROTOCOLS`.

    Returns
    -------
    float
        ``10·log10(1 / mean((a − b)²))``; infinity for equal pictures.

    Raises
    ------
    DerainError
        For unequal, unfit or empty pictures, for values that are clearly not in [0, 1] (0 to
        255, -1 to 1), and for an unknown protocol.

    Examples
    --------
    >>> import torch
    >>> black = torch.zeros(3, 8, 8)
    >>> round(psnr(black + 0.1, black, protocol="spanet_released"), 2)
    20.0
    """
    views = _views(derained, clean, protocol)
    errors = (views.derained - views.clean).square().mean(dim=(1, 2, 3))  # (B,)
    scores = [math.inf if error == 0 else -10 * math.log10(error) for error in errors.tolist()]
    return sum(scores) / len(scores)


def ssim(derained: Tensor, clean: Tensor, protocol: str = "prenet_matlab") -> float:
    """Return the structural similarity, at most 1, averaged over the batch.

    Takes what :func:`psnr` takes. Pictures must be at least as large as the window (11×11, or
    7×7 for ``spanet_released``).

    References
    ----------
    Wang, Bovik, Sheikh, Simoncelli: Image quality assessment. IEEE TIP 2004.
    """
    views = _views(derained, clean, protocol)
    options = dict(views.ssim_options)
    if options.pop("average_down", False):
        views = views._replace(
            derained=_average_down(views.derained), clean=_average_down(views.clean)
        )
    return float(structural_similarity(views.derained, views.clean, **options).mean())


def structural_similarity(
    x: Tensor,
    y: Tensor,
    window: str = "gaussian",
    size: int = 11,
    sigma: float = 1.5,
    padding: str = "valid",
    peak: float = 1.0,
    sample_covariance: bool = False,
) -> Tensor:
    """Return the SSIM of each picture of a batch, differentiable.

    Parameters
    ----------
    x, y : Tensor
        (B, C, H, W), any float type.
    window : {"gaussian", "uniform"}
        Weights of the local window of ``size`` × ``size`` pixels; ``sigma`` is the Gaussian's.
    padding : {"valid", "zero"}
        Only windows that fit, or a border of zeros (the loss of PReNet's training code).
    peak : float
        The data range L in the constants (0.01 L)² and (0.03 L)².
    sample_covariance : bool
        Divide variances by N − 1 instead of N (for the uniform window).

    Returns
    -------
    Tensor
        (B,), the mean of the SSIM map over channels and pixels.
    """
    if padding == "valid" and min(x.shape[-2:]) < size:
        raise DerainError(
            f"SSIM needs pictures of at least {size}×{size} pixels, got "
            f"{x.shape[-2]}×{x.shape[-1]}: give larger ones"
        )
    moments = torch.stack((x, y, x * x, y * y, x * y))  # (5, B, C, H, W)
    mu_x, mu_y, xx, yy, xy = _blur(moments, _window(window, size, sigma, x), padding)
    scale = size**2 / (size**2 - 1) if sample_covariance else 1.0
    var_x, var_y = scale * (xx - mu_x * mu_x), scale * (yy - mu_y * mu_y)
    covariance = scale * (xy - mu_x * mu_y)
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    likeness = (2 * mu_x * mu_y + c1) * (2 * covariance + c2)
    likeness = likeness / ((mu_x**2 + mu_y**2 + c1) * (var_x + var_y + c2))
    return likeness.mean(dim=(1, 2, 3))


def _window(kind: str, size: int, sigma: float, like: Tensor) -> Tensor:
    """Return the one-dimensional window; the two-dimensional one is its outer product."""
    if kind == "uniform":
        weights = torch.ones(size, dtype=torch.float64)
    elif kind == "gaussian":
        distance = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
        weights = torch.exp(-(distance**2) / (2 * sigma**2))
    else:
        raise DerainError(f"unknown window {kind!r}: choose 'gaussian' or 'uniform'")
    return (weights / weights.sum()).to(like)


def _blur(stack: Tensor, weights: Tensor, padding: str) -> Tensor:
    """Blur every plane of (..., H, W) along rows and then along columns."""
    border = len(weights) // 2 if padding == "zero" else 0
    planes = stack.reshape(-1, 1, *stack.shape[-2:])
    planes = F.conv2d(planes, weights.view(1, 1, 1, -1), padding=(0, border))
    planes = F.conv2d(planes, weights.view(1, 1, -1, 1), padding=(border, 0))
    return planes.reshape(*stack.shape[:-2], *planes.shape[-2:])


def _average_down(picture: Tensor) -> Tensor:
    """Average f×f boxes and keep every f-th pixel, as the SSIM authors' MATLAB code does."""
    f = max(1, math.floor(min(picture.shape[-2:]) / 256 + 0.5))
    if f == 1:
        return picture
    # MATLAB's imfilter with 'symmetric' mirrors the border pixel too, and puts the centre of an
    # even box right of the middle: pixel i is the mean of i - (f-1)//2 … i + f//2.
    before, after = (f - 1) // 2, f // 2
    picture = _mirror(_mirror(picture, before, after, -1), before, after, -2)
    return F.avg_pool2d(picture, f, stride=1)[..., ::f, ::f]


def _mirror(picture: Tensor, before: int, after: int, dim: int) -> Tensor:
    length = picture.shape[dim]
    parts = [picture.narrow(dim, 0, before).flip(dim), picture]
    parts.append(picture.narrow(dim, length - after, after).flip(dim))
    return torch.cat(parts, dim=dim)


def _views(derained: Tensor, clean: Tensor, protocol: str) -> _Views:
    if protocol not in _PROTOCOLS:
        raise DerainError(f"unknown protocol {protocol!r}: choose one of {', '.join(PROTOCOLS)}")
    derained, clean = _tensor(derained), _tensor(clean)
    if derained.shape != clean.shape:
        raise DerainError(
            f"the pictures differ in shape, {tuple(derained.shape)} and {tuple(clean.shape)}: "
            "crop both to the same size first"
        )
    if derained.dim() == 3:
        derained, clean = derained.unsqueeze(0), clean.unsqueeze(0)
    floats = derained.is_floating_point() and clean.is_floating_point()
    if derained.dim() != 4 or derained.shape[1] != 3 or not floats:
        kind = derained.dtype if clean.is_floating_point() else clean.dtype
        raise _unfit(f"{kind} {tuple(derained.shape)}")
    if derained.numel() == 0:
        raise DerainError(
            f"there is nothing to compare in pictures of shape {tuple(derained.shape)}: give at "
            "least one pixel"
        )
    derained, clean = derained.detach(), clean.detach()
    _check_range(derained, clean)
    return _PROTOCOLS[protocol](derained, clean)


def _tensor(picture: Tensor) -> Tensor:
    try:
        return torch.as_tensor(picture)
    except (TypeError, ValueError, RuntimeError) as error:  # a PIL picture, a path
        raise _unfit(type(picture).__name__) from error


def _unfit(got: str) -> DerainError:
    return DerainError(
        f"expected float pictures (B, 3, H, W) in [0, 1], got {got}: pass them through "
        "derain_edu.images.to_tensor first"
    )


def _check_range(derained: Tensor, clean: Tensor) -> None:
    """Refuse pictures from 0 to 255 or from -1 to 1, which the protocols would clamp.

    The output of a network may leave [0, 1] here and there, so only its mean is looked at. (A NaN
    passes: it makes the score NaN.)
    """
    low, high = clean.min().item(), clean.max().item()
    mean = derained.float().mean().item()
    if low < -0.5 or high > 1.5:
        found = f"the clean picture has values from {low:.3g} to {high:.3g}"
    elif abs(mean - 0.5) > 1.5:
        found = f"the derained picture has a mean of {mean:.3g}"
    else:
        return
    raise DerainError(f"{found}, not in [0, 1]: scale both pictures first (8 bits: divide by 255)")


