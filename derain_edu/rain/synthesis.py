r"""Synthetic rain: a clean picture in; the rainy one, its rain and everything that was drawn out.

What a raindrop looks like
    A falling drop is a small lens. It bends light from a wide part of the scene (mostly sky)
    into the camera, so it is nearly always brighter than what stands behind it. During the
    exposure it falls by many times its own size, so the camera sees a *streak*: the spot of the
    drop, swept along a line. A streak is six numbers: centre x and y, length, width, angle and
    brightness. :mod:`derain_edu.rain.streaks` turns them into light; the rain layer R is the sum
    over all streaks, one layer per distance and wind.

Angles
    are in degrees from the vertical. Positive: the drop falls towards the right (wind from the
    left), so the streak leans like a backslash; negative: it leans like a slash::

        −30: ╱        0: │        +30: ╲

How rain meets the picture
    ========  =================================  ==============================================
    additive  O = B + R                          both papers of this course, and Rain100H
    screen    O = 1 − (1 − B)(1 − R)             bright places hide rain; nothing ever clips
    veil      O = T · (B ⊕ R) + (1 − T) · A      far rain is a fog of brightness A
    ========  =================================  ==============================================

    (⊕ is one of the first two.) The background B is never blurred: without a veil, O equals B
    to the last bit wherever R is 0.

Rain need not be made of drops. :class:`NoiseRain` is swept noise, as an image editor makes it
(:mod:`derain_edu.rain.swept_noise`): additive, white, without a veil.

Step by step, as a lesson opens it: :class:`RainConfig` → :func:`draw_streaks` →
:func:`render_streaks` → :func:`blend`. All at once: :func:`add_rain`. Simplified: drops do not
oscillate, so a streak has no pattern along its length, and the brightness of a drop ignores what
is behind it.

References
----------
Garg, Nayar: Photorealistic rendering of rain streaks. ACM TOG (SIGGRAPH) 2006 (appearance).
Luo, Xu, Ji: Removing rain from a single image via discriminative sparse coding. ICCV 2015
(screen blending).
Yang et al.: Deep joint rain detection and removal from a single image. CVPR 2017 (several
layers under a veil; Rain100L and Rain100H).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from derain_edu.errors import DerainError
from derain_edu.rain.config import NoiseRain, RainConfig, uniform
from derain_edu.rain.presets import PRESETS
from derain_edu.rain.streaks import Streaks, draw_streaks, render_streaks
from derain_edu.rain.swept_noise import render_noise_rain

VISIBLE = 4 / 255  # a streak fainter than this is not part of the mask


@dataclass(frozen=True)
class RainParams:
    """Everything that was drawn for one picture.

    Attributes
    ----------
    config : RainConfig | NoiseRain
        What it was drawn from.
    streaks : Streaks
        Every streak that touches the picture, and its layers. Empty for swept noise.
    colour : tuple[float, float, float]
        RGB factor of the rain; (1, 1, 1) is white.
    blending : str
        ``"additive"`` or ``"screen"``.
    transmission : float
        T of the veil; 1 is no veil.
    airlight : float
        A of the veil.
    """

    config: RainConfig | NoiseRain
    streaks: Streaks
    colour: tuple[float, float, float]
    blending: str
    transmission: float
    airlight: float


@dataclass(frozen=True)
class Rain:
    """A rainy picture and its truth.

    ``rainy`` is exactly ``blend(clean, streaks, params.blending, params.transmission,
    params.airlight)``. For additive rain without a veil that is ``(clean + streaks).clamp(0, 1)``.

    Attributes
    ----------
    rainy : Tensor
        (3, H, W) or (B, 3, H, W), RGB in [0, 1].
    streaks : Tensor
        R, of the same shape: ≥ 0, tinted, not clipped (with screen blending at most 1).
    mask : Tensor
        (1, H, W) or (B, 1, H, W) bool: a channel of R is above :data:`VISIBLE`.
    params : RainParams | list[RainParams]
        What was drawn; a list for a batch.
    """

    rainy: Tensor
    streaks: Tensor
    mask: Tensor
    params: RainParams | list[RainParams]


def add_rain(
    clean: Tensor,
    rain: str | RainConfig | NoiseRain = "light",
    seed: int | Sequence[int] | None = None,
    **changes: Any,
) -> Rain:
    """Let it rain on a picture, or on a batch with an independent draw per picture.

    Parameters
    ----------
    clean : Tensor
        (3, H, W) or (B, 3, H, W), RGB in [0, 1], any float type, any device.
    rain : str, RainConfig or NoiseRain
        One of :data:`PRESETS` or your own configuration.
    seed : int, sequence of int or None
        The same seed gives the same rain, whatever other random numbers are used elsewhere;
        ``None`` gives new rain at every call. Picture k of a batch draws from (seed, k). With
        one seed, a larger ``amount`` keeps all streaks and adds more.
    **changes
        Fields of the configuration to replace, such as ``amount=0.5`` or ``angle=(-5, 5)``.

    Returns
    -------
    Rain

    Raises
    ------
    DerainError
        If ``clean`` is not such a tensor, or the rain or one of its fields is unknown or invalid.

    Examples
    --------
    >>> clean = torch.full((3, 64, 64), 0.3)
    >>> result = add_rain(clean, "heavy", seed=0)
    >>> torch.equal(result.rainy, (clean + result.streaks).clamp(0, 1))
    True
    """
    _check_clean(clean)
    config = _configured(rain, changes)
    entropy = _checked_seed(seed)
    if clean.dim() == 3:
        return _rain_on_one(clean, config, np.random.default_rng(entropy))
    entropies = [None if entropy is None else [*entropy, k] for k in range(len(clean))]
    results = [
        _rain_on_one(picture, config, np.random.default_rng(e))
        for picture, e in zip(clean, entropies, strict=True)
    ]
    parts = {
        name: torch.stack([getattr(result, name) for result in results])
        for name in ("rainy", "streaks", "mask")
    }
    return Rain(**parts, params=[result.params for result in results])


def _rain_on_one(
    clean: Tensor, config: RainConfig | NoiseRain, rng: np.random.Generator
) -> Rain:
    if isinstance(config, NoiseRain):
        return _noise_on_one(clean, config, rng)
    dice = rng.random(4)  # drawn first and always, so no setting changes another one's draw
    streaks = draw_streaks(config, *clean.shape[-2:], rng)
    tint = uniform(config.tint, dice[0])
    params = RainParams(
        config=config,
        streaks=streaks,
        colour=(1 - tint, 1.0, 1 + tint),
        blending=_choose_blending(config.blending, dice[1]),
        transmission=1 - min(1.0, config.amount) * uniform(config.veil, dice[2]),
        airlight=uniform(config.airlight, dice[3]),
    )
    colour = clean.new_tensor(params.colour).view(3, 1, 1)
    layer = render_streaks(streaks, *clean.shape[-2:]).to(clean) * colour  # (3, H, W)
    if params.blending == "screen":
        layer = layer.clamp(max=1)  # a drop can't hide more than all of the background
    rainy = blend(clean, layer, params.blending, params.transmission, params.airlight)
    return Rain(rainy, layer, (layer > VISIBLE).any(dim=0, keepdim=True), params)


def _noise_on_one(clean: Tensor, config: NoiseRain, rng: np.random.Generator) -> Rain:
    light = render_noise_rain(config, *clean.shape[-2:], rng).to(clean)  # (1, H, W)
    layer = light.expand_as(clean).contiguous()
    params = RainParams(config, Streaks.none(), (1.0, 1.0, 1.0), "additive", 1.0, 0.0)
    return Rain(blend(clean, layer), layer, light > VISIBLE, params)


def blend(
    clean: Tensor,
    streaks: Tensor,
    mode: str = "additive",
    transmission: float = 1.0,
    airlight: float = 0.8,
) -> Tensor:
    """Put rain over a picture by one of the models at the top of this module.

    Parameters
    ----------
    clean : Tensor
        B, (..., 3, H, W) in [0, 1].
    streaks : Tensor
        R ≥ 0, of a shape that broadcasts, such as (1, H, W).
    mode : {"additive", "screen"}
        B + R, or B + R·(1 − B), which is 1 − (1 − B)(1 − R) written so that R = 0 gives B exactly.
    transmission, airlight : float
        T and A of the veil T·(…) + (1 − T)·A; T = 1 is no veil.

    Returns
    -------
    Tensor
        O, clipped to [0, 1].
    """
    if mode == "additive":
        rainy = clean + streaks
    elif mode == "screen":
        rainy = clean + streaks * (1 - clean)
    else:
        raise DerainError(f"unknown blending {mode!r}: choose 'additive' or 'screen'")
    if transmission != 1:
        rainy = transmission * rainy + (1 - transmission) * airlight
    return rainy.clamp(0, 1)


def _configured(rain: Any, changes: dict[str, Any]) -> RainConfig | NoiseRain:
    if isinstance(rain, str):
        if rain not in PRESETS:
            raise DerainError(f"unknown rain {rain!r}: choose one of {', '.join(PRESETS)}")
        rain = PRESETS[rain]
    if not isinstance(rain, (RainConfig, NoiseRain)):
        raise DerainError(
            f"rain is a {type(rain).__name__}: give a RainConfig or one of {', '.join(PRESETS)}"
        )
    known = [field.name for field in fields(rain)]
    if unknown := [name for name in changes if name not in known]:
        raise DerainError(f"rain has no {unknown[0]!r}: you can change {', '.join(known)}")
    return replace(rain, **changes) if changes else rain


def _checked_seed(seed: Any) -> list[int] | None:
    if seed is None:
        return None
    numbers = list(seed) if isinstance(seed, (tuple, list)) else [seed]
    if not all(isinstance(x, Integral) and x >= 0 for x in numbers):
        raise DerainError(f"seed is {seed!r}: give a whole number from 0 upwards, or None")
    return [int(x) for x in numbers]


def _check_clean(clean: Any) -> None:
    fits = isinstance(clean, Tensor) and clean.is_floating_point() and clean.dim() in (3, 4)
    if not fits or clean.shape[-3] != 3 or clean.numel() == 0:
        got = f"{clean.dtype} {tuple(clean.shape)}" if hasattr(clean, "shape") else repr(clean)
        raise DerainError(
            f"clean should be a float tensor (3, H, W) or (B, 3, H, W) in [0, 1], got {got}: "
            "pass it through derain_edu.images.to_tensor first"
        )
    low, high = (float(x) for x in clean.detach().aminmax())
    if not (low >= -1e-6 and high <= 1 + 1e-6):  # also true for NaN
        raise DerainError(
            f"clean has values from {low:.3g} to {high:.3g}, expected [0, 1]: divide 8-bit "
            "pictures by 255, and replace NaN"
        )


def _choose_blending(blending: str, die: float) -> str:
    if blending == "either":
        return "additive" if die < 0.5 else "screen"
    return blending
